//! The `[node]` table of the configuration.

pub(in crate::node) mod connections;
pub(in crate::node) mod ice;
pub(in crate::node) mod tokens;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use crate::core::address::client_policy::ClientPolicy;
use crate::core::address::origin::Origin;
use crate::core::address::{ADDRESS_MAX, Address, is_loopback};
use crate::core::base::name::{PbxName, TrunkName};
use crate::core::enrolment::dial_code::FeatureCode;
use crate::core::routing::portability::{NodeUrl, PeerRule};
use crate::lnp::{Lnp, LnpConfig, LnpError};
use crate::node::NodeError;
use crate::peer::PeerConfig;
use crate::store::{Location, NodeRow};
use connections::ConnectionsConfig;
use ice::IceConfig;
use tokens::AgentAccess;

pub(in crate::node) const MB: u64 = 1024 * 1024;
/// Characters of the path of a call-scoped address: `/a/` and the token.
const SCOPED: usize = 3 + 44;

/// Everyone with everyone: that is two thousand pairs.
const CONFERENCE_MAX: usize = 64;

/// How the node is set up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How clients reach it from where they are: the beginning of all call-scoped addresses.
    /// `http://127.0.0.1:PORT` if absent.
    pub public_url: Option<String>,
    /// The database: an SQLite file, or the URL of a PostgreSQL database.
    pub database: Location,
    /// Serves HTTPS with these.
    pub tls: Option<TlsFiles>,
    /// Who may read the monitoring endpoints; if absent, open on a loopback address without a public
    /// URL, and for administrators elsewhere.
    pub monitoring: Option<Monitoring>,
    /// Names by which monitoring may be read while it is open, besides those that the node knows.
    pub monitoring_hosts: Vec<String>,
    /// Origins of web pages, besides the node's own, that may use the client API.
    pub origins: Vec<Origin>,
    /// What phones dial in front of the code of a page that waits to be enrolled, as the dialplan has it. Empty: nobody
    /// is enrolled by dialling.
    pub feature_code: FeatureCode,
    /// The file that holds the administrator's token.
    pub admin_token_file: Option<PathBuf>,
    /// The file that holds the agents' token.
    pub agent_token_file: Option<PathBuf>,
    /// Tokens of agents that speak for some PBXs alone.
    pub agent: Vec<AgentAccess>,
    /// How many connections there may be, and how long a stalled one lasts.
    pub connections: ConnectionsConfig,
    /// STUN and TURN servers for the clients' media.
    pub ice: IceConfig,
    /// How much is stored.
    pub storage: StorageConfig,
    /// How many people of one conference are paired with each other, everyone with everyone; who comes
    /// later is paired with nobody there.
    pub conference_size: usize,
    /// How long calls that have ended are kept.
    pub keep_calls: KeepCalls,
    /// Which addresses clients may bind.
    pub clients: ClientPolicy,
    /// Which trunks packet routes take.
    pub routing: Routing,
    /// Who is asked which operator or node serves a number.
    pub lnp: LnpConfig,
    /// Other organisations' nodes: the `[[peer]]` tables.
    #[serde(skip)]
    pub peers: Vec<PeerConfig>,
}

/// Certificate chain and key, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The chain, the node's own certificate first.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The CA that signs the certificates of peers, who may show one in the place of a token.
    pub client_ca: Option<PathBuf>,
}

/// Who may read `/metrics`, `/v1/status` and the page at `/`. `/healthz` and `/readyz` are always open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Monitoring {
    /// Anybody who can connect.
    Open,
    /// Whoever has the administrator's token.
    Admin,
}

/// `[node.storage]`: what the node may take of its disk.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// MB that stay free on the database's disk.
    pub free_mb: u64,
    /// MB of people's messages in all calls together, until their calls end.
    pub posts_mb: u64,
    /// Deliveries that are kept with their calls; the oldest calls go first.
    pub deliveries: u64,
    /// Calls that are up, or ended less than a minute ago.
    pub calls: usize,
}

/// How long calls that have ended are kept: until either is exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeepCalls {
    /// Days.
    pub days: u32,
    /// Calls.
    pub count: u64,
}

/// Which trunks packet routes take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// The packet trunk of all PBXs that have none of their own below.
    pub trunk: Option<TrunkName>,
    /// What differs at one PBX.
    pub pbx: BTreeMap<PbxName, PbxRouting>,
}

/// What differs at one PBX.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PbxRouting {
    /// Its packet trunk.
    pub trunk: Option<TrunkName>,
}

impl Default for NodeConfig {
    fn default() -> NodeConfig {
        NodeConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8600)),
            public_url: None,
            database: Location::File(PathBuf::from("/var/lib/sidecall/sidecall.db")),
            tls: None,
            monitoring: None,
            monitoring_hosts: Vec::new(),
            origins: Vec::new(),
            feature_code: FeatureCode::default(),
            admin_token_file: None,
            agent_token_file: None,
            agent: Vec::new(),
            connections: ConnectionsConfig::default(),
            ice: IceConfig::default(),
            storage: StorageConfig::default(),
            conference_size: 8,
            keep_calls: KeepCalls::default(),
            clients: ClientPolicy::default(),
            routing: Routing::default(),
            lnp: LnpConfig::default(),
            peers: Vec::new(),
        }
    }
}

impl Default for StorageConfig {
    fn default() -> StorageConfig {
        StorageConfig { free_mb: 256, posts_mb: 1024, deliveries: 1_000_000, calls: 200_000 }
    }
}

impl Default for KeepCalls {
    fn default() -> KeepCalls {
        KeepCalls { days: 7, count: 100_000 }
    }
}

impl StorageConfig {
    pub(in crate::node) fn posts(&self) -> u64 {
        self.posts_mb.saturating_mul(MB)
    }
}

impl Routing {
    /// The packet trunk of a PBX.
    pub fn trunk(&self, pbx: &PbxName) -> Option<&TrunkName> {
        self.pbx.get(pbx).and_then(|own| own.trunk.as_ref()).or(self.trunk.as_ref())
    }
}

impl NodeConfig {
    /// Checks for values that can't work, before anything binds.
    ///
    /// # Errors
    /// Names the key that is wrong.
    pub fn check(&self) -> Result<(), NodeError> {
        if !(2..=CONFERENCE_MAX).contains(&self.conference_size) {
            let reason = format!("{} is not between 2 and {CONFERENCE_MAX}", self.conference_size);
            return Err(NodeError::Config { key: "node.conference_size", reason });
        }
        if self.clients.messages_per_minute == 0 {
            let reason = "0 would send no SIP MESSAGE at all; say at least 1".to_owned();
            return Err(NodeError::Config { key: "node.clients.messages_per_minute", reason });
        }
        self.connections.check()?;
        self.ice.check()?;
        tokens::check(&self.agent)?;
        self.base(self.listen)?;
        for (n, peer) in self.peers.iter().enumerate() {
            let wrong = |reason: String| NodeError::Config { key: "peer", reason };
            peer.check().map_err(|reason| wrong(format!("{}: {reason}", peer.name)))?;
            if self.peers[..n].iter().any(|other| other.name == peer.name) {
                return Err(wrong(format!("name: two peers are called {}", peer.name)));
            }
            if peer.certificate.is_some() && self.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none()) {
                return Err(wrong(format!("{}: certificate: needs client_ca in [node.tls]", peer.name)));
            }
        }
        for name in self.lnp.route.iter().filter_map(|route| route.peer.as_ref()) {
            if !self.peers.iter().any(|peer| peer.name == *name) {
                let reason = format!("there is no [[peer]] {name}");
                return Err(NodeError::Config { key: "node.lnp.route", reason });
            }
        }
        Ok(self.lnp.check()?)
    }

    /// Who can be asked which operator or node serves a number.
    ///
    /// # Errors
    /// If a source can't be asked.
    pub fn portability(&self) -> Result<Lnp, LnpError> {
        // What only this machine knows a node by is in nobody's record.
        let own_node: Option<NodeUrl> = self.public_url.as_ref().and_then(|url| url.parse().ok());
        let rule = |peer: &PeerConfig| {
            Some(PeerRule { name: peer.name.clone(), node: peer.url.parse().ok()?, trunk: peer.trunk.clone() })
        };
        Lnp::new(&self.lnp, own_node, self.peers.iter().filter_map(rule).collect())
    }

    /// Who may read the monitoring endpoints.
    pub fn monitoring(&self) -> Monitoring {
        // With a public URL, whoever is outside comes by a proxy, and so from loopback too.
        let public = self.public_url.as_ref().is_some_and(|url| !is_at_home(url));
        let open = self.listen.ip().is_loopback() && !public;
        self.monitoring.unwrap_or(if open { Monitoring::Open } else { Monitoring::Admin })
    }

    /// How a node with this configuration, in this process, is shown to others on its database.
    pub fn row(&self) -> NodeRow {
        NodeRow::new(self.scheme(), self.listen)
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The beginning of call-scoped addresses, without a slash at its end.
    pub(in crate::node) fn base(&self, bound: SocketAddr) -> Result<String, NodeError> {
        let wrong = |reason: String| NodeError::Config { key: "node.public_url", reason };
        let Some(text) = &self.public_url else {
            return Ok(format!("{}://127.0.0.1:{}", self.scheme(), bound.port()));
        };
        let url = Url::parse(text).map_err(|e| wrong(format!("{text:?} is not a URL: {e}")))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(format!("{text:?} must end with its path")));
        }
        let base = text.trim_end_matches('/');
        if base.len() + SCOPED > ADDRESS_MAX {
            return Err(wrong(format!("{text:?} is longer than {} characters", ADDRESS_MAX - SCOPED)));
        }
        let sample = format!("{base}/a/{}", "x".repeat(SCOPED - 3)).parse::<Address>();
        let address = sample.map_err(|e| wrong(format!("{text:?} can't begin a client address: {e}")))?;
        match address.kind() {
            crate::core::address::AddressKind::Http => Ok(base.to_owned()),
            crate::core::address::AddressKind::Sip => Err(wrong(format!("{text:?} must begin with https:"))),
        }
    }
}

/// Whether a node with this base is reached on its own machine alone.
pub(in crate::node) fn is_at_home(base: &str) -> bool {
    Url::parse(base).is_ok_and(|url| is_loopback(url.host()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitoring_is_open_where_only_this_machine_comes() {
        let who = |listen: &str, public_url: Option<&str>| {
            let config = NodeConfig { listen: listen.parse().unwrap(), ..NodeConfig::default() };
            NodeConfig { public_url: public_url.map(str::to_owned), ..config }.monitoring()
        };
        assert_eq!(who("127.0.0.1:8600", None), Monitoring::Open);
        assert_eq!(who("127.0.0.1:8600", Some("http://127.0.0.1:8600")), Monitoring::Open);
        assert_eq!(who("127.0.0.1:8600", Some("https://node.example")), Monitoring::Admin);
        assert_eq!(who("0.0.0.0:8600", None), Monitoring::Admin);
    }

    fn with(public_url: &str) -> Result<String, NodeError> {
        let config = NodeConfig { public_url: Some(public_url.to_owned()), ..NodeConfig::default() };
        config.base(config.listen)
    }

    #[test]
    fn the_public_url_gives_addresses_that_fit() {
        assert_eq!(with("https://node.example/").unwrap(), "https://node.example");
        assert_eq!(with("http://127.0.0.1:8600").unwrap(), "http://127.0.0.1:8600");
        assert_eq!(NodeConfig::default().base("[::]:80".parse().unwrap()).unwrap(), "http://127.0.0.1:80");
        let long = format!("https://{}.example", "x".repeat(70));
        for bad in
            ["node.example", "http://node.example", "sip:a@b", "https://a/?b", "https://a/#b", "https://a/é", &long]
        {
            let error = with(bad).unwrap_err().to_string();
            assert!(error.contains("node.public_url"), "{error}");
        }
    }

    #[test]
    fn a_conference_has_a_size() {
        let check = |conference_size| NodeConfig { conference_size, ..NodeConfig::default() }.check();
        assert!([2, 8, 64].into_iter().all(|size| check(size).is_ok()));
        assert!(check(1).unwrap_err().to_string().contains("node.conference_size"));
        assert!(check(65).is_err());
    }

    #[test]
    fn a_pbx_may_have_its_own_trunk() {
        let text = serde_json::json!({"trunk": "carrier", "pbx": {"b": {"trunk": "other"}, "c": {}}});
        let routing: Routing = serde_json::from_value(text).unwrap();
        let trunk = |pbx: &str| routing.trunk(&pbx.parse().unwrap()).map(TrunkName::as_str);
        assert_eq!((trunk("a"), trunk("b"), trunk("c")), (Some("carrier"), Some("other"), Some("carrier")));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let wrong = serde_json::from_str::<NodeConfig>(r#"{"lissten": "127.0.0.1:1"}"#);
        assert!(wrong.unwrap_err().to_string().contains("lissten"));
    }
}
