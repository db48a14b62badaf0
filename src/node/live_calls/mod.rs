//! The live calls of this node: the exchange, the writing down of calls, and the backlog of what failed. All of it is
//! behind one lock.
//!
//! A question or a change is a closure that runs under the lock, and nothing hands out a guard. So nobody can hold the
//! lock across an `await`. A closure must not use [`LiveCalls`] itself: it would wait for its own lock forever. Debug
//! builds panic instead. Code that also needs the offers of other nodes locks those first (`peering::inbound`).

mod backlog;
mod claims;
mod guests;

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::contract::{CallEvent, CallReport};
use crate::core::base::name::{AgentId, CallId, LegId, PbxName};
use crate::core::base::time::UnixMillis;
use crate::core::call::claims::InvitationClaims;
use crate::core::call::exchange::{Effect, EventRefusal, Exchange, Pair};
use crate::core::call::guests::Guests;
use crate::core::call::remote_side::RemoteSide;
use crate::core::call::report_order::Serial;
use crate::core::call::{Call, LOST, LegReport, Phase};
use crate::core::numbering::number::Number;
use crate::core::routing::route::{Reason, Route};
use crate::store::{Commit, Store, StoreError};
use backlog::Backlog;
pub(in crate::node) use claims::ClaimRefusal;
pub(in crate::node) use guests::InviteRefusal;

/// How long a number's address is still good after it has parted, and farewells are tried after a call's end.
pub(in crate::node) const GRACE: Duration = Duration::from_secs(60);

thread_local! {
    /// Whether this thread holds the lock.
    static HELD: Cell<bool> = const { Cell::new(false) };
}

/// The live calls, and those that ended within the grace.
#[derive(Clone)]
pub(in crate::node) struct LiveCalls(Arc<Inner>);

struct Inner {
    calls: Mutex<Calls>,
    store: Store,
    calls_max: usize,
}

/// What the lock guards.
struct Calls {
    exchange: Exchange,
    backlog: Backlog,
    claims: InvitationClaims,
    guests: Guests,
}

/// A call that was opened, or the one of the same leg that there was.
pub(in crate::node) struct Opening {
    pub(in crate::node) call: Call,
    pub(in crate::node) is_new: bool,
}

/// What events came to.
pub(in crate::node) struct Applied {
    /// The calls that are different now, and their way to the database.
    pub(in crate::node) changed: Vec<CallId>,
    pub(in crate::node) write: Result<Commit, StoreError>,
    pub(in crate::node) effects: Vec<Effect>,
    pub(in crate::node) refused: Option<EventRefusal>,
    /// The call had ended before one of the events.
    pub(in crate::node) was_over: bool,
}

/// Why a call can't be changed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::node) enum CallUnavailable {
    /// Nobody opened it, or it is long over.
    #[error("no such call")]
    Unknown,
}

impl LiveCalls {
    /// `conference_size` is how many people of one conference are paired at most, `calls_max` from how many calls on
    /// [`LiveCalls::is_full`] holds.
    pub(in crate::node) fn new(store: Store, conference_size: usize, calls_max: usize) -> LiveCalls {
        let exchange = Exchange::new(conference_size);
        let (backlog, claims, guests) = Default::default();
        let calls = Calls { exchange, backlog, claims, guests };
        LiveCalls(Arc::new(Inner { calls: Mutex::new(calls), store, calls_max }))
    }

    /// Asks the exchange a question.
    pub(in crate::node) fn read<T>(&self, ask: impl FnOnce(&Exchange) -> T) -> T {
        self.locked(|calls| ask(&calls.exchange))
    }

    /// A copy of a call.
    pub(in crate::node) fn call(&self, id: &CallId) -> Option<Call> {
        self.read(|exchange| exchange.call(id).cloned())
    }

    /// The PBX that a call was announced on.
    pub(in crate::node) fn pbx_of(&self, id: &CallId) -> Option<PbxName> {
        self.read(|exchange| exchange.call(id).map(|call| call.pbx.clone()))
    }

    /// Whether a call is known and has not ended.
    pub(in crate::node) fn is_live(&self, id: &CallId) -> bool {
        self.read(|exchange| exchange.call(id).is_some_and(|call| call.phase != Phase::Ended))
    }

    /// The pairs that talk in a call.
    pub(in crate::node) fn pairs_in(&self, id: &CallId) -> Vec<Pair> {
        self.read(|exchange| exchange.pairs_in(id))
    }

    /// The pairs in which a number talks.
    pub(in crate::node) fn pairs_of(&self, number: &Number) -> Vec<Pair> {
        self.read(|exchange| exchange.pairs_of(number))
    }

    /// These pairs in the order of their calls, the newest call first.
    pub(in crate::node) fn newest_first(&self, mut pairs: Vec<Pair>) -> Vec<Pair> {
        self.read(|exchange| {
            pairs.sort_by_cached_key(|pair| Reverse(exchange.call(&pair.call).map(|call| call.decided)));
        });
        pairs
    }

    /// How many calls have not ended.
    pub(in crate::node) fn count(&self) -> usize {
        self.read(Exchange::live_len)
    }

    /// Calls that have not ended, the newest first.
    pub(in crate::node) fn list(&self, pbx: Option<&PbxName>, limit: usize) -> Vec<Call> {
        self.read(|exchange| {
            let wanted = |call: &&Call| call.ended.is_none() && pbx.is_none_or(|pbx| *pbx == call.pbx);
            let mut calls: Vec<&Call> = exchange.calls().filter(wanted).collect();
            calls.sort_unstable_by(|a, b| b.id.cmp(&a.id));
            calls.into_iter().take(limit).cloned().collect()
        })
    }

    /// Whether there are as many calls as the node may follow.
    pub(in crate::node) fn is_full(&self) -> bool {
        self.read(|exchange| exchange.len() >= self.0.calls_max)
    }

    /// The call of an announcement that has come before. `routed` is what the PBX says that it did by itself.
    pub(in crate::node) fn announced(
        &self,
        pbx: &PbxName,
        leg: &LegId,
        called: &Number,
        routed: Option<Reason>,
    ) -> Option<Call> {
        self.locked(|calls| self.announced_before(calls, pbx, leg, called, routed))
    }

    /// Opens a call, unless its leg was announced before; `routed` as in [`LiveCalls::announced`].
    pub(in crate::node) fn open(&self, call: Call, routed: Option<Reason>) -> Opening {
        self.locked(|calls| {
            // Two announcements of one leg at the same time: the first one stands.
            if let Some(call) = self.announced_before(calls, &call.pbx, &call.leg, &call.called, routed) {
                return Opening { call, is_new: false };
            }
            let changed = calls.exchange.open(call.clone());
            // What it knows of its other side may have come along with the leg.
            let call = calls.exchange.call(&call.id).cloned().unwrap_or(call);
            self.write_behind(&mut calls.backlog, &call);
            for (other, effects) in changed {
                // The agent reports about that call too: with that, or soon after, it is written.
                calls.backlog.add(&other, effects);
            }
            Opening { call, is_new: true }
        })
    }

    /// Applies events of a call in order, as this agent numbers them, after what is in the backlog for the call.
    ///
    /// # Errors
    /// If the call is unknown.
    pub(in crate::node) fn apply(
        &self,
        id: &CallId,
        agent: Option<&AgentId>,
        reports: &[LegReport],
    ) -> Result<Applied, CallUnavailable> {
        self.locked(|Calls { exchange, backlog, .. }| {
            exchange.call(id).ok_or(CallUnavailable::Unknown)?;
            let (mut touched, mut refused, mut was_over) = (BTreeSet::new(), None, false);
            let mut effects = match backlog.take(id) {
                Some(effects) => {
                    touched.insert(id.clone());
                    effects
                }
                None => Vec::new(),
            };
            for report in reports {
                let serial = Serial { agent, seq: report.seq };
                if exchange.call(id).is_some_and(|call| !call.is_repeat(serial, report.at)) {
                    touched.extend(exchange.touched_by(id, &report.event));
                }
                match exchange.apply(id, serial, report.at, &report.event) {
                    Ok(new) => effects.extend(new),
                    // Late news of a call that is over is no news.
                    Err(EventRefusal::Ended) => was_over = true,
                    Err(error) => refused = Some(error),
                }
            }
            let calls: Vec<Call> = touched.iter().filter_map(|id| exchange.call(id).cloned()).collect();
            let changed = calls.iter().map(|call| call.id.clone()).collect();
            // An empty write is in its place in the queue too: a repeat waits for what it repeats.
            Ok(Applied { changed, write: self.write(calls), effects, refused, was_over })
        })
    }

    /// Changes what a call knows of its other side, and writes it down.
    pub(in crate::node) fn change_remote<T>(
        &self,
        id: &CallId,
        change: impl FnOnce(&mut RemoteSide) -> T,
    ) -> Option<T> {
        self.locked(|Calls { exchange, backlog, .. }| {
            let (returned, is_changed) = exchange.change_remote(id, change)?;
            if is_changed {
                exchange.call(id).into_iter().for_each(|call| self.write_behind(backlog, call));
            }
            Some(returned)
        })
    }

    /// Puts calls in the backlog, and `of` with what still follows from its events.
    pub(in crate::node) fn retry_later(&self, calls: &[CallId], of: &CallId, effects: Vec<Effect>) {
        self.locked(|Calls { backlog, .. }| {
            calls.iter().for_each(|call| backlog.add(call, Vec::new()));
            backlog.add(of, effects);
        });
    }

    /// The calls in the backlog. An empty report of such a call does what was left undone.
    pub(in crate::node) fn to_retry(&self) -> Vec<CallId> {
        self.locked(|calls| calls.backlog.calls())
    }

    /// Opens calls that were read back after a restart. Returns the pairs that talk.
    pub(in crate::node) fn restore(&self, mut restored: Vec<Call>) -> Vec<Pair> {
        // As they came: a leg that was announced anew is in the later one.
        restored.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.locked(|Calls { exchange, backlog, .. }| {
            for (other, effects) in restored.into_iter().flat_map(|call| exchange.open(call)) {
                // The kill came between the two calls' writes.
                backlog.add(&other, effects);
            }
            exchange.calls().flat_map(|call| exchange.pairs_in(&call.id)).collect()
        })
    }

    /// The calls of which nothing was heard for so long, each with the events that end it.
    pub(in crate::node) fn silent_since(&self, now: UnixMillis, after: Duration) -> Vec<(CallId, Vec<CallReport>)> {
        let ended = |call: &Call| -> Vec<CallReport> {
            let cause = || Some(LOST.to_owned());
            let ended = call.unfinished().map(|leg| CallEvent::Ended { leg: leg.clone(), cause: cause() });
            (call.last_seq + 1..).zip(ended).map(|(seq, event)| CallReport { seq, at: now, event }).collect()
        };
        self.read(|exchange| {
            let lost = exchange.lost(now, after).into_iter();
            lost.filter_map(|id| exchange.call(&id).map(ended).map(|events| (id, events))).collect()
        })
    }

    /// The calls that ended at least `grace` ago, but for those in the backlog.
    pub(in crate::node) fn over(&self, now: UnixMillis, grace: Duration) -> Vec<CallId> {
        self.locked(|Calls { exchange, backlog, .. }| {
            exchange.ended_for(now, grace).filter(|call| !backlog.holds(call)).cloned().collect()
        })
    }

    /// Forgets a call that is over, and what was claimed in it.
    pub(in crate::node) fn forget(&self, id: &CallId) -> Option<Call> {
        self.locked(|calls| {
            calls.claims.forget(id);
            calls.exchange.forget(id)
        })
    }

    /// Takes back a call that was forgotten too early, without its claims: it is over, and nobody claims anything in it.
    pub(in crate::node) fn put_back(&self, call: Call) {
        self.locked(|calls| _ = calls.exchange.open(call));
    }

    fn announced_before(
        &self,
        Calls { exchange, backlog, .. }: &mut Calls,
        pbx: &PbxName,
        leg: &LegId,
        called: &Number,
        routed: Option<Reason>,
    ) -> Option<Call> {
        let before = exchange.call_of(pbx, leg).filter(|call| call.leg == *leg && call.called == *called);
        let mut call = before.filter(|call| call.phase != Phase::Ended)?.clone();
        if let Some(reason) = routed.filter(|reason| *reason != call.reason) {
            (call.reason, call.trunk) = (reason, None);
            if call.route == Route::Packet {
                (call.route, call.carried) = (Route::Pstn, None);
            }
            exchange.open(call.clone());
            self.write_behind(backlog, &call);
        }
        Some(call)
    }

    /// Hands calls to the database's writer. Only called under the lock: so no older state of a call is written after a
    /// newer one.
    fn write(&self, calls: Vec<Call>) -> Result<Commit, StoreError> {
        self.0.store.save_calls(calls)
    }

    /// Writes a call down without waiting for it.
    fn write_behind(&self, backlog: &mut Backlog, call: &Call) {
        if let Err(error) = self.write(vec![call.clone()]) {
            tracing::warn!(%error, call = %call.id, "a call could not be written down");
            backlog.add(&call.id, Vec::new());
        }
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Calls) -> T) -> T {
        let _entry = Entry::new();
        work(&mut self.0.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Notes for debug builds that this thread holds the lock.
struct Entry;

impl Entry {
    fn new() -> Entry {
        if cfg!(debug_assertions) {
            assert!(!HELD.replace(true), "the live calls are used by a closure that holds their lock");
        }
        Entry
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            HELD.set(false);
        }
    }
}

#[cfg(test)]
mod tests;
