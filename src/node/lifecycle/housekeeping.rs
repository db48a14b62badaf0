//! What is done from time to time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::contract::NodeRole;
use crate::core::base::time::UnixMillis;
use crate::core::call::Call;
use crate::monitor::{Beat, Tasks, now};
use crate::node::config::KeepCalls;
use crate::node::lifecycle::Upkeep;
use crate::node::lifecycle::database_probe::{beating, beating_while};
use crate::node::live_calls::GRACE;
use crate::store::{Store, StoreError};

const TICK: Duration = Duration::from_secs(1);
/// A sweep that gets nowhere for so long is hung: each of its steps waits for the database at most, and
/// the one that may take longer says that it goes on.
const HUNG: Duration = Duration::from_secs(30);
/// Renewals come before the shortest binding, a minute, can end.
const RENEW: u64 = 15;
const TIDY: u64 = 60;
/// Maximum number of ended calls forgotten in one write. Other writes wait for it.
const FORGOTTEN: usize = 64;
/// Batches of old calls that are forgotten in one tick: a backlog must not hold up the rest of a tick's work.
const BATCHES: usize = 16;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a hosted client may be away and still learn that it missed a call.
const MISSED_KEPT: Duration = DAY;
/// A call of which nothing was heard for so long is over, whatever became of the agent that followed it.
/// One that comes back sooner still finds the calls that are up.
const LOST: Duration = DAY;

impl Upkeep {
    /// Until shutdown.
    pub(in crate::node) async fn sweep(mut self, tasks: Tasks, shutdown: CancellationToken) {
        let beat = tasks.beat("sweep", HUNG);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for n in 0u64.. {
            tokio::select! {
                _ = ticks.tick() => {}
                () = shutdown.cancelled() => return,
            }
            beat.tick();
            let store = self.store.clone();
            // It may wait for a server that is away and may have committed its last write.
            let done = beating_while(&beat, || store.is_in_doubt(), self.tick(n, &beat)).await;
            if let Err(error) = done {
                // The store has logged that it fails; this is only what is put off by it.
                tracing::debug!(%error, "housekeeping is put off");
            }
        }
    }

    async fn tick(&mut self, n: u64, beat: &Beat) -> Result<(), StoreError> {
        self.space.measure();
        self.metrics.store_failed_writes(self.store.failed_writes());
        self.metrics.store_reads(self.store.reads());
        self.metrics.store_writes(self.store.writes(), self.store.commits());
        self.count_nodes();
        // For the metrics of PBXs whose agents have fallen silent.
        let _ = self.links.views(now());
        for call in self.live.to_retry() {
            beat.tick();
            // An empty report: only what was left undone. It is in the backlog again if it fails.
            let _ = self.reports.apply(&call, None, Vec::new()).await;
        }
        let gone = self.live.end_guests(now(), |guest| self.push.hub().is_connected(guest));
        gone.iter().for_each(|guest| self.deliveries.guest_left(guest));
        self.inbound.expire_offers().await?;
        self.pairing.tell_missed_calls(beat).await?;
        for over in self.live.over(now(), GRACE).chunks(FORGOTTEN) {
            beat.tick();
            // Forgotten first: from then on nobody adds to what is called off.
            let forgotten: Vec<Call> = over.iter().filter_map(|call| self.live.forget(call)).collect();
            let calls = forgotten.iter().map(|call| call.id.clone()).collect();
            if let Err(error) = self.deliveries.cancel_calls(calls).await {
                forgotten.into_iter().for_each(|call| self.live.put_back(call));
                return Err(error);
            }
            forgotten.iter().for_each(|call| self.posts.forget(&call.id));
        }
        self.metrics.calls_live(self.live.count());
        if n.is_multiple_of(RENEW) {
            self.metrics.upkeep();
            let connected = self.push.hub().to_renew();
            if !connected.is_empty() {
                self.store.extend_bindings(connected.clone(), now()).await?;
                self.push.hub().renewed(&connected);
            }
        }
        if n.is_multiple_of(TIDY) {
            self.store.expire_bindings(now()).await?;
            self.store.expire_enrolments(now()).await?;
            self.store.expire_missed(UnixMillis(now().0 - MISSED_KEPT.as_millis() as i64)).await?;
            self.end_lost().await;
            beating(beat, self.old_calls.set_limit(&self.store)).await?;
        }
        self.old_calls.delete_some(&self.store, beat).await
    }

    fn count_nodes(&self) {
        let time = now();
        let Some(nodes) = self.store.nodes(time) else { return };
        for role in NodeRole::ALL {
            self.metrics.nodes(role, nodes.iter().filter(|node| node.role == role && node.is_here(time)).count());
        }
    }

    /// Ends calls that nobody follows any more, as their agent would have.
    async fn end_lost(&self) {
        for (call, events) in self.live.silent_since(now(), LOST) {
            tracing::warn!(%call, "nothing was heard of a call for a day: it is taken for over");
            // If it can't be written down, it is in the backlog.
            let _ = self.reports.apply(&call, None, events).await;
        }
    }
}

/// Deletes ended calls that are too old or too many.
pub(in crate::node) struct OldCalls {
    keep: KeepCalls,
    deliveries_max: u64,
    /// Calls that ended before this time are still to be forgotten.
    before: Option<UnixMillis>,
}

impl OldCalls {
    /// `deliveries_max`: deliveries that are kept with their calls.
    pub(in crate::node) fn new(keep: KeepCalls, deliveries_max: u64) -> OldCalls {
        OldCalls { keep, deliveries_max, before: None }
    }

    async fn set_limit(&mut self, store: &Store) -> Result<(), StoreError> {
        let before = UnixMillis(now().0 - i64::from(self.keep.days) * DAY.as_millis() as i64);
        let before = before.max(store.crowded(self.deliveries_max).await?.unwrap_or(before));
        self.before = Some(store.prune_before(before, self.keep.count).await?);
        Ok(())
    }

    async fn delete_some(&mut self, store: &Store, beat: &Beat) -> Result<(), StoreError> {
        let Some(before) = self.before else { return Ok(()) };
        for _ in 0..BATCHES {
            beat.tick();
            if store.prune_batch(before).await? == 0 {
                self.before = None;
                return Ok(());
            }
        }
        Ok(())
    }
}
