//! The locks of pairs: one pair of a call is reconciled at a time.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

use crate::core::base::name::CallId;

/// Calls share a few locks.
pub(in crate::node) struct PairLocks(Vec<Mutex<()>>);

impl Default for PairLocks {
    fn default() -> PairLocks {
        PairLocks((0..64).map(|_| Mutex::new(())).collect())
    }
}

impl PairLocks {
    pub(super) async fn of(&self, call: &CallId) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        call.hash(&mut hasher);
        self.0[hasher.finish() as usize % self.0.len()].lock().await
    }
}
