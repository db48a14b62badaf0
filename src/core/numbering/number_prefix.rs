//! Prefixes of E.164 numbers, which say whose a number is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::number::{Number, NumberError};

/// The beginning of a range of numbers: `+1310555`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NumberPrefix(String);

impl NumberPrefix {
    /// Whether a number is in the range. A local number is in none.
    pub fn covers(&self, number: &Number) -> bool {
        matches!(number, Number::E164(digits) if digits.starts_with(&self.0))
    }

    /// Its number of digits. Of two prefixes that cover a number, the longer one counts.
    pub fn digits(&self) -> usize {
        self.0.len()
    }
}

/// The length of the longest prefix that covers a number.
pub fn longest(prefixes: &[NumberPrefix], number: &Number) -> Option<usize> {
    prefixes.iter().filter(|prefix| prefix.covers(number)).map(NumberPrefix::digits).max()
}

impl FromStr for NumberPrefix {
    type Err = NumberError;
    fn from_str(text: &str) -> Result<NumberPrefix, NumberError> {
        match text.parse()? {
            Number::E164(digits) => Ok(NumberPrefix(digits)),
            Number::Local { .. } => Err(NumberError::Character(';')),
        }
    }
}

impl TryFrom<String> for NumberPrefix {
    type Error = NumberError;
    fn try_from(text: String) -> Result<NumberPrefix, NumberError> {
        text.parse()
    }
}

impl From<NumberPrefix> for String {
    fn from(prefix: NumberPrefix) -> String {
        prefix.to_string()
    }
}

impl fmt::Display for NumberPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_longest_counts() {
        let prefixes: Vec<NumberPrefix> = ["+1", "+1310555"].iter().map(|text| text.parse().unwrap()).collect();
        let of = |number: &str| longest(&prefixes, &number.parse().unwrap());
        assert_eq!((of("+13105550100"), of("+12125550100"), of("+442071838750")), (Some(7), Some(1), None));
        assert_eq!(of("1310;phone-context=pbx.example"), None);
        for bad in ["", "+", "1310", "1;phone-context=x", "+1 310", "+12345678901234567"] {
            assert!(bad.parse::<NumberPrefix>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_round_trips(text in "\\PC{0,20}|\\+[0-9]{1,15}") {
            if let Ok(prefix) = text.parse::<NumberPrefix>() {
                prop_assert_eq!(prefix.to_string().parse::<NumberPrefix>().unwrap(), prefix);
            }
        }
    }
}
