//! Peer tasks: offers, answers and introductions that are sent to another node until it has them. Each call has at most one
//! task of a kind, which ends with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::core::base::backoff::Backoff;
use crate::core::base::name::CallId;
use crate::core::call::remote_side::{PeerDelivery, PeerDeliveryState};
use crate::core::numbering::number::Number;
use crate::monitor::{brief, now};
use crate::node::peering::outbound::Outbound;
use crate::peer::Outcome;

/// The tasks in flight.
#[derive(Debug, Default)]
pub(in crate::node) struct PeerTasks(Mutex<HashMap<CallId, HashMap<PeerTask, CancellationToken>>>);

/// What is sent for a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum PeerTask {
    Offer,
    Answer(Number),
    Introduction,
}

impl PeerTasks {
    fn begin(&self, call: &CallId, task: &PeerTask, stop: CancellationToken) -> bool {
        let mut calls = self.lock();
        let tasks = calls.entry(call.clone()).or_default();
        let new = !tasks.contains_key(task);
        tasks.entry(task.clone()).or_insert(stop);
        new
    }

    /// One that was stopped has gone already, and in its place there may be another.
    fn done(&self, call: &CallId, task: &PeerTask, stop: &CancellationToken) {
        let mut calls = self.lock();
        if let Some(tasks) = calls.get_mut(call).filter(|_| !stop.is_cancelled()) {
            tasks.remove(task);
            if tasks.is_empty() {
                calls.remove(call);
            }
        }
    }

    pub(super) fn stop(&self, call: &CallId, task: &PeerTask) {
        let mut calls = self.lock();
        // Under the lock, so that it isn't done in between.
        calls.get_mut(call).and_then(|tasks| tasks.remove(task)).iter().for_each(CancellationToken::cancel);
    }

    pub(super) fn end(&self, call: &CallId) {
        let mut calls = self.lock();
        calls.remove(call).unwrap_or_default().values().for_each(CancellationToken::cancel);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, HashMap<PeerTask, CancellationToken>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbound {
    /// Does it beside everything else, until it is done or the call ends.
    pub(super) fn run(
        self: &Arc<Self>,
        call: &CallId,
        task: PeerTask,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = self.shutdown.child_token();
        if self.tasks.begin(call, &task, stop.clone()) {
            // Looked at after it has begun: a call that ends from now on ends this too.
            if !self.live.is_live(call) {
                return self.tasks.done(call, &task, &stop);
            }
            let (outbound, call) = (self.clone(), call.clone());
            tokio::spawn(async move {
                // Done also if it has broken: it can be begun again.
                if stop.run_until_cancelled(brief("peer", work)).await.is_some() {
                    outbound.tasks.done(&call, &task, &stop);
                }
            });
        }
    }
}

/// Asks again until the other side has said yes or no; the caller ends it when nobody needs it.
pub(super) async fn until_settled<F: Future<Output = Outcome>>(
    ask: impl Fn() -> F,
    note: impl Fn(PeerDeliveryState, Option<String>),
) -> PeerDeliveryState {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (state, error, after) = match ask().await {
            Outcome::Accepted => (PeerDeliveryState::Accepted, None, None),
            Outcome::Refused(error) => (PeerDeliveryState::Refused, Some(error), None),
            Outcome::Again { error, after } => (PeerDeliveryState::Pending, Some(error), after),
        };
        note(state, error);
        if state != PeerDeliveryState::Pending {
            return state;
        }
        tokio::time::sleep(Backoff::HTTP.wait_for(attempt, rand::random(), after)).await;
    }
}

pub(super) fn attempted(sent: Option<&mut PeerDelivery>, state: PeerDeliveryState, error: Option<String>) {
    if let Some(sent) = sent {
        sent.attempted(state, error, now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_stopped_leaves_its_successor_alone() {
        let (tasks, call) = (PeerTasks::default(), "0199-1".parse().unwrap());
        let [first, second, third] = [(); 3].map(|()| CancellationToken::new());
        assert!(tasks.begin(&call, &PeerTask::Offer, first.clone()));
        tasks.stop(&call, &PeerTask::Offer);
        assert!(first.is_cancelled() && tasks.begin(&call, &PeerTask::Offer, second.clone()));
        tasks.done(&call, &PeerTask::Offer, &first);
        assert!(!tasks.begin(&call, &PeerTask::Offer, third.clone()));
        tasks.done(&call, &PeerTask::Offer, &second);
        assert!(tasks.begin(&call, &PeerTask::Offer, third.clone()));
        tasks.end(&call);
        assert!(third.is_cancelled() && tasks.lock().is_empty());
    }
}
