//! The timeline of a call: what happened on each side, and when.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::legacy;
use crate::core::base::name::{CallId, ClientId, LegId, PbxName, PeerName, TrunkName};
use crate::core::base::time::UnixMillis;
use crate::core::call::remote_side::{AddressSource, Milestone, PeerDeliveryState};
use crate::core::numbering::number::Number;
use crate::core::routing::route::{Reason, Route};

/// One event of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimelineEvent {
    /// When it happened: by the agent's clock for what happened on the PBX, otherwise by the node's.
    pub at: UnixMillis,
    /// On which side of the call it happened.
    #[serde(flatten, with = "legacy::side")]
    #[schema(value_type = legacy::SideNames)]
    pub side: TimelineSide,
    /// The PBX that reported it. If another node reported it, the PBX on this node's side.
    pub pbx: PbxName,
    /// The call of this node that it belongs to. A call from one PBX to another has two.
    pub call: CallId,
    /// What happened.
    #[serde(flatten)]
    pub what: TimelineDetail,
}

/// A side of a call, in its timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TimelineSide {
    /// The calling side.
    First,
    /// The called side.
    Second,
    /// Both.
    Both,
    /// The remote side, which another node serves, or none. Only what this node knows of it.
    #[serde(alias = "far")]
    Remote,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "step", rename_all = "lowercase")]
pub enum TimelineDetail {
    /// The PBX told its agent of the call.
    Announced {
        /// The announced leg.
        #[schema(value_type = String)]
        leg: LegId,
    },
    /// The node decided, or learned what the PBX had decided by itself.
    Decided {
        /// Where it goes.
        route: Route,
        /// Why.
        reason: Reason,
        /// The peer that serves the called number, according to a portability source.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serves: Option<PeerName>,
    },
    /// The call took this route.
    Routed {
        /// Where it goes.
        route: Route,
        /// Through which packet trunk.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trunk: Option<TrunkName>,
        /// Whether the caller's address travels in the signalling.
        address: bool,
    },
    /// The call was offered to another node.
    Offered(PeerDeliveryView),
    /// This node received the address of the remote client.
    Heard {
        /// How it was received.
        #[serde(flatten, with = "legacy::source")]
        #[schema(value_type = legacy::SourceNames)]
        source: AddressSource,
        /// The node that sent it, if it is a configured peer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<PeerName>,
        /// The number of the client; absent if withheld.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<Number>,
    },
    /// A leg answered.
    Answered {
        /// The number that the leg stands for, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<Number>,
        /// The PBX itself answered, with an attendant or a mailbox.
        machine: bool,
    },
    /// Two numbers hear each other.
    Paired(PairedNumbers),
    /// Two numbers no longer hear each other.
    Parted(PairedNumbers),
    /// A client was sent the other side's address, or the end of the call.
    Pushed {
        /// The number of the client.
        number: Number,
        /// The client.
        client: ClientId,
        /// `hosted`, `sip` or `webhook`.
        form: String,
        /// `peer` or `ended`.
        message: String,
        /// `pending`, `delivered`, `failed` or `dropped` (the call ended first).
        state: String,
        /// Attempts so far.
        attempts: u32,
        /// When the client received it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delivered: Option<UnixMillis>,
        /// Why the last attempt failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// This node answered the remote client on behalf of a client that can't.
    Replied {
        /// The number whose client was announced.
        number: Number,
        /// How the delivery went.
        #[serde(flatten)]
        delivery: PeerDeliveryView,
    },
    /// Another node reported an event on its side of the call.
    There {
        /// The node.
        node: PeerName,
        /// What happened there.
        #[serde(flatten)]
        what: Milestone,
    },
    /// The last leg is gone.
    Ended {
        /// The hang-up cause in the PBX's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
}

/// Two paired numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PairedNumbers {
    /// The calling side; absent if withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Number>,
    /// The called side; absent if withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<Number>,
}

/// A delivery to another node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PeerDeliveryView {
    /// The node, if it is a configured peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// Its state.
    pub state: PeerDeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When the other node accepted or refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<UnixMillis>,
    /// Why the last attempt failed, or why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
