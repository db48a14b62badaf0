//! `/v1/clients`: bindings of multimedia clients to numbers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::address::Address;
use crate::core::address::capability::Capability;
use crate::core::address::disclosure::OfferTo;
use crate::core::base::name::{ClientId, DeviceId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// `POST /v1/clients`: binds a client to the number of its token. If the number has a client with the same address,
/// renews that client and changes only what is named. A device renews its hosted client in the same way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    /// The number; may be left out with a client token, which is bound to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// Its own address: `sip:` for SIP MESSAGE, `https:` for a webhook. Without one the client is
    /// hosted: it reads its messages from `GET /v1/clients/{id}/stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// For a webhook: the signing secret (`whsec_` and base64). A new client without one is given one. If you
    /// repeat the request, name your own: a renewal shows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Seconds until the binding expires, 60 to 2,592,000; one day if a new client doesn't say. A hosted client that is
    /// connected doesn't expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// What it can do; nothing if a new client doesn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 16)]
    pub capabilities: Option<Vec<Capability>>,
    /// To whom its address may go; everyone if a new client doesn't say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<OfferTo>,
}

/// `PATCH /v1/clients/{id}`: what is to be different.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientChange {
    /// To whom its address may go from now on.
    pub offer: OfferTo,
}

/// The answer to `POST /v1/clients`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClientCreated {
    /// The binding.
    #[serde(flatten)]
    pub client: ClientView,
    /// For a new webhook: the signing secret. It is never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// How many clients are listed at most.
pub const CLIENTS_LISTED: u32 = 1_000;

/// `GET /v1/clients`: the newest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClientList {
    /// At most 1,000.
    pub clients: Vec<ClientView>,
}

/// A binding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClientView {
    /// Its id.
    pub id: ClientId,
    /// The number that it belongs to.
    pub number: Number,
    /// The device that bound it first; absent if it was bound with the number's credential or by an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// How messages reach it.
    pub form: ClientForm,
    /// Its own address, if it isn't hosted.
    pub address: Option<Address>,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// To whom its address may go.
    pub offer: OfferTo,
    /// When the binding ends.
    pub expires: UnixMillis,
    /// Whether a hosted client is connected now.
    pub connected: bool,
}

/// How messages reach a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientForm {
    /// It holds a stream open to its node.
    Hosted,
    /// A softphone: SIP MESSAGE through the PBX.
    Sip,
    /// A signed POST to its own address.
    Webhook,
}

impl ClientForm {
    /// The word, as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ClientForm::Hosted => "hosted",
            ClientForm::Sip => "sip",
            ClientForm::Webhook => "webhook",
        }
    }
}
