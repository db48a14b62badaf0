//! What WebRTC clients need to find a path to each other (ICE, RFC 8445): where STUN and TURN servers are, credentials
//! for them, and a request that each of them answers.

pub mod ice_uri;
pub mod stun_request;
pub mod turn_credential;
