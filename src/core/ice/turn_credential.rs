//! Time-limited credentials for a TURN server that shares a secret with this node: coturn's `use-auth-secret`.
//!
//! ```text
//! username    EXPIRY:ID                                seconds since 1970, and who has the credential
//! credential  base64( HMAC-SHA1(secret, username) )
//! ```
//!
//! The TURN server checks these without asking anybody (draft-uberti-behave-turn-rest-00). It counts what each ID uses.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use crate::core::base::secret::Secret;
use crate::core::base::time::UnixMillis;

/// Keeps these ids apart from whatever else is made with the same key.
const LABEL: &[u8] = b"TURN username\0";
/// Bytes of an id.
const ID: usize = 12;

/// What a client shows a TURN server.
#[derive(Clone, PartialEq, Eq)]
pub struct TurnCredential {
    /// When it expires, and whose it is.
    pub username: String,
    /// What proves that the username is ours.
    pub credential: String,
}

impl TurnCredential {
    /// A credential that is valid until `expires`, which is rounded down to a second.
    pub fn new(secret: &Secret, id: &str, expires: UnixMillis) -> TurnCredential {
        let username = format!("{}:{id}", expires.0.div_euclid(1000));
        // HMAC takes keys of every length.
        let mac = Hmac::<Sha1>::new_from_slice(secret.expose().as_bytes());
        let mac = mac.map(|mac| mac.chain_update(&username).finalize().into_bytes());
        let credential = mac.map(|mac| STANDARD.encode(mac)).unwrap_or_default();
        TurnCredential { username, credential }
    }
}

/// The id of whoever has this number or address: always the same one, so that the TURN server can count by it. Without
/// the key, nobody can tell whose it is.
pub fn turn_id(key: &[u8; 32], whose: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let mac = mac.map(|mac| mac.chain_update(LABEL).chain_update(whose).finalize().into_bytes());
    mac.map(|mac| hex::encode(&mac[..ID])).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `printf '1700000000:0123456789abcdef' | openssl dgst -sha1 -hmac north-of-the-border -binary | base64`
    #[test]
    fn a_credential_is_the_one_that_the_server_computes() {
        let made =
            TurnCredential::new(&"north-of-the-border".into(), "0123456789abcdef", UnixMillis(1_700_000_000_999));
        assert_eq!(made.username, "1700000000:0123456789abcdef");
        assert_eq!(made.credential, "f+XaXUPmCG/dsAbslq/ldWVIHPE=");
    }

    #[test]
    fn an_id_is_always_the_same_and_another_for_each_number_and_key() {
        let id = |key: u8, whose: &str| turn_id(&[key; 32], whose);
        assert_eq!(id(1, "+12125550100"), id(1, "+12125550100"));
        assert_ne!(id(1, "+12125550100"), id(1, "+12125550101"));
        assert_ne!(id(1, "+12125550100"), id(2, "+12125550100"));
    }

    proptest! {
        #[test]
        fn a_username_is_the_expiry_and_24_hex_digits(whose in "\\PC{0,60}", expires in 0..4_000_000_000_000_i64) {
            let id = turn_id(&[7; 32], &whose);
            prop_assert!(id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{}", id);
            let made = TurnCredential::new(&"north-of-the-border".into(), &id, UnixMillis(expires));
            prop_assert_eq!(made.username, format!("{}:{id}", expires / 1000));
        }
    }
}
