//! Calls that have ended on the PBX and whose last reports are still on their way to the node.

use tokio::task::JoinHandle;

use super::reconcile::CallIdentity;
use crate::agent::call::CallHandle;
use crate::contract::CallView;

/// The calls that are no longer followed and still report.
#[derive(Debug, Default)]
pub(in crate::agent) struct FinishingCalls(Vec<(CallIdentity, JoinHandle<()>)>);

impl FinishingCalls {
    /// Adds a call that is over, and forgets those whose tasks have ended.
    pub(in crate::agent) fn add(&mut self, identity: CallIdentity, call: CallHandle) {
        self.0.retain(|(_, task)| !task.is_finished());
        self.0.push((identity, call.finish()));
    }

    /// Whether the call that the node takes for live is one of them.
    pub(in crate::agent) fn has(&self, view: &CallView) -> bool {
        let is_it = |call: &CallIdentity| (&call.leg, &call.called) == (&view.leg, &view.called);
        self.0.iter().any(|(call, task)| !task.is_finished() && is_it(call))
    }
}
