//! Who may learn a client's address.
//!
//! | a client offers it to | a number of this node | a listed peer | another peer | anybody else |
//! |---|---|---|---|---|
//! | `never` | no | no | no | no |
//! | `served` | yes | no | no | no |
//! | `peers` | yes | yes | no | no |
//! | `everyone` | yes | yes | yes | yes |
//!
//! It applies both ways: a client that keeps its address from somebody does not get theirs.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::core::base::name::{NameError, PeerName};

/// Maximum number of peers in a list.
pub const PEERS_MAX: usize = 64;

/// Who may learn a client's address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OfferTo {
    /// Nobody.
    Never,
    /// Numbers of this node.
    Served,
    /// Numbers of this node and of these peers, at most 64.
    Peers(BTreeSet<PeerName>),
    /// Anybody the call is with.
    #[default]
    Everyone,
}

/// The receiver of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receiver<'a> {
    /// A number of this node.
    Served,
    /// A number that this peer serves.
    Peer(&'a PeerName),
    /// Somebody else.
    Unknown,
}

impl OfferTo {
    /// Whether this receiver may learn the address.
    pub fn allows(&self, receiver: &Receiver<'_>) -> bool {
        match (self, receiver) {
            (OfferTo::Never, _) => false,
            (OfferTo::Everyone, _) | (OfferTo::Served | OfferTo::Peers(_), Receiver::Served) => true,
            (OfferTo::Peers(listed), Receiver::Peer(peer)) => listed.contains(peer),
            (OfferTo::Served | OfferTo::Peers(_), _) => false,
        }
    }
}

/// Why a text is not an [`OfferTo`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferToError {
    /// None of the words.
    #[error("{0:?} is none of never, served, peers:NAME,NAME and everyone")]
    Word(String),
    /// A peer's name isn't one.
    #[error("a peer's name {0}")]
    Peer(#[from] NameError),
}

impl FromStr for OfferTo {
    type Err = OfferToError;
    fn from_str(text: &str) -> Result<OfferTo, OfferToError> {
        match text {
            "never" => Ok(OfferTo::Never),
            "served" => Ok(OfferTo::Served),
            "everyone" => Ok(OfferTo::Everyone),
            _ => {
                let listed = text.strip_prefix("peers:").ok_or_else(|| OfferToError::Word(text.to_owned()))?;
                Ok(OfferTo::Peers(listed.split(',').map(str::parse).collect::<Result<_, _>>()?))
            }
        }
    }
}

impl fmt::Display for OfferTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OfferTo::Never => f.write_str("never"),
            OfferTo::Served => f.write_str("served"),
            OfferTo::Everyone => f.write_str("everyone"),
            OfferTo::Peers(listed) => {
                let listed: Vec<_> = listed.iter().map(PeerName::as_str).collect();
                write!(f, "peers:{}", listed.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> PeerName {
        name.parse().unwrap()
    }

    #[test]
    fn the_table() {
        let (b, c) = (peer("b"), peer("c"));
        let receivers = [Receiver::Served, Receiver::Peer(&b), Receiver::Peer(&c), Receiver::Unknown];
        for (offer, allowed) in [
            (OfferTo::Never, [false, false, false, false]),
            (OfferTo::Served, [true, false, false, false]),
            (OfferTo::Peers(BTreeSet::from([peer("b")])), [true, true, false, false]),
            (OfferTo::Peers(BTreeSet::new()), [true, false, false, false]),
            (OfferTo::Everyone, [true, true, true, true]),
        ] {
            assert_eq!(receivers.each_ref().map(|receiver| offer.allows(receiver)), allowed, "{offer}");
        }
    }

    #[test]
    fn as_it_is_written() {
        for (text, json) in [
            ("never", "\"never\""),
            ("served", "\"served\""),
            ("peers:a,b", r#"{"peers":["a","b"]}"#),
            ("everyone", "\"everyone\""),
        ] {
            let offer: OfferTo = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&offer).unwrap(), json);
            assert_eq!(serde_json::from_str::<OfferTo>(json).unwrap(), offer);
            assert_eq!(offer.to_string(), text);
        }
        for bad in ["", "always", "peers", "peers:", "peers:a b", "peers:a,,b"] {
            assert!(bad.parse::<OfferTo>().is_err(), "{bad:?}");
        }
    }
}
