//! What two nodes tell each other of their parts of a call that one has offered to the other (B11), so that each
//! can show it as one timeline.
//!
//! The offering node asks and tells in one request, shortly after something has changed in its own part: by then
//! the other side has seen it too. What is told is when, and never who. How long ago goes over the wire, no
//! time of day, so two clocks needn't agree. Where the called side's clients don't give their address to the other,
//! nothing is told that its PBX doesn't hear in the voice call.

use std::collections::HashSet;
use std::mem::discriminant;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::contract::{SharedTimeline, SharedTimelineEvent, TimelineDetail, TimelineEvent};
use crate::core::base::name::CallId;
use crate::core::base::time::UnixMillis;
use crate::core::call::remote_side::{Milestone, PeerDeliveryState, RemoteEvent};
use crate::core::call::{Call, Phase};
use crate::core::routing::route::Side;
use crate::monitor::{brief, now};
use crate::node::live_calls::GRACE;
use crate::node::peering::outbound::Outbound;
use crate::node::peering::outbound::peer_tasks::until_settled;
use crate::node::timeline::timeline;
use crate::peer::{Outcome, PeerNode};
use crate::store::StoreError;

/// What happens at one side of a call happens at the other so soon after it. An end that comes later is asked for again.
const MEANWHILE: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(30)];
/// Steps of a part: more kinds than there are.
pub(in crate::node) const STEPS_MAX: usize = 8;

/// Calls whose parts are compared in a moment: what changes until then is told with the rest.
#[derive(Debug, Default)]
pub(in crate::node) struct TimelineSyncs(Mutex<HashSet<CallId>>);

impl TimelineSyncs {
    fn lock(&self) -> MutexGuard<'_, HashSet<CallId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbound {
    /// Our part of a call has changed: the node that has taken its offer is told, and tells its own.
    pub(in crate::node) fn sync_timeline(self: &Arc<Self>, id: &CallId) {
        let taken = self.live.read(|exchange| exchange.call(id).and_then(|call| call.remote.offer.clone()));
        let taken = taken.filter(|offer| offer.state == PeerDeliveryState::Accepted).and_then(|offer| offer.peer);
        let Some(peer) = taken.and_then(|name| self.peers.get(&name).cloned()) else { return };
        if !self.syncs.lock().insert(id.clone()) {
            return;
        }
        let (outbound, id, stop) = (self.clone(), id.clone(), self.shutdown.child_token());
        tokio::spawn(brief("peer", async move {
            let ask = || outbound.sync_now(&id, &peer);
            let work = async {
                for meanwhile in MEANWHILE {
                    tokio::time::sleep(meanwhile).await;
                    outbound.syncs.lock().remove(&id);
                    // Whatever it comes to, the call isn't touched by it.
                    let _ = tokio::time::timeout(GRACE, until_settled(ask, |_, _| ())).await;
                    if !outbound.lacks_remote_end(&id) {
                        return;
                    }
                }
            };
            stop.run_until_cancelled(work).await;
        }));
    }

    /// Whether our part of a call is over, and theirs isn't as far as we know.
    fn lacks_remote_end(&self, id: &CallId) -> bool {
        let is_end = |event: &RemoteEvent| matches!(event.what, Milestone::Ended);
        let lacks = |call: &Call| {
            call.phase == Phase::Ended && !call.remote.events.is_empty() && !call.remote.events.iter().any(is_end)
        };
        self.live.read(|exchange| exchange.call(id).is_some_and(lacks))
    }

    async fn sync_now(&self, id: &CallId, peer: &PeerNode) -> Outcome {
        let ours = match self.own_timeline(id).await {
            Ok(ours) => ours,
            Err(error) => return Outcome::Again { error: error.to_string(), after: None },
        };
        match peer.sync_timeline(id, &ours).await {
            Ok(theirs) if theirs.steps.len() <= STEPS_MAX => {
                self.keep_remote_timeline(id, theirs);
                Outcome::Accepted
            }
            Ok(_) => Outcome::Refused("too many steps".to_owned()),
            Err(outcome) => outcome,
        }
    }

    /// What this node shares of a call's timeline.
    pub(in crate::node) async fn own_timeline(&self, id: &CallId) -> Result<SharedTimeline, StoreError> {
        let Some(call) = self.live.call(id) else { return Ok(SharedTimeline::default()) };
        let deliveries = self.store.deliveries_of(std::slice::from_ref(id)).await?;
        let deliveries: Vec<_> = deliveries.into_iter().map(|(_, delivery)| delivery).collect();
        Ok(shared_timeline(&call, &timeline(&call, &deliveries), now()))
    }

    /// Keeps what the other node says. It knows nothing of calls that were forgotten there.
    pub(in crate::node) fn keep_remote_timeline(&self, id: &CallId, theirs: SharedTimeline) {
        let now = now();
        let remote_event =
            |step: SharedTimelineEvent| RemoteEvent { at: UnixMillis(now.0 - i64::from(step.ago)), what: step.what };
        if !theirs.steps.is_empty() {
            self.live.change_remote(id, |remote| remote.events = theirs.steps.into_iter().map(remote_event).collect());
        }
    }
}

/// The milestones of a timeline, for the other node.
fn shared_timeline(call: &Call, timeline: &[TimelineEvent], now: UnixMillis) -> SharedTimeline {
    // Who offers has given an address; the called side has once the other was told of one of its clients.
    let given = call.side == Side::Originating || call.remote.announced.is_some();
    let mut steps: Vec<SharedTimelineEvent> = Vec::new();
    for step in timeline {
        let (at, what) = match &step.what {
            TimelineDetail::Announced { .. } => (step.at, Milestone::Announced),
            TimelineDetail::Decided { route, reason, .. } => {
                let (route, reason) = (given.then_some(*route), given.then_some(*reason));
                (step.at, Milestone::Decided { route, reason })
            }
            TimelineDetail::Answered { machine: false, .. } => (step.at, Milestone::Answered),
            TimelineDetail::Paired(_) => (step.at, Milestone::Paired),
            TimelineDetail::Pushed { message, delivered: Some(at), .. } if given && message == "peer" => {
                (*at, Milestone::Pushed)
            }
            TimelineDetail::Ended { .. } => (step.at, Milestone::Ended),
            _ => continue,
        };
        // Of each the first: whom a call is handed on to inside isn't told.
        if !steps.iter().any(|known| discriminant(&known.what) == discriminant(&what)) {
            let ago = u32::try_from((now - at).as_millis()).unwrap_or(u32::MAX);
            steps.push(SharedTimelineEvent { ago, what });
        }
    }
    SharedTimeline { steps }
}
