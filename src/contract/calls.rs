//! `/v1/calls`: the decision, and the view that administrators get.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{TimelineEvent, legacy};
use crate::core::address::Address;
use crate::core::base::name::{CallId, ClientId, LegId, PbxName, PeerName, TrunkName};
use crate::core::base::time::UnixMillis;
use crate::core::call::Phase;
use crate::core::call::remote_side::{AddressSource, PeerDelivery};
use crate::core::numbering::number::Number;
use crate::core::routing::route::{Reason, Route, Side};

/// `POST /v1/calls`: a call is being set up.
///
/// Asking again for the same leg of the same PBX gives the same call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// The PBX.
    pub pbx: PbxName,
    /// The announced leg.
    pub leg: LegId,
    /// The calling number; absent if withheld or not a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calling: Option<Number>,
    /// One of our own callers withholds the number. It is used to decide and pair, and shown to nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
    /// The called number.
    pub called: Number,
    /// Which side of the call the PBX is on.
    pub side: Side,
    /// The client address that a trusted trunk sent in the call signalling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_address: Option<Address>,
    /// Why the PBX has already routed the call itself. The node then only registers the call, so that it can be
    /// paired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routed: Option<Reason>,
    /// When the PBX announced it (agent's clock); absent if a snapshot revealed the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<UnixMillis>,
}

impl CallRequest {
    /// Converts the time from the agent's clock, which showed `sent`, to the one that shows `now`.
    #[must_use]
    pub fn by_clock(mut self, sent: Option<UnixMillis>, now: UnixMillis) -> CallRequest {
        self.announced = self.announced.map(|at| at.by_clock(sent, now));
        self
    }
}

/// The node's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallDecision {
    /// The id of the call.
    pub call: CallId,
    /// Where it goes.
    pub route: Route,
    /// The trunk of a packet route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<TrunkName>,
    /// The address to carry in the signalling of a packet route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Why.
    pub reason: Reason,
}

/// `GET /v1/calls`: the newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallList {
    /// At most `limit` calls.
    pub calls: Vec<CallView>,
}

/// A call, as administrators see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallView {
    /// Its id.
    pub call: CallId,
    /// Where it was announced.
    pub pbx: PbxName,
    /// The announced leg.
    pub leg: LegId,
    /// Legs whose end the call has not reported.
    #[schema(value_type = Vec<String>)]
    pub legs: Vec<LegId>,
    /// Those of `legs` known only from an answer or a bridge. The call they belong to may not have been reported yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub strangers: Vec<LegId>,
    /// Those of `legs` that a later call has announced. This call has not yet reported that they left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub moved: Vec<LegId>,
    /// Legs that hear each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<[String; 2]>)]
    pub hears: Vec<[LegId; 2]>,
    /// The calling number.
    pub calling: Option<Number>,
    /// The called number.
    pub called: Number,
    /// Which side the PBX is on.
    pub side: Side,
    /// Where it went.
    pub route: Route,
    /// The trunk it took.
    pub trunk: Option<TrunkName>,
    /// Why.
    pub reason: Reason,
    /// The client address in its signalling.
    pub address: Option<Address>,
    /// Its phase.
    pub phase: Phase,
    /// The `seq` of the last applied event; 0 before the first one, and from earlier nodes. A new agent numbers its
    /// reports above the highest `last_seq` of the PBX's calls.
    #[serde(default)]
    pub last_seq: u64,
    /// When the node decided.
    pub decided: UnixMillis,
    /// When somebody answered.
    pub answered: Option<UnixMillis>,
    /// When it ended.
    pub ended: Option<UnixMillis>,
    /// The PBX's hang-up cause.
    pub cause: Option<String>,
    /// The remote side, if another node serves it.
    #[serde(flatten, with = "legacy::remote")]
    #[schema(value_type = legacy::RemoteNames)]
    pub remote: Option<RemoteSideView>,
    /// Calls of this node linked to this one: the call goes from one of our PBXs to another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub with: Vec<CallId>,
    /// What happened, in order, in this call and those in `with`. `GET /v1/calls` omits it.
    #[serde(flatten, with = "legacy::timeline")]
    #[schema(value_type = legacy::TimelineNames)]
    pub timeline: Vec<TimelineEvent>,
    /// Messages to clients.
    pub deliveries: Vec<DeliveryView>,
}

#[cfg(test)]
impl CallView {
    /// A call that was announced and has no more to it.
    pub(crate) fn live(call: &str, leg: &str, called: &str, legs: &[&str]) -> CallView {
        let call = serde_json::json!({
            "call": call, "pbx": "office", "leg": leg, "legs": legs, "calling": null, "called": called,
            "side": "originating", "route": "local", "trunk": null, "reason": "called-has-client", "address": null,
            "phase": "decided", "decided": 0, "answered": null, "ended": null, "cause": null, "deliveries": [],
        });
        serde_json::from_value(call).unwrap()
    }
}

/// What this node knows of the remote side, and what it sent there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RemoteSideView {
    /// How this node received the remote client's address.
    #[serde(flatten, with = "legacy::known_source")]
    #[schema(value_type = legacy::KnownSourceNames)]
    pub source: Option<AddressSource>,
    /// The node that offered it.
    pub peer: Option<PeerName>,
    /// The number that our clients are shown.
    pub number: Option<Number>,
    /// Our own offer to the node that serves the called number.
    pub offer: Option<PeerDelivery>,
    /// Answers that this node sent on behalf of clients that can't.
    pub answers: Vec<AnswerView>,
    /// The call of this node that continues this one, or that this one continues.
    #[serde(flatten, with = "legacy::linked_call")]
    #[schema(value_type = legacy::LinkedCallNames)]
    pub linked_call: Option<CallId>,
}

/// An answer sent to the remote client's address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnswerView {
    /// The number whose client it announces.
    pub number: Number,
    /// How the delivery went.
    #[serde(flatten)]
    pub sent: PeerDelivery,
}

/// A message to one client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    /// The id of the delivery and of the message.
    pub id: String,
    /// The number of the client.
    pub number: Number,
    /// The client.
    pub client: ClientId,
    /// `hosted`, `sip` or `webhook`.
    pub form: String,
    /// The message: `peer`, `ended` or `message`.
    pub message: String,
    /// `pending`, `delivered`, `failed` or `dropped` (the call ended first).
    pub state: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was created.
    pub created: UnixMillis,
    /// When the client received it.
    pub delivered: Option<UnixMillis>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}
