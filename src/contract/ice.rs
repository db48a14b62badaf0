//! `GET /v1/ice` and `GET /a/{token}/ice`: ICE servers, in the form of WebRTC's `RTCConfiguration`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::base::time::UnixMillis;
use crate::core::ice::ice_uri::IceUri;

/// What a browser takes as the configuration of an `RTCPeerConnection`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IceServers {
    /// STUN servers, then TURN servers; none if the node has none.
    #[serde(rename = "iceServers")]
    #[schema(max_items = 2)]
    pub ice_servers: Vec<IceServer>,
    /// The candidates that a client may use; all of them if this is missing.
    #[serde(rename = "iceTransportPolicy", default, skip_serializing_if = "Option::is_none")]
    pub ice_transport_policy: Option<IceTransportPolicy>,
    /// When the credentials expire, in ms since 1970. A session that began before goes on; ask again for a new one.
    pub expires: UnixMillis,
}

/// WebRTC's `RTCIceTransportPolicy`, without the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum IceTransportPolicy {
    /// Relayed candidates only. This hides the addresses of the client's network from the other client; the other
    /// organisation's node still sees where posts come from.
    Relay,
}

/// Servers of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IceServer {
    /// Where they are (RFC 7064, RFC 7065).
    #[schema(max_items = 16)]
    pub urls: Vec<IceUri>,
    /// For TURN servers: the time of its expiry in seconds since 1970, a colon, and an id that names no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For TURN servers: the password that belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}
