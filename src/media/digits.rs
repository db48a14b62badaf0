//! Bytes that clients write as digits: nonces, digests, and fingerprints of certificates.

use std::fmt;

use sha2::{Digest, Sha256};

/// Bytes in lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HexBytes<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> HexBytes<N> {
    /// Two lower-case digits for each byte, and nothing else.
    pub(super) fn parse(text: &str) -> Option<HexBytes<N>> {
        let mut bytes = [0; N];
        let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(HexBytes(bytes))
    }
}

impl<const N: usize> fmt::Display for HexBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A SHA-256 digest.
pub(super) type Sha256Digest = HexBytes<32>;

/// The digest of a text.
pub(super) fn digest_of(text: &str) -> Sha256Digest {
    HexBytes(Sha256::digest(text).into())
}

/// The SHA-256 fingerprint of a certificate (RFC 8122 §5), written as `AB:CD:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateFingerprint([u8; 32]);

impl CertificateFingerprint {
    /// The fingerprint of a certificate in DER.
    pub(super) fn of(certificate: &[u8]) -> CertificateFingerprint {
        CertificateFingerprint(Sha256::digest(certificate).into())
    }

    /// Thirty-two pairs of hexadecimal digits with colons between them, in upper or lower case.
    pub(super) fn parse(text: &str) -> Option<CertificateFingerprint> {
        let mut bytes = [0; 32];
        let mut pairs = text.split(':');
        for byte in &mut bytes {
            let pair = pairs.next()?;
            let digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
            *byte = u8::from_str_radix(pair, 16).ok().filter(|_| digits)?;
        }
        pairs.next().is_none().then_some(CertificateFingerprint(bytes))
    }
}

impl fmt::Display for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if n == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_of_another_length_case_or_alphabet_are_none() {
        assert!(HexBytes::<16>::parse(&"0f".repeat(16)).is_some());
        for bad in ["", "0f", &"0F".repeat(16), &"0g".repeat(16), &"0f".repeat(17), &"é".repeat(16)] {
            assert_eq!(HexBytes::<16>::parse(bad), None, "{bad}");
        }
        let pairs = |pair: &str, n| vec![pair; n].join(":");
        assert_eq!(CertificateFingerprint::parse(&pairs("ab", 32)).map(|it| it.to_string()), Some(pairs("AB", 32)));
        for bad in [pairs("ab", 31), pairs("ab", 33), pairs("+a", 32), pairs("a", 32), pairs("ag", 32), pairs("é", 32)]
        {
            assert_eq!(CertificateFingerprint::parse(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_digest_is_that_of_the_text() {
        // printf abc | sha256sum
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest_of("abc").to_string(), abc);
        assert_eq!(Sha256Digest::parse(abc), Some(digest_of("abc")));
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_again(bytes: [u8; 32]) {
            let fingerprint = CertificateFingerprint(bytes);
            prop_assert_eq!(CertificateFingerprint::parse(&fingerprint.to_string()), Some(fingerprint));
            prop_assert_eq!(HexBytes::<32>::parse(&HexBytes(bytes).to_string()), Some(HexBytes(bytes)));
        }
    }
}
