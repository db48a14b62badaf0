//! Queries of the exchange: who talks with whom, and whose address is still valid.

use std::collections::BTreeSet;
use std::time::Duration;

use super::exchange::{Exchange, Pair};
use super::{Bridge, Call, Phase};
use crate::core::base::name::{CallId, LegId, PbxName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::routing::route::Side;

/// Maximum delay until a call from one of our PBXs arrives at another.
const ARRIVES: Duration = Duration::from_secs(180);

impl Pair {
    /// Whether both pairs are of the same two numbers, in either order.
    pub fn same_people(&self, other: &Pair) -> bool {
        (&self.first, &self.second) == (&other.first, &other.second)
            || (&self.first, &self.second) == (&other.second, &other.first)
    }
}

impl Exchange {
    /// The pairs in which this number talks now.
    pub fn pairs_of(&self, number: &Number) -> Vec<Pair> {
        let legs = self.index.legs(number).filter_map(|(call, leg)| self.calls.get(call)?.legs.get(leg));
        let told = legs.flat_map(|leg| leg.bridges.iter().map(|(_, bridge)| &bridge.call));
        let pairs = self.found(told).flat_map(|call| self.pairs(call));
        pairs.filter(|pair| pair.first == *number || pair.second == *number).collect()
    }

    /// The pairs that this call's bridges make now.
    pub fn pairs_in(&self, id: &CallId) -> Vec<Pair> {
        self.call(id).map(|call| self.pairs(call).collect()).unwrap_or_default()
    }

    /// Whether this pair's two numbers hear each other now, by a bridge of its call.
    pub fn talks(&self, pair: &Pair) -> bool {
        let mut talking = self.call(&pair.call).into_iter().flat_map(|call| self.talking_in(call));
        let (first, second) = (&pair.first, &pair.second);
        talking.any(|(a, b)| (a, b) == (first, second) || (a, b) == (second, first))
    }

    /// The number that `number` talks with in the call, or will once it is connected.
    pub fn opposite(&self, call: &Call, number: &Number) -> Number {
        let talks = self.pairs(call).find(|pair| pair.first == *number || pair.second == *number);
        let (first, second) = match talks {
            Some(pair) => (pair.first, pair.second),
            None => (call.caller().unwrap_or_else(|| Number::withheld(&call.id)), call.called.clone()),
        };
        if second == *number { first } else { second }
    }

    /// Whether a number is on the calling side: of the pair in which it talks, or else as the call was announced.
    pub fn is_caller(&self, call: &Call, number: &Number) -> bool {
        match self.pairs(call).find(|pair| pair.first == *number || pair.second == *number) {
            Some(pair) => pair.first == *number,
            None => call.caller().as_ref() == Some(number),
        }
    }

    /// Whether this pair's call left one of our PBXs, or passed a call server of ours, and arrived at another. The
    /// arriving call knows its party and reports it. A call that was rejected there doesn't count: it continues on
    /// another route.
    pub fn continues_at_another_pbx(&self, call: &Call, pair: &Pair) -> bool {
        if call.caller().as_ref() != Some(&pair.first) || call.called != pair.second {
            return false;
        }
        // In that call, or in the one that its announced leg moved to.
        let is_up = |other: &Call| self.call_of(&other.pbx, &other.leg).is_some_and(|now| now.phase != Phase::Ended);
        self.arrivals(call).any(is_up)
    }

    /// The calls that are from or to a number, or in which it has talked, each once: the oldest first.
    pub(super) fn calls_with(&self, number: &Number) -> impl Iterator<Item = &Call> {
        self.found(self.index.with_number(number))
    }

    /// The calls as which this call, which left one of our PBXs or passed a call server of ours, arrived at others.
    pub(super) fn arrivals<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = &'a Call> {
        let linked = call.remote.linked_call.iter();
        self.found(linked.chain(self.alike(call))).filter(move |other| is_arrival(call, other))
    }

    /// The calls as which this call, which arrived at one of our PBXs, left others.
    pub(super) fn origins<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = &'a Call> {
        let linked = self.index.linked(&call.id);
        self.found(linked.chain(self.alike(call))).filter(move |other| is_arrival(other, call))
    }

    /// The calls between the same numbers, or with the same address in their signalling.
    fn alike<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = &'a CallId> {
        let carried = call.carried.iter().flat_map(|address| self.index.carried(address));
        carried.chain(self.index.between(call))
    }

    /// These calls, each once: the oldest first.
    fn found<'a>(&'a self, ids: impl Iterator<Item = &'a CallId>) -> impl Iterator<Item = &'a Call> {
        ids.collect::<BTreeSet<_>>().into_iter().filter_map(|id| self.call(id))
    }

    /// A call, and the calls whose legs it hears.
    pub(super) fn joined<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = &'a Call> {
        let heard = call.legs.values().flat_map(|leg| leg.bridges.iter().map(|(other, _)| other));
        let owners = heard.filter_map(|other| self.call(&self.owner(&call.id, other)?));
        [call].into_iter().chain(owners)
    }

    /// Whether a leg is up, in whichever call.
    pub fn is_up(&self, pbx: &PbxName, leg: &LegId) -> bool {
        self.call_of(pbx, leg).is_some_and(|call| call.has(leg))
    }

    /// Whether a number in this call is withheld from the others.
    pub fn withholds(&self, id: &CallId, number: &Number) -> bool {
        let call = self.call(id);
        call.is_some_and(|call| self.joined(call).any(|home| home.withheld && home.calling.as_ref() == Some(number)))
    }

    /// The numbers whose address in this call is valid: those that talk, those that may still join, and for `grace`
    /// those that have left.
    pub fn reachable(&self, id: &CallId, now: UnixMillis, grace: Duration) -> BTreeSet<Number> {
        let Some(call) = self.call(id) else { return BTreeSet::new() };
        let talk = self.pairs(call).flat_map(|pair| [pair.first, pair.second]);
        let parted = call.parted.iter().filter(|(_, at)| now - **at < grace).map(|(number, _)| number.clone());
        // The caller's address goes out in the signalling, before anybody talks.
        let may_come = call.calling.iter().chain([&call.called]).filter(|n| !call.parted.contains_key(*n)).cloned();
        talk.chain(parted).chain(may_come).collect()
    }

    /// Live calls without a report for `after`: their agent has not come back.
    pub fn lost(&self, now: UnixMillis, after: Duration) -> Vec<CallId> {
        let lost = self.calls().filter(|call| call.phase != Phase::Ended && now - call.last_activity() >= after);
        lost.map(|call| call.id.clone()).collect()
    }

    /// The pairs that a leg of a call makes.
    pub(super) fn pairs_by(&self, id: &CallId, leg: &LegId) -> Vec<Pair> {
        let state = self.calls.get(id).and_then(|call| call.legs.get(leg));
        let bridges = state.into_iter().flat_map(|state| &state.bridges);
        bridges.filter_map(|(other, bridge)| self.paired_by(bridge, [leg, other])).collect()
    }

    /// The pair that a bridge between these legs makes.
    pub(super) fn paired_by(&self, bridge: &Bridge, legs: [&LegId; 2]) -> Option<Pair> {
        let (first, second) = self.numbers_of(bridge, legs)?;
        Some(Pair { call: bridge.call.clone(), first: first.clone(), second: second.clone() })
    }

    /// The numbers, calling side first, that a bridge between these legs makes a pair of.
    fn numbers_of(&self, bridge: &Bridge, [a, b]: [&LegId; 2]) -> Option<(&Number, &Number)> {
        if bridge.beyond {
            return None;
        }
        let side = |leg: &LegId| {
            let call = self.calls.get(&self.owner(&bridge.call, leg)?)?;
            Some((call.legs.get(leg)?.number.as_ref()?, *leg == call.leg))
        };
        let ((a, a_calls), (b, b_calls)) = (side(a)?, side(b)?);
        if a == b {
            return None;
        }
        Some(if b_calls && !a_calls { (b, a) } else { (a, b) })
    }

    /// The bridges of a call, each once, with their legs.
    fn bridges_of<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = (&'a Bridge, [&'a LegId; 2])> {
        call.legs.iter().flat_map(move |(leg, state)| {
            let bridges = state.bridges.iter().filter(move |(other, bridge)| {
                // Both legs hold the bridge: take it once, in the call that reported it.
                bridge.call == call.id && (leg < other || !call.has(other))
            });
            bridges.map(move |(other, bridge)| (bridge, [leg, other]))
        })
    }

    /// The numbers that hear each other by the call's bridges.
    fn talking_in<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = (&'a Number, &'a Number)> {
        self.bridges_of(call).filter_map(|(bridge, legs)| self.numbers_of(bridge, legs))
    }

    /// The pairs that the call's bridges make.
    pub(super) fn pairs<'a>(&'a self, call: &'a Call) -> impl Iterator<Item = Pair> + 'a {
        self.bridges_of(call).filter_map(|(bridge, legs)| self.paired_by(bridge, legs))
    }
}

/// Whether `other` is `call` as it arrived at another PBX.
pub(super) fn is_arrival(call: &Call, other: &Call) -> bool {
    if call.side == Side::Originating && call.remote.linked_call.as_ref() == Some(&other.id) {
        return true;
    }
    let numbers = (&other.calling, &other.called) == (&call.calling, &call.called) && call.calling.is_some();
    // Both carried the same address, even if an attendant has found another extension since.
    let address = call.side == Side::Terminating && call.carried.is_some() && other.carried == call.carried;
    other.side == Side::Terminating
        && (call.side == Side::Originating || other.pbx != call.pbx)
        && other.decided >= call.decided
        && (address || numbers && other.decided - call.decided <= ARRIVES)
}
