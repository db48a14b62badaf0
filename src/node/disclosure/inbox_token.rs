//! Call-scoped addresses: whoever has one may send to the client behind it, and nothing else.
//!
//! ```text
//! https://NODE/a/ base64url( call (16) ‖ role (1) ‖ HMAC-SHA256(secret, call ‖ role ‖ number)[..16] )
//! ```
//!
//! Nothing is stored for one: it can be checked by every node that has the secret. It names neither
//! number nor client, and can't be made or changed by anybody else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use url::Url;
use uuid::Uuid;

use crate::contract::Role;
use crate::core::address::Address;
use crate::core::base::name::CallId;
use crate::core::numbering::number::Number;
use crate::node::config::is_at_home;

const TAG: usize = 16;

/// Makes and checks them.
pub(in crate::node) struct InboxTokens {
    secret: [u8; 32],
    base: String,
}

/// What a token says of itself; to be believed for a number that [`InboxTokens::is_for`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node) struct InboxToken {
    pub(in crate::node) call: CallId,
    pub(in crate::node) role: Role,
    id: Uuid,
    tag: [u8; TAG],
}

impl InboxTokens {
    pub(in crate::node) fn new(secret: [u8; 32], base: String) -> InboxTokens {
        InboxTokens { secret, base }
    }

    /// Whether an address that somebody else brought along may be used. A node that others reach has no
    /// business with addresses of its own machine, and no client with those of its.
    pub(in crate::node) fn allows(&self, address: &Address) -> bool {
        !address.is_loopback() || is_at_home(&self.base)
    }

    /// How this node is reached: the beginning of all its addresses.
    pub(in crate::node) fn base(&self) -> &str {
        &self.base
    }

    /// What one of our own addresses says of itself; none of somebody else's.
    pub(in crate::node) fn own(&self, address: &Address) -> Option<InboxToken> {
        // However the scheme, the host and the port are written.
        let (url, base) = (Url::parse(address.as_str()).ok()?, Url::parse(&self.base).ok()?);
        let path = base.path().trim_end_matches('/');
        let is_ours = url.origin() == base.origin();
        InboxToken::read(url.path().strip_prefix(path)?.strip_prefix("/a/")?).filter(|_| is_ours)
    }

    /// The address of a number's clients for one call.
    pub(in crate::node) fn address(&self, call: &CallId, role: Role, number: &Number) -> Option<Address> {
        let id = Uuid::try_parse(call.as_str()).ok()?;
        let mut token = Vec::with_capacity(17 + TAG);
        token.extend_from_slice(id.as_bytes());
        token.push(byte(role));
        token.extend_from_slice(&self.tag(id, role, number));
        format!("{}/a/{}", self.base, URL_SAFE_NO_PAD.encode(token)).parse().ok()
    }

    /// Whether the token was made for this number.
    pub(in crate::node) fn is_for(&self, claim: &InboxToken, number: &Number) -> bool {
        self.tag(claim.id, claim.role, number).ct_eq(&claim.tag).into()
    }

    fn tag(&self, call: Uuid, role: Role, number: &Number) -> [u8; TAG] {
        let mut tag = [0; TAG];
        // HMAC takes keys of every length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) {
            mac.update(call.as_bytes());
            mac.update(&[byte(role)]);
            mac.update(number.to_string().as_bytes());
            tag.copy_from_slice(&mac.finalize().into_bytes()[..TAG]);
        }
        tag
    }
}

impl InboxToken {
    pub(in crate::node) fn read(token: &str) -> Option<InboxToken> {
        let bytes: [u8; 17 + TAG] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let id = Uuid::from_slice(&bytes[..16]).ok()?;
        let role = match bytes[16] {
            1 => Role::First,
            2 => Role::Second,
            _ => return None,
        };
        let tag = bytes[17..].try_into().ok()?;
        Some(InboxToken { call: id.to_string().parse().ok()?, role, id, tag })
    }
}

fn byte(role: Role) -> u8 {
    match role {
        Role::First => 1,
        Role::Second => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(secret: u8) -> InboxTokens {
        InboxTokens::new([secret; 32], "https://node.example".to_owned())
    }

    #[test]
    fn an_address_is_for_one_call_one_side_and_one_number() {
        let call: CallId = Uuid::now_v7().to_string().parse().unwrap();
        let (bob, eve): (Number, Number) = ("+12125550100".parse().unwrap(), "+12125550199".parse().unwrap());
        let address = tokens(1).address(&call, Role::Second, &bob).unwrap();
        let token = address.as_str().strip_prefix("https://node.example/a/").unwrap();
        assert_eq!(token.len(), 44);
        let claim = InboxToken::read(token).unwrap();
        assert_eq!((&claim.call, claim.role), (&call, Role::Second));
        assert!(tokens(1).is_for(&claim, &bob));
        assert!(!tokens(1).is_for(&claim, &eve));
        assert!(!tokens(2).is_for(&claim, &bob));
        let other_side = InboxToken { role: Role::First, ..claim };
        assert!(!tokens(1).is_for(&other_side, &bob));
    }

    #[test]
    fn only_a_node_on_loopback_uses_addresses_on_loopback() {
        let (here, there) = ("http://127.0.0.1:1/x".parse().unwrap(), "https://other.example/".parse().unwrap());
        let local = InboxTokens::new([1; 32], "http://127.0.0.1:8600".to_owned());
        assert!(local.allows(&here) && local.allows(&there));
        assert!(!tokens(1).allows(&here) && tokens(1).allows(&there));
    }

    proptest! {
        #[test]
        fn nobody_guesses_one(token in "[A-Za-z0-9_-]{44}|\\PC{0,60}") {
            if let Some(claim) = InboxToken::read(&token) {
                prop_assert!(!tokens(1).is_for(&claim, &"+12125550100".parse().unwrap()));
            }
        }
    }
}
