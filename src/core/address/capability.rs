//! What a client can do, in a word.

use serde::{Deserialize, Serialize};

/// What a client can do; the word is passed on to the peer as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Capability(String);

impl TryFrom<String> for Capability {
    type Error = String;
    fn try_from(text: String) -> Result<Capability, String> {
        let fits = (1..=32).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Ok(Capability(text));
        }
        Err(format!("{text:?} is not a capability: 1 to 32 of a-z, 0-9 and -, such as \"video\""))
    }
}

impl Capability {
    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> String {
        capability.0
    }
}
