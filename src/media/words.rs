//! Four words by which two people make sure, by voice, that nobody is between their devices.
//!
//! The words are the first 44 bits of a digest over both sides' parts. The inviter commits to its part before it learns the
//! other one, so neither side can choose its own to fit (`web/PROTOCOL.md`, "Four words").

use super::digits::{CertificateFingerprint, HexBytes, Sha256Digest, digest_of};

/// The random digits that a side contributes.
pub type Nonce = HexBytes<16>;

/// What the inviter commits to: the digest of its part.
pub type Commitment = Sha256Digest;

/// One side's part: its random digits and its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The random digits.
    pub nonce: Nonce,
    /// The certificate.
    pub fingerprint: CertificateFingerprint,
}

/// The 2,048 English words of BIP 39 (MIT licence), one on each line.
const ENGLISH: &str = include_str!("english.txt");

impl Proof {
    /// What the inviter says before it learns the other side's part.
    pub(super) fn commitment(&self) -> Commitment {
        digest_of(&format!("{}|{}", self.nonce, self.fingerprint))
    }
}

/// The words, the same on both sides.
pub fn four_words(inviter: &Proof, accepter: &Proof) -> [&'static str; 4] {
    words_of([
        &inviter.nonce.to_string(),
        &inviter.fingerprint.to_string(),
        &accepter.nonce.to_string(),
        &accepter.fingerprint.to_string(),
    ])
}

fn words_of(values: [&str; 4]) -> [&'static str; 4] {
    let digest = digest_of(&format!("sidecall-words|{}", values.join("|")));
    let bits = digest.0[..6].iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    let word = |index: u64| ENGLISH.lines().nth(index as usize).unwrap_or_default();
    [37, 26, 15, 4].map(|shift| word((bits >> shift) & 2047))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn proof(nonce: &str, byte: &str) -> Proof {
        let fingerprint = CertificateFingerprint::parse(&[byte; 32].join(":")).unwrap();
        Proof { nonce: Nonce::parse(&nonce.repeat(32)).unwrap(), fingerprint }
    }

    #[test]
    fn the_list_is_the_browsers() {
        let all: Vec<&str> = ENGLISH.lines().collect();
        assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (2048, 2048));
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/web/src/core/wordlist.ts")).unwrap();
        let browser: Vec<&str> = page.split('`').nth(1).unwrap().split_whitespace().collect();
        assert_eq!(all, browser);
    }

    #[test]
    fn both_sides_have_the_same_words_and_others_if_anything_differs() {
        let (a, b) = (proof("a", "AB"), proof("b", "CD"));
        let words = four_words(&a, &b);
        assert_eq!(four_words(&proof("a", "ab"), &proof("b", "cd")), words);
        for other in [four_words(&b, &a), four_words(&proof("c", "AB"), &b), four_words(&a, &proof("b", "CE"))] {
            assert_ne!(other, words);
        }
        assert_ne!(a.commitment(), proof("a", "AC").commitment());
    }

    #[test]
    fn the_words_are_the_first_44_bits_of_the_digest() {
        let digest = digest_of("sidecall-words|1|2|3|4");
        let bits: String = digest.0.iter().map(|byte| format!("{byte:08b}")).collect();
        let all: Vec<&str> = ENGLISH.lines().collect();
        let expected = [0, 11, 22, 33].map(|at| all[usize::from_str_radix(&bits[at..at + 11], 2).unwrap()]);
        assert_eq!(words_of(["1", "2", "3", "4"]), expected);
    }

    #[test]
    fn the_commitment_covers_the_digits_and_the_fingerprint_as_they_are_sent() {
        let written = format!("{}|{}", "a".repeat(32), ["AB"; 32].join(":"));
        assert_eq!(proof("a", "ab").commitment(), digest_of(&written));
    }
}
