//! Messages to multimedia clients, in the same form for every kind of client.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Capability, GuestView};
use crate::core::address::Address;
use crate::core::base::name::{CallId, ClientId, InvitationId};
use crate::core::base::time::UnixMillis;
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
    /// The same at each attempt, so that a client can ignore a repeat.
    pub id: String,
    /// The call that it belongs to.
    pub call: CallId,
    /// The content.
    #[serde(flatten)]
    pub body: MessageBody,
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum MessageBody {
    /// You are connected: this is the other party and the address of their client.
    Peer {
        /// Your own side of the call.
        role: Role,
        /// The other side.
        peer: PeerClient,
        /// Your own side, for you to send to the other: POST `{"type":"peer","peer":OWN}` to `peer.address`. Absent if
        /// their node has it already, or your node sends it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        own: Option<Box<PeerClient>>,
        /// The reply address of your client: what is posted there reaches no other client of your number. Put it into
        /// what you send if only your client is to get the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<Address>,
    },
    /// You are no longer connected; the addresses expire soon.
    Ended {
        /// The number you talked to; absent if withheld.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<Number>,
    },
    /// The called number did not answer: the call ended, or somebody else answered it.
    Missed {
        /// Your own side of the call. `second`: you missed it. `first`: they did not answer yours.
        role: Role,
        /// The other side.
        peer: PeerIdentity,
        /// When the call began, in milliseconds since 1970.
        at: UnixMillis,
    },
    /// Somebody who has your address for this call sent you a message.
    Message {
        /// A JSON object, as it was received.
        #[schema(value_type = Object)]
        content: serde_json::Map<String, serde_json::Value>,
        /// The client of the guest who sent it, as the node knows it; absent if no guest did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        guest: Option<ClientId>,
        /// The `peer.address` of the party who sent it. A client of that number has shown its token to the node. Absent if
        /// the node doesn't know who sent it: then it may be from anybody who has your address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sender: Option<Address>,
    },
}

impl MessageBody {
    /// The word in `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            MessageBody::Peer { .. } => "peer",
            MessageBody::Ended { .. } => "ended",
            MessageBody::Missed { .. } => "missed",
            MessageBody::Message { .. } => "message",
        }
    }
}

/// A message of the node's that only connected hosted clients get. It is never stored, and never acknowledged.
///
/// ```json
/// {"id":"…","call":"…","type":"taken","invitation":"screen-1","client":"0199…"}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// Its id.
    pub id: String,
    /// The call that it belongs to.
    pub call: CallId,
    /// The content.
    #[serde(flatten)]
    pub body: NoticeBody,
}

/// The content of a notice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type")]
pub enum NoticeBody {
    /// A call rings, or is about to: nobody has answered it yet. `peer`, `answered`, `missed` or `over` follows.
    #[serde(rename = "ringing")]
    Ringing {
        /// Your own side of the call.
        role: Role,
        /// The other side.
        peer: PeerIdentity,
    },
    /// You are connected with somebody whose client the node doesn't know, or not yet; or your call is answered by a voice mail, a
    /// menu, or a phone that nobody can name. May repeat.
    #[serde(rename = "answered")]
    Answered {
        /// Your own side of the call.
        role: Role,
        /// The other side, if the call is from or to it; otherwise empty.
        peer: PeerIdentity,
    },
    /// The call is over for you: it has ended, or goes on without you. May repeat. May be missing when `ended` or `missed` is
    /// sent.
    #[serde(rename = "over")]
    Over,
    /// Another client of your number has accepted an invitation: stop offering it to the user.
    #[serde(rename = "taken")]
    Claimed {
        /// The invitation.
        invitation: InvitationId,
        /// The client that has accepted it.
        client: ClientId,
    },
    /// A guest has joined with the code that your client asked for.
    #[serde(rename = "guest")]
    GuestJoined {
        /// Your own side of the call.
        role: Role,
        /// The guest. Nobody has checked the name.
        guest: GuestView,
        /// The reply address of your client. Leave it out of what you send to the guest, who has another one: the node would
        /// not know that the guest answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply: Option<Address>,
    },
    /// A guest of your client's is gone.
    #[serde(rename = "guest-left")]
    GuestLeft {
        /// The guest's client.
        guest: ClientId,
    },
}

impl NoticeBody {
    /// The word in `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            NoticeBody::Ringing { .. } => "ringing",
            NoticeBody::Answered { .. } => "answered",
            NoticeBody::Over => "over",
            NoticeBody::Claimed { .. } => "taken",
            NoticeBody::GuestJoined { .. } => "guest",
            NoticeBody::GuestLeft { .. } => "guest-left",
        }
    }
}

/// A party of a call, as the other party sees it before it knows their client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PeerIdentity {
    /// Their number; absent if withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// Their name in the directory of your node; absent if it has none, and with the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A party of a call and its client, as the other party sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PeerClient {
    /// Their number; absent if withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// Their name in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address of their client: POST a JSON object to an `https:` address, send a SIP MESSAGE to a `sip:` address.
    pub address: Address,
    /// What their client can do.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
}

/// A remote client, as our clients see it.
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

impl Role {
    /// The other side.
    #[must_use]
    pub fn other(self) -> Role {
        match self {
            Role::First => Role::Second,
            Role::Second => Role::First,
        }
    }
}
