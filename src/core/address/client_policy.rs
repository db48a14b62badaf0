//! Which addresses a number's clients may bind: the `[node.clients]` table of the configuration.
//!
//! | address | allowed if its host is |
//! |---|---|
//! | `sip:`, `sips:` | one of our own domains, or in `sip_hosts` |
//! | `https:`, `http:` | on the public internet, or in `webhook_hosts` |
//!
//! A `sip:` address of another organisation's client, which the node answers for ours, is allowed if its host is in
//! `sip_hosts` or `answer_hosts`. Without `answer_hosts` it is also allowed if a trusted trunk or a peer named it.
//! It is never one of our own domains.
//!
//! The PBX sends SIP MESSAGEs with its own rights, on Asterisk even with a trunk's credentials. The node posts from
//! inside its network. So a client must not choose where either of them writes.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::hosts::{HostList, HostRule, may_be_public};
use super::{Address, AddressKind};

/// The addresses that an administrator allows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientPolicy {
    /// Hosts of `sip:` addresses, beside our own domains.
    pub sip_hosts: HostList,
    /// Hosts of other organisations' `sip:` addresses that are answered; if absent, all that trusted trunks and peers
    /// name.
    pub answer_hosts: Option<HostList>,
    /// Hosts of webhooks that need not be on the public internet.
    pub webhook_hosts: HostList,
    /// Maximum number of SIP MESSAGEs per minute to all clients of a number.
    pub messages_per_minute: u32,
    /// Our own SIP domains: those of the PBXs in the same configuration.
    #[serde(skip)]
    pub own_domains: HostList,
    /// Users at our own domains that are trunks. Asterisk would send to them with their credentials.
    #[serde(skip)]
    pub trunks: BTreeSet<String>,
}

impl Default for ClientPolicy {
    fn default() -> ClientPolicy {
        ClientPolicy {
            sip_hosts: HostList::default(),
            answer_hosts: None,
            webhook_hosts: HostList::default(),
            messages_per_minute: 600,
            own_domains: HostList::default(),
            trunks: BTreeSet::new(),
        }
    }
}

/// Why a client may not be reached at an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefusal {
    /// Its PBX would send a SIP MESSAGE to somebody else's machine.
    #[error("{0} is none of this node's own SIP domains; an administrator can allow it in node.clients.sip_hosts")]
    SipHost(String),
    /// Its PBX would send a SIP MESSAGE over a trunk.
    #[error("{0} is a trunk of this node's configuration, and no softphone")]
    Trunk(String),
    /// The PBX would send an answer to somebody's machine that no one vouches for.
    #[error("{0} is no host that answers are sent to; an administrator can allow it in node.clients.answer_hosts")]
    AnswerHost(String),
    /// The PBX would send an answer to itself.
    #[error("{0} is one of this node's own SIP domains: no other organisation's client is there")]
    OwnDomain(String),
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
                if self.is_own_domain(address) {
                    return self.check_user(address);
                }
                let listed = host.as_ref().is_some_and(|host| self.sip_hosts.has(host));
                if listed { Ok(()) } else { Err(AddressRefusal::SipHost(named(address))) }
            }
            AddressKind::Http => {
                let listed = host.as_ref().is_some_and(|host| self.webhook_hosts.has(host));
                let public = may_be_public(host) && !address.is_loopback();
                if listed || public { Ok(()) } else { Err(AddressRefusal::WebhookHost(named(address))) }
            }
        }
    }

    fn check_user(&self, address: &Address) -> Result<(), AddressRefusal> {
        match address.sip_user_and_host() {
            Some((user, _)) if self.trunks.iter().any(|trunk| trunk.eq_ignore_ascii_case(user)) => {
                Err(AddressRefusal::Trunk(user.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Checks a `sip:` address of another organisation's client. `vouched`: a trusted trunk or a peer named it.
    ///
    /// # Errors
    /// Says why the address is refused, and how it can be allowed.
    pub fn check_answer(&self, address: &Address, vouched: bool) -> Result<(), AddressRefusal> {
        if self.is_own_domain(address) {
            return Err(AddressRefusal::OwnDomain(named(address)));
        }
        let lists = [Some(&self.sip_hosts), self.answer_hosts.as_ref()];
        let listed = address.host().is_some_and(|host| lists.into_iter().flatten().any(|list| list.has(&host)));
        if listed || (vouched && self.answer_hosts.is_none()) {
            return Ok(());
        }
        Err(AddressRefusal::AnswerHost(named(address)))
    }

    fn is_own_domain(&self, address: &Address) -> bool {
        address.host().is_some_and(|host| self.own_domains.has(&host))
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
    fn a_trunk_at_an_own_domain_is_no_client() {
        let mut policy = policy(serde_json::json!({"sip_hosts": ["carrier.example"]}));
        policy.trunks.insert("carrier".to_owned());
        for (text, allowed) in [
            ("sip:1001@pbx.example", true),
            ("sip:carrier@pbx.example", false),
            ("sip:Carrier@192.0.2.10:5080", false),
            ("sips:carrier@PBX.example.", false),
            // It is a user there, and no endpoint of ours.
            ("sip:carrier@carrier.example", true),
        ] {
            assert_eq!(!refused(&policy, text), allowed, "{text}");
        }
    }

    #[test]
    fn answers_go_where_a_trunk_a_peer_or_an_administrator_says() {
        let open = policy(serde_json::json!({"sip_hosts": ["branch.example"]}));
        let closed = policy(serde_json::json!({"sip_hosts": ["branch.example"], "answer_hosts": ["*.b.example"]}));
        for (text, [by_anybody, vouched, in_closed]) in [
            ("sip:anna@a.example", [false, true, false]),
            ("sip:anna@branch.example", [true, true, true]),
            ("sip:anna@pbx.b.example", [false, true, true]),
            ("sip:carrier@pbx.example", [false, false, false]),
        ] {
            let address = text.parse().unwrap();
            let found = [(&open, false), (&open, true), (&closed, true)]
                .map(|(policy, vouched)| policy.check_answer(&address, vouched).is_ok());
            assert_eq!(found, [by_anybody, vouched, in_closed], "{text}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let policy = policy(serde_json::json!({}));
        let why = policy.check(&"sip:x@10.0.0.8:5080".parse().unwrap()).unwrap_err().to_string();
        assert!(why.starts_with("10.0.0.8 ") && why.ends_with("node.clients.sip_hosts"), "{why}");
    }
}
