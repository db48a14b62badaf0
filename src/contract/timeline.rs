//! A call told in order: what happened at each of its ends, and when.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::legacy;
use crate::core::base::name::{CallId, ClientId, LegId, PbxName, PeerName, TrunkName};
use crate::core::base::time::UnixMillis;
use crate::core::call::remote_side::{AddressSource, Milestone, PeerDeliveryState};
use crate::core::numbering::number::Number;
use crate::core::routing::route::{Reason, Route};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimelineEvent {
    /// When, by the clock of whoever saw it: the agent's for what happened on the PBX, else the node's.
    pub at: UnixMillis,
    /// Where.
    #[serde(flatten, with = "legacy::side")]
    #[schema(value_type = legacy::SideNames)]
    pub side: TimelineSide,
    /// The PBX that it is known from; of what another node says, the PBX at this end.
    pub pbx: PbxName,
    /// The call of this node that it belongs to: one that goes from PBX to PBX is two.
    pub call: CallId,
    /// What.
    #[serde(flatten)]
    pub what: TimelineDetail,
}

/// Which end of a call something concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TimelineSide {
    /// The calling side.
    First,
    /// The called side.
    Second,
    /// Both.
    Both,
    /// The other side, which is another node's or nobody's: what we know of it from here.
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
    /// The node decided, or got to know what the PBX had decided by itself.
    Decided {
        /// Where it goes.
        route: Route,
        /// Why.
        reason: Reason,
        /// Who serves the called number, if a portability source says a peer does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        serves: Option<PeerName>,
    },
    /// The call went that way.
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
    /// The address of the other side's client came here.
    Heard {
        /// By which way.
        #[serde(flatten, with = "legacy::source")]
        #[schema(value_type = legacy::SourceNames)]
        source: AddressSource,
        /// From which node, if it is a known one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<PeerName>,
        /// Whose client it is; absent if that is withheld.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<Number>,
    },
    /// A leg answered.
    Answered {
        /// Whom it stands for; absent if that is nobody's number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<Number>,
        /// The PBX answered by itself: an attendant, a mailbox.
        machine: bool,
    },
    /// Two numbers hear each other.
    Paired(PairedNumbers),
    /// They no longer do.
    Parted(PairedNumbers),
    /// A client was told of the other side, or that it is over.
    Pushed {
        /// The number whose client it is.
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
        /// When the client had it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delivered: Option<UnixMillis>,
        /// Why the last attempt failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// This node answered the other side's client, for a client that can't itself.
    Replied {
        /// Whose client it tells of.
        number: Number,
        /// How that went.
        #[serde(flatten)]
        delivery_to_peer: PeerDeliveryView,
    },
    /// What happened in another node's part of the call, as that node says.
    There {
        /// Which node.
        node: PeerName,
        /// What.
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

/// The two who are paired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PairedNumbers {
    /// The calling side; absent if it is withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Number>,
    /// The called side; absent if it is withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<Number>,
}

/// Something that is sent to another node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PeerDeliveryView {
    /// The node, if it is a known one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// How far it has come.
    pub state: PeerDeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was taken or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<UnixMillis>,
    /// Why the last attempt failed, or why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
