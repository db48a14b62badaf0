//! DNS rebinding: while monitoring is open, a page of another site must not read it through its visitor's browser.
//!
//! Such a page makes its own name resolve to this node's address. The browser then takes the node for the page's
//! site, but sends the page's name as `Host`. Addresses can't be rebound, and the node's own names aren't
//! the page's.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::HOST;
use url::{Host, Url};

use crate::core::address::is_loopback;
use crate::node::Problem;
use crate::node::config::NodeConfig;

/// The names that requests may come for.
#[derive(Debug)]
pub(in crate::node) struct Hosts {
    listen: IpAddr,
    names: Vec<String>,
}

impl Hosts {
    pub(in crate::node) fn new(config: &NodeConfig) -> Hosts {
        let public = config.public_url.as_ref().and_then(|url| Some(Url::parse(url).ok()?.host_str()?.to_owned()));
        let names = config.monitoring_hosts.iter().cloned().chain(public);
        Hosts { listen: config.listen.ip(), names: names.map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Checks `Host`. Browsers always send it; what sends none is no browser.
    pub(in crate::node) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(value) = headers.get(HOST) else { return Ok(()) };
        match value.to_str() {
            Ok(host) if self.knows(host) => Ok(()),
            host => Err(Problem::forbidden(refusal(host.ok().and_then(name)))),
        }
    }

    fn knows(&self, host: &str) -> bool {
        match name(host) {
            Some(Host::Domain(name)) if self.names.contains(&name) => true,
            // A node on loopback has no other addresses.
            Some(Host::Ipv4(_) | Host::Ipv6(_)) if !self.listen.is_loopback() => true,
            host => is_loopback(host),
        }
    }
}

/// The host in a `Host` header, without the port.
fn name(host: &str) -> Option<Host> {
    Url::parse(&format!("http://{host}/")).ok()?.host().map(|host| host.to_owned())
}

/// The page that a rebound name belongs to can read this, and learns nothing from it that it didn't send.
fn refusal(host: Option<Host>) -> String {
    match host {
        Some(Host::Domain(name)) => format!(
            "the request is for {name}, which is none of this node's names: add {name:?} to node.monitoring_hosts, or \
             have the proxy in front send a Host that is there"
        ),
        Some(ip) => format!(
            "the request is for {ip}, and this node listens on loopback alone: use http://localhost, or have the proxy in \
             front send a Host that is in node.monitoring_hosts"
        ),
        None => "the Host header holds no host".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nodes_own_names_are_known() {
        let config = NodeConfig {
            public_url: Some("https://node.example".to_owned()),
            monitoring_hosts: vec!["Prometheus.example".to_owned()],
            ..NodeConfig::default()
        };
        let hosts = Hosts::new(&config);
        for host in ["127.0.0.1:8600", "[::1]:8600", "localhost:8600", "node.example", "prometheus.example:8600"] {
            assert!(hosts.knows(host), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1", "a@evil", ""] {
            assert!(!hosts.knows(host), "{host}");
        }
        let refused = |host: &'static str| {
            let problem = hosts.check(&HeaderMap::from_iter([(HOST, host.parse().unwrap())])).unwrap_err();
            problem.detail
        };
        for (host, named) in [("Status.example:8600", "status.example"), ("192.0.2.1:8600", "192.0.2.1")] {
            let detail = refused(host);
            assert!(detail.contains(named) && detail.contains("node.monitoring_hosts"), "{detail}");
        }
        assert!(!refused("<b>x</b>").contains('<'));
        let everywhere = Hosts::new(&NodeConfig { listen: "0.0.0.0:8600".parse().unwrap(), ..config });
        assert!(everywhere.knows("192.0.2.1:8600") && !everywhere.knows("evil.example"));
    }
}
