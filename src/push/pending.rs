//! What is being retried, so that it can be called off.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::core::name::CallId;

#[derive(Debug)]
struct Entry {
    call: CallId,
    peer: bool,
    stop: CancellationToken,
}

/// Deliveries under way, by id.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<HashMap<String, Entry>>);

impl Pending {
    /// False if it is under way already.
    pub(super) fn add(&self, id: &str, call: CallId, peer: bool, stop: CancellationToken) -> bool {
        let mut entries = self.lock();
        if entries.contains_key(id) {
            return false;
        }
        entries.insert(id.to_owned(), Entry { call, peer, stop });
        true
    }

    pub(super) fn forget(&self, id: &str) {
        if let Some(entry) = self.lock().remove(id) {
            entry.stop.cancel();
        }
    }

    pub(super) fn end_call(&self, call: &CallId, all: bool) {
        self.lock().retain(|_, entry| {
            let over = entry.call == *call && (all || entry.peer);
            if over {
                entry.stop.cancel();
            }
            !over
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
