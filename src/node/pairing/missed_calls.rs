//! Telling softphones of the calls that they missed while their addresses were unreachable.

use std::collections::HashSet;

use crate::core::call::exchange::Pair;
use crate::monitor::Beat;
use crate::node::pairing::Pairing;
use crate::push::{MissedPairs, SipRoute};
use crate::store::StoreError;

/// What one sweep has done so far.
#[derive(Default)]
struct Done {
    reconciled: HashSet<Pair>,
    told: HashSet<SipRoute>,
}

impl Pairing {
    /// Tells an address that takes messages again of all calls that it missed, and probes any other
    /// address whose back-off is over with one message. If the database is not available, a later sweep does the rest.
    pub(in crate::node) async fn tell_missed_calls(&self, beat: &Beat) -> Result<(), StoreError> {
        let mut done = Done::default();
        let mut all = self.push.missed_pairs().into_iter();
        while let Some(missed) = all.next() {
            if let Err(error) = self.tell_missed_pairs(&missed, &mut done, beat).await {
                std::iter::once(missed).chain(all).for_each(|missed| self.push.put_back_missed(missed));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Fails only if the database is not available: a pair that can't be read holds up no other.
    async fn tell_missed_pairs(&self, missed: &MissedPairs, done: &mut Done, beat: &Beat) -> Result<(), StoreError> {
        for pair in self.live.newest_first(missed.pairs.clone()) {
            if missed.is_probe && done.told.contains(&missed.route) {
                break;
            }
            beat.tick();
            if done.reconciled.contains(&pair) {
                continue;
            }
            match self.reconcile_for_softphones(&pair).await {
                Ok(told) => done.told.extend(told),
                Err(error) if error.is_unavailable() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, call = %pair.call, "softphones can't be told of a call they missed")
                }
            }
            done.reconciled.insert(pair);
        }
        Ok(())
    }
}
