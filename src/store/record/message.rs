//! The record of a message to a client, in `deliveries.body`.

use serde::{Deserialize, Serialize};

use super::Record;
use super::words::RoleRecord;
use crate::contract::{Body, Capability, Message, Peer};
use crate::core::address::Address;
use crate::core::name::CallId;
use crate::core::number::Number;

/// A message.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct MessageRecord {
    id: String,
    call: CallId,
    #[serde(flatten)]
    body: BodyRecord,
}

impl Record for MessageRecord {
    const WHAT: &'static str = "delivery";
}

/// The content of a message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
enum BodyRecord {
    #[serde(rename = "peer")]
    Peer {
        role: RoleRecord,
        peer: PeerRecord,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        own: Option<Box<PeerRecord>>,
    },
    #[serde(rename = "ended")]
    Ended {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<Number>,
    },
    #[serde(rename = "message")]
    Message { content: serde_json::Map<String, serde_json::Value> },
}

/// A client, of the remote side or our own.
#[derive(Debug, Serialize, Deserialize)]
struct PeerRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    address: Address,
    #[serde(default)]
    capabilities: Vec<Capability>,
}

impl From<Message> for MessageRecord {
    fn from(message: Message) -> MessageRecord {
        let Message { id, call, body } = message;
        let body = match body {
            Body::Peer { role, peer, own } => BodyRecord::Peer {
                role: role.into(),
                peer: peer.into(),
                own: own.map(|own| Box::new(PeerRecord::from(*own))),
            },
            Body::Ended { number } => BodyRecord::Ended { number },
            Body::Message { content } => BodyRecord::Message { content },
        };
        MessageRecord { id, call, body }
    }
}

impl From<MessageRecord> for Message {
    fn from(record: MessageRecord) -> Message {
        let MessageRecord { id, call, body } = record;
        let body = match body {
            BodyRecord::Peer { role, peer, own } => {
                Body::Peer { role: role.into(), peer: peer.into(), own: own.map(|own| Box::new(Peer::from(*own))) }
            }
            BodyRecord::Ended { number } => Body::Ended { number },
            BodyRecord::Message { content } => Body::Message { content },
        };
        Message { id, call, body }
    }
}

impl From<Peer> for PeerRecord {
    fn from(peer: Peer) -> PeerRecord {
        let Peer { number, name, address, capabilities } = peer;
        PeerRecord { number, name, address, capabilities }
    }
}

impl From<PeerRecord> for Peer {
    fn from(record: PeerRecord) -> Peer {
        let PeerRecord { number, name, address, capabilities } = record;
        Peer { number, name, address, capabilities }
    }
}
