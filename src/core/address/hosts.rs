//! Which hosts are on the public internet, and lists of hosts that an administrator allows.

// Addresses alone: whoever has a socket is elsewhere.
use ::core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Host;

use super::rootless;

/// Whether a host may be on the public internet. A name may be: only its resolution tells.
pub fn may_be_public<S>(host: Option<Host<S>>) -> bool {
    match host {
        Some(Host::Domain(_)) => true,
        Some(Host::Ipv4(ip)) => is_public(ip.into()),
        Some(Host::Ipv6(ip)) => is_public(ip.into()),
        None => false,
    }
}

/// Whether an address is one of the public internet (the registries of RFC 6890).
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = match (a, b, c) {
        // This network; shared address space (RFC 6598); IETF protocols; benchmarks; reserved.
        (0, ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _) | (240.., ..) => true,
        _ => false,
    };
    !(special
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_documentation())
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let [a, b, c, d, e, f, g, h] = ip.segments();
    if [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] {
        // NAT64 (RFC 6052).
        let [g, h] = [g.to_be_bytes(), h.to_be_bytes()];
        return is_public_v4(Ipv4Addr::new(g[0], g[1], h[0], h[1]));
    }
    // Global unicast is 2000::/3; of that neither 6to4, nor Teredo, nor documentation.
    a & 0xe000 == 0x2000 && a != 0x2002 && (a, b) != (0x2001, 0) && (a, b) != (0x2001, 0xdb8)
}

/// Hosts that an administrator allows: names, names with all below them (`*.example`), addresses and networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostList(Vec<HostRule>);

impl HostList {
    /// Whether the list has this name or address. A name is not resolved here.
    pub fn has<S: AsRef<str>>(&self, host: &Host<S>) -> bool {
        match host {
            Host::Domain(name) => self.has_name(name.as_ref()),
            Host::Ipv4(ip) => self.has_ip((*ip).into()),
            Host::Ipv6(ip) => self.has_ip((*ip).into()),
        }
    }

    /// Whether the list has this name.
    pub fn has_name(&self, name: &str) -> bool {
        let name = rootless(name).to_ascii_lowercase();
        self.0.iter().any(|rule| match rule {
            HostRule::Name(own) => *own == name,
            HostRule::Below(own) => name.strip_suffix(own.as_str()).is_some_and(|rest| rest.ends_with('.')),
            HostRule::Network(_) => false,
        })
    }

    /// Whether the list has this address, or a network with it.
    pub fn has_ip(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|rule| matches!(rule, HostRule::Network(network) if network.contains(&ip)))
    }

    /// Adds to the list.
    pub fn allow(&mut self, rule: HostRule) {
        if !self.0.contains(&rule) {
            self.0.push(rule);
        }
    }
}

impl FromIterator<HostRule> for HostList {
    fn from_iter<I: IntoIterator<Item = HostRule>>(rules: I) -> HostList {
        HostList(rules.into_iter().collect())
    }
}

/// One line of a [`HostList`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostRule {
    /// This name, in lower case.
    Name(String),
    /// Every name below this one.
    Below(String),
    /// Every address of this network.
    Network(IpNet),
}

/// Why a text is no [`HostRule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host: write a name, *.name, an address or a network such as 10.1.0.0/16")]
pub struct HostRuleError(String);

impl FromStr for HostRule {
    type Err = HostRuleError;

    fn from_str(text: &str) -> Result<HostRule, HostRuleError> {
        let wrong = || HostRuleError(text.to_owned());
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(HostRule::Network(network.trunc()));
        }
        if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(HostRule::Network(ip.to_canonical().into()));
        }
        let (name, rule): (&str, fn(String) -> HostRule) = match text.strip_prefix("*.") {
            Some(name) => (name, HostRule::Below),
            None => (text, HostRule::Name),
        };
        match Host::parse(rootless(name)) {
            Ok(Host::Domain(name)) if !name.is_empty() && !name.contains('*') => Ok(rule(name.to_ascii_lowercase())),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for HostRule {
    type Error = HostRuleError;
    fn try_from(text: String) -> Result<HostRule, HostRuleError> {
        text.parse()
    }
}

impl From<HostRule> for String {
    fn from(rule: HostRule) -> String {
        rule.to_string()
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostRule::Name(name) => f.write_str(name),
            HostRule::Below(name) => write!(f, "*.{name}"),
            HostRule::Network(network) if network.prefix_len() == network.max_prefix_len() => network.addr().fmt(f),
            HostRule::Network(network) => network.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::Url;

    #[test]
    fn private_networks_are_not_public() {
        for (ip, public) in [
            ("203.1.2.3", true),
            ("8.8.8.8", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("2606:4700::1", true),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:8.8.8.8", true),
            ("64:ff9b::7f00:1", false),
            ("2002:7f00:1::", false),
        ] {
            assert_eq!(is_public(ip.parse().unwrap()), public, "{ip}");
        }
    }

    #[test]
    fn other_spellings_are_the_same_address() {
        for url in ["https://0x7f.1/", "https://2130706433/", "https://[::ffff:7f00:1]/", "https://10.1/"] {
            assert!(!may_be_public(Url::parse(url).unwrap().host()), "{url}");
        }
        assert!(may_be_public(Url::parse("https://node.example/").unwrap().host()));
    }

    #[test]
    fn a_list_has_names_addresses_and_networks() {
        let rules = ["PBX.example", "*.branch.example", "10.1.7.7/16", "192.0.2.1", "2001:db8::/32"];
        let list: HostList = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        for (host, has) in [
            ("pbx.example", true),
            ("pbx.example.", true),
            ("sub.pbx.example", false),
            ("a.branch.example", true),
            ("branch.example", false),
            ("xbranch.example", false),
            ("10.1.200.3", true),
            ("10.2.0.1", false),
            ("192.0.2.1", true),
            ("[::ffff:192.0.2.1]", true),
            ("[2001:db8::7]", true),
            ("[2001:db9::7]", false),
        ] {
            assert_eq!(list.has(&Host::parse(host).unwrap()), has, "{host}");
        }
    }

    #[test]
    fn a_rule_is_written_as_it_is_read() {
        for (text, written) in [
            ("PBX.example.", "pbx.example"),
            ("*.a.example", "*.a.example"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("::1", "::1"),
        ] {
            assert_eq!(text.parse::<HostRule>().unwrap().to_string(), written);
        }
        for wrong in ["", "*", "*.", "a b", "https://a.example", "a.example:5060", "10.0.0.0/33", "a*.example"] {
            assert!(wrong.parse::<HostRule>().is_err(), "{wrong:?}");
        }
    }
}
