//! Which numbers a call alerts, whether it was missed, and how it goes on for a number.
//!
//! All of it follows from the call and the calls around it. So the answer is the same late, again, or after a restart.

use std::collections::{BTreeMap, BTreeSet};

use super::exchange::{Exchange, Pair};
use super::{Call, LOST, Leg, Membership, Phase, Talk};
use crate::core::base::name::CallId;
use crate::core::numbering::number::Number;
use crate::core::routing::route::{Reason, Side};

/// Whose clients a call concerns before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alerting {
    /// Nobody's: an emergency call, or a call that an attendant has answered.
    #[default]
    Nobody,
    /// The called number's, if it misses the call. The PBX had routed the call before the node knew it, so no client was told
    /// that it rings.
    Called,
    /// Both numbers': their clients are told that it rings.
    Both,
}

impl Alerting {
    /// For a call that took its route for this reason. `registered`: the PBX had routed it by itself.
    pub fn of(reason: Reason, registered: bool) -> Alerting {
        match reason {
            Reason::Emergency | Reason::MainNumber => Alerting::Nobody,
            _ if registered => Alerting::Called,
            _ => Alerting::Both,
        }
    }
}

/// How a call goes on for a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallProgress {
    /// Nobody has answered yet.
    Rings,
    /// The number talks with another one.
    Talks(Pair),
    /// Something has answered, and nobody knows who: see [`Call::is_answered_by_unknown`].
    AnsweredByUnknown,
    /// The call has ended, or goes on without the number.
    Over,
}

impl Call {
    /// Whether clients are told how it goes on: of any call but one for an emergency.
    fn concerns_clients(&self) -> bool {
        self.alerting != Alerting::Nobody || self.reason == Reason::MainNumber
    }

    fn caller_has_talked(&self) -> bool {
        self.caller().is_some_and(|caller| self.has_talked(&caller))
    }

    /// Whether the called number has answered: one of its phones did, or a phone that nobody can name, or it talked to
    /// somebody.
    fn is_answered_by_called(&self) -> bool {
        let may_be_called = |leg: &Leg| leg.number.as_ref().is_none_or(|number| *number == self.called);
        self.other_legs().any(|leg| leg.answered.is_some() && may_be_called(leg)) || self.has_talked(&self.called)
    }

    /// Whether a phone of the called number rang.
    fn has_rung_called(&self) -> bool {
        self.other_legs().any(|leg| leg.number.as_ref() == Some(&self.called))
    }

    /// The caller's leg, if it is up and answered.
    fn connected_caller(&self) -> Option<&Leg> {
        self.legs.get(&self.leg).filter(|leg| leg.ended.is_none() && leg.answered.is_some())
    }

    /// Whether the called number's phones rang, and had stopped before something else answered. A call that was answered before
    /// its phones rang may ring them again.
    fn has_stopped_ringing(&self) -> bool {
        let Some(caller) = self.connected_caller() else { return false };
        let had_stopped =
            |leg: &Leg| leg.ended.is_some_and(|ended| !caller.bridges.is_empty() || Some(ended) <= caller.answered);
        let mut phones = self.other_legs().filter(|leg| leg.number.as_ref() == Some(&self.called));
        self.has_rung_called() && phones.all(had_stopped)
    }

    /// Whether it is answered, and nobody knows by whom: the caller's leg is connected with nothing but the PBX itself (a voice
    /// mail, a menu, a conference room), or with a phone that nobody can name. Nobody has talked in the call before.
    pub fn is_answered_by_unknown(&self) -> bool {
        let Some(caller) = self.connected_caller().filter(|_| self.talks.is_empty()) else { return false };
        if caller.bridges.is_empty() {
            return self.other_legs().all(|leg| leg.ended.is_some());
        }
        // A leg that no report has introduced yet may still be named.
        let is_unnamed = |leg: &Leg| leg.membership == Membership::Member && leg.number.is_none();
        caller.bridges.iter().all(|(other, _)| self.legs.get(other).is_some_and(is_unnamed))
    }

    /// Whether it is answered by nobody knows whom, and has alerted clients that are told so.
    pub(super) fn has_unknown_answer(&self) -> bool {
        self.alerting == Alerting::Both && self.is_answered_by_unknown()
    }

    fn other_legs(&self) -> impl Iterator<Item = &Leg> {
        self.legs.iter().filter(|(id, _)| **id != self.leg).map(|(_, leg)| leg)
    }

    /// Whether its agent saw how it ended. A call that ended while no agent was there may have been answered.
    fn is_end_known(&self) -> bool {
        self.phase == Phase::Ended && self.cause.as_deref().is_some_and(|cause| cause != LOST)
    }

    /// Whether a number has talked in it.
    pub fn has_talked(&self, number: &Number) -> bool {
        self.talks.iter().any(|talk| talk.first == *number || talk.second == *number)
    }
}

impl Exchange {
    /// Whether a call left one of our PBXs. A trunk may claim any calling number.
    fn is_from_here(&self, call: &Call) -> bool {
        call.side == Side::Originating || self.origins(call).next().is_some()
    }

    /// Whether a phone of the called number makes the call, as to hear the number's voice mail.
    fn is_to_itself(&self, call: &Call) -> bool {
        call.calling.as_ref() == Some(&call.called) && self.is_from_here(call)
    }

    /// The numbers that a call alerts, the calling one first: that one only if the call left one of our PBXs.
    pub fn alerted(&self, call: &Call) -> Vec<Number> {
        let calling = call.calling.iter().filter(|calling| **calling != call.called && self.is_from_here(call));
        match call.alerting {
            Alerting::Nobody => Vec::new(),
            Alerting::Called => vec![call.called.clone()],
            Alerting::Both => calling.chain([&call.called]).cloned().collect(),
        }
    }

    /// The numbers that are told of a missed call, the calling one first. A caller has missed nothing if anything answered, or
    /// if the caller's leg went on to a later call. The same goes for a number that calls itself.
    pub fn missed_by(&self, call: &Call) -> Vec<Number> {
        let mut numbers = self.alerted(call);
        let went_on = self.call_of(&call.pbx, &call.leg).is_some_and(|now| now.id != call.id);
        if call.answered.is_some() || went_on {
            numbers.retain(|number| *number == call.called && !self.is_to_itself(call));
        }
        numbers
    }

    /// Whether the called number has missed a call: its phone rang and the caller talks to somebody else, or nobody talked
    /// to the caller and the call ended.
    ///
    /// A call that arrived at another of our PBXs is missed there alone. If nothing answered it there, it may go on by
    /// another route, so it is not missed before it has ended here too.
    pub(super) fn is_missed(&self, id: &CallId) -> bool {
        let Some(call) = self.call(id).filter(|call| call.alerting != Alerting::Nobody) else { return false };
        if call.is_answered_by_called() || self.arrivals(call).next().is_some() {
            return false;
        }
        if call.caller_has_talked() {
            return call.has_rung_called();
        }
        // An earlier call between the same two numbers may look like an origin.
        let mut origins = self.origins(call).filter(|origin| origin.ended.is_none_or(|ended| ended >= call.decided));
        let gave_up = |origin: &Call| origin.phase == Phase::Ended && !origin.is_answered_by_called();
        call.is_end_known() && (call.answered.is_some() || origins.all(gave_up))
    }

    /// The missed calls among this call and its arrivals at our other PBXs.
    pub fn missed_in(&self, id: &CallId) -> Vec<CallId> {
        let Some(call) = self.call(id).filter(|call| !call.is_answered_by_called()) else { return Vec::new() };
        let all = [call].into_iter().chain(self.arrivals(call));
        all.map(|call| &call.id).filter(|id| self.is_missed(id)).cloned().collect()
    }

    /// Those of these calls of which no client is told that somebody unknown has answered.
    pub(super) fn without_unknown_answer<'a>(&self, calls: impl IntoIterator<Item = &'a CallId>) -> Vec<CallId> {
        let has_none = |id: &&CallId| self.call(id).is_some_and(|call| !call.has_unknown_answer());
        calls.into_iter().filter(has_none).cloned().collect()
    }

    /// Those of these calls that somebody unknown has answered, if their clients are told so.
    pub(super) fn answered_by_unknown(&self, calls: Vec<CallId>) -> impl Iterator<Item = CallId> {
        calls.into_iter().filter(|id| self.call(id).is_some_and(Call::has_unknown_answer))
    }

    /// The numbers whose clients are told that a call is answered, though nobody knows by whom: the calling one, and the called
    /// one if it calls itself, or if that phone may be its own, because none of its others has rung.
    pub fn answered_for(&self, call: &Call) -> Vec<Number> {
        if !call.has_unknown_answer() {
            return Vec::new();
        }
        let hears_phone = call.connected_caller().is_some_and(|caller| !caller.bridges.is_empty());
        let may_be_called = hears_phone && !call.has_rung_called();
        let mut numbers = self.alerted(call);
        numbers.retain(|number| *number != call.called || may_be_called || self.is_to_itself(call));
        numbers
    }

    /// Whether a pair talks, and its numbers' clients are told so in its call.
    pub fn is_told(&self, pair: &Pair) -> bool {
        let call = self.call(&pair.call).filter(|call| call.concerns_clients());
        call.is_some_and(|call| self.talks(pair) && !self.continues_at_another_pbx(call, pair))
    }

    /// Whether a number that talks in a call is named to another one that talks with it, though it has no client: if the
    /// announced call is from or to it, and it isn't withheld. Where the call was forwarded or transferred to is not for the
    /// other side to know.
    pub fn is_named(&self, id: &CallId, number: &Number) -> bool {
        let is_announced = |call: &Call| call.calling.iter().chain([&call.called]).any(|known| known == number);
        self.call(id).is_some_and(is_announced) && !number.is_withheld() && !self.withholds(id, number)
    }

    /// The numbers for which a call is over: those that it alerted or that talked in it, but for those that have missed it.
    pub fn over_for(&self, call: &Call) -> Vec<Number> {
        let talked = call.talks.iter().flat_map(|talk| [&talk.first, &talk.second]);
        let mut numbers: BTreeSet<&Number> = call.calling.iter().chain([&call.called]).chain(talked).collect();
        numbers.retain(|number| self.is_over_for(call, number));
        if numbers.is_empty() || !call.concerns_clients() {
            return Vec::new();
        }
        let rang = if call.alerting == Alerting::Both { self.alerted(call) } else { Vec::new() };
        let missed = if self.is_missed(&call.id) { self.missed_by(call) } else { Vec::new() };
        let was_told = |number: &Number| rang.contains(number) || self.told_talk(call, number).is_some();
        numbers.retain(|number| was_told(number) && !missed.contains(number));
        numbers.into_iter().cloned().collect()
    }

    /// The calls that may be over when something happens in this one, and the numbers for which each is: the call, those whose
    /// numbers it is paired with, and those as which it left our other PBXs.
    pub fn over_by(&self, id: &CallId) -> Vec<(CallId, Vec<Number>)> {
        let Some(call) = self.call(id) else { return Vec::new() };
        let bridges = call.legs.values().flat_map(|leg| &leg.bridges).filter(|(_, bridge)| !bridge.beyond);
        let paired = bridges.filter_map(|(other, _)| self.call(&self.owner(id, other)?));
        let others = paired.chain(self.origins(call)).filter(|other| other.id != *id && other.phase != Phase::Ended);
        let once = BTreeMap::from_iter(others.map(|other| (&other.id, other))).into_values();
        [call].into_iter().chain(once).map(|call| (call.id.clone(), self.over_for(call))).collect()
    }

    /// The latest talk of a number in a call, but for one that was told as a talk of the call that arrived at another of our
    /// PBXs.
    pub fn told_talk<'a>(&self, call: &'a Call, number: &Number) -> Option<&'a Talk> {
        let arrived =
            |talk: &Talk| self.arrivals(call).any(|other| other.ended.is_none_or(|ended| ended >= talk.since));
        let goes_over = |talk: &Talk| call.caller().as_ref() == Some(&talk.first) && call.called == talk.second;
        let mut talks = call.talks.iter().rev().filter(|talk| talk.first == *number || talk.second == *number);
        talks.find(|talk| !(goes_over(talk) && arrived(talk)))
    }

    /// Whether a call has ended, or was answered at another of our PBXs, or others talk in it and the number has no phone
    /// there, or something else has answered after its phones rang. Of a call that was answered at another PBX, the number
    /// is told as the one that arrived there.
    pub fn is_over_for(&self, call: &Call, number: &Number) -> bool {
        if call.phase == Phase::Ended {
            return true;
        }
        let is_own = |pair: &Pair| pair.first == *number || pair.second == *number;
        if self.arrivals(call).any(|arrival| !arrival.talks.is_empty()) {
            return !self.pairs(call).any(|pair| is_own(&pair) && self.is_told(&pair));
        }
        // After an attended transfer, the pair is of the younger call.
        let pairs: Vec<Pair> = call.legs.keys().flat_map(|leg| self.pairs_by(&call.id, leg)).collect();
        if pairs.is_empty() {
            let has_lost_it = call.is_answered_by_unknown() && call.has_stopped_ringing();
            return call.called == *number && has_lost_it && !self.is_to_itself(call);
        }
        let has_phone = call.legs.values().any(|leg| leg.ended.is_none() && leg.number.as_ref() == Some(number));
        !(has_phone || pairs.iter().any(is_own))
    }

    /// How the calls go on for a number that they are from or to, or that has talked in them: the oldest first, as far as its
    /// clients are told.
    pub fn progress_of(&self, number: &Number) -> Vec<(CallId, CallProgress)> {
        let each = self.calls_with(number).flat_map(|call| {
            let progress = self.progress_in(call, number).into_iter();
            progress.map(move |progress| (call.id.clone(), progress))
        });
        each.collect()
    }

    fn progress_in(&self, call: &Call, number: &Number) -> Vec<CallProgress> {
        if self.is_over_for(call, number) {
            let is_told = self.over_for(call).contains(number);
            return if is_told { vec![CallProgress::Over] } else { Vec::new() };
        }
        let rings = call.phase == Phase::Decided && call.alerting == Alerting::Both;
        if rings && self.alerted(call).contains(number) {
            return vec![CallProgress::Rings];
        }
        if self.answered_for(call).contains(number) {
            return vec![CallProgress::AnsweredByUnknown];
        }
        let pairs = self.pairs(call).filter(|pair| pair.first == *number || pair.second == *number);
        pairs.filter(|pair| self.is_told(pair)).map(CallProgress::Talks).collect()
    }

    /// The missed calls among those that are live or ended a while ago.
    pub fn missed(&self) -> Vec<CallId> {
        self.calls().map(|call| &call.id).filter(|id| self.is_missed(id)).cloned().collect()
    }
}
