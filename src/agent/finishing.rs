//! Calls that have ended on the PBX and whose last reports are still on their way to the node.

use tokio::task::JoinHandle;

use super::call::CallHandle;
use super::reconcile::CallIdentity;
use crate::contract::CallView;

/// The calls that are no longer followed and still report.
#[derive(Debug, Default)]
pub(super) struct Finishing(Vec<(CallIdentity, JoinHandle<()>)>);

impl Finishing {
    /// Adds a call that is over, and forgets those whose tasks have ended.
    pub(super) fn add(&mut self, identity: CallIdentity, call: CallHandle) {
        self.0.retain(|(_, task)| !task.is_finished());
        self.0.push((identity, call.finish()));
    }

    /// Whether the call that the node takes for live is one of them.
    pub(super) fn has(&self, view: &CallView) -> bool {
        let is_it = |call: &CallIdentity| (&call.leg, &call.called) == (&view.leg, &view.called);
        self.0.iter().any(|(call, task)| !task.is_finished() && is_it(call))
    }
}
