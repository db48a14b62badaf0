//! Taking up after a restart what was going on before it.

use std::time::{Duration, Instant};

use super::app::{App, GRACE};
use crate::core::call::Call;
use crate::core::exchange::Pair;
use crate::core::far::{Sent, SentState};
use crate::core::time::UnixMillis;
use crate::monitor::{brief, now};
use crate::store::{CallFilter, StoreError};

/// Live calls that are taken up; a PBX has fewer.
const CALLS: u32 = 200_000;
/// Calls that may have ended within the grace.
const RECENT: u32 = 20_000;
/// How long what could not be told waits for the database.
const AGAIN: Duration = Duration::from_secs(1);

impl App {
    /// Reads live calls back, finishes what was pending, and begins to tell whoever wasn't told.
    pub(super) async fn resume(&self) -> Result<(), StoreError> {
        let live = self.store.calls(&CallFilter { live: Some(true), pbx: None, limit: CALLS }).await?;
        let over = self.store.calls(&CallFilter { live: Some(false), pbx: None, limit: RECENT }).await?;
        let now = now();
        // One that ended in a day to come ended by a clock that was set back since.
        let recent = |ended: Option<UnixMillis>| ended.is_some_and(|ended| now - ended < GRACE && ended - now < GRACE);
        let open =
            self.store.open_pairs().await?.into_iter().map(|(call, [first, second])| Pair { call, first, second });
        let talking: Vec<Pair> = {
            let mut exchange = self.exchange();
            let mut calls: Vec<Call> = over.into_iter().filter(|call| recent(call.ended)).chain(live).collect();
            // As they came: a leg that was announced anew is in the later one.
            calls.sort_unstable_by(|a, b| a.id.cmp(&b.id));
            for (before, effects) in calls.into_iter().flat_map(|call| exchange.open(call)) {
                // The kill came between the two calls' writes.
                self.backlog().add(&before, effects);
            }
            let ids: Vec<_> = exchange.calls().map(|call| call.id.clone()).collect();
            ids.iter().flat_map(|id| exchange.pairs_in(id)).collect()
        };
        let pending = self.resume_deliveries().await?;
        // Beside the first requests: a pair is looked at as it is by then.
        tokio::spawn(brief("resume", self.clone().settle_all(open.chain(talking).collect())));
        self.resume_offers().await?;
        for (call, bytes) in self.store.kept_posts().await? {
            // What isn't followed any more is never forgotten again, so it isn't counted.
            if self.exchange().call(&call).is_some() {
                self.limits.kept(&call, bytes, Instant::now());
            }
        }
        let unanswered: Vec<Call> = self.exchange().calls().filter(|call| is_offering(call)).cloned().collect();
        unanswered.iter().for_each(|call| self.offer(call));
        let calls = self.exchange().calls().count();
        if calls > 0 {
            tracing::info!(calls, pending, "took up the calls of before");
        }
        Ok(())
    }

    async fn settle_all(self, mut pairs: Vec<Pair>) {
        loop {
            let mut failed = Vec::new();
            for pair in pairs {
                if let Err(error) = self.settle(&pair).await {
                    tracing::warn!(%error, call = %pair.call, "the clients of a call of before can't be told yet");
                    failed.extend(error.is_unavailable().then_some(pair));
                }
            }
            if failed.is_empty() {
                return;
            }
            pairs = failed;
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = self.shutdown.cancelled() => return,
            }
        }
    }

    async fn resume_deliveries(&self) -> Result<usize, StoreError> {
        let mut resumed = 0;
        let handed_out = self.store.handed_out().await?;
        for delivery in self.store.pending().await? {
            let call = delivery.message.call.clone();
            let pbx = self.exchange().call(&call).map(|call| call.pbx.clone());
            let Some(pbx) = pbx else {
                self.store.drop_pending(&call, true).await?;
                continue;
            };
            if let Some(binding) = self.store.binding(&delivery.client, now()).await? {
                match handed_out.contains(&delivery.message.id) {
                    true => self.await_outcome(delivery, &binding, &pbx).await?,
                    false => self.send(vec![(delivery, binding)], &pbx).await?,
                }
                resumed += 1;
            }
        }
        Ok(resumed)
    }
}

/// Whether the node of the called number has not said yet what it thinks of our offer.
fn is_offering(call: &Call) -> bool {
    let pending = |offer: &Sent| offer.state == SentState::Pending;
    call.ended.is_none() && call.far.offer.as_ref().is_some_and(pending)
}
