//! Where a number's clients may let themselves be reached: the `[node.clients]` table of the configuration.
//!
//! | address | allowed if its host is |
//! |---|---|
//! | `sip:`, `sips:` | one of our own domains, or in `sip_hosts` |
//! | `https:`, `http:` | on the public internet, or in `webhook_hosts` |
//!
//! The PBX sends SIP MESSAGEs with its own rights, on Asterisk even with a trunk's credentials. The node posts from
//! inside its network. So a client must not choose where either of them writes.

use serde::Deserialize;

use super::address::{Address, AddressKind};
use super::network::{HostList, HostRule, may_be_public};

/// What an administrator allows the clients of this node's numbers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientPolicy {
    /// Hosts of `sip:` addresses, beside our own domains.
    pub sip_hosts: HostList,
    /// Hosts of webhooks that need not be on the public internet.
    pub webhook_hosts: HostList,
    /// How many SIP MESSAGEs a number's clients are sent in a minute, all together.
    pub messages_per_minute: u32,
    /// Our own SIP domains: those of the PBXs in the same configuration.
    #[serde(skip)]
    pub own_domains: HostList,
}

impl Default for ClientPolicy {
    fn default() -> ClientPolicy {
        ClientPolicy {
            sip_hosts: HostList::default(),
            webhook_hosts: HostList::default(),
            messages_per_minute: 600,
            own_domains: HostList::default(),
        }
    }
}

/// Why a client may not be reached at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefusal {
    /// Its PBX would send a SIP MESSAGE to somebody else's machine.
    #[error("{0} is none of this node's own SIP domains; an administrator can allow it in node.clients.sip_hosts")]
    SipHost(String),
    /// The node would post into its own network.
    #[error("{0} is not on the public internet; an administrator can allow it in node.clients.webhook_hosts")]
    WebhookHost(String),
    /// The node would post into its own network, by way of a name.
    #[error("{0} leads into a private network; an administrator can allow it in node.clients.webhook_hosts")]
    WebhookName(String),
}

impl ClientPolicy {
    /// Checks a client's address. Where a webhook's name leads is only known once it is resolved, as
    /// `guard::check_client` does.
    ///
    /// # Errors
    /// Says why the address is refused, and how it can be allowed.
    pub fn check(&self, address: &Address) -> Result<(), AddressRefusal> {
        let host = address.host();
        match address.kind() {
            AddressKind::Sip => {
                let listed = host.as_ref().is_some_and(|host| self.own_domains.has(host) || self.sip_hosts.has(host));
                if listed { Ok(()) } else { Err(AddressRefusal::SipHost(named(address))) }
            }
            AddressKind::Http => {
                let listed = host.as_ref().is_some_and(|host| self.webhook_hosts.has(host));
                let public = may_be_public(host) && !address.is_loopback();
                if listed || public { Ok(()) } else { Err(AddressRefusal::WebhookHost(named(address))) }
            }
        }
    }

    /// Adds one of our own SIP domains.
    pub fn own(&mut self, domain: &str) {
        if let Ok(rule) = domain.parse::<HostRule>() {
            self.own_domains.allow(rule);
        }
    }
}

fn named(address: &Address) -> String {
    address.host().map_or_else(|| address.to_string(), |host| host.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(json: serde_json::Value) -> ClientPolicy {
        let mut policy: ClientPolicy = serde_json::from_value(json).unwrap();
        policy.own("pbx.example");
        policy.own("192.0.2.10");
        policy
    }

    fn refused(policy: &ClientPolicy, text: &str) -> bool {
        policy.check(&text.parse().unwrap()).is_err()
    }

    #[test]
    fn by_default_only_own_domains_and_the_public_internet_are_allowed() {
        let policy = policy(serde_json::json!({}));
        for (text, allowed) in [
            ("sip:1001@pbx.example", true),
            ("sips:1001@PBX.example:5061", true),
            ("sip:1001@192.0.2.10", true),
            ("sip:+19005551234@carrier.example", false),
            ("sip:x@10.0.0.8", false),
            ("sip:x@evil.pbx.example", false),
            ("https://hook.example/x", true),
            ("https://169.254.169.254/latest/meta-data", false),
            ("https://10.0.0.8/", false),
            ("https://[::ffff:10.0.0.8]/", false),
            ("https://localhost/", false),
            ("http://127.0.0.1:8080/", false),
        ] {
            assert_eq!(!refused(&policy, text), allowed, "{text}");
        }
    }

    #[test]
    fn what_is_listed_is_allowed_in_its_own_form_alone() {
        let listed =
            serde_json::json!({"sip_hosts": ["*.branch.example"], "webhook_hosts": ["10.0.0.0/8", "localhost"]});
        let policy = policy(listed);
        assert!(!refused(&policy, "sip:a@b.branch.example") && !refused(&policy, "https://10.0.0.8/x"));
        assert!(!refused(&policy, "http://localhost:8080/"));
        assert!(refused(&policy, "sip:a@10.0.0.8") && refused(&policy, "https://192.168.0.1/"));
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let policy = policy(serde_json::json!({}));
        let why = policy.check(&"sip:x@10.0.0.8:5080".parse().unwrap()).unwrap_err().to_string();
        assert!(why.starts_with("10.0.0.8 ") && why.ends_with("node.clients.sip_hosts"), "{why}");
    }
}
