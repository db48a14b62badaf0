//! `/v1/peer/offers`: what nodes send each other (B11).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Capability;
use crate::core::address::Address;
use crate::core::base::name::CallId;
use crate::core::base::time::UnixMillis;
use crate::core::call::remote_side::Milestone;
use crate::core::numbering::number::Number;

/// `POST /v1/peer/offers`: one of the sender's numbers calls one of the receiver's, and its client has this address.
///
/// A call is offered once. A repeat has the same `id` and must have the same content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The offering node's call.
    pub id: CallId,
    /// The calling number; absent if withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calling: Option<Number>,
    /// The called number.
    pub called: Number,
    /// The address of the caller's client.
    pub address: Address,
    /// The caller's name, at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the client can do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub capabilities: Vec<Capability>,
    /// When the call began.
    pub at: UnixMillis,
    /// When this attempt was sent. After a minute it is a replay.
    pub sent: UnixMillis,
    /// Public URLs of the nodes it has passed, the first one first.
    #[schema(max_items = 8)]
    pub via: Vec<String>,
}

impl Offer {
    /// Whether this is a repeat of an earlier offer.
    pub fn repeats(&self, earlier: &Offer) -> bool {
        *self == Offer { sent: self.sent, ..earlier.clone() }
    }
}

/// `POST /v1/peer/offers/{id}/part`: one node's events of an offered call, so that the other node can show both sides.
///
/// It has times, and no number, name, PBX or leg.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedTimeline {
    /// In order, and only the first of each kind.
    #[schema(max_items = 8)]
    pub steps: Vec<SharedTimelineEvent>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SharedTimelineEvent {
    /// Milliseconds before this was sent. The two clocks may differ, so it is no absolute time.
    pub ago: u32,
    /// What happened.
    #[serde(flatten)]
    pub what: Milestone,
}

/// Why an offer is refused: a closed list, with the same words in answers, metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OfferRefusal {
    /// The token or certificate belongs to no peer.
    UnknownPeer,
    /// The calling number is not the peer's.
    NotItsNumber,
    /// This node does not serve the called number.
    NotServed,
    /// The id was used before, with other content.
    Replayed,
    /// The time of sending is too old, or in the future.
    Stale,
    /// It has passed this node before, or too many nodes.
    Loop,
    /// Too many offers.
    Limited,
    /// A value is not acceptable.
    Invalid,
}

impl OfferRefusal {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            OfferRefusal::UnknownPeer => "unknown-peer",
            OfferRefusal::NotItsNumber => "not-its-number",
            OfferRefusal::NotServed => "not-served",
            OfferRefusal::Replayed => "replayed",
            OfferRefusal::Stale => "stale",
            OfferRefusal::Loop => "loop",
            OfferRefusal::Limited => "limited",
            OfferRefusal::Invalid => "invalid",
        }
    }
}
