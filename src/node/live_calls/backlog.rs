//! The calls that have to be written or followed up again.

use std::collections::HashMap;

use crate::core::base::name::CallId;
use crate::core::call::exchange::Effect;

/// Calls whose state could not be written, and what still follows from their events. The agent is
/// told of the failure and repeats itself, or the sweep does it.
#[derive(Debug, Default)]
pub(super) struct Backlog(HashMap<CallId, Vec<Effect>>);

impl Backlog {
    pub(super) fn add(&mut self, call: &CallId, effects: Vec<Effect>) {
        self.0.entry(call.clone()).or_default().extend(effects);
    }

    pub(super) fn take(&mut self, call: &CallId) -> Option<Vec<Effect>> {
        self.0.remove(call)
    }

    pub(super) fn holds(&self, call: &CallId) -> bool {
        self.0.contains_key(call)
    }

    pub(super) fn calls(&self) -> Vec<CallId> {
        self.0.keys().cloned().collect()
    }
}
