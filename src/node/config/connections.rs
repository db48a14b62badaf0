//! `[node.connections]`: how many connections the node serves, and for how long.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::node::NodeError;

/// `[node.connections]`: what clients may take of the node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionsConfig {
    /// Maximum number of connections; what the limit on open files leaves if absent.
    pub max: Option<usize>,
    /// Maximum number of connections from one IPv4 address or one IPv6 /64.
    pub per_address: usize,
    /// Maximum number of connections from one IPv6 /48; 0 for no limit, a quarter of `max` if absent. It never applies to
    /// unique local addresses (fc00::/7): an organisation's whole network is one /48 there.
    pub per_site: Option<usize>,
    /// Reverse proxies and agents on other machines: `per_address` doesn't apply to them, and their
    /// `X-Forwarded-For` is believed. Loopback addresses always belong here.
    pub proxies: Vec<IpAddr>,
    /// Seconds for a request's head to arrive, and for a connection without a request to stay open.
    pub idle_seconds: u64,
    /// Seconds without progress after which a TLS handshake, a request's body or an answer is given up.
    pub stall_seconds: u64,
    /// Failed logins per address and minute.
    pub failed_logins: u32,
}

impl Default for ConnectionsConfig {
    fn default() -> ConnectionsConfig {
        ConnectionsConfig {
            max: None,
            per_address: 1000,
            per_site: None,
            proxies: Vec::new(),
            idle_seconds: 75,
            stall_seconds: 20,
            failed_logins: 60,
        }
    }
}

impl ConnectionsConfig {
    pub(in crate::node) fn check(&self) -> Result<(), NodeError> {
        let wrong = |key, reason: &str| Err(NodeError::Config { key, reason: reason.to_owned() });
        if self.max == Some(0) {
            return wrong("node.connections.max", "must be at least 1");
        }
        if self.per_address == 0 {
            return wrong("node.connections.per_address", "must be at least 1");
        }
        if !(1..=3600).contains(&self.idle_seconds) {
            return wrong("node.connections.idle_seconds", "must be 1 to 3600");
        }
        if !(1..=300).contains(&self.stall_seconds) {
            return wrong("node.connections.stall_seconds", "must be 1 to 300");
        }
        if self.failed_logins == 0 {
            return wrong("node.connections.failed_logins", "must be at least 1");
        }
        Ok(())
    }

    pub(in crate::node) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }

    pub(in crate::node) fn stall(&self) -> Duration {
        Duration::from_secs(self.stall_seconds)
    }

    /// Whether many clients may come from this address.
    pub(in crate::node) fn is_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.proxies.iter().any(|proxy| proxy.to_canonical() == address)
    }
}
