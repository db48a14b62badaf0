//! Codes that let guests into a call: short enough to be read out over the phone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Number of codes that there are.
const CODES: u64 = 1_000_000;
const DIGITS: usize = 6;
/// Maximum length of a text that is read, in bytes.
const TEXT_MAX: usize = 32;

/// A code of six digits. `Debug` doesn't show them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GuestCode(u32);

/// The text is not a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code is six digits, such as 042917")]
pub struct GuestCodeError;

impl GuestCode {
    /// The code of random bits. All codes are equally probable, to within one in 10¹³.
    pub fn new(random: u64) -> GuestCode {
        GuestCode((random % CODES) as u32)
    }
}

impl fmt::Display for GuestCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl FromStr for GuestCode {
    type Err = GuestCodeError;

    /// Ignores hyphens and spaces.
    fn from_str(text: &str) -> Result<GuestCode, GuestCodeError> {
        if text.len() > TEXT_MAX {
            return Err(GuestCodeError);
        }
        let typed = text.bytes().filter(|c| *c != b'-' && !c.is_ascii_whitespace());
        let (mut code, mut digits) = (0, 0);
        for c in typed {
            if !c.is_ascii_digit() || digits == DIGITS {
                return Err(GuestCodeError);
            }
            code = code * 10 + u32::from(c - b'0');
            digits += 1;
        }
        if digits == DIGITS { Ok(GuestCode(code)) } else { Err(GuestCodeError) }
    }
}

impl TryFrom<String> for GuestCode {
    type Error = GuestCodeError;

    fn try_from(text: String) -> Result<GuestCode, GuestCodeError> {
        text.parse()
    }
}

impl From<GuestCode> for String {
    fn from(code: GuestCode) -> String {
        code.to_string()
    }
}

impl fmt::Debug for GuestCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestCode")
    }
}

impl utoipa::PartialSchema for GuestCode {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for GuestCode {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_has_six_digits() {
        assert_eq!(GuestCode::new(0).to_string(), "000000");
        assert_eq!(GuestCode::new(1_000_000 + 42_917).to_string(), "042917");
        assert_eq!(format!("{:?}", GuestCode::new(1)), "GuestCode");
        assert!(GuestCodeError.to_string().split(' ').any(|word| word.parse::<GuestCode>().is_ok()));
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let long = format!("042917{}", " ".repeat(TEXT_MAX));
        for bad in ["", "-", "04291", "0429170", "04291x", "+42917", "٠٤٢٩١٧", "042\u{2010}917", "042917\0", &long]
        {
            assert!(bad.parse::<GuestCode>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_code_is_read_however_it_is_typed(random: u64, gap in "[- ]{0,8}") {
            let code = GuestCode::new(random);
            let text = code.to_string();
            prop_assert_eq!(text.parse(), Ok(code));
            let (first, last) = text.split_at(3);
            let spaced = format!("{gap}{first}{gap}{last}{gap}");
            prop_assert_eq!(spaced.parse(), Ok(code));
        }

        #[test]
        fn every_text_that_is_read_is_a_code(text in "[0-9 -]{0,10}|\\PC*") {
            if let Ok(code) = text.parse::<GuestCode>() {
                prop_assert_eq!(code.to_string().parse(), Ok(code));
                prop_assert_eq!(code.to_string().len(), DIGITS);
            }
        }
    }
}
