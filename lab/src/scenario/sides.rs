//! Which way calls go between two organisations, and how sidecall is configured at both for that.

use std::net::SocketAddr;

use crate::net::ca::Ca;
use crate::sidecall::{Https, SidecallConfig};

/// Which way calls go from A to B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// The packet trunk carries the header; the nodes don't know each other.
    Trunk,
    /// The same trunk, which A's node takes for no number unless a portability source leads there.
    Routed,
    /// The telephone network, which drops it; the nodes are peers.
    Network,
    /// The packet trunk, and the nodes are peers as well.
    TrunkOfPeers,
    /// The same, where A doesn't know which numbers are B's.
    Unlisted,
    /// The same over HTTPS, with certificates that nobody else knows.
    Https(Known),
    /// A trunk of the telephone network's, which hands on `Call-Info` alone; the nodes don't know each other.
    Carrier,
}

/// By what a node knows another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The token that it shows.
    ByToken,
    /// Its certificate.
    ByCertificate,
}

/// A's and B's, whose nodes listen there.
pub(super) fn sides(at: [SocketAddr; 2], between: Between) -> [SidecallConfig; 2] {
    let (known, https) = match between {
        Between::Https(known) => (known, true),
        _ => (Known::ByToken, false),
    };
    let cas = https.then(|| [Ca::generate(), Ca::generate()]);
    [0, 1].map(|own| {
        let alone = SidecallConfig { http: Some(at[own]), ..SidecallConfig::default() };
        let peers = |listed| peer(at, own, listed, known, cas.as_ref());
        match between {
            Between::Trunk => alone,
            Between::Routed => SidecallConfig { no_trunk: true, ..alone },
            Between::Carrier => SidecallConfig { no_trunk: true, routing_lines: "trunk = \"pstn\"\n".into(), ..alone },
            Between::TrunkOfPeers => SidecallConfig { no_trunk: false, ..peers(true) },
            Between::Unlisted => peers(own == 1),
            Between::Network | Between::Https(_) => peers(true),
        }
    })
}

/// One that has the other for a peer; `listed` if it knows the other's numbers.
fn peer(at: [SocketAddr; 2], own: usize, listed: bool, known: Known, cas: Option<&[Ca; 2]>) -> SidecallConfig {
    let other = 1 - own;
    let (names, prefixes) = (["a", "b"], ["+1212555", "+1310555"]);
    let scheme = if cas.is_some() { "https" } else { "http" };
    let prefixes = if listed { format!("\"{}\"", prefixes[other]) } else { String::new() };
    let mut more =
        format!("[[peer]]\nname = \"{}\"\nurl = \"{scheme}://{}\"\nprefixes = [{prefixes}]\n", names[other], at[other]);
    let token = |from: usize| format!("token-of-node-{}-in-the-laboratory", names[from]);
    let dns = |side: usize| format!("node.{}.example", names[side]);
    let mut files = Vec::new();
    match known {
        Known::ByToken => {
            more += "token_file = \"to-peer.token\"\naccept_token_file = \"from-peer.token\"\n";
            files.extend([("to-peer.token".into(), token(own)), ("from-peer.token".into(), token(other))]);
        }
        Known::ByCertificate => {
            more += "client_cert = \"node.crt\"\nclient_key = \"node.key\"\n";
            more += &format!("certificate = \"{}\"\n", dns(other));
        }
    }
    let https = cas.map(|cas| {
        more += "ca_file = \"peers-ca.pem\"\n";
        files.push(("peers-ca.pem".into(), cas[other].pem()));
        let (certificate, key) = cas[own].sign(&[&at[own].ip().to_string(), &dns(own)]);
        let client_ca = (known == Known::ByCertificate).then_some("peers-ca.pem");
        Https { certificate, key, client_ca, own_ca: cas[own].pem(), all_cas: cas.iter().map(Ca::pem).collect() }
    });
    SidecallConfig { http: Some(at[own]), more, files, no_trunk: true, https, ..SidecallConfig::default() }
}
