//! `/v1/calls`: the decision, SIP MESSAGEs for the agent, and what an administrator sees of a call.

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
    /// Who calls; absent if withheld or not a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calling: Option<Number>,
    /// The caller is one of ours and withholds the number: it decides and pairs, and nobody is shown it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
    /// Who is called.
    pub called: Number,
    /// Which end of the call the PBX is.
    pub side: Side,
    /// The client address that came in the call signalling from a trusted trunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_address: Option<Address>,
    /// Set when the PBX has routed the call by its own default already, and why: the call is only
    /// registered, so that it can be paired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routed: Option<Reason>,
    /// When the PBX announced it (the agent's clock); absent if it was found in a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<UnixMillis>,
}

impl CallRequest {
    /// The request with its time by the clock that shows `now`, if the agent's showed `sent`.
    #[must_use]
    pub fn by_clock(mut self, sent: Option<UnixMillis>, now: UnixMillis) -> CallRequest {
        self.announced = self.announced.map(|at| at.by_clock(sent, now));
        self
    }
}

/// The node's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallDecision {
    /// The call's id from now on.
    pub call: CallId,
    /// Where it goes.
    pub route: Route,
    /// Through which trunk, on a packet route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<TrunkName>,
    /// The address to carry, on a packet route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Why.
    pub reason: Reason,
}

/// A SIP MESSAGE that the agent is asked to send through its PBX. It stands in the replies to
/// events and to `PUT /v1/pbxs/{pbx}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SipMessage {
    /// The delivery.
    pub id: String,
    /// The client's address, of the `sip:` kind.
    pub to: Address,
    /// The number in whose name it is sent: the other party's.
    pub from: Number,
    /// Printable ASCII on one line, without `| ' \ $ { }`: safe in a command of either PBX.
    pub text: String,
    /// The call after which nobody needs the message: the agent drops it if that call ends first. Absent if the
    /// message is of use after the call too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// The call that the message is about. An address gets messages about the same call one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<CallId>,
}

/// The answer to `PUT /v1/pbxs/{pbx}`, and part of that to events: what the agent is to send.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SipMessages {
    /// In order.
    pub messages: Vec<SipMessage>,
}

/// How sending a SIP MESSAGE went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SipMessageOutcome {
    /// The delivery.
    pub id: String,
    /// Absent if the PBX took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When the PBX began to send it (the agent's clock). What became of it is known later, on FreeSWITCH 100 ms and more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixMillis>,
    /// Whether the PBX took it is not known: sent again, it might be there twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    /// The PBX was never asked to send it, so it can be asked for again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsent: bool,
    /// How long the agent sends nothing to this address, since it didn't take a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest_ms: Option<u64>,
}

/// `GET /v1/calls`: the newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallList {
    /// At most `limit`.
    pub calls: Vec<CallView>,
}

/// A call as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallView {
    /// Its id.
    pub call: CallId,
    /// Where it was announced.
    pub pbx: PbxName,
    /// The announced leg.
    pub leg: LegId,
    /// Legs whose end has not been reported.
    #[schema(value_type = Vec<String>)]
    pub legs: Vec<LegId>,
    /// Those of `legs` that the call has only heard of: the report of the call that they belong to may come yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub strangers: Vec<LegId>,
    /// Those of `legs` that a later call has announced: this call has yet to report that they left it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub moved: Vec<LegId>,
    /// Legs that hear each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<[String; 2]>)]
    pub hears: Vec<[LegId; 2]>,
    /// Who calls.
    pub calling: Option<Number>,
    /// Who is called.
    pub called: Number,
    /// Which end the PBX is.
    pub side: Side,
    /// Where it went.
    pub route: Route,
    /// Through which trunk.
    pub trunk: Option<TrunkName>,
    /// Why.
    pub reason: Reason,
    /// The address that travels in its signalling.
    pub address: Option<Address>,
    /// How far it has come.
    pub phase: Phase,
    /// The `seq` of the last event that counted. An agent that has just started numbers its reports, those about other
    /// calls included, behind the highest one of the PBX. 0 before the first event, and from a node of an earlier version.
    #[serde(default)]
    pub last_seq: u64,
    /// When it was decided.
    pub decided: UnixMillis,
    /// When somebody answered.
    pub answered: Option<UnixMillis>,
    /// When it ended.
    pub ended: Option<UnixMillis>,
    /// The hang-up cause in the PBX's words.
    pub cause: Option<String>,
    /// Its other side, where that is another node's.
    #[serde(flatten, with = "legacy::remote")]
    #[schema(value_type = legacy::RemoteNames)]
    pub remote: Option<RemoteSideView>,
    /// Other calls of this node that are one with it: the call goes from one of our PBXs to another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub with: Vec<CallId>,
    /// What happened at its ends, those of `with` included, in order. `GET /v1/calls` leaves it out.
    #[serde(flatten, with = "legacy::timeline")]
    #[schema(value_type = legacy::TimelineNames)]
    pub timeline: Vec<TimelineEvent>,
    /// What was sent to clients.
    pub deliveries: Vec<DeliveryView>,
}

/// What a call knows of its other side, and what was said to that side's node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RemoteSideView {
    /// How its client's address came here, if it did.
    #[serde(flatten, with = "legacy::known_source")]
    #[schema(value_type = legacy::KnownSourceNames)]
    pub source: Option<AddressSource>,
    /// The node that offered it.
    pub peer: Option<PeerName>,
    /// The number that ours are shown.
    pub number: Option<Number>,
    /// Our own offer to the node that serves the called number.
    pub offer: Option<PeerDelivery>,
    /// What this node told the other side for clients that can't themselves.
    pub answers: Vec<AnswerView>,
    /// The call of this node that is the other half of this one.
    #[serde(flatten, with = "legacy::linked_call")]
    #[schema(value_type = legacy::LinkedCallNames)]
    pub linked_call: Option<CallId>,
}

/// An answer to the other side's address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnswerView {
    /// Whose client it tells of.
    pub number: Number,
    /// What became of it.
    #[serde(flatten)]
    pub sent: PeerDelivery,
}

/// One message on its way to one client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    /// Its id; the message carries the same.
    pub id: String,
    /// The number whose client it is for.
    pub number: Number,
    /// The client.
    pub client: ClientId,
    /// `hosted`, `sip` or `webhook`.
    pub form: String,
    /// What is sent: `peer`, `ended` or `message`.
    pub message: String,
    /// `pending`, `delivered`, `failed` or `dropped` (the call ended first).
    pub state: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was made.
    pub created: UnixMillis,
    /// When the client had it.
    pub delivered: Option<UnixMillis>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}
