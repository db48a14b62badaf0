//! What an agent says of a call: the announcement, which the node answers with a decision, and the events that follow.

pub(in crate::node) mod decide;
pub(in crate::node) mod events;
mod identify;

use crate::core::call::exchange::EventRefusal;
use crate::node::live_calls::CallUnavailable;
use crate::store::StoreError;

/// Why a call could not be decided, or its events not applied.
#[derive(Debug, thiserror::Error)]
pub(in crate::node) enum CallError {
    #[error("the node follows as many calls as it may")]
    Full,
    #[error(transparent)]
    Unknown(#[from] CallUnavailable),
    #[error(transparent)]
    Events(#[from] EventRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}
