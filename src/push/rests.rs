//! Which `sip:` addresses get no message for now, since they did not take the last one.
//!
//! The agent of their PBX says how long an address rests. Meanwhile no delivery is made for it, so a number with many dead
//! addresses costs its calls nothing. When the rest is over, one call's message tries the address. If it takes that one,
//! its client is told of every call that it missed and that is still up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::core::address::Address;
use crate::core::number::Number;

/// How long the outcome of a try may take. After that the address is like any other.
const TRIED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Rest {
    until: Instant,
    /// The numbers whose client at this address missed a call.
    missed: BTreeSet<Number>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Resting,
    /// The rest is over and a message was asked for.
    Tried,
    /// It takes messages.
    Back,
}

/// Addresses that rest or have rested.
#[derive(Debug, Default)]
pub(super) struct Rests(Mutex<HashMap<Address, Rest>>);

impl Rests {
    /// The address gets no message for so long.
    pub(super) fn begin(&self, address: Address, rest: Duration, now: Instant) {
        let mut all = self.lock();
        let missed = all.remove(&address).map(|rest| rest.missed).unwrap_or_default();
        all.insert(address, Rest { until: now + rest, missed, state: State::Resting });
    }

    /// The address took a message. True if it had rested.
    pub(super) fn end(&self, address: &Address) -> bool {
        self.lock().get_mut(address).map(|rest| rest.state = State::Back).is_some()
    }

    /// Whether it rests, so that a number's client there misses this call.
    pub(super) fn misses(&self, address: &Address, number: &Number, now: Instant) -> bool {
        let mut all = self.lock();
        let Some(rest) = all.get_mut(address) else { return false };
        let is_resting = rest.state == State::Resting && now < rest.until;
        if is_resting && !rest.missed.contains(number) {
            rest.missed.insert(number.clone());
        }
        is_resting
    }

    /// The numbers that have missed calls and can be told now: of all of them (true), or of one as a try.
    pub(super) fn over(&self, now: Instant) -> BTreeMap<Number, bool> {
        let mut over = BTreeMap::<Number, bool>::new();
        self.lock().retain(|_, rest| {
            let is_back = rest.state == State::Back;
            if !is_back && now < rest.until {
                return true;
            }
            if rest.state != State::Tried {
                rest.missed.iter().for_each(|number| *over.entry(number.clone()).or_default() |= is_back);
                rest.state = State::Tried;
            }
            !is_back && !rest.missed.is_empty() && now < rest.until + TRIED_WITHIN
        });
        over
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Rest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(10);

    fn start() -> (Rests, Address, [Number; 2], Instant) {
        let numbers = ["+12125550101", "+12125550102"].map(|text| text.parse().unwrap());
        (Rests::default(), "sip:x@192.0.2.1".parse().unwrap(), numbers, Instant::now())
    }

    #[test]
    fn an_address_that_is_back_is_told_of_all_that_it_missed() {
        let (rests, address, [bob, carol], now) = start();
        assert!(!rests.misses(&address, &bob, now));
        rests.begin(address.clone(), REST, now);
        assert!(rests.misses(&address, &bob, now) && rests.misses(&address, &carol, now));
        assert!(rests.over(now).is_empty());
        let later = now + REST;
        assert!(!rests.misses(&address, &bob, later), "a message may try it");
        assert_eq!(rests.over(later), BTreeMap::from([(bob.clone(), false), (carol.clone(), false)]));
        assert!(rests.over(later).is_empty(), "one try is enough");
        assert!(rests.end(&address));
        assert_eq!(rests.over(later), BTreeMap::from([(bob, true), (carol, true)]));
        assert!(!rests.end(&address) && rests.lock().is_empty());
    }

    #[test]
    fn an_address_that_is_still_dead_rests_again() {
        let (rests, address, [bob, _], now) = start();
        rests.begin(address.clone(), REST, now);
        assert!(rests.misses(&address, &bob, now));
        let later = now + REST;
        assert_eq!(rests.over(later).len(), 1);
        rests.begin(address.clone(), REST, later);
        assert!(rests.misses(&address, &bob, later));
        assert_eq!(rests.over(later + REST), BTreeMap::from([(bob, false)]));
        assert!(rests.over(later + REST + TRIED_WITHIN).is_empty() && rests.lock().is_empty());
    }

    #[test]
    fn a_rest_that_nobody_missed_anything_in_is_forgotten() {
        let (rests, address, _, now) = start();
        rests.begin(address, REST, now);
        assert!(rests.over(now).is_empty() && !rests.lock().is_empty());
        assert!(rests.over(now + REST).is_empty() && rests.lock().is_empty());
    }
}
