//! Telling softphones of the calls that they missed while their addresses rested.

use std::collections::HashSet;

use crate::core::call::exchange::Pair;
use crate::monitor::Beat;
use crate::node::pairing::Pairing;
use crate::push::{Rested, SipRoute};
use crate::store::StoreError;

/// What one sweep has done so far.
#[derive(Default)]
struct Done {
    reconciled: HashSet<Pair>,
    told: HashSet<SipRoute>,
}

impl Pairing {
    /// Tells an address that takes messages again of all calls that it missed, and tries any other address whose rest is
    /// over with one message. If the database is not available, a later sweep does the rest.
    pub(in crate::node) async fn tell_missed_calls(&self, beat: &Beat) -> Result<(), StoreError> {
        let mut done = Done::default();
        let mut all = self.push.rested().into_iter();
        while let Some(rested) = all.next() {
            if let Err(error) = self.tell_missed_pairs(&rested, &mut done, beat).await {
                std::iter::once(rested).chain(all).for_each(|rested| self.push.put_back_rested(rested));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Fails only if the database is not available: a pair that can't be read holds up no other.
    async fn tell_missed_pairs(&self, rested: &Rested, done: &mut Done, beat: &Beat) -> Result<(), StoreError> {
        for pair in self.live.newest_first(rested.missed.clone()) {
            if rested.is_try && done.told.contains(&rested.route) {
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
