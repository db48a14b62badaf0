//! DID maps, which give extensions outside numbers: `1XXX` here is `+12125551XXX` outside.
//!
//! A rule is a bijection: the digits at the `X` of one side are those at the `X` of the other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One rule of `[[pbx.map]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "DidMapConfig", into = "DidMapConfig")]
pub struct DidMap {
    extension: DigitMask,
    /// Without the `+`.
    number: DigitMask,
}

/// A rule in the configuration.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DidMapConfig {
    extension: DigitMask,
    number: String,
}

/// Digits, and `X` for any digit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct DigitMask(String);

/// Maximum number of `X` in a mask that is expanded: ten thousand numbers.
const EXPANDED_MAX: usize = 4;

/// Why a text is not a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DidMapError {
    /// Not only digits and `X`, or too many.
    #[error("{0:?} is not 1 to 15 digits, with X for any digit")]
    Mask(String),
    /// The outside number is not an E.164 number.
    #[error("number {0:?} must begin with +, such as \"+12125551XXX\"")]
    NotGlobal(String),
    /// Both sides must have the same number of `X`.
    #[error("extension {extension:?} and number {number:?} must have the same number of X")]
    Uneven {
        /// As it was written.
        extension: String,
        /// As it was written.
        number: String,
    },
}

impl DidMap {
    /// The digits of the E.164 number for this extension.
    pub fn number(&self, extension: &str) -> Option<String> {
        translate(&self.extension.0, &self.number.0, extension)
    }

    /// The extension for these digits of an E.164 number.
    pub fn extension(&self, number: &str) -> Option<String> {
        translate(&self.number.0, &self.extension.0, number)
    }

    /// All its extensions; none if there are more than ten thousand.
    pub fn extensions(&self) -> Vec<String> {
        self.extension.expand()
    }

    /// Whether some extension is in both.
    pub fn shares_extension(&self, other: &DidMap) -> bool {
        overlap(&self.extension.0, &other.extension.0)
    }

    /// Whether some number is in both.
    pub fn shares_number(&self, other: &DidMap) -> bool {
        overlap(&self.number.0, &other.number.0)
    }
}

/// Rewrites `text` by the mask `to`, if it matches the mask `from`.
pub(super) fn translate(from: &str, to: &str, text: &str) -> Option<String> {
    if from.len() != text.len() {
        return None;
    }
    let mut digits = Vec::new();
    for (mask, said) in from.chars().zip(text.chars()) {
        match mask {
            'X' if said.is_ascii_digit() => digits.push(said),
            'X' => return None,
            _ if mask == said => {}
            _ => return None,
        }
    }
    let mut digits = digits.into_iter();
    to.chars().map(|mask| if mask == 'X' { digits.next() } else { Some(mask) }).collect()
}

/// Whether some text matches both masks.
pub(super) fn overlap(a: &str, b: &str) -> bool {
    let digit = |mask: char, other: char| mask == 'X' && other.is_ascii_digit();
    a.len() == b.len() && a.chars().zip(b.chars()).all(|(a, b)| a == b || digit(a, b) || digit(b, a))
}

impl DigitMask {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// All texts that match the mask; none if it has more than [`EXPANDED_MAX`] `X`.
    pub(super) fn expand(&self) -> Vec<String> {
        let wild = self.0.matches('X').count();
        if wild > EXPANDED_MAX {
            return Vec::new();
        }
        let digits =
            (0..10_usize.pow(wild as u32)).map(|n| if wild == 0 { String::new() } else { format!("{n:0wild$}") });
        digits.filter_map(|digits| translate(&"X".repeat(wild), &self.0, &digits)).collect()
    }
}

impl FromStr for DigitMask {
    type Err = DidMapError;
    fn from_str(text: &str) -> Result<DigitMask, DidMapError> {
        let mask = text.to_ascii_uppercase();
        let fits = (1..=15).contains(&mask.len()) && mask.bytes().all(|b| b.is_ascii_digit() || b == b'X');
        if fits { Ok(DigitMask(mask)) } else { Err(DidMapError::Mask(text.to_owned())) }
    }
}

impl TryFrom<String> for DigitMask {
    type Error = DidMapError;
    fn try_from(text: String) -> Result<DigitMask, DidMapError> {
        text.parse()
    }
}

impl From<DigitMask> for String {
    fn from(mask: DigitMask) -> String {
        mask.0
    }
}

impl TryFrom<DidMapConfig> for DidMap {
    type Error = DidMapError;
    fn try_from(DidMapConfig { extension, number }: DidMapConfig) -> Result<DidMap, DidMapError> {
        let Some(global) = number.strip_prefix('+') else { return Err(DidMapError::NotGlobal(number)) };
        let global: DigitMask = global.parse()?;
        let wild = |mask: &DigitMask| mask.0.matches('X').count();
        if wild(&extension) != wild(&global) {
            return Err(DidMapError::Uneven { extension: extension.0, number });
        }
        Ok(DidMap { extension, number: global })
    }
}

impl From<DidMap> for DidMapConfig {
    fn from(mapping: DidMap) -> DidMapConfig {
        DidMapConfig { extension: mapping.extension, number: format!("+{}", mapping.number.0) }
    }
}

impl fmt::Display for DidMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = +{}", self.extension.0, self.number.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(extension: &str, number: &str) -> Result<DidMap, DidMapError> {
        DidMap::try_from(DidMapConfig { extension: extension.parse()?, number: number.to_owned() })
    }

    #[test]
    fn a_mask_is_written_out() {
        let all = |mask: &str| mask.parse::<DigitMask>().unwrap().expand();
        assert_eq!((all("112"), all("1X").len(), all("9XX0")[37].as_str()), (vec!["112".to_owned()], 10, "9370"));
        assert!(all("XXXXX").is_empty());
    }

    #[test]
    fn an_extension_and_its_number_are_one() {
        let map = rule("1XXX", "+12125551XXX").unwrap();
        assert_eq!(map.number("1001").as_deref(), Some("12125551001"));
        assert_eq!(map.extension("12125551001").as_deref(), Some("1001"));
        for other in ["2001", "100", "10001", "1x01", ""] {
            assert_eq!(map.number(other), None, "{other}");
        }
        let one = rule("0", "+12125551000").unwrap();
        assert_eq!(one.number("0").as_deref(), Some("12125551000"));
    }

    #[test]
    fn what_is_no_rule() {
        for (extension, number) in [
            ("1XXX", "12125551XXX"),
            ("1XXX", "+1212555XX"),
            ("1-XX", "+12125551XX"),
            ("", "+1"),
            ("1", "+"),
            ("1X", "+1212555123456X90"),
        ] {
            assert!(rule(extension, number).is_err(), "{extension} {number}");
        }
    }

    #[test]
    fn what_two_rules_share() {
        let own = rule("1XXX", "+12125551XXX").unwrap();
        for (extension, number, extensions, numbers) in [
            ("2XXX", "+12125552XXX", false, false),
            ("1001", "+12125559999", true, false),
            ("2001", "+12125551001", false, true),
            ("11XX", "+442071111XX", true, false),
            ("1XX", "+1212555XX1", false, false),
        ] {
            let other = rule(extension, number).unwrap();
            assert_eq!(own.shares_extension(&other), extensions, "{extension} {number}");
            assert_eq!(own.shares_number(&other), numbers, "{extension} {number}");
        }
    }

    proptest! {
        #[test]
        fn a_rule_goes_both_ways(
            (extension, number) in (1usize..5).prop_flat_map(|n| {
                let mask = move |text: String, at: Vec<usize>| {
                    let mut text: Vec<char> = text.chars().collect();
                    for at in at.into_iter().take(n) { let at = at % (text.len() + 1); text.insert(at, 'X'); }
                    text.into_iter().collect::<String>()
                };
                let side = |digits: &'static str| (digits, prop::collection::vec(0usize..20, n)).prop_map(move |(t, at)| mask(t, at));
                (side("[0-9]{0,5}"), side("[0-9]{1,9}"))
            }),
            digits in "[0-9]{12}",
        ) {
            let map = rule(&extension, &format!("+{number}")).unwrap();
            let mut digits = digits.chars();
            let said: String = extension.chars().map(|c| if c == 'X' { digits.next().unwrap() } else { c }).collect();
            let known = map.number(&said).unwrap();
            prop_assert_eq!(map.extension(&known), Some(said));
        }
    }
}
