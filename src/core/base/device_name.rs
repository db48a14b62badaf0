//! What a person calls a device.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::characters::reorders;

/// Maximum length, in characters.
const CHARACTERS: usize = 64;

/// The name of a device, such as `Alice's tablet`: 1 to 64 characters in one line, in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName(String);

/// Why a text is not a device's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceNameError {
    /// Nothing, or only spaces.
    #[error("is blank")]
    Blank,
    /// More characters than a name has.
    #[error("is longer than {CHARACTERS} characters")]
    TooLong,
    /// A character that a terminal obeys, or that reorders or separates its neighbours.
    #[error("holds the character {0:?}, which is not allowed")]
    Character(char),
}

impl DeviceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DeviceName {
    type Error = DeviceNameError;

    fn try_from(text: String) -> Result<DeviceName, DeviceNameError> {
        if text.trim().is_empty() {
            return Err(DeviceNameError::Blank);
        }
        if text.chars().count() > CHARACTERS {
            return Err(DeviceNameError::TooLong);
        }
        match text.chars().find(|c| c.is_control() || reorders(*c)) {
            Some(c) => Err(DeviceNameError::Character(c)),
            None => Ok(DeviceName(text)),
        }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceNameError;

    fn from_str(text: &str) -> Result<DeviceName, DeviceNameError> {
        text.to_owned().try_into()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> String {
        name.0
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl utoipa::PartialSchema for DeviceName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for DeviceName {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_people_and_places_are_accepted() {
        for name in ["x", "Zoë's tablet 👍🏽", "日本の電話", "הטלפון של דנה", "<b>'\"$(rm)", &"é".repeat(CHARACTERS)]
        {
            assert_eq!(name.parse::<DeviceName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_name_that_reorders_hides_or_commands_is_refused() {
        for c in ['\0', '\n', '\r', '\t', '\x1b', '\u{7f}', '\u{9b}', '\u{2028}', '\u{202e}', '\u{2067}', '\u{200f}'] {
            let refused = format!("Bob{c}s phone").parse::<DeviceName>();
            assert_eq!(refused, Err(DeviceNameError::Character(c)));
            assert!(!refused.unwrap_err().to_string().contains(c));
        }
        for blank in ["", " ", "\u{3000}"] {
            assert_eq!(blank.parse::<DeviceName>(), Err(DeviceNameError::Blank));
        }
        assert_eq!("x".repeat(CHARACTERS + 1).parse::<DeviceName>(), Err(DeviceNameError::TooLong));
    }

    proptest! {
        #[test]
        fn a_name_is_one_short_line(text in "\\PC*|[\\x00-\\u{ff}\\u{2000}-\\u{206f}]{0,70}") {
            if let Ok(name) = text.parse::<DeviceName>() {
                prop_assert!(name.as_str().chars().count() <= 64 && name.as_str().lines().count() == 1);
                prop_assert!(!name.as_str().contains(char::is_control));
                let written = serde_json::to_string(&name).unwrap();
                prop_assert_eq!(serde_json::from_str::<DeviceName>(&written).unwrap(), name);
            }
        }
    }
}
