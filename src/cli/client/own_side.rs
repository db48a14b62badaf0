//! Our side of a call: what this client calls itself, and where it may post.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use crate::contract::Role;
use crate::core::address::Address;
use crate::media::remote_addresses::RemoteAddresses;
use crate::media::signal::DeviceTag;

/// Our side of a call.
#[derive(Debug)]
pub(super) struct OwnSide {
    pub(super) role: Role,
    pub(super) tag: DeviceTag,
    pub(super) reply: Option<Address>,
    /// Where answers go, if a device has no address of its own.
    pub(super) address: Address,
    /// Room on the disk for what was accepted unasked in this call, in bytes.
    pub(super) unasked: u64,
    /// The addresses that this call has made us try.
    pub(super) addresses: Arc<RemoteAddresses>,
    /// The call is over for this client's number.
    pub(super) is_over: bool,
}

impl OwnSide {
    /// Whether an address is at the node of either side. A device must not make us post anywhere else.
    pub(super) fn knows(&self, reply: &Address) -> bool {
        let node = |address: &Address| Url::parse(address.as_str()).ok().map(|url| url.origin());
        let known = [Some(&self.address), self.reply.as_ref()];
        known.into_iter().flatten().any(|known| node(known).is_some() && node(known) == node(reply))
    }
}

/// What a device calls itself: 128 random bits.
pub(super) fn new_tag() -> Option<DeviceTag> {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_device_makes_us_post_to_the_nodes_of_the_call_alone() {
        let side = OwnSide {
            role: Role::Second,
            tag: "0123456789abcdef".parse().unwrap(),
            reply: "https://b.example:8443/a/own".parse().ok(),
            address: "https://a.example/a/theirs".parse().unwrap(),
            unasked: 0,
            addresses: Arc::new(RemoteAddresses::new([127, 0, 0, 1].into(), Instant::now())),
            is_over: false,
        };
        let knows = |reply: &str| side.knows(&reply.parse().unwrap());
        assert!(
            knows("https://a.example/a/device") && knows("https://a.example:443/x") && knows("https://b.example:8443/")
        );
        for other in ["https://b.example/a/x", "https://c.example/a/x", "http://127.0.0.1:8080/", "http://localhost/"] {
            assert!(!knows(other), "{other}");
        }
    }
}
