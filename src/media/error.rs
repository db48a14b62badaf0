//! Why a connection to another client can't be made or kept.

use std::io;
use std::net::IpAddr;

/// Why a connection can't be made or kept.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The WebRTC library made no certificate.
    #[error("a certificate for direct connections can't be made")]
    Certificate,
    /// The address can't be bound, or is none that others can reach.
    #[error("direct connections can't use {address}: {why}")]
    Socket {
        /// The address.
        address: IpAddr,
        /// The reason.
        why: io::Error,
    },
    /// The other side has another certificate than its offer: somebody may be in between.
    #[error("the other side has another certificate than its offer")]
    Impostor,
    /// The other side sent what the WebRTC library refuses, or the connection broke.
    #[error("the direct connection failed: {0}")]
    Connection(String),
}

impl MediaError {
    /// What the WebRTC library says.
    pub(super) fn connection(error: impl std::error::Error) -> MediaError {
        MediaError::Connection(error.to_string())
    }
}
