//! Speech as bytes: µ-law and A-law (ITU-T G.711).

pub(super) fn to_ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs().min(32_635) + 132;
    let exponent = 7 - u8::try_from((magnitude << 1).leading_zeros().min(7)).unwrap_or(7);
    let mantissa = u8::try_from((magnitude >> (exponent + 3)) & 0x0f).unwrap_or(0);
    !(sign | exponent << 4 | mantissa)
}

pub(super) fn from_ulaw(octet: u8) -> i16 {
    let octet = !octet;
    let (exponent, mantissa) = ((octet >> 4) & 7, i16::from(octet & 0x0f));
    let magnitude = (((mantissa << 3) + 132) << exponent) - 132;
    if octet & 0x80 == 0 { magnitude } else { -magnitude }
}

pub(super) fn to_alaw(sample: i16) -> u8 {
    let magnitude = if sample < 0 { !sample } else { sample }.unsigned_abs() >> 4;
    // The position of the first bit above the lowest four.
    let exponent = 12_u32.saturating_sub((magnitude | 0x0f).leading_zeros());
    let mantissa = u8::try_from((magnitude >> exponent.saturating_sub(1)) & 0x0f).unwrap_or(0);
    let sign = if sample < 0 { 0 } else { 0x80 };
    (sign | u8::try_from(exponent).unwrap_or(7) << 4 | mantissa) ^ 0x55
}

pub(super) fn from_alaw(octet: u8) -> i16 {
    let octet = octet ^ 0x55;
    let (exponent, mantissa) = ((octet >> 4) & 7, i16::from(octet & 0x0f));
    let magnitude = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    if octet & 0x80 == 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_survives_its_encoding() {
        for sample in [-30_000_i16, -5_000, -300, -100, 0, 7, 100, 300, 5_000, 30_000] {
            for back in [from_ulaw(to_ulaw(sample)), from_alaw(to_alaw(sample))] {
                assert!(
                    (i32::from(back) - i32::from(sample)).abs() <= i32::from(sample.unsigned_abs() / 16) + 8,
                    "{sample} {back}"
                );
            }
        }
    }

    #[test]
    fn silence_is_what_the_standard_says() {
        assert_eq!((to_ulaw(0), to_alaw(0)), (0xff, 0xd5));
    }
}
