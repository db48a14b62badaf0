//! Taking up after a restart what was going on before it.

use std::collections::BTreeSet;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::core::base::time::UnixMillis;
use crate::core::call::Call;
use crate::core::call::exchange::{Exchange, Pair};
use crate::core::call::remote_side::{PeerDelivery, PeerDeliveryState};
use crate::monitor::now;
use crate::node::lifecycle::Upkeep;
use crate::node::live_calls::GRACE;
use crate::store::{CallFilter, StoreError};

/// Live calls that are taken up; a PBX has fewer.
const CALLS: u32 = 200_000;
/// Calls that may have ended within the grace.
const RECENT: u32 = 20_000;

impl Upkeep {
    /// Reads live calls back, finishes what was pending, and begins to tell whoever wasn't told.
    pub(in crate::node) async fn resume(&self, shutdown: &CancellationToken) -> Result<(), StoreError> {
        let live = self.store.calls_at_startup(&CallFilter { live: Some(true), pbx: None, limit: CALLS }).await?;
        let over = self.store.calls_at_startup(&CallFilter { live: Some(false), pbx: None, limit: RECENT }).await?;
        let now = now();
        // One that ended in a day to come ended by a clock that was set back since.
        let recent = |ended: Option<UnixMillis>| ended.is_some_and(|ended| now - ended < GRACE && ended - now < GRACE);
        let open =
            self.store.open_pairs().await?.into_iter().map(|(call, [first, second])| Pair { call, first, second });
        let talking = self.live.restore(over.into_iter().filter(|call| recent(call.ended)).chain(live).collect());
        let pending = self.resume_deliveries().await?;
        // Beside the first requests: a pair is looked at as it is by then.
        self.pairing.reconcile_all_in_background(open.chain(talking).collect(), shutdown.clone());
        self.inbound.resume_offers().await?;
        for (call, bytes) in self.store.kept_posts().await? {
            // What isn't followed any more is never forgotten again, so it isn't counted.
            if self.live.read(|exchange| exchange.call(&call).is_some()) {
                self.posts.kept(&call, bytes, Instant::now());
            }
        }
        let unanswered: Vec<Call> = self.live.read(|exchange| {
            let calls = exchange.calls().filter(|call| is_unanswered(call));
            calls.cloned().collect()
        });
        unanswered.iter().for_each(|call| self.outbound.offer(call));
        for call in self.live.read(Exchange::missed) {
            self.ringing.tell_missed(&call).await?;
        }
        let calls = self.live.read(Exchange::len);
        if calls > 0 {
            tracing::info!(calls, pending, "took up the calls of before");
        }
        Ok(())
    }

    async fn resume_deliveries(&self) -> Result<usize, StoreError> {
        let mut resumed = 0;
        let mut forgotten = BTreeSet::new();
        let handed_out = self.store.handed_out().await?;
        for delivery in self.store.pending().await? {
            if delivery.outlives_call() {
                // The client gets it from the store when it connects.
                continue;
            }
            let Some(pbx) = self.live.pbx_of(&delivery.message.call) else {
                forgotten.insert(delivery.message.call);
                continue;
            };
            if let Some(binding) = self.store.binding(&delivery.client, now()).await? {
                match handed_out.contains(&delivery.message.id) {
                    true => self.deliveries.await_outcome(delivery, &binding, &pbx).await?,
                    false => self.deliveries.send(vec![(delivery, binding)], &pbx).await?,
                }
                resumed += 1;
            }
        }
        if !forgotten.is_empty() {
            self.store.drop_pending(forgotten.into_iter().collect(), true).await?;
        }
        Ok(resumed)
    }
}

/// Whether the node of the called number has not said yet what it thinks of our offer.
fn is_unanswered(call: &Call) -> bool {
    let pending = |offer: &PeerDelivery| offer.state == PeerDeliveryState::Pending;
    call.ended.is_none() && call.remote.offer.as_ref().is_some_and(pending)
}
