//! The record of a message to a client, in `deliveries.body`.

use serde::{Deserialize, Serialize};

use super::Record;
use super::words::RoleRecord;
use crate::contract::{Capability, Message, MessageBody, PeerClient, PeerIdentity};
use crate::core::address::Address;
use crate::core::base::name::{CallId, ClientId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<Address>,
    },
    #[serde(rename = "ended")]
    Ended {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<Number>,
    },
    #[serde(rename = "missed")]
    Missed { role: RoleRecord, peer: IdentityRecord, at: UnixMillis },
    #[serde(rename = "message")]
    Message {
        content: serde_json::Map<String, serde_json::Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        guest: Option<ClientId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sender: Option<Address>,
    },
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

/// A party, as the other party saw it.
#[derive(Debug, Serialize, Deserialize)]
struct IdentityRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl From<Message> for MessageRecord {
    fn from(message: Message) -> MessageRecord {
        let Message { id, call, body } = message;
        let body = match body {
            MessageBody::Peer { role, peer, own, reply } => BodyRecord::Peer {
                role: role.into(),
                peer: peer.into(),
                own: own.map(|own| Box::new(PeerRecord::from(*own))),
                reply,
            },
            MessageBody::Ended { number } => BodyRecord::Ended { number },
            MessageBody::Missed { role, peer, at } => BodyRecord::Missed { role: role.into(), peer: peer.into(), at },
            MessageBody::Message { content, guest, sender } => BodyRecord::Message { content, guest, sender },
        };
        MessageRecord { id, call, body }
    }
}

impl From<MessageRecord> for Message {
    fn from(record: MessageRecord) -> Message {
        let MessageRecord { id, call, body } = record;
        let body = match body {
            BodyRecord::Peer { role, peer, own, reply } => MessageBody::Peer {
                role: role.into(),
                peer: peer.into(),
                own: own.map(|own| Box::new(PeerClient::from(*own))),
                reply,
            },
            BodyRecord::Ended { number } => MessageBody::Ended { number },
            BodyRecord::Missed { role, peer, at } => MessageBody::Missed { role: role.into(), peer: peer.into(), at },
            BodyRecord::Message { content, guest, sender } => MessageBody::Message { content, guest, sender },
        };
        Message { id, call, body }
    }
}

impl From<PeerClient> for PeerRecord {
    fn from(peer: PeerClient) -> PeerRecord {
        let PeerClient { number, name, address, capabilities } = peer;
        PeerRecord { number, name, address, capabilities }
    }
}

impl From<PeerRecord> for PeerClient {
    fn from(record: PeerRecord) -> PeerClient {
        let PeerRecord { number, name, address, capabilities } = record;
        PeerClient { number, name, address, capabilities }
    }
}

impl From<PeerIdentity> for IdentityRecord {
    fn from(identity: PeerIdentity) -> IdentityRecord {
        let PeerIdentity { number, name } = identity;
        IdentityRecord { number, name }
    }
}

impl From<IdentityRecord> for PeerIdentity {
    fn from(record: IdentityRecord) -> PeerIdentity {
        let IdentityRecord { number, name } = record;
        PeerIdentity { number, name }
    }
}
