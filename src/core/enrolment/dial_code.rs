//! What a person dials to enrol a page: the feature code and six digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Maximum length of a feature code, in characters.
const FEATURE_CODE_MAX: usize = 16;

/// The six digits that a page shows. `Debug` doesn't show them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DialCode(u32);

/// The text is not a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {} digits", DialCode::DIGITS)]
pub struct DialCodeError;

impl DialCode {
    /// Number of digits.
    pub const DIGITS: usize = 6;
    /// Number of codes.
    pub const COUNT: u32 = 1_000_000;

    /// The code that random bits choose.
    pub fn new(random: u32) -> DialCode {
        DialCode(random % DialCode::COUNT)
    }

    /// The code after this one. The last one is followed by the first.
    pub(super) fn next(self) -> DialCode {
        DialCode((self.0 + 1) % DialCode::COUNT)
    }
}

impl fmt::Display for DialCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}", self.0, width = DialCode::DIGITS)
    }
}

impl fmt::Debug for DialCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DialCode")
    }
}

impl FromStr for DialCode {
    type Err = DialCodeError;

    fn from_str(text: &str) -> Result<DialCode, DialCodeError> {
        if text.len() != DialCode::DIGITS || !text.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(DialCodeError);
        }
        text.parse().map(DialCode).map_err(|_| DialCodeError)
    }
}

impl TryFrom<String> for DialCode {
    type Error = DialCodeError;

    fn try_from(text: String) -> Result<DialCode, DialCodeError> {
        text.parse()
    }
}

impl From<DialCode> for String {
    fn from(code: DialCode) -> String {
        code.to_string()
    }
}

impl utoipa::PartialSchema for DialCode {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for DialCode {}

/// What is dialled in front of the digits, such as `*7433`. Empty: nobody is enrolled by dialling.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct FeatureCode(String);

/// The text is not a feature code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be at most {FEATURE_CODE_MAX} of the characters 0 to 9, * and #")]
pub struct FeatureCodeError;

impl FeatureCode {
    /// Whether nobody is enrolled by dialling.
    pub fn is_off(&self) -> bool {
        self.0.is_empty()
    }

    /// The characters as they are dialled.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All that is dialled for a code.
    pub fn dial(&self, code: DialCode) -> String {
        format!("{}{code}", self.0)
    }
}

impl Default for FeatureCode {
    /// `*7433`. `docs/DECISIONS.md` says which feature codes of FreePBX and FusionPBX it was compared with.
    fn default() -> FeatureCode {
        FeatureCode("*7433".to_owned())
    }
}

impl TryFrom<String> for FeatureCode {
    type Error = FeatureCodeError;

    fn try_from(text: String) -> Result<FeatureCode, FeatureCodeError> {
        let is_key = |c: u8| c.is_ascii_digit() || b"*#".contains(&c);
        if text.len() > FEATURE_CODE_MAX || !text.bytes().all(is_key) {
            return Err(FeatureCodeError);
        }
        Ok(FeatureCode(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feature_code(text: &str) -> Result<FeatureCode, FeatureCodeError> {
        text.to_owned().try_into()
    }

    #[test]
    fn a_code_is_dialled_behind_the_feature_code() {
        assert_eq!(FeatureCode::default().dial(DialCode::new(1_123_456)), "*7433123456");
        assert_eq!(feature_code("#9").unwrap().dial(DialCode::new(42)), "#9000042");
        assert!(feature_code("").unwrap().is_off() && !FeatureCode::default().is_off());
        assert_eq!(format!("{:?}", DialCode::new(123_456)), "DialCode");
    }

    #[test]
    fn what_no_phone_dials_is_no_feature_code() {
        for bad in ["* 1", "*+1", "7x", "é", "*743374337433743374"] {
            assert_eq!(feature_code(bad), Err(FeatureCodeError), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn only_six_digits_are_a_code(text in "[0-9]{0,8}|[0-9]{5}[^0-9]|\\PC*") {
            let is_code = text.len() == 6 && text.bytes().all(|c| c.is_ascii_digit());
            let read = text.parse::<DialCode>();
            prop_assert_eq!(read.is_ok(), is_code);
            if let Ok(code) = read {
                prop_assert_eq!(code.to_string(), text);
            }
        }

        #[test]
        fn random_bits_are_a_code(random: u32) {
            let code = DialCode::new(random);
            prop_assert_eq!(code.to_string().parse(), Ok(code));
            prop_assert_ne!(code.next(), code);
        }
    }
}
