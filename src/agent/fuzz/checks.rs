//! What clients are told, and whether it is true.

use std::collections::BTreeSet;

use super::world::World;
use crate::core::base::name::LegId;
use crate::core::call::exchange::Effect;
use crate::core::numbering::number::Number;

impl World {
    /// What clients are told.
    pub(super) fn follows(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Paired(pair) => {
                    // Whatever has overtaken whatever.
                    let is_phone = |number: &Number| self.pbx.channels.iter().any(|c| c.stands_for == *number);
                    assert!(is_phone(&pair.first) && is_phone(&pair.second), "{pair:?}: a number that no phone has");
                    let key = (pair.call, sorted(pair.first, pair.second));
                    assert!(self.paired.insert(key.clone()), "{key:?} was paired before");
                }
                Effect::Parted(pair) => {
                    let key = (pair.call, sorted(pair.first, pair.second));
                    assert!(self.paired.remove(&key), "{key:?} was not paired");
                    let phones = key.1.each_ref().map(|number| self.pbx.phone_of(number));
                    let met = if let [Some(a), Some(b)] = phones { self.met.get(&[a.max(b), a.min(b)]) } else { None };
                    let is_needless = !self.disordered && !self.overtook && met == Some(&(1, true));
                    assert!(!is_needless, "{key:?} are parted, and have heard each other ever since they met");
                }
                Effect::AnsweredByUnknown(_) => {}
                Effect::Ended(call) => {
                    assert!(!self.paired.iter().any(|(other, _)| *other == call), "a pair outlives {call}");
                    let legs = self.exchange.call(&call).into_iter().flat_map(|ended| ended.legs.keys());
                    let of_it = |leg: &LegId| self.exchange.call_of(&self.name, leg).is_some_and(|of| of.id == call);
                    let up: Vec<_> = legs.filter(|leg| of_it(leg) && self.pbx.is_up_in(leg, &call)).collect();
                    assert!(up.is_empty(), "{call} has ended, and {up:?} are up");
                }
            }
        }
    }

    /// Who has begun to hear whom.
    pub(super) fn meet(&mut self) {
        let channels = &self.pbx.channels;
        // Who hears whom through them is open while they are taken out.
        self.disordered |= channels.iter().any(|channel| !channel.is_phone());
        for a in 0..channels.len() {
            for b in 0..a {
                let hear = self.pbx.are_connected(a, b);
                if hear || self.met.contains_key(&[a, b]) {
                    let (times, heard) = self.met.entry([a, b]).or_default();
                    *times += usize::from(hear && !*heard);
                    *heard = hear;
                }
            }
        }
    }

    pub(super) fn check(&self) {
        let mut known = BTreeSet::new();
        for call in self.exchange.calls() {
            let pairs = self.exchange.pairs_in(&call.id).into_iter();
            known.extend(pairs.map(|pair| (pair.call, sorted(pair.first, pair.second))));
        }
        assert_eq!(known, self.paired, "clients were told something else than the exchange knows");
        let settled = !self.dirty && self.asked.is_none() && self.reports.is_empty() && self.lose == 0;
        if !settled || !self.pbx.taking_out.is_empty() {
            return;
        }
        for (call, numbers) in &self.paired {
            let hear = match (self.pbx.phone_of(&numbers[0]), self.pbx.phone_of(&numbers[1])) {
                (Some(a), Some(b)) => self.pbx.are_connected(a, b),
                _ => false,
            };
            assert!(hear, "{numbers:?} are paired in {call} and don't hear each other");
        }
    }

    /// After a snapshot, and where no conference can be full: whoever is followed is paired with whoever they hear. A
    /// pair may be lost where reports have overtaken each other: a bridge that goes to an earlier call of the leg ends
    /// with that.
    pub(super) fn check_that_all_are_paired(&self) {
        let channels = &self.pbx.channels;
        if channels.len() >= self.conference || !self.pbx.taking_out.is_empty() {
            return;
        }
        let followed = |n: &usize| self.tracker.call_of(&channels[*n].leg).is_some();
        for a in (0..channels.len()).filter(followed) {
            for b in (0..a).filter(followed).filter(|b| self.pbx.are_connected(a, *b)) {
                let numbers = sorted(channels[a].stands_for.clone(), channels[b].stands_for.clone());
                assert!(self.paired.iter().any(|(_, pair)| *pair == numbers), "{numbers:?} are not paired");
            }
        }
    }
}

fn sorted(a: Number, b: Number) -> [Number; 2] {
    let mut both = [a, b];
    both.sort_unstable();
    both
}
