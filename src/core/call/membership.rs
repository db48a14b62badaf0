//! Legs whose calls report out of order: a bridge is reported before the call that its leg belongs to, or a call still
//! reports about a leg that a later call has announced (see [`Membership`]).

use std::collections::BTreeSet;

use super::exchange::{Effect, Exchange};
use super::report_order::Serial;
use super::{Call, Leg, LegEvent, Membership, Phase};
use crate::core::base::name::{CallId, LegId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

impl Exchange {
    /// Whether this call knows the leg only from an answer or a bridge.
    pub(super) fn is_stranger(&self, id: &CallId, leg: &LegId) -> bool {
        let state = self.calls.get(id).and_then(|call| call.legs.get(leg));
        state.is_some_and(|leg| leg.membership == Membership::Stranger && leg.ended.is_none())
    }

    /// The call on this call's PBX that has the leg as a stranger.
    pub(super) fn stranger_in(&self, id: &CallId, leg: &LegId) -> Option<CallId> {
        self.owner(id, leg).filter(|owner| self.is_stranger(owner, leg))
    }

    /// Whether a later call had announced this leg of the call by `at`.
    pub(super) fn has_moved(&self, id: &CallId, leg: &LegId, at: UnixMillis) -> bool {
        self.calls.get(id).is_some_and(|call| call.had_left(leg, at))
    }

    /// Whether this report is out of date: a later call has announced one of its legs, or a later report is about the
    /// same bridge or the end of its leg. The end of a leg is never out of date.
    pub(super) fn is_out_of_date(&self, id: &CallId, event: &LegEvent, serial: Serial, at: UnixMillis) -> bool {
        match event {
            LegEvent::Ended { .. } => false,
            LegEvent::Bridged { legs } | LegEvent::Unbridged { legs } => {
                let announced = |leg| self.has_moved(id, leg, at) || self.is_announced_since(id, leg, at);
                legs.iter().any(announced) || self.is_overtaken(id, legs.each_ref(), serial)
            }
            event => {
                event.legs().iter().any(|leg| self.has_moved(id, leg, at) || self.is_overtaken(id, [leg, leg], serial))
            }
        }
    }

    /// The other call that announced the leg and has it now.
    fn announcer(&self, id: &CallId, leg: &LegId) -> Option<&Call> {
        let other = self.owner(id, leg).filter(|owner| owner != id).and_then(|owner| self.call(&owner));
        other.filter(|call| call.leg == *leg)
    }

    /// Whether another call announced the leg later than this.
    fn is_announced_since(&self, id: &CallId, leg: &LegId, at: UnixMillis) -> bool {
        self.announcer(id, leg).and_then(|call| call.announced).is_some_and(|announced| at < announced)
    }

    /// Whether the leg outlives its end in this call: it left the call earlier, or it is the announced leg of another
    /// call and never was this call's own. Its bridges outlive that end too.
    pub(super) fn goes_on_elsewhere(&self, id: &CallId, leg: &LegId) -> bool {
        let state = self.calls.get(id).and_then(|call| call.legs.get(leg));
        state.map_or_else(|| self.announcer(id, leg).is_some(), |leg| leg.ended.is_some())
    }

    /// When the leg ended in the call that has it.
    pub(super) fn gone_at(&self, id: &CallId, leg: &LegId) -> Option<UnixMillis> {
        let call = self.owner(id, leg).and_then(|owner| self.calls.get(&owner));
        call.and_then(|call| call.legs.get(leg)).and_then(|leg| leg.ended)
    }

    /// The calls, other than this one, of the legs that a leg hears.
    pub(super) fn heard_in(&self, id: &CallId, leg: &LegId) -> BTreeSet<CallId> {
        let state = self.calls.get(id).and_then(|call| call.legs.get(leg));
        let heard = state.into_iter().flat_map(|state| &state.bridges);
        heard.filter_map(|(other, _)| self.owner(id, other)).filter(|owner| owner != id).collect()
    }

    /// The calls that an event of this call changes: itself, those whose legs the event names, and those that these legs hear.
    pub fn touched_by(&self, id: &CallId, event: &LegEvent) -> BTreeSet<CallId> {
        let mut touched = BTreeSet::from([id.clone()]);
        for leg in event.legs() {
            let Some(owner) = self.owner(id, leg) else { continue };
            touched.extend(self.heard_in(&owner, leg));
            touched.insert(owner);
        }
        touched
    }

    /// A call introduces a stranger: the leg moves there with its bridges, and stands for a number from now on. Bridges
    /// from before the call's announcement end.
    pub(super) fn claim(
        &mut self,
        from: &CallId,
        id: &CallId,
        leg: &LegId,
        number: Option<&Number>,
        at: UnixMillis,
    ) -> Vec<Effect> {
        for other in self.heard_before(from, id, leg) {
            // No pair ends: a stranger is in none.
            self.unbridged(from, &[leg.clone(), other], at);
        }
        // If the old call reports the leg's end late, the leg has not ended in this one.
        let left = Leg { ended: Some(at), ..Leg::new(None, at, Membership::Stranger) };
        let Some(mut state) = self.put_leg(from, leg, left) else { return Vec::new() };
        let Some(call) = self.calls.get_mut(id) else { return Vec::new() };
        (state.number, state.membership) = (number.cloned(), Membership::Member);
        if let Some(answered) = state.answered {
            call.advance(Phase::Answered);
            call.answered.get_or_insert(answered);
        }
        if !state.bridges.is_empty() {
            call.advance(Phase::Talking);
        }
        let others: Vec<LegId> = state.bridges.iter().map(|(other, _)| other.clone()).collect();
        self.legs.insert((call.pbx.clone(), leg.clone()), id.clone());
        self.put_leg(id, leg, state);
        others.iter().for_each(|other| self.find_home(id, leg, other));
        let mut effects: Vec<Effect> = self.pairs_by(id, leg).into_iter().map(|pair| self.talking(pair, at)).collect();
        if let Some(from) = self.calls.get_mut(from) {
            from.fall_back_to_answered();
        }
        effects.extend(self.end_if_over(from, at));
        effects
    }

    /// The legs that a leg of the call `from` heard before the call `id` announced it.
    fn heard_before(&self, from: &CallId, id: &CallId, leg: &LegId) -> Vec<LegId> {
        let announced = self.calls.get(id).filter(|call| call.leg == *leg).and_then(|call| call.announced);
        let state = self.calls.get(from).and_then(|call| call.legs.get(leg));
        let (Some(announced), Some(state)) = (announced, state) else { return Vec::new() };
        let before = state.bridges.iter().filter(|(_, bridge)| bridge.since < announced);
        before.map(|(other, _)| other.clone()).collect()
    }

    /// Keeps a bridge in a call that has one of its legs.
    fn find_home(&mut self, id: &CallId, leg: &LegId, other: &LegId) {
        let owner = self.owner(id, other).unwrap_or_else(|| id.clone());
        for (at, leg, with) in [(id, leg, other), (&owner, other, leg)] {
            let state = self.calls.get_mut(at).and_then(|call| call.legs.get_mut(leg));
            let bridges = state.into_iter().flat_map(|state| &mut state.bridges).filter(|(other, _)| other == with);
            bridges.map(|(_, bridge)| bridge).filter(|bridge| ![id, &owner].contains(&&bridge.call)).for_each(
                |bridge| {
                    bridge.call = id.clone();
                },
            );
        }
    }

    /// A later call announces this leg of the call, which may have reported that already.
    pub(super) fn move_on(
        &mut self,
        id: &CallId,
        leg: &LegId,
        at: UnixMillis,
        announced: Option<UnixMillis>,
    ) -> Vec<Effect> {
        let is_early = self.calls.get(id).is_some_and(|call| call.has(leg));
        let left = self.calls.get_mut(id).and_then(|call| call.legs.get_mut(leg)).filter(|_| is_early);
        if let (Some(left), Some(announced)) = (left, announced) {
            left.membership = Membership::Moved(announced);
        }
        self.ended(id, leg, Some("moved on"), at)
    }

    /// Marks the announced leg of a call that is opened late as moved, if a later call has announced it since.
    pub(super) fn leave_if_late(&self, call: &mut Call) {
        let later = self.call_of(&call.pbx, &call.leg).filter(|later| later.id != call.id && later.leg == call.leg);
        let later = later.filter(|later| call.announced < later.announced).and_then(|later| later.announced);
        let (Some(announced), Some(later)) = (call.announced, later) else { return };
        if let Some(leg) = call.legs.get_mut(&call.leg).filter(|leg| leg.ended.is_none()) {
            (leg.ended, leg.membership) = (Some(announced), Membership::Moved(later));
        }
    }

    /// The call itself has reported that the leg left. Its later reports are not out of date.
    pub(super) fn moved_away(&mut self, id: &CallId, leg: &LegId) {
        let leg = self.calls.get_mut(id).and_then(|call| call.legs.get_mut(leg));
        if let Some(leg) = leg.filter(|leg| matches!(leg.membership, Membership::Moved(_))) {
            leg.membership = Membership::Member;
        }
    }

    /// The call that keeps a leg although this call names it: the one that introduced it first. A leg that ended there
    /// comes up again only with a report from after its end; the numbers tell, if the same agent reported the end.
    pub(super) fn stays_with(
        &self,
        id: &CallId,
        leg: &LegId,
        serial: Serial,
        at: UnixMillis,
        membership: Membership,
    ) -> Option<CallId> {
        let is_late = |owner: &CallId| {
            let ended = self.gone_at(owner, leg);
            ended.is_none_or(|ended| at <= ended && self.latest(owner, leg, leg, serial.agent).is_none())
        };
        self.owner(id, leg).filter(|owner| owner == id || membership == Membership::Stranger || is_late(owner))
    }

    /// A call introduces a leg of another call. If that call announced the leg later than `at`, this report is late:
    /// the leg has moved there. If the time of the announcement is unknown, the time of the decision stands in.
    pub(super) fn introduced_late(
        &mut self,
        id: &CallId,
        owner: &CallId,
        leg: &LegId,
        at: UnixMillis,
        membership: Membership,
    ) {
        let owner = self.calls.get(owner).filter(|call| call.id != *id && call.leg == *leg && call.has(leg));
        let announced = owner.map(|call| call.announced.unwrap_or(call.decided)).filter(|announced| at < *announced);
        let is_unknown = self.calls.get(id).is_some_and(|call| !call.introduced(leg));
        if membership == Membership::Member
            && is_unknown
            && let Some(announced) = announced
        {
            self.put_leg(id, leg, Leg { ended: Some(at), ..Leg::new(None, at, Membership::Moved(announced)) });
        }
    }

    /// Ends a call whose last leg has ended.
    pub(super) fn end_if_over(&mut self, id: &CallId, at: UnixMillis) -> Option<Effect> {
        let call = self.calls.get_mut(id).filter(|call| call.is_over())?;
        call.phase = Phase::Ended;
        // Two clocks may have timed the reports: no call ends before it is answered.
        let ended = call.answered.map_or(at, |answered| at.max(answered));
        call.ended = Some(ended);
        self.index.insert_end(id, ended);
        Some(Effect::Ended(id.clone()))
    }
}

impl Call {
    /// Legs that a later call has announced, and this call has not yet reported as gone.
    pub fn moved(&self) -> impl Iterator<Item = &LegId> {
        self.legs.iter().filter(|(_, leg)| matches!(leg.membership, Membership::Moved(_))).map(|(id, _)| id)
    }

    /// Legs known only from an answer or a bridge.
    pub fn strangers(&self) -> impl Iterator<Item = &LegId> {
        self.legs
            .iter()
            .filter(|(_, leg)| leg.membership == Membership::Stranger && leg.ended.is_none())
            .map(|(id, _)| id)
    }

    /// Whether the call's own reports introduced the leg.
    pub(super) fn introduced(&self, leg: &LegId) -> bool {
        self.legs.get(leg).is_some_and(|leg| leg.membership != Membership::Stranger)
    }

    fn had_left(&self, leg: &LegId, by: UnixMillis) -> bool {
        self.legs.get(leg).is_some_and(|leg| matches!(leg.membership, Membership::Moved(at) if by < at))
    }
}
