//! Why a node doesn't start, or stops.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::lnp::LnpError;
use crate::peer::PeerError;
use crate::store::StoreError;

/// A node that can't be.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A value that can't work.
    #[error("{key}: {reason}")]
    Config {
        /// The key in the configuration.
        key: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// The address can't be listened on.
    #[error("node.listen: can't listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate or its key can't be used.
    #[error("node.tls: {}: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Portability sources that can't be asked.
    #[error(transparent)]
    Lnp(#[from] LnpError),
    /// A peer can't be set up.
    #[error("peer: {0}")]
    Peer(#[from] PeerError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The listener broke.
    #[error("the node stopped serving: {0}")]
    Serve(#[source] std::io::Error),
}

impl NodeError {
    /// Whether somebody has to change the configuration.
    pub fn is_config(&self) -> bool {
        matches!(self, NodeError::Config { .. } | NodeError::Tls { .. } | NodeError::Lnp(_) | NodeError::Peer(_))
    }
}
