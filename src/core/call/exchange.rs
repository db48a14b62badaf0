//! The exchange: which legs hear each other, and so which two numbers are paired.
//!
//! Every leg stands for a number, or for nobody (see [`leg_identity`](super::leg_identity)). Only a bridge between two legs pairs
//! their numbers, whichever calls the legs belong to. So transfers, pick-ups and conferences need no rules of their own.
//!
//! The numbers in the events are those that the legs stand for; the caller of `apply` has looked them up.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::call_index::CallIndex;
use super::offer_matching::OfferId;
use super::remote_side::RemoteSide;
use super::report_order::Serial;
use super::{Call, Leg, LegEvent, Membership, Phase};
use crate::core::base::name::{CallId, LegId, PbxName, TrunkName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::routing::route::Side;

/// Two numbers that hear each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pair {
    /// The call in which they talk.
    pub call: CallId,
    /// The calling side.
    pub first: Number,
    /// The called side.
    pub second: Number,
}

/// An effect of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Two numbers hear each other. Their clients get each other's address.
    Paired(Pair),
    /// Two numbers no longer hear each other.
    Parted(Pair),
    /// Something has answered the call, and nobody knows who (see [`Call::is_answered_by_unknown`]). Its clients are told so.
    AnsweredByUnknown(CallId),
    /// The last leg of the call ended.
    Ended(CallId),
}

/// Why an event was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventRefusal {
    /// The call was never opened, or is forgotten.
    #[error("no such call")]
    UnknownCall,
    /// The call has ended.
    #[error("the call has ended")]
    Ended,
    /// More legs than any call has.
    #[error("a call has at most {0} legs at a time")]
    TooManyLegs(usize),
}

/// Maximum number of legs of a call: more than a large ring group has.
const LEGS_MAX: usize = 256;
/// Maximum number of ended legs kept. A queue makes new legs for as long as the caller waits, and all legs of a call
/// are stored.
const GONE_MAX: usize = 64;

/// All live calls of a node.
#[derive(Debug)]
pub struct Exchange {
    /// Boxed: a map that grows moves all its values at once, under the node's lock.
    pub(super) calls: HashMap<CallId, Box<Call>>,
    pub(super) legs: HashMap<(PbxName, LegId), CallId>,
    pub(super) index: CallIndex,
    pub(super) conference: usize,
}

impl Exchange {
    /// Creates an exchange that pairs at most `conference` members of one conference with each other. A member who
    /// joins later is paired with nobody there, even when others have left; existing pairs stay.
    pub fn new(conference: usize) -> Exchange {
        Exchange { calls: HashMap::new(), legs: HashMap::new(), index: CallIndex::default(), conference }
    }

    /// Opens a call: a new one, or one restored after a restart. Its announced leg leaves its previous call, or is
    /// claimed from it together with its bridges (see [`Membership`]). Returns the other calls that change, and any call
    /// that has effects.
    pub fn open(&mut self, mut call: Call) -> Vec<(CallId, Vec<Effect>)> {
        self.leave_if_late(&mut call);
        // The announced leg of a restored call may have left it long ago.
        let before = self.call_of(&call.pbx, &call.leg).map(|before| before.id.clone());
        let before = before.filter(|before| *before != call.id && call.has(&call.leg));
        // The caller of an inbound call keeps the address of their client.
        if let Some(old) = before.as_ref().and_then(|before| self.calls.get(before))
            && (old.side, call.side) == (Side::Terminating, Side::Terminating)
            && old.leg == call.leg
        {
            call.remote.client = call.remote.client.or_else(|| old.remote.client.clone());
        }
        let (id, leg, caller, at) = (call.id.clone(), call.leg.clone(), call.caller(), call.decided);
        let claimed = before.as_ref().is_some_and(|before| self.is_stranger(before, &leg));
        let heard = before.as_ref().map_or_else(BTreeSet::new, |before| self.heard_in(before, &leg));
        let mut watched = self.without_unknown_answer(heard.iter().chain(&before));
        watched.extend((!call.has_unknown_answer()).then(|| id.clone()));
        let mut changed: Vec<_> = heard.into_iter().map(|other| (other, Vec::new())).collect();
        if let Some(before) = before.as_ref().filter(|_| !claimed) {
            changed.push((before.clone(), self.move_on(before, &leg, at, call.announced)));
        }
        for leg in call.legs.keys() {
            let elsewhere = self.call_of(&call.pbx, leg).is_some_and(|other| other.id != call.id && other.has(leg));
            if call.has(leg) || !elsewhere {
                self.legs.insert((call.pbx.clone(), leg.clone()), call.id.clone());
            }
        }
        if let Some(replaced) = self.calls.remove(&call.id) {
            self.index.remove(&replaced);
        }
        self.index.insert(&call);
        self.calls.insert(call.id.clone(), Box::new(call));
        if let Some(before) = before.filter(|_| claimed) {
            let effects = self.claim(&before, &id, &leg, caller.as_ref(), at);
            changed.push((before, effects));
        }
        changed.extend(
            self.answered_by_unknown(watched).map(|call| (call.clone(), vec![Effect::AnsweredByUnknown(call)])),
        );
        changed
    }

    /// The live call.
    pub fn call(&self, id: &CallId) -> Option<&Call> {
        self.calls.get(id).map(Box::as_ref)
    }

    /// Changes the remote side of a live call. Returns what `change` returns, and whether the remote side is different now.
    pub fn change_remote<T>(&mut self, id: &CallId, change: impl FnOnce(&mut RemoteSide) -> T) -> Option<(T, bool)> {
        let remote = &mut self.calls.get_mut(id)?.remote;
        let before = remote.clone();
        let returned = change(remote);
        let is_changed = before != *remote;
        if is_changed {
            self.index.remove_remote(id, &before);
            self.index.insert_remote(id, remote);
        }
        Some((returned, is_changed))
    }

    /// All live calls, and those that ended and are not forgotten. A walk over them takes milliseconds.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        #[cfg(test)]
        tests::note_walk();
        self.calls.values().map(Box::as_ref)
    }

    /// The number of these calls.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// The number of calls that have not ended.
    pub fn live_len(&self) -> usize {
        self.calls.len() - self.index.ended_len()
    }

    /// The live calls to a number.
    pub fn calls_to(&self, called: &Number) -> impl Iterator<Item = &Call> {
        self.index.called(called).filter_map(|id| self.call(id))
    }

    /// The call that was matched with another node's offer.
    pub fn call_of_offer(&self, offer: &OfferId) -> Option<&Call> {
        self.index.offered(offer).find_map(|id| self.call(id))
    }

    /// The calls that have been over for at least `grace`, the earliest end first.
    pub fn ended_for(&self, now: UnixMillis, grace: Duration) -> impl Iterator<Item = &CallId> {
        self.index.ended(now, grace)
    }

    /// The live call of this leg. A repeated announcement is about the same call.
    pub fn call_of(&self, pbx: &PbxName, leg: &LegId) -> Option<&Call> {
        self.call(self.legs.get(&(pbx.clone(), leg.clone()))?)
    }

    /// Applies one event. A repeat (see [`Call::is_repeat`]) changes nothing.
    ///
    /// # Errors
    /// If the call is unknown or over, or has too many legs.
    pub fn apply(
        &mut self,
        id: &CallId,
        serial: Serial,
        at: UnixMillis,
        event: &LegEvent,
    ) -> Result<Vec<Effect>, EventRefusal> {
        let call = self.calls.get_mut(id).ok_or(EventRefusal::UnknownCall)?;
        if call.is_repeat(serial, at) {
            return Ok(Vec::new());
        }
        if call.phase == Phase::Ended {
            return Err(EventRefusal::Ended);
        }
        call.note_last(serial, at);
        if self.is_out_of_date(id, event, serial, at) {
            return Ok(Vec::new());
        }
        let watched = self.without_unknown_answer(&self.touched_by(id, event));
        let mut effects = match event {
            LegEvent::Dialled { leg, party, trunk } => {
                let effects = self.dialled(id, leg, party.as_ref(), serial, at)?;
                self.goes_over(id, leg, trunk.as_ref());
                Ok(effects)
            }
            LegEvent::Identified { leg, party } => self.identified(id, leg, party.as_ref(), serial, at),
            LegEvent::Answered { leg } => self.answered(id, leg, serial, at).map(|()| Vec::new()),
            LegEvent::Bridged { legs } => {
                let effects = self.bridged(id, legs, serial, at);
                self.note_report(id, legs.each_ref(), serial);
                effects
            }
            LegEvent::Unbridged { legs } => {
                self.note_report(id, legs.each_ref(), serial);
                Ok(self.unbridged(id, legs, at))
            }
            LegEvent::Ended { leg, cause } => {
                self.moved_away(id, leg);
                let effects = self.ended(id, leg, cause.as_deref(), at);
                self.note_end(id, leg, serial);
                Ok(effects.into_iter().chain(self.end_if_over(id, at)).collect())
            }
        }?;
        effects.extend(self.answered_by_unknown(watched).map(Effect::AnsweredByUnknown));
        Ok(effects)
    }

    /// Forgets a call that has ended.
    pub fn forget(&mut self, id: &CallId) -> Option<Call> {
        let call = *self.calls.remove(id)?;
        self.index.remove(&call);
        call.legs.keys().for_each(|leg| self.disown_leg(id, &call.pbx, leg));
        Some(call)
    }

    /// Whether no call is left, and no index entry.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.legs.is_empty() && self.index == CallIndex::default()
    }

    fn dialled(
        &mut self,
        id: &CallId,
        leg: &LegId,
        number: Option<&Number>,
        serial: Serial,
        at: UnixMillis,
    ) -> Result<Vec<Effect>, EventRefusal> {
        // A repeat after the agent's restart: the leg may be another phone by now. The announced leg stands for its caller.
        let known = self.calls.get(id).is_some_and(|call| call.leg != *leg && call.introduced(leg));
        if known || self.stranger_in(id, leg).is_some() {
            return self.identified(id, leg, number, serial, at);
        }
        self.join(id, leg, number, serial, at, Membership::Member).map(|()| Vec::new())
    }

    fn goes_over(&mut self, id: &CallId, leg: &LegId, trunk: Option<&TrunkName>) {
        let leg = self.calls.get_mut(id).and_then(|call| call.legs.get_mut(leg));
        if let (Some(leg), Some(trunk)) = (leg, trunk) {
            leg.trunk = Some(trunk.clone());
        }
    }

    fn join(
        &mut self,
        id: &CallId,
        leg: &LegId,
        number: Option<&Number>,
        serial: Serial,
        at: UnixMillis,
        membership: Membership,
    ) -> Result<(), EventRefusal> {
        if let Some(owner) = self.stays_with(id, leg, serial, at, membership) {
            self.introduced_late(id, &owner, leg, at, membership);
            return Ok(());
        }
        let call = self.calls.get(id).ok_or(EventRefusal::UnknownCall)?;
        let (pbx, gone) = (call.pbx.clone(), call.gone());
        if call.legs.len() >= LEGS_MAX || gone.len() > GONE_MAX {
            let first = gone.first().map(|leg| (*leg).clone()).ok_or(EventRefusal::TooManyLegs(LEGS_MAX))?;
            self.remove_leg(id, &first);
        }
        self.put_leg(id, leg, Leg::new(number.cloned(), at, membership));
        self.legs.insert((pbx, leg.clone()), id.clone());
        Ok(())
    }

    fn identified(
        &mut self,
        id: &CallId,
        leg: &LegId,
        number: Option<&Number>,
        serial: Serial,
        at: UnixMillis,
    ) -> Result<Vec<Effect>, EventRefusal> {
        if let Some(from) = self.stranger_in(id, leg) {
            return Ok(self.claim(&from, id, leg, number, at));
        }
        self.join(id, leg, number, serial, at, Membership::Member)?;
        if self.has_moved(id, leg, at) {
            return Ok(Vec::new());
        }
        let owner = self.owner(id, leg).ok_or(EventRefusal::UnknownCall)?;
        if owner != *id && self.calls.get(&owner).is_some_and(|call| call.introduced(leg)) {
            // The leg's own call knows for whom it was dialled.
            return Ok(Vec::new());
        }
        let before = self.pairs_by(&owner, leg);
        self.renumber_leg(&owner, leg, number);
        let after = self.pairs_by(&owner, leg);
        if before == after {
            return Ok(Vec::new());
        }
        let parted: Vec<_> = before.into_iter().map(|pair| self.parted(pair, at)).collect();
        let paired: Vec<_> = after.into_iter().map(|pair| self.talking(pair, at)).collect();
        Ok(parted.into_iter().chain(paired).collect())
    }

    pub(super) fn answered(
        &mut self,
        id: &CallId,
        leg: &LegId,
        serial: Serial,
        at: UnixMillis,
    ) -> Result<(), EventRefusal> {
        // An agent introduces a leg before any other report, so this leg belongs to a call whose report is yet to come.
        self.join(id, leg, None, serial, at, Membership::Stranger)?;
        let Some(call) = self.owner(id, leg).and_then(|owner| self.calls.get_mut(&owner)) else { return Ok(()) };
        if let Some(leg) = call.legs.get_mut(leg) {
            leg.answered.get_or_insert(at);
        }
        call.advance(Phase::Answered);
        call.answered.get_or_insert(at);
        Ok(())
    }

    pub(super) fn ended(&mut self, id: &CallId, leg: &LegId, cause: Option<&str>, at: UnixMillis) -> Vec<Effect> {
        if self.goes_on_elsewhere(id, leg) {
            return Vec::new();
        }
        let Some(owner) = self.owner(id, leg) else { return Vec::new() };
        let partners: Vec<LegId> = match self.calls.get(&owner).and_then(|c| c.legs.get(leg)) {
            Some(leg) => leg.bridges.iter().map(|(with, _)| with.clone()).collect(),
            None => Vec::new(),
        };
        let mut effects = Vec::new();
        for partner in partners {
            effects.extend(self.unbridged(id, &[leg.clone(), partner], at));
        }
        let Some(call) = self.calls.get_mut(&owner) else { return effects };
        if let Some(leg) = call.legs.get_mut(leg) {
            leg.ended.get_or_insert(at);
            leg.reported.clear();
        }
        // The announced leg's cause, if any, is what the caller got.
        if *leg == call.leg || (call.is_over() && call.cause.is_none()) {
            call.cause = cause.map(str::to_owned).or(call.cause.take());
        }
        effects.extend(self.end_if_over(&owner, at));
        effects
    }

    /// The call that a leg of this call's PBX belongs to; `id` itself if it has the leg.
    pub(super) fn owner(&self, id: &CallId, leg: &LegId) -> Option<CallId> {
        let call = self.calls.get(id)?;
        // A leg that started another call has left this one.
        if call.has(leg) {
            return Some(id.clone());
        }
        self.legs.get(&(call.pbx.clone(), leg.clone())).cloned()
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
