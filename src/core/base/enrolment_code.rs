//! One-time codes that enrol a device, in characters that a person can read out and type.

use std::fmt;
use std::str::FromStr;

/// Crockford's base32 in lower case: without `i`, `l`, `o` and `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BITS: u32 = 5;
/// Characters of 128 bits. The first character holds only the three bits that the others leave.
const CHARACTERS: u32 = 26;
/// Characters between two hyphens.
const GROUP: u32 = 5;
/// Maximum length of a text that is read, in bytes.
const TEXT_MAX: usize = 128;

/// A code: `3q7zk-0m2vx-8c1rt-hn5wy-d4g6b-e`, 128 random bits. `Debug` doesn't show them.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentCode(u128);

/// The text is not a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code is 26 letters and digits, such as 3q7zk-0m2vx-8c1rt-hn5wy-d4g6b-e")]
pub struct EnrolmentCodeError;

impl EnrolmentCode {
    /// The code of random bits.
    pub fn new(random: u128) -> EnrolmentCode {
        EnrolmentCode(random)
    }
}

impl fmt::Display for EnrolmentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for n in 0..CHARACTERS {
            if n > 0 && n % GROUP == 0 {
                f.write_str("-")?;
            }
            let digit = (self.0 >> (BITS * (CHARACTERS - 1 - n))) & 31;
            write!(f, "{}", char::from(ALPHABET[digit as usize]))?;
        }
        Ok(())
    }
}

impl FromStr for EnrolmentCode {
    type Err = EnrolmentCodeError;

    /// Ignores case, hyphens and spaces, and reads letters that look like a digit as that digit.
    fn from_str(text: &str) -> Result<EnrolmentCode, EnrolmentCodeError> {
        if text.len() > TEXT_MAX {
            return Err(EnrolmentCodeError);
        }
        let (mut bits, mut characters) = (0u128, 0);
        for c in text.bytes().filter(|c| *c != b'-' && !c.is_ascii_whitespace()) {
            let digit = digit(c).ok_or(EnrolmentCodeError)?;
            if bits.leading_zeros() < BITS {
                return Err(EnrolmentCodeError);
            }
            bits = bits << BITS | digit;
            characters += 1;
        }
        if characters == CHARACTERS { Ok(EnrolmentCode(bits)) } else { Err(EnrolmentCodeError) }
    }
}

fn digit(c: u8) -> Option<u128> {
    let c = match c.to_ascii_lowercase() {
        b'o' => b'0',
        b'i' | b'l' => b'1',
        c => c,
    };
    ALPHABET.iter().position(|known| *known == c).map(|digit| digit as u128)
}

impl fmt::Debug for EnrolmentCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrolmentCode")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_written_in_groups_of_five() {
        assert_eq!(EnrolmentCode::new(0).to_string(), "00000-00000-00000-00000-00000-0");
        assert_eq!(EnrolmentCode::new(u128::MAX).to_string(), "7zzzz-zzzzz-zzzzz-zzzzz-zzzzz-z");
        assert_eq!(format!("{:?}", EnrolmentCode::new(1)), "EnrolmentCode");
        assert!(EnrolmentCodeError.to_string().split(' ').any(|word| word.parse::<EnrolmentCode>().is_ok()));
    }

    #[test]
    fn letters_that_look_like_digits_are_read_as_digits() {
        let read = |text: &str| text.parse::<EnrolmentCode>();
        assert_eq!(read("0OoIi-LlLlL-00000-00000-00000-0"), read("00011111110000000000000000"));
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let code = EnrolmentCode::new(0).to_string();
        let long = format!("{code}{}", "-".repeat(TEXT_MAX));
        for bad in ["", "-", &code[1..], &format!("{code}0"), "80000-00000-00000-00000-00000-0", &long] {
            assert!(bad.parse::<EnrolmentCode>().is_err(), "{bad:?}");
        }
        for c in ["u", "é", "\0", "_", "\u{2010}", "٣"] {
            assert!(code.replacen('0', c, 1).parse::<EnrolmentCode>().is_err(), "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn a_code_is_read_however_it_is_typed(bits: u128, upper: bool, gaps in "[- ]{0,40}") {
            let mut text = EnrolmentCode::new(bits).to_string();
            if upper {
                text = text.to_uppercase();
            }
            prop_assert_eq!(text.parse(), Ok(EnrolmentCode::new(bits)));
            let spaced = format!("{gaps}{}{gaps}", text.replace('-', " "));
            prop_assert_eq!(spaced.parse(), Ok(EnrolmentCode::new(bits)));
            prop_assert_eq!(text.replace('-', "").parse(), Ok(EnrolmentCode::new(bits)));
        }

        #[test]
        fn every_text_that_is_read_is_a_code(text in "[0-9a-zA-Z -]{0,40}|\\PC*") {
            if let Ok(code) = text.parse::<EnrolmentCode>() {
                prop_assert_eq!(code.to_string().parse(), Ok(code));
            }
        }
    }
}
