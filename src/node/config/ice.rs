//! `[node.ice]`: the STUN and TURN servers that clients use for their media.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::core::base::secret::Secret;
use crate::core::ice::ice_uri::IceUri;
use crate::node::NodeError;

/// Servers at most: browsers ask them all, and warn of more than a few.
const URLS_MAX: usize = 16;
/// Minimum secret length, in characters: a credential allows offline guessing.
const SECRET_MIN: usize = 16;

/// `[node.ice]`: STUN and TURN servers, and the secret that the TURN servers share with this node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IceConfig {
    /// The servers, at most 16. Clients get them in this order.
    pub urls: Vec<IceUri>,
    /// The file that holds the secret.
    pub secret_file: Option<PathBuf>,
    /// The secret itself: coturn's `static-auth-secret`.
    pub secret: Option<Secret>,
    /// Seconds for which a client's credential is valid. A guest's is valid for an hour at most.
    pub lifetime: u64,
    /// Whether clients are told to send all of their media through the TURN servers, which hides their addresses from
    /// other clients.
    pub relay_only: bool,
}

impl Default for IceConfig {
    fn default() -> IceConfig {
        IceConfig { urls: Vec::new(), secret_file: None, secret: None, lifetime: 43_200, relay_only: false }
    }
}

impl IceConfig {
    pub(in crate::node) fn check(&self) -> Result<(), NodeError> {
        let wrong = |key, reason: String| Err(NodeError::Config { key, reason });
        if self.urls.len() > URLS_MAX {
            return wrong("node.ice.urls", format!("has {} servers; {URLS_MAX} are allowed", self.urls.len()));
        }
        if !(600..=86_400).contains(&self.lifetime) {
            return wrong("node.ice.lifetime", format!("{} is not between 600 and 86400 seconds", self.lifetime));
        }
        let turn = self.urls.iter().find(|uri| uri.is_turn());
        if self.relay_only && turn.is_none() {
            return wrong("node.ice.relay_only", "needs a turn: or turns: server in urls".to_owned());
        }
        match (&self.secret, turn) {
            (None, Some(uri)) => wrong(
                "node.ice.secret_file",
                format!("{uri} needs a secret: set secret_file to a file with the server's static-auth-secret"),
            ),
            (Some(_), None) => wrong(
                "node.ice.urls",
                "a secret is set, but there is no turn: or turns: server: add one, or remove the secret".to_owned(),
            ),
            (Some(secret), Some(_)) if secret.expose().len() < SECRET_MIN => wrong(
                "node.ice.secret_file",
                format!("the secret is shorter than {SECRET_MIN} characters: whoever gets a credential could guess it"),
            ),
            _ => Ok(()),
        }
    }

    /// For how long a client's credential is valid.
    pub(in crate::node) fn validity(&self) -> Duration {
        Duration::from_secs(self.lifetime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(urls: &[&str], secret: Option<&str>) -> IceConfig {
        let urls = urls.iter().map(|uri| uri.parse().unwrap()).collect();
        IceConfig { urls, secret: secret.map(Secret::from), ..IceConfig::default() }
    }

    #[test]
    fn a_turn_server_and_its_secret_need_each_other() {
        let (stun, turn, secret) = ("stun:stun.example", "turn:turn.example", Some("6f1d0c7a9b0d4e2f"));
        for (urls, secret, named) in [
            (&[][..], None, None),
            (&[stun], None, None),
            (&[stun, turn], secret, None),
            (&[stun, turn], None, Some("node.ice.secret_file: turn:turn.example needs a secret")),
            (&[stun], secret, Some("node.ice.urls: a secret is set, but there is no turn:")),
            (&[turn], Some("north"), Some("node.ice.secret_file: the secret is shorter")),
            (&[stun; 17], None, Some("node.ice.urls: has 17 servers; 16 are allowed")),
        ] {
            let said = config(urls, secret).check().err().map(|error| error.to_string());
            match named {
                Some(named) => assert!(said.as_ref().is_some_and(|said| said.starts_with(named)), "{urls:?}: {said:?}"),
                None => assert_eq!(said, None, "{urls:?}"),
            }
        }
    }

    #[test]
    fn relaying_everything_needs_a_turn_server() {
        let secret = Some("6f1d0c7a9b0d4e2f");
        for (urls, secret, is_valid) in
            [(&["stun:stun.example"][..], None, false), (&["turn:turn.example"], secret, true)]
        {
            let config = IceConfig { relay_only: true, ..config(urls, secret) };
            assert_eq!(config.check().is_ok(), is_valid, "{urls:?}");
        }
    }

    #[test]
    fn a_lifetime_is_ten_minutes_to_a_day() {
        for (lifetime, is_valid) in [(599, false), (600, true), (86_400, true), (86_401, false)] {
            assert_eq!(IceConfig { lifetime, ..IceConfig::default() }.check().is_ok(), is_valid, "{lifetime}");
        }
    }
}
