//! `/v1/calls/{call}/guests` and `/v1/guests`: people who join a call with a code.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Capability, PeerClient, Role};
use crate::core::address::Address;
use crate::core::base::guest_code::GuestCode;
use crate::core::base::guest_name::GuestName;
use crate::core::base::name::{CallId, ClientId};
use crate::core::base::time::UnixMillis;
use crate::core::call::guests::Guest;

/// `POST /v1/calls/{call}/guests`: a client asks for a code that lets its guests in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGuestCode {
    /// The client, of the token's number: guests write to it.
    pub client: ClientId,
}

/// A code to read out to guests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GuestCodeCreated {
    /// Six digits.
    #[schema(value_type = String, example = "042917", pattern = "^[0-9]{6}$")]
    pub code: GuestCode,
    /// The page where guests type the code.
    #[schema(example = "https://node.example/j")]
    pub link: String,
    /// When the code expires, unless it is used before.
    pub expires: UnixMillis,
}

/// `POST /v1/guests`: a guest joins a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGuest {
    /// Six digits; hyphens and spaces are ignored.
    #[schema(value_type = String)]
    pub code: GuestCode,
    /// What the guest is called: 1 to 64 characters in one line.
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    pub name: GuestName,
    /// What the guest's client can do; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub capabilities: Vec<Capability>,
}

/// The answer to a guest who has joined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GuestCreated {
    /// The call.
    pub call: CallId,
    /// The side of the call that the guest is on.
    pub role: Role,
    /// The token for the guest's stream.
    pub token: String,
    /// The guest's own address: ask for ICE servers here, and put it as `reply` into what you send.
    pub address: Address,
    /// The other side's client. Its number is not told.
    pub peer: PeerClient,
}

/// A guest, as the host sees them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GuestView {
    /// The guest's client.
    pub id: ClientId,
    /// The name that the guest has typed. Nobody has checked it.
    pub name: GuestName,
    /// Where to send to the guest.
    pub address: Address,
    /// What the guest's client can do.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
}

/// The guests of a number, or of one of its devices, in a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GuestList {
    /// The number's own side of the call.
    pub role: Role,
    /// The guests, in the order in which they joined.
    pub guests: Vec<GuestView>,
}

impl From<Guest> for GuestView {
    fn from(guest: Guest) -> GuestView {
        GuestView { id: guest.client, name: guest.name, address: guest.address, capabilities: guest.capabilities }
    }
}
