//! Signatures of webhook messages, according to Standard Webhooks.
//!
//! ```text
//! webhook-id: 0199…
//! webhook-timestamp: 1795345005
//! webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=
//! ```

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The prefix of a receiver's secret.
const PREFIX: &str = "whsec_";

/// A signing secret: 24 to 64 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

/// The text is not a signing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct SigningSecretError;

impl SigningSecret {
    /// Makes a secret from bytes.
    pub fn new(bytes: [u8; 32]) -> SigningSecret {
        SigningSecret(bytes.to_vec())
    }

    /// The secret as text, for its receiver.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }
}

impl FromStr for SigningSecret {
    type Err = SigningSecretError;
    fn from_str(text: &str) -> Result<SigningSecret, SigningSecretError> {
        let bytes = text.strip_prefix(PREFIX).and_then(|rest| STANDARD.decode(rest).ok());
        bytes.filter(|bytes| (24..=64).contains(&bytes.len())).map(SigningSecret).ok_or(SigningSecretError)
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret")
    }
}

/// The value of `webhook-signature`.
pub fn sign(secret: &SigningSecret, id: &str, timestamp: i64, body: &str) -> String {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&secret.0) else { return String::new() };
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;
    use standardwebhooks::{Webhook, WebhookError};

    #[test]
    fn the_example_of_the_specification() {
        let secret: SigningSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signature = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn the_library_of_standard_webhooks_accepts_ours_and_no_changed_message() {
        let (id, body) = ("0199a6b1", r#"{"type":"message","text":"grüß dich"}"#);
        // The library refuses timestamps that are more than five minutes off.
        let timestamp = crate::monitor::wall().0 / 1000;
        let verified = |signed_with: &SigningSecret, id: &str, at: i64, received: &str| {
            let receiver = Webhook::new(&SigningSecret::new([7; 32]).reveal()).unwrap();
            let signature = sign(signed_with, "0199a6b1", timestamp, body);
            let headers = [
                ("webhook-id", id.to_owned()),
                ("webhook-timestamp", at.to_string()),
                ("webhook-signature", signature),
            ];
            let headers = headers.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            receiver.verify(received.as_bytes(), &headers.collect::<HeaderMap>())
        };
        let secret = SigningSecret::new([7; 32]);
        verified(&secret, id, timestamp, body).unwrap();
        for (signed_with, id, at, received) in [
            (&secret, id, timestamp, body.replace("grüß", "gruß")),
            (&secret, id, timestamp, format!("{body} ")),
            (&secret, id, timestamp, String::new()),
            (&secret, id, timestamp - 1, body.to_owned()),
            (&secret, "0199a6b2", timestamp, body.to_owned()),
            (&SigningSecret::new([8; 32]), id, timestamp, body.to_owned()),
        ] {
            let refused = verified(signed_with, id, at, &received);
            assert!(matches!(refused, Err(WebhookError::InvalidSignature)), "{id} {at} {received}: {refused:?}");
        }
    }

    #[test]
    fn secrets_round_trip_and_others_are_refused() {
        let secret = SigningSecret::new([7; 32]);
        assert_eq!(secret.reveal().parse(), Ok(secret));
        for bad in ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!"] {
            assert_eq!(bad.parse::<SigningSecret>(), Err(SigningSecretError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(whsec_)?\\PC{0,90}") {
            let _ = text.parse::<SigningSecret>();
        }
    }
}
