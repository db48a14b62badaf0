//! Passwords and tokens: they are never shown.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;

/// A secret. `Debug` and errors don't show it, comparing two takes the same time wherever they differ, and its memory is
/// overwritten when it is dropped.
#[derive(Clone, Default)]
pub struct Secret(SecretString);

impl Secret {
    /// Where it is used.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text.into())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.into())
    }
}

/// An error of serde's would quote a password that looks like a number.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        let text = String::deserialize(deserializer);
        text.map(Secret::from).map_err(|_| D::Error::custom("a secret is text: write it in quotes"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::from("6f1d0c7a9b0d4e2f");
        assert_eq!(format!("{secret:?} {:?}", Some(secret.clone())), "… Some(…)");
    }

    #[test]
    fn secrets_are_equal_if_their_texts_are() {
        let secret = Secret::from("6f1d0c7a");
        assert_eq!(secret, Secret::from("6f1d0c7a".to_owned()));
        for other in ["6f1d0c7b", "6f1d0c7", "6f1d0c7a0", ""] {
            assert_ne!(secret, Secret::from(other), "{other}");
        }
        assert_eq!(Secret::default(), Secret::from(""));
    }
}
