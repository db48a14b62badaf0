//! What a multimedia client gets, whatever its form.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Capability;
use crate::core::address::Address;
use crate::core::base::name::CallId;
use crate::core::call::remote_side::RemoteClient;
use crate::core::numbering::number::Number;

/// A message to a client.
///
/// ```json
/// {"id":"…","call":"…","type":"peer","role":"first","peer":{"number":"+12125550100","name":"Bob",
///  "address":"https://node.example/a/…","capabilities":["text"]}}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// The same at each attempt to deliver it: a client that has seen it ignores it.
    pub id: String,
    /// The call that it belongs to.
    pub call: CallId,
    /// What it says.
    #[serde(flatten)]
    pub body: MessageBody,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum MessageBody {
    /// The call is up: here is who you talk to and how their client is reached.
    Peer {
        /// Your own side of the call.
        role: Role,
        /// The other side.
        peer: PeerClient,
        /// Your own side, for the other one to be told: POST `{"type":"peer","peer":OWN}` to
        /// `peer.address`. Absent if their node knows it, or yours tells them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        own: Option<Box<PeerClient>>,
    },
    /// You no longer talk to them; the addresses end soon.
    Ended {
        /// Whom you talked to; absent if it was withheld.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<Number>,
    },
    /// Somebody who has your address for this call sent you this.
    Message {
        /// As it came: a JSON object.
        #[schema(value_type = Object)]
        content: serde_json::Map<String, serde_json::Value>,
    },
}

impl MessageBody {
    /// The word in `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            MessageBody::Peer { .. } => "peer",
            MessageBody::Ended { .. } => "ended",
            MessageBody::Message { .. } => "message",
        }
    }
}

/// The other side of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PeerClient {
    /// Their number; absent if they withhold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// Their name in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How their client is reached: POST a JSON object to an `https:` address, send a SIP MESSAGE
    /// to a `sip:` address.
    pub address: Address,
    /// What their client can do.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
}

/// Another node's client, as ours are told of it.
impl From<&RemoteClient> for PeerClient {
    fn from(client: &RemoteClient) -> PeerClient {
        PeerClient {
            number: client.number.clone(),
            name: client.name.clone(),
            address: client.address.clone(),
            capabilities: client.capabilities.clone(),
        }
    }
}

/// A side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The calling side.
    First,
    /// The called side.
    Second,
}
