//! The `[node.lnp]` table of the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::LnpError;
use crate::core::address::Address;
use crate::core::base::name::{OperatorName, PeerName, SourceName, TrunkName};
use crate::core::base::secret::Secret;
use crate::core::numbering::number::Context;
use crate::core::numbering::tel_uri::RoutingNumber;
use crate::core::routing::portability::{NodeUrl, PeerRule, PortabilityRules, RouteRule};

/// The placeholder for the number in a URL.
pub(super) const PLACEHOLDER: &str = "{number}";

/// Number portability: the sources, and the rules that interpret their answers. Off without a source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LnpConfig {
    /// Deadline for all sources together, in ms. Must be less than the agent's deadline.
    pub deadline_ms: u64,
    /// Maximum TTL of an answer, in seconds.
    pub max_ttl: u64,
    /// Maximum TTL of an answer that knows nothing, in seconds.
    pub negative_ttl: u64,
    /// Cache size of each source, in numbers.
    pub cache: u64,
    /// Failures in a row after which a source's breaker opens.
    pub breaker_failures: u32,
    /// How long the breaker stays open, in ms.
    pub breaker_rest_ms: u64,
    /// Whether to ask for calls from a trunk, too.
    pub terminating: bool,
    /// Prefixes of our routing numbers.
    pub own_routing_numbers: Vec<RoutingNumber>,
    /// Our operator names.
    pub own_operators: Vec<OperatorName>,
    /// The sources, in order.
    pub source: Vec<SourceConfig>,
    /// Where other operators' numbers go; the first match wins.
    pub route: Vec<RouteConfig>,
}

/// The kind of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// ENUM: NAPTR records in the DNS (RFC 6116).
    Enum,
    /// A service that answers in JSON.
    Http,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// Its name in metrics and logs.
    pub name: SourceName,
    /// `enum` or `http`.
    pub kind: SourceKind,
    /// ENUM: the suffix after the reversed digits.
    pub suffix: Option<Context>,
    /// ENUM: the name servers; the system's if empty.
    #[serde(default)]
    pub servers: Vec<SocketAddr>,
    /// HTTP: the URL, with `{number}` in place of the number.
    pub url: Option<String>,
    /// HTTP: the file with the bearer token.
    pub token_file: Option<PathBuf>,
    /// The token.
    #[serde(skip)]
    pub token: Option<Secret>,
}

/// Where numbers of one operator go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Matches routing numbers with this prefix.
    pub rn_prefix: Option<RoutingNumber>,
    /// Matches this operator.
    pub operator: Option<OperatorName>,
    /// The peer to use, with its trunk.
    pub peer: Option<PeerName>,
    /// The trunk to use instead.
    pub trunk: Option<TrunkName>,
}

impl Default for LnpConfig {
    fn default() -> LnpConfig {
        LnpConfig {
            deadline_ms: 150,
            max_ttl: 86_400,
            negative_ttl: 300,
            cache: 10_000,
            breaker_failures: 3,
            breaker_rest_ms: 2_000,
            terminating: false,
            own_routing_numbers: Vec::new(),
            own_operators: Vec::new(),
            source: Vec::new(),
            route: Vec::new(),
        }
    }
}

impl LnpConfig {
    /// The deadline for all sources together.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    /// The rules that interpret answers.
    pub(super) fn rules(&self, own_node: Option<NodeUrl>, peers: Vec<PeerRule>) -> PortabilityRules {
        let route = |route: &RouteConfig| RouteRule {
            prefix: route.rn_prefix.clone(),
            operator: route.operator.clone(),
            peer: route.peer.clone(),
            trunk: route.trunk.clone(),
        };
        PortabilityRules {
            own_node,
            own_routing_numbers: self.own_routing_numbers.clone(),
            own_operators: self.own_operators.clone(),
            peers,
            routes: self.route.iter().map(route).collect(),
        }
    }

    /// Checks the values, and names the invalid key.
    pub fn check(&self) -> Result<(), LnpError> {
        let wrong = |key, reason: &str| Err(LnpError::Key { key, reason: reason.to_owned() });
        if self.deadline_ms == 0 {
            return wrong(
                "deadline_ms",
                "without any time nobody can answer; for no portability leave the sources out",
            );
        }
        for (n, source) in self.source.iter().enumerate() {
            source.check()?;
            if self.source[..n].iter().any(|other| other.name == source.name) {
                return wrong("source", &format!("two sources are called {}", source.name));
            }
        }
        for route in &self.route {
            if route.rn_prefix.is_none() && route.operator.is_none() {
                return wrong("route", "a route needs rn_prefix or operator: whose numbers are meant?");
            }
            if route.peer.is_none() && route.trunk.is_none() {
                return wrong("route", "a route needs peer or trunk: where does it lead?");
            }
        }
        Ok(())
    }
}

impl SourceConfig {
    fn check(&self) -> Result<(), LnpError> {
        let wrong = |reason: String| Err(LnpError::Source { source_name: self.name.clone(), reason });
        match self.kind {
            SourceKind::Enum if self.url.is_some() || self.token_file.is_some() => {
                wrong("url and token_file are for kind = \"http\"".to_owned())
            }
            SourceKind::Enum if self.suffix.is_none() => wrong("set suffix, such as \"e164.arpa\"".to_owned()),
            SourceKind::Enum => Ok(()),
            SourceKind::Http if self.suffix.is_some() || !self.servers.is_empty() => {
                wrong("suffix and servers are for kind = \"enum\"".to_owned())
            }
            SourceKind::Http => {
                let url = self.url.as_deref().unwrap_or_default();
                if url.matches(PLACEHOLDER).count() != 1 {
                    return wrong(format!("url: write https://lnp.example/{PLACEHOLDER}"));
                }
                if Url::parse(&url.replace(PLACEHOLDER, "%2B1")).is_err() {
                    return wrong(format!("url: {url:?} is not a URL"));
                }
                // As with client addresses, plain HTTP is allowed only to this machine.
                let base = url.split(PLACEHOLDER).next().and_then(|base| base.split('?').next()).unwrap_or_default();
                match base.parse::<Address>() {
                    Ok(_) => Ok(()),
                    Err(error) => wrong(format!("url: {error}")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn said(config: Value) -> String {
        match serde_json::from_value::<LnpConfig>(config) {
            Ok(config) => config.check().map_or_else(|error| error.to_string(), |()| "good".to_owned()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_can_work_and_what_cannot() {
        let http = |url: &str| json!({"source": [{"name": "x", "kind": "http", "url": url}]});
        let dns = json!({"name": "x", "kind": "enum", "suffix": "e164.arpa", "servers": ["[::1]:53"]});
        for (config, expected) in [
            (json!({}), "good"),
            (json!({"source": [dns]}), "good"),
            (json!({"source": [dns, dns]}), "two sources are called x"),
            (json!({"source": [{"name": "x", "kind": "enum"}]}), "source x: set suffix"),
            (json!({"source": [{"name": "x", "kind": "enum", "suffix": "a..b"}]}), "domain"),
            (json!({"source": [{"name": "x", "kind": "dns"}]}), "enum"),
            (json!({"source": [{"name": "x", "kind": "enum", "suffix": "a", "url": "b"}]}), "for kind = \"http\""),
            (http("https://lnp.example/{number}"), "good"),
            (http("http://127.0.0.1:8080/ask?n={number}&x=y"), "good"),
            (http("http://lnp.example/{number}"), "http: is allowed for loopback"),
            (http("https://lnp.example/"), "source x: url: write"),
            (http("https://{number}/"), "url"),
            (http("lnp{number}"), "url"),
            (json!({"deadline_ms": 0}), "deadline_ms"),
            (json!({"route": [{"trunk": "t"}]}), "rn_prefix or operator"),
            (json!({"route": [{"operator": "o"}]}), "peer or trunk"),
            (json!({"route": [{"rn_prefix": "1", "trunk": "t"}]}), "routing number"),
        ] {
            let said = said(config.clone());
            assert!(said.contains(expected), "{config}: {said}");
        }
    }
}
