//! Which bridges the node has been told of.

use std::collections::{HashMap, HashSet};

use crate::core::base::name::LegId;
use crate::pbx::sorted;

/// Others that a leg is told to hear. A node pairs no more people of one conference with each other, and
/// who hears so many of them is known to be beyond that: each one more would make a large conference cost
/// the square of its size.
pub(in crate::agent) const HEARS_MAX: usize = 64;

/// Who hears whom, as the node has been told: each bridge from both legs. Of a leg that hears more than [`HEARS_MAX`]
/// others, only the first of them.
#[derive(Debug, Default)]
pub(in crate::agent) struct ToldBridges(HashMap<LegId, HashSet<LegId>>);

impl ToldBridges {
    /// Notes a bridge. True if the node is to be told: it is news, and one of the two legs doesn't hear too many.
    pub(in crate::agent) fn add(&mut self, [a, b]: &[LegId; 2]) -> bool {
        let mut note = |leg: &LegId, other: &LegId| {
            let others = self.0.entry(leg.clone()).or_default();
            others.len() < HEARS_MAX && others.insert(other.clone())
        };
        note(a, b) | note(b, a)
    }

    /// Forgets a bridge. True if the node had been told of it.
    pub(in crate::agent) fn remove(&mut self, [a, b]: &[LegId; 2]) -> bool {
        self.forget(a, b) | self.forget(b, a)
    }

    /// Forgets the bridges of a leg that is gone.
    pub(in crate::agent) fn remove_leg(&mut self, leg: &LegId) {
        for other in self.0.remove(leg).unwrap_or_default() {
            self.forget(&other, leg);
        }
    }

    /// Whether the node has been told of this bridge.
    pub(in crate::agent) fn has(&self, [a, b]: &[LegId; 2]) -> bool {
        self.of(a).any(|other| other == b) || self.of(b).any(|other| other == a)
    }

    /// The legs that this one hears.
    pub(in crate::agent) fn of(&self, leg: &LegId) -> impl Iterator<Item = &LegId> {
        self.0.get(leg).into_iter().flatten()
    }

    /// All of them, each once, in the order of [`sorted`].
    pub(in crate::agent) fn all(&self) -> HashSet<[LegId; 2]> {
        let both =
            self.0.iter().flat_map(|(leg, others)| others.iter().map(|other| sorted(&[leg.clone(), other.clone()])));
        both.collect()
    }

    pub(in crate::agent) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn forget(&mut self, leg: &LegId, other: &LegId) -> bool {
        let Some(others) = self.0.get_mut(leg) else { return false };
        let heard = others.remove(other);
        if others.is_empty() {
            self.0.remove(leg);
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(a: &str, b: &str) -> [LegId; 2] {
        [a.parse().unwrap(), b.parse().unwrap()]
    }

    #[test]
    fn a_bridge_is_told_once_whichever_leg_is_named_first() {
        let mut told = ToldBridges::default();
        assert!(told.add(&pair("B", "A")));
        assert!(!told.add(&pair("A", "B")) && told.has(&pair("A", "B")));
        assert_eq!(told.all(), HashSet::from([pair("A", "B")]));
        assert!(told.remove(&pair("A", "B")));
        assert!(!told.remove(&pair("B", "A")) && told.is_empty());
    }

    #[test]
    fn a_leg_that_is_gone_leaves_nothing() {
        let mut told = ToldBridges::default();
        told.add(&pair("A", "B"));
        told.add(&pair("B", "C"));
        told.remove_leg(&"B".parse().unwrap());
        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn a_bridge_between_two_legs_that_hear_too_many_is_not_told() {
        let mut told = ToldBridges::default();
        for n in 0..HEARS_MAX {
            assert!(told.add(&pair("A", &format!("X{n}"))) && told.add(&pair("B", &format!("Y{n}"))));
        }
        assert!(!told.add(&pair("A", "B")) && !told.has(&pair("A", "B")) && !told.remove(&pair("A", "B")));
        assert!(told.add(&pair("A", "C")), "C hears nobody else");
        assert!(told.has(&pair("A", "C")) && told.remove(&pair("C", "A")));
    }
}
