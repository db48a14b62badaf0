//! `/v1/peer/offers`: what one node tells another (B11).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Capability;
use crate::core::address::Address;
use crate::core::base::name::CallId;
use crate::core::base::time::UnixMillis;
use crate::core::call::remote_side::Milestone;
use crate::core::numbering::number::Number;

/// `POST /v1/peer/offers`: one of our numbers calls one of yours, and this is how its client is reached.
///
/// The same call is offered once: repeats of an offer are told by `id`, and must say the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The offering node's call.
    pub id: CallId,
    /// Who calls; absent if that is not to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calling: Option<Number>,
    /// Who is called.
    pub called: Number,
    /// How the caller's client is reached.
    pub address: Address,
    /// The caller's name, at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What their client can do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub capabilities: Vec<Capability>,
    /// When the call began.
    pub at: UnixMillis,
    /// When this was sent, each time anew: what is older than a minute is a replay.
    pub sent: UnixMillis,
    /// The nodes that it has passed, the first one first, by their public URLs.
    #[schema(max_items = 8)]
    pub via: Vec<String>,
}

impl Offer {
    /// Whether it is the same offer, sent again.
    pub fn repeats(&self, earlier: &Offer) -> bool {
        *self == Offer { sent: self.sent, ..earlier.clone() }
    }
}

/// `POST /v1/peer/offers/{id}/part`: one node's part of a call that was offered, so that the other can show both.
///
/// It says when, and never who: no number, name, PBX or leg.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedTimeline {
    /// In order; of each kind the first.
    #[schema(max_items = 8)]
    pub steps: Vec<SharedTimelineEvent>,
}

/// One step of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SharedTimelineEvent {
    /// How long before this was sent, in ms: the two clocks may differ.
    pub ago: u32,
    /// What happened.
    #[serde(flatten)]
    pub what: Milestone,
}

/// Why an offer is not taken: a closed list, the same words in answers, metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OfferRefusal {
    /// Neither token nor certificate is one of a peer.
    UnknownPeer,
    /// The calling number is not one of that peer's.
    NotItsNumber,
    /// We don't serve the called number.
    NotServed,
    /// The same id, and something else in it.
    Replayed,
    /// Sent too long ago, or not yet.
    Stale,
    /// It has been here before, or has passed too many nodes.
    Loop,
    /// Too many offers.
    Limited,
    /// A value can't be taken.
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
