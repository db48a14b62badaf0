//! Call-scoped addresses: whoever has one may send to the client behind it, and nothing else.
//!
//! ```text
//! https://NODE/a/ base64url( call (16) ‖ role (1) ‖ tag (16) )                          the number's clients
//! https://NODE/a/ base64url( call (16) ‖ role | 0x80 (1) ‖ tag (16) ‖ client tag (8) )  one client: its reply address
//!
//! tag        = HMAC-SHA256(secret, call ‖ role byte ‖ client tag ‖ number)[..16]
//! client tag = HMAC-SHA256(secret, call ‖ role byte ‖ client id)[..8]
//! ```
//!
//! Nothing is stored for one: it can be checked by every node that has the secret. It names neither
//! number nor client, and can't be made or changed by anybody else. The tag covers the client tag, so an address with
//! another client tag is rejected before the client is looked up.
//!
//! Guests have addresses whose tokens are secrets of their own, of 32 random bytes (`live_calls::guests`).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use url::Url;
use uuid::Uuid;

use crate::contract::Role;
use crate::core::address::Address;
use crate::core::base::name::{CallId, ClientId};
use crate::core::numbering::number::Number;
use crate::node::config::is_at_home;

const TAG: usize = 16;
const CLIENT_TAG: usize = 8;
/// In the role byte: this is a reply address.
const ONE_CLIENT: u8 = 0x80;

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
    /// Of the only client that it reaches, if it is a reply address.
    client: Option<[u8; CLIENT_TAG]>,
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

    /// What one of our own addresses says of itself; none of somebody else's, or of a guest's.
    pub(in crate::node) fn own(&self, address: &Address) -> Option<InboxToken> {
        InboxToken::read(&self.own_token(address)?)
    }

    /// The token of one of our own addresses, whatever it stands for.
    pub(in crate::node) fn own_token(&self, address: &Address) -> Option<String> {
        // However the scheme, the host and the port are written.
        let (url, base) = (Url::parse(address.as_str()).ok()?, Url::parse(&self.base).ok()?);
        let path = base.path().trim_end_matches('/');
        let token = url.path().strip_prefix(path)?.strip_prefix("/a/")?;
        (url.origin() == base.origin()).then(|| token.to_owned())
    }

    /// The address whose token is a guest's secret.
    pub(in crate::node) fn guest_address(&self, secret: &str) -> Option<Address> {
        format!("{}/a/{secret}", self.base).parse().ok()
    }

    /// The address of a number's clients for one call.
    pub(in crate::node) fn address(&self, call: &CallId, role: Role, number: &Number) -> Option<Address> {
        let id = Uuid::try_parse(call.as_str()).ok()?;
        self.encode(id, byte(role), number, &[])
    }

    /// The reply address of one client of a number for one call.
    pub(in crate::node) fn client_address(
        &self,
        call: &CallId,
        role: Role,
        number: &Number,
        client: &ClientId,
    ) -> Option<Address> {
        let id = Uuid::try_parse(call.as_str()).ok()?;
        let role = byte(role) | ONE_CLIENT;
        self.encode(id, role, number, &self.client_tag(id, role, client))
    }

    /// Whether the token was made for this number.
    pub(in crate::node) fn is_for(&self, claim: &InboxToken, number: &Number) -> bool {
        let client = claim.client.as_ref().map_or(&[][..], |tag| tag.as_slice());
        self.tag(claim.id, claim.byte(), number, client).ct_eq(&claim.tag).into()
    }

    /// Whether what is posted to the address reaches this client, if it is the number's.
    pub(in crate::node) fn reaches(&self, claim: &InboxToken, client: &ClientId) -> bool {
        claim.client.is_none_or(|tag| self.client_tag(claim.id, claim.byte(), client).ct_eq(&tag).into())
    }

    fn encode(&self, call: Uuid, role: u8, number: &Number, client_tag: &[u8]) -> Option<Address> {
        let tag = self.tag(call, role, number, client_tag);
        let token = [&call.as_bytes()[..], &[role], &tag, client_tag].concat();
        format!("{}/a/{}", self.base, URL_SAFE_NO_PAD.encode(token)).parse().ok()
    }

    fn tag(&self, call: Uuid, role: u8, number: &Number, client_tag: &[u8]) -> [u8; TAG] {
        self.mac(&[call.as_bytes(), &[role], client_tag, number.to_string().as_bytes()])
    }

    fn client_tag(&self, call: Uuid, role: u8, client: &ClientId) -> [u8; CLIENT_TAG] {
        self.mac(&[call.as_bytes(), &[role], client.as_str().as_bytes()])
    }

    fn mac<const LENGTH: usize>(&self, text: &[&[u8]]) -> [u8; LENGTH] {
        let mut tag = [0; LENGTH];
        // HMAC takes keys of every length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) {
            text.iter().for_each(|piece| mac.update(piece));
            tag.copy_from_slice(&mac.finalize().into_bytes()[..LENGTH]);
        }
        tag
    }
}

impl InboxToken {
    pub(in crate::node) fn read(token: &str) -> Option<InboxToken> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, bytes) = bytes.split_first_chunk::<16>()?;
        let (role, bytes) = bytes.split_first()?;
        let (tag, client) = bytes.split_first_chunk::<TAG>()?;
        let client = match role & ONE_CLIENT {
            0 if client.is_empty() => None,
            ONE_CLIENT => Some(client.try_into().ok()?),
            _ => return None,
        };
        let role = match role & !ONE_CLIENT {
            1 => Role::First,
            2 => Role::Second,
            _ => return None,
        };
        let id = Uuid::from_bytes(*id);
        Some(InboxToken { call: id.to_string().parse().ok()?, role, id, tag: *tag, client })
    }

    fn byte(&self) -> u8 {
        byte(self.role) | if self.client.is_some() { ONE_CLIENT } else { 0 }
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

    fn role() -> impl Strategy<Value = Role> {
        prop_oneof![Just(Role::First), Just(Role::Second)]
    }

    /// The token of a reply address.
    fn client_token(call: u128, role: Role, number: &str, client: &str) -> String {
        let call = Uuid::from_u128(call).to_string().parse().unwrap();
        let (number, client) = (number.parse().unwrap(), client.parse().unwrap());
        let address = tokens(1).client_address(&call, role, &number, &client).unwrap();
        assert!(tokens(1).own(&address).is_some());
        address.as_str().strip_prefix("https://node.example/a/").unwrap().to_owned()
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
        fn nobody_guesses_one(token in "[A-Za-z0-9_-]{44}|[A-Za-z0-9_-]{54}[AEIMQUYcgkosw048]|\\PC{0,60}") {
            if let Some(claim) = InboxToken::read(&token) {
                prop_assert!(!tokens(1).is_for(&claim, &"+12125550100".parse().unwrap()));
            }
        }

        #[test]
        fn a_reply_address_is_for_one_call_one_side_one_number_and_one_client(
            call in any::<u128>(), role in role(), number in "\\+[1-9][0-9]{6,14}", client in "[0-9a-f-]{1,36}", other in "[0-9a-f-]{1,36}",
        ) {
            let token = client_token(call, role, &number, &client);
            prop_assert_eq!(token.len(), 55);
            let claim = InboxToken::read(&token).unwrap();
            prop_assert_eq!((claim.call.as_str(), claim.role), (&*Uuid::from_u128(call).to_string(), role));
            let number: Number = number.parse().unwrap();
            prop_assert!(tokens(1).is_for(&claim, &number) && !tokens(2).is_for(&claim, &number));
            prop_assert!(!tokens(1).is_for(&claim, &"+12125550199".parse().unwrap()));
            prop_assert!(tokens(1).reaches(&claim, &client.parse().unwrap()));
            prop_assert!(!tokens(2).reaches(&claim, &client.parse().unwrap()));
            prop_assert_eq!(tokens(1).reaches(&claim, &other.parse().unwrap()), other == client);
        }

        #[test]
        fn nobody_changes_a_reply_address(call in any::<u128>(), role in role(), at in 0..41_usize, bit in 0..8_u8) {
            let token = client_token(call, role, "+12125550100", "0199");
            let mut bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
            bytes[at] ^= 1 << bit;
            if let Some(claim) = InboxToken::read(&URL_SAFE_NO_PAD.encode(&bytes)) {
                prop_assert!(!tokens(1).is_for(&claim, &"+12125550100".parse().unwrap()));
            }
        }

        #[test]
        fn neither_kind_of_address_can_be_made_of_the_other(
            call in any::<u128>(), role in role(), client in any::<[u8; CLIENT_TAG]>(),
        ) {
            let (number, id): (Number, _) = ("+12125550100".parse().unwrap(), Uuid::from_u128(call));
            let of_client = InboxToken::read(&client_token(call, role, "+12125550100", "0199")).unwrap();
            let cut = InboxToken { client: None, ..of_client };
            prop_assert!(!tokens(1).is_for(&cut, &number));
            let of_number = tokens(1).address(&id.to_string().parse().unwrap(), role, &number).unwrap();
            let of_number = tokens(1).own(&of_number).unwrap();
            prop_assert!(tokens(1).is_for(&of_number, &number) && tokens(1).reaches(&of_number, &"0199".parse().unwrap()));
            let extended = InboxToken { client: Some(client), ..of_number };
            prop_assert!(!tokens(1).is_for(&extended, &number));
        }
    }
}
