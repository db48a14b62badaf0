//! SIP MESSAGEs for the agent to send, and how that went.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::address::Address;
use crate::core::base::name::CallId;
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// A SIP MESSAGE for the agent to send through its PBX, in replies to events and to `PUT /v1/pbxs/{pbx}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SipMessage {
    /// The delivery.
    pub id: String,
    /// The client's address, of the `sip:` kind.
    pub to: Address,
    /// The number shown as the sender: the other party's.
    pub from: Number,
    /// Printable ASCII on one line, without `| ' \ $ { }`: safe in a command of either PBX.
    pub text: String,
    /// The agent drops the message if this call ends first. Absent if the message is useful after the call too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// The call that the message is about. Messages about one call to one address are sent one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<CallId>,
}

/// SIP MESSAGEs to send: the reply to `PUT /v1/pbxs/{pbx}`, and part of the reply to events.
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
    /// Absent if the PBX accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When the PBX began to send it (agent's clock). The outcome comes later: on FreeSWITCH after 100 ms or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixMillis>,
    /// It is unknown whether the PBX sent it. A second attempt might deliver it twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
    /// The PBX was never asked to send it, so another attempt is safe.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsent: bool,
    /// How long the agent pauses sending to this address, because a message failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest_ms: Option<u64>,
}
