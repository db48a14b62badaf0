//! Number portability: what a source answers about a number, and what that means for the route.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::core::address::{Address, AddressKind};
use crate::core::base::name::{OperatorName, PeerName, TrunkName};
use crate::core::numbering::tel_uri::RoutingNumber;

/// The URL of a node: `https:`, or `http:` on loopback, with nothing behind its path.
///
/// Two URLs of one node are equal: the host is in lower case, and no port is written that is the
/// scheme's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeUrl(String);

/// A text that is no node's URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a node's URL: write https://node.example")]
pub struct NodeUrlError;

impl FromStr for NodeUrl {
    type Err = NodeUrlError;

    fn from_str(text: &str) -> Result<NodeUrl, NodeUrlError> {
        let address: Address = text.parse().map_err(|_| NodeUrlError)?;
        let url = Url::parse(address.as_str()).map_err(|_| NodeUrlError)?;
        if address.kind() != AddressKind::Http || url.query().is_some() || url.fragment().is_some() {
            return Err(NodeUrlError);
        }
        Ok(NodeUrl(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl TryFrom<String> for NodeUrl {
    type Error = NodeUrlError;
    fn try_from(text: String) -> Result<NodeUrl, NodeUrlError> {
        text.parse()
    }
}

impl From<NodeUrl> for String {
    fn from(url: NodeUrl) -> String {
        url.0
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A source's answer about a number. Every field is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PortabilityAnswer {
    /// It was ported away from the operator of its range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ported: Option<bool>,
    /// Where calls to it are routed.
    #[serde(rename = "rn", skip_serializing_if = "Option::is_none")]
    pub routing_number: Option<RoutingNumber>,
    /// The operator that serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorName>,
    /// The service node that serves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeUrl>,
    /// It has a client.
    #[serde(rename = "client", skip_serializing_if = "Option::is_none")]
    pub has_client: Option<bool>,
}

/// Who serves a number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServedBy {
    /// Unknown, apart from what our directory says.
    #[default]
    Unknown,
    /// This node.
    Ours,
    /// A configured peer.
    Peer(PeerName),
    /// Another operator.
    Other,
}

impl ServedBy {
    /// Whether another operator serves the number.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, ServedBy::Peer(_) | ServedBy::Other)
    }
}

/// The result of a portability query, for the route decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Portability {
    /// Who serves the number.
    pub served_by: ServedBy,
    /// It was ported to get there.
    pub ported: bool,
    /// The packet trunk to its operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trunk: Option<TrunkName>,
    /// It has a client, as far as the source knows.
    #[serde(rename = "client", skip_serializing_if = "Option::is_none")]
    pub has_client: Option<bool>,
}

impl Portability {
    /// Whether another operator serves the number.
    pub fn is_elsewhere(&self) -> bool {
        self.served_by.is_elsewhere()
    }
}

/// How answers are interpreted: who we are, and how others are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortabilityRules {
    /// Our node, as others know it.
    pub own_node: Option<NodeUrl>,
    /// Routing numbers that begin with one of these are ours.
    pub own_routing_numbers: Vec<RoutingNumber>,
    /// The operators that we are.
    pub own_operators: Vec<OperatorName>,
    /// The organisations that our node talks to.
    pub peers: Vec<PeerRule>,
    /// Where others' numbers go: the first that fits.
    pub routes: Vec<RouteRule>,
}

/// A peer, as far as portability needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRule {
    /// Its name.
    pub name: PeerName,
    /// Its node.
    pub node: NodeUrl,
    /// The packet trunk to it.
    pub trunk: Option<TrunkName>,
}

/// Where numbers of one operator go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRule {
    /// Those whose routing number begins so.
    pub prefix: Option<RoutingNumber>,
    /// Those of this operator.
    pub operator: Option<OperatorName>,
    /// To this peer, by its trunk ...
    pub peer: Option<PeerName>,
    /// ... or by this one.
    pub trunk: Option<TrunkName>,
}

impl PortabilityRules {
    /// Interprets an answer; none if it says nothing, so that the next source is asked.
    ///
    /// | the answer names | served by |
    /// |---|---|
    /// | our node, a routing number or operator of ours | us |
    /// | a configured peer's node | that peer |
    /// | a routing number or operator that a route knows | the route's peer, or other |
    /// | another routing number, where we know our own | other |
    /// | another operator that the number was ported to, where we know our own | other |
    /// | anything else | unknown; a node that is no peer's is never asked, but shows that there is a client |
    ///
    /// A routing number that nobody has told us about says nothing as long as we don't know our own:
    /// it may be the very operator that our lines come from.
    pub fn judge(&self, answer: &PortabilityAnswer) -> Option<Portability> {
        let PortabilityAnswer { ported, routing_number, operator, node, has_client } = answer;
        let moved = ported.unwrap_or(routing_number.is_some());
        let said = |served_by, trunk| {
            Some(Portability {
                served_by,
                ported: moved,
                trunk,
                has_client: has_client.or(node.as_ref().map(|_| true)),
            })
        };
        if node.is_some() && *node == self.own_node {
            return said(ServedBy::Ours, None);
        }
        if let Some(peer) = self.peers.iter().find(|peer| Some(&peer.node) == node.as_ref()) {
            return said(ServedBy::Peer(peer.name.clone()), peer.trunk.clone());
        }
        let begins = |prefix: &RoutingNumber| routing_number.as_ref().is_some_and(|rn| rn.begins_with(prefix));
        let is = |name: &OperatorName| {
            operator.as_ref().is_some_and(|operator| operator.as_str().eq_ignore_ascii_case(name.as_str()))
        };
        if self.own_routing_numbers.iter().any(begins) || self.own_operators.iter().any(is) {
            return said(ServedBy::Ours, None);
        }
        let fits =
            |route: &&RouteRule| route.prefix.as_ref().is_some_and(begins) || route.operator.as_ref().is_some_and(is);
        if let Some(route) = self.routes.iter().find(fits) {
            let peer = self.peers.iter().find(|peer| Some(&peer.name) == route.peer.as_ref());
            let trunk = route.trunk.clone().or(peer.and_then(|peer| peer.trunk.clone()));
            return said(peer.map_or(ServedBy::Other, |peer| ServedBy::Peer(peer.name.clone())), trunk);
        }
        let others_number = routing_number.is_some() && !self.own_routing_numbers.is_empty();
        let others = operator.is_some() && moved && !self.own_operators.is_empty();
        if others_number || others {
            return said(ServedBy::Other, None);
        }
        // That it hasn't moved is an answer too; an operator whom nobody knows is none.
        let something = ported.is_some() || routing_number.is_some() || node.is_some() || has_client.is_some();
        something.then(|| said(ServedBy::Unknown, None)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules() -> PortabilityRules {
        PortabilityRules {
            own_node: Some("https://node.a.example".parse().unwrap()),
            own_routing_numbers: vec!["+12125550".parse().unwrap()],
            own_operators: vec!["a.example".parse().unwrap()],
            peers: vec![PeerRule {
                name: "b".parse().unwrap(),
                node: "https://node.b.example/".parse().unwrap(),
                trunk: Some("to-b".parse().unwrap()),
            }],
            routes: vec![
                RouteRule {
                    prefix: Some("+1303".parse().unwrap()),
                    operator: None,
                    peer: Some("b".parse().unwrap()),
                    trunk: None,
                },
                RouteRule {
                    prefix: None,
                    operator: Some("c.example".parse().unwrap()),
                    peer: None,
                    trunk: Some("to-c".parse().unwrap()),
                },
            ],
        }
    }

    fn rn(text: &str) -> PortabilityAnswer {
        PortabilityAnswer {
            ported: Some(true),
            routing_number: Some(text.parse().unwrap()),
            ..PortabilityAnswer::default()
        }
    }

    fn node(text: &str) -> PortabilityAnswer {
        PortabilityAnswer { node: Some(text.parse().unwrap()), ..PortabilityAnswer::default() }
    }

    fn operator(text: &str, ported: Option<bool>) -> PortabilityAnswer {
        PortabilityAnswer { operator: Some(text.parse().unwrap()), ported, ..PortabilityAnswer::default() }
    }

    /// Served by, trunk, has client.
    fn judged(answer: &PortabilityAnswer) -> Option<(ServedBy, Option<String>, Option<bool>)> {
        let Portability { served_by, trunk, has_client, .. } = rules().judge(answer)?;
        Some((served_by, trunk.map(|trunk| trunk.to_string()), has_client))
    }

    fn peer() -> ServedBy {
        ServedBy::Peer("b".parse().unwrap())
    }

    #[test]
    fn ours_by_node_routing_number_or_operator() {
        assert_eq!(judged(&node("https://NODE.a.example:443/")), Some((ServedBy::Ours, None, Some(true))));
        assert_eq!(judged(&rn("+12125550199")), Some((ServedBy::Ours, None, None)));
        assert_eq!(judged(&operator("A.example", Some(true))), Some((ServedBy::Ours, None, None)));
    }

    #[test]
    fn others_by_peer_and_route() {
        assert_eq!(judged(&node("https://node.b.example")), Some((peer(), Some("to-b".into()), Some(true))));
        assert_eq!(judged(&rn("+13035550199")), Some((peer(), Some("to-b".into()), None)));
        assert_eq!(judged(&operator("c.example", None)), Some((ServedBy::Other, Some("to-c".into()), None)));
        assert_eq!(judged(&rn("+442079460000")), Some((ServedBy::Other, None, None)));
        assert_eq!(judged(&operator("d.example", Some(true))), Some((ServedBy::Other, None, None)));
    }

    #[test]
    fn a_node_that_is_no_peers_is_not_believed_to_serve_the_number() {
        assert_eq!(judged(&node("https://node.evil.example")), Some((ServedBy::Unknown, None, Some(true))));
        // What else the answer says still counts.
        let answer = PortabilityAnswer { node: node("https://node.evil.example").node, ..rn("+13035550199") };
        assert_eq!(judged(&answer), Some((peer(), Some("to-b".into()), Some(true))));
    }

    #[test]
    fn nothing_said_and_not_ported() {
        assert_eq!(judged(&PortabilityAnswer::default()), None);
        assert_eq!(judged(&operator("d.example", None)), None);
        let stays = PortabilityAnswer { ported: Some(false), ..PortabilityAnswer::default() };
        assert_eq!(judged(&stays), Some((ServedBy::Unknown, None, None)));
        let no_client = PortabilityAnswer { has_client: Some(false), ..PortabilityAnswer::default() };
        assert_eq!(judged(&no_client), Some((ServedBy::Unknown, None, Some(false))));
    }

    #[test]
    fn who_does_not_know_its_own_routing_number_takes_none_for_somebody_elses() {
        let rules = PortabilityRules::default();
        assert_eq!(rules.judge(&rn("+442079460000")).unwrap().served_by, ServedBy::Unknown);
        assert_eq!(rules.judge(&operator("d.example", Some(true))).unwrap().served_by, ServedBy::Unknown);
    }

    #[test]
    fn nodes_urls() {
        for (text, shown) in
            [("https://Node.example/", "https://node.example"), ("http://127.0.0.1:8600", "http://127.0.0.1:8600")]
        {
            assert_eq!(text.parse::<NodeUrl>().unwrap().to_string(), shown);
        }
        for bad in ["http://node.example", "sip:a@b", "https://a?x", "https://a#x", "https://u:p@a", "node", ""] {
            assert_eq!(bad.parse::<NodeUrl>(), Err(NodeUrlError), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_nodes_url_or_not(text in "https?://[ -~]{0,40}|\\PC{0,40}") {
            if let Ok(url) = text.parse::<NodeUrl>() {
                let shown = url.to_string();
                let harmless = !shown.contains(['\r', '\n', ' ', ';', '$', '{', '\\', '?', '#']);
                prop_assert!(harmless);
                prop_assert_eq!(shown.parse::<NodeUrl>().unwrap(), url);
            }
        }
    }
}
