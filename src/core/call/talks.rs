//! Who talks with whom, and may still be written to: what is asked of the exchange.

use std::collections::BTreeSet;
use std::time::Duration;

use super::exchange::{Exchange, Pair};
use super::{Bridge, Call, Phase};
use crate::core::base::name::{CallId, LegId, PbxName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::routing::route::Side;

/// A call that goes on at another of our PBXs arrives there at most so much later.
const ARRIVES: Duration = Duration::from_secs(180);

impl Pair {
    /// Whether it is the same two people, whoever called.
    pub fn same_people(&self, other: &Pair) -> bool {
        (&self.first, &self.second) == (&other.first, &other.second)
            || (&self.first, &self.second) == (&other.second, &other.first)
    }
}

impl Exchange {
    /// The pairs in which this number talks now.
    pub fn pairs_of(&self, number: &Number) -> Vec<Pair> {
        let live = self.calls().flat_map(|call| self.pairs(call));
        live.filter(|pair| pair.first == *number || pair.second == *number).collect()
    }

    /// The pairs that this call's bridges make now.
    pub fn pairs_in(&self, id: &CallId) -> Vec<Pair> {
        self.call(id).map(|call| self.pairs(call).collect()).unwrap_or_default()
    }

    /// Whom a number of a call talks with there; before anybody does, whom it will.
    pub fn opposite(&self, call: &Call, number: &Number) -> Number {
        let talks = self.pairs(call).find(|pair| pair.first == *number || pair.second == *number);
        let (first, second) = match talks {
            Some(pair) => (pair.first, pair.second),
            None => (call.caller().unwrap_or_else(|| Number::withheld(&call.id)), call.called.clone()),
        };
        if second == *number { first } else { second }
    }

    /// Whether these two people talk in a call that has gone out of one of our PBXs, or through a call server of
    /// ours, and come in at another: the one that came in knows who is at its end, and tells. One that was turned away
    /// there doesn't: the call goes on by another way.
    pub fn continues_at_another_pbx(&self, call: &Call, pair: &Pair) -> bool {
        if call.caller().as_ref() != Some(&pair.first) || call.called != pair.second {
            return false;
        }
        // In that call, or in the one that its caller was led on to.
        let is_up = |other: &Call| self.call_of(&other.pbx, &other.leg).is_some_and(|now| now.phase != Phase::Ended);
        let linked_call = call.remote.linked_call.as_ref().and_then(|linked_call| self.call(linked_call));
        let like = |other: &Call| {
            let numbers = (&other.calling, &other.called) == (&call.calling, &call.called) && call.calling.is_some();
            // The same address has come with both, also where an attendant there has found somebody else since.
            let address = call.side == Side::Terminating && call.carried.is_some() && other.carried == call.carried;
            other.side == Side::Terminating
                && (call.side == Side::Originating || other.pbx != call.pbx)
                && other.decided >= call.decided
                && (address || numbers && other.decided - call.decided <= ARRIVES)
                && is_up(other)
        };
        linked_call.is_some_and(|linked_call| call.side == Side::Originating && is_up(linked_call))
            || self.calls().any(like)
    }

    /// Whether a leg is up, whichever call it is in by now.
    pub fn is_up(&self, pbx: &PbxName, leg: &LegId) -> bool {
        self.call_of(pbx, leg).is_some_and(|call| call.has(leg))
    }

    /// Whether a number that takes part in this call withholds itself from the others there.
    pub fn withholds(&self, id: &CallId, number: &Number) -> bool {
        let call = self.call(id);
        call.is_some_and(|call| self.joined(call).any(|home| home.withheld && home.calling.as_ref() == Some(number)))
    }

    /// Whose address in this call is good: of those who talk there, of those who may still come to it,
    /// and for a `grace` of those who talked there before.
    pub fn reachable(&self, id: &CallId, now: UnixMillis, grace: Duration) -> BTreeSet<Number> {
        let Some(call) = self.call(id) else { return BTreeSet::new() };
        let talk = self.pairs(call).flat_map(|pair| [pair.first, pair.second]);
        let parted = call.parted.iter().filter(|(_, at)| now - **at < grace).map(|(number, _)| number.clone());
        // The caller's address goes out in the signalling, before anybody talks.
        let may_come = call.calling.iter().chain([&call.called]).filter(|n| !call.parted.contains_key(*n)).cloned();
        talk.chain(parted).chain(may_come).collect()
    }

    /// Live calls of which nothing was heard for so long: whoever followed them has not come back.
    pub fn lost(&self, now: UnixMillis, after: Duration) -> Vec<CallId> {
        let lost = self.calls().filter(|call| call.phase != Phase::Ended && now - call.last_activity() >= after);
        lost.map(|call| call.id.clone()).collect()
    }

    /// The pairs that a leg of a call makes.
    pub(super) fn pairs_by(&self, id: &CallId, leg: &LegId) -> Vec<Pair> {
        let state = self.calls.get(id).and_then(|call| call.legs.get(leg));
        let bridges = state.into_iter().flat_map(|state| &state.bridges);
        bridges.filter_map(|(other, bridge)| self.paired_by(bridge, &[leg.clone(), other.clone()])).collect()
    }

    /// Who is paired by this bridge between these legs.
    pub(super) fn paired_by(&self, bridge: &Bridge, legs: &[LegId; 2]) -> Option<Pair> {
        if bridge.beyond { None } else { self.pair(&bridge.call, legs) }
    }

    fn pair(&self, id: &CallId, legs: &[LegId; 2]) -> Option<Pair> {
        let side = |leg: &LegId| {
            let call = self.calls.get(&self.owner(id, leg)?)?;
            Some((call.legs.get(leg)?.number.clone()?, *leg == call.leg))
        };
        let ((a, a_calls), (b, b_calls)) = (side(&legs[0])?, side(&legs[1])?);
        if a == b {
            return None;
        }
        let (first, second) = if b_calls && !a_calls { (b, a) } else { (a, b) };
        Some(Pair { call: id.clone(), first, second })
    }

    /// The pairs that a call's bridges make now.
    pub(super) fn pairs<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = Pair> + 'a {
        call.legs.iter().flat_map(move |(leg, state)| {
            let bridges = state.bridges.iter().filter(move |(other, bridge)| {
                // Each bridge stands at both of its legs: take it once, where its call is told of it.
                bridge.call == call.id && (leg < other || !call.has(other))
            });
            bridges.filter_map(move |(other, bridge)| self.paired_by(bridge, &[leg.clone(), other.clone()]))
        })
    }
}
