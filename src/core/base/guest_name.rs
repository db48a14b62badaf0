//! What guests call themselves.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::device_name::{DeviceName, DeviceNameError};

/// The name that a guest has typed, by the rules of [`DeviceName`]. Nobody has checked whose name it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GuestName(DeviceName);

impl GuestName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for GuestName {
    type Err = DeviceNameError;

    fn from_str(text: &str) -> Result<GuestName, DeviceNameError> {
        text.parse().map(GuestName)
    }
}

impl fmt::Display for GuestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl utoipa::PartialSchema for GuestName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        DeviceName::schema()
    }
}

impl utoipa::ToSchema for GuestName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_device_could_not_have_is_refused() {
        let read = |name: &str| serde_json::from_value::<GuestName>(name.into());
        assert_eq!(read("Zoë").unwrap().as_str(), "Zoë");
        for bad in ["", " ", "Bob\u{202e}", "Bob\nthe boss", &"x".repeat(65)] {
            assert!(read(bad).is_err() && bad.parse::<GuestName>().is_err(), "{bad:?}");
        }
    }
}
