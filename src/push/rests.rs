//! Rests of `sip:` addresses that refused their last message.
//!
//! The agent of a PBX says how long an address rests there. Meanwhile the node makes no deliveries over this route, so
//! unreachable addresses cost a number's calls nothing. After the rest, one message tries the address. Once it is
//! accepted, the node tells the clients of every call that they missed and that is still up.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::core::address::Address;
use crate::core::base::name::{CallId, PbxName};
use crate::core::call::exchange::Pair;

/// How long to wait for the outcome of a try. After that the address counts as reachable.
const TRIED_WITHIN: Duration = Duration::from_secs(60);

/// A `sip:` address and the PBX that sends to it: another PBX may reach the address by another trunk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SipRoute {
    /// The PBX.
    pub via: PbxName,
    /// The address.
    pub to: Address,
}

/// A route whose rest is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rested {
    /// The route.
    pub route: SipRoute,
    /// The pairs that clients on this route missed, in any order.
    pub missed: Vec<Pair>,
    /// Whether this message only tries the address, which may still be unreachable.
    pub is_try: bool,
}

#[derive(Debug)]
struct Rest {
    /// The end of the rest, or when the address was tried after it.
    until: Instant,
    missed: Missed,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Resting,
    /// The rest is over, and one message tries the address.
    Tried,
    /// The address accepts messages.
    Back,
}

/// Missed pairs by call.
#[derive(Debug, Default)]
struct Missed(HashMap<CallId, Vec<Pair>>);

impl Missed {
    /// Adds a pair. Returns false if it was missed before.
    fn add(&mut self, pair: &Pair) -> bool {
        let pairs = self.0.entry(pair.call.clone()).or_default();
        let is_new = !pairs.contains(pair);
        if is_new {
            pairs.push(pair.clone());
        }
        is_new
    }

    fn all(&self) -> Vec<Pair> {
        self.0.values().flatten().cloned().collect()
    }
}

/// Whether to skip a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skip {
    /// Don't skip: the route doesn't rest.
    No,
    /// Skip: the route rests, and the pair is now missed.
    Missed,
    /// Skip: the route rests, and the pair was missed before.
    Again,
}

/// Routes that rest or have rested.
#[derive(Debug, Default)]
pub(super) struct Rests(Mutex<HashMap<SipRoute, Rest>>);

impl Rests {
    /// Starts a rest.
    pub(super) fn begin(&self, route: SipRoute, rest: Duration, now: Instant) {
        let mut all = self.lock();
        let missed = all.remove(&route).map(|rest| rest.missed).unwrap_or_default();
        all.insert(route, Rest { until: now + rest, missed, state: State::Resting });
    }

    /// Ends a rest, since the address accepted a message. Returns whether it had rested.
    pub(super) fn end(&self, route: &SipRoute) -> bool {
        self.lock().get_mut(route).map(|rest| rest.state = State::Back).is_some()
    }

    /// If the route rests, records that its client misses a pair.
    pub(super) fn skip(&self, route: &SipRoute, pair: &Pair, now: Instant) -> Skip {
        let mut all = self.lock();
        match all.get_mut(route).filter(|rest| rest.state == State::Resting && now < rest.until) {
            None => Skip::No,
            Some(rest) => match rest.missed.add(pair) {
                true => Skip::Missed,
                false => Skip::Again,
            },
        }
    }

    /// Takes the routes whose clients can now be told what they missed. If that fails, use [`Rests::put_back`].
    pub(super) fn over(&self, now: Instant) -> Vec<Rested> {
        let mut over = Vec::new();
        self.lock().retain(|route, rest| {
            if rest.state == State::Resting && now < rest.until {
                return true;
            }
            let is_known = match rest.state {
                State::Resting => false,
                State::Tried => now >= rest.until + TRIED_WITHIN,
                State::Back => true,
            };
            if (is_known || rest.state == State::Resting) && !rest.missed.0.is_empty() {
                over.push(Rested { route: route.clone(), missed: rest.missed.all(), is_try: !is_known });
                (rest.state, rest.until) = (State::Tried, now);
            }
            !is_known && !rest.missed.0.is_empty()
        });
        over
    }

    /// Puts back a route whose clients couldn't be told yet. [`Rests::over`] returns it again.
    pub(super) fn put_back(&self, rested: Rested, now: Instant) {
        let mut all = self.lock();
        let is_over = || Rest { until: now, missed: Missed::default(), state: State::Back };
        let rest = all.entry(rested.route).or_insert_with(is_over);
        rested.missed.iter().for_each(|pair| _ = rest.missed.add(pair));
        if rest.state == State::Tried {
            rest.state = State::Resting;
        }
    }

    /// Drops the missed pairs of a call that ended.
    pub(super) fn end_call(&self, call: &CallId) {
        self.lock().values_mut().for_each(|rest| _ = rest.missed.0.remove(call));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SipRoute, Rest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(10);

    fn route(via: &str) -> SipRoute {
        SipRoute { via: via.parse().unwrap(), to: "sip:x@192.0.2.1".parse().unwrap() }
    }

    fn pair(call: &str) -> Pair {
        let [first, second] = ["+12125550101", "+12125550102"].map(|text| text.parse().unwrap());
        Pair { call: call.parse().unwrap(), first, second }
    }

    /// What is over, in the order of its calls.
    fn over(rests: &Rests, now: Instant) -> Vec<(Vec<Pair>, bool)> {
        let sorted = |mut missed: Vec<Pair>| {
            missed.sort_by(|a, b| a.call.cmp(&b.call));
            missed
        };
        rests.over(now).into_iter().map(|rested| (sorted(rested.missed), rested.is_try)).collect()
    }

    #[test]
    fn an_address_that_is_back_is_told_of_all_that_it_missed() {
        let (rests, desk, now) = (Rests::default(), route("a"), Instant::now());
        assert_eq!(rests.skip(&desk, &pair("1"), now), Skip::No);
        rests.begin(desk.clone(), REST, now);
        assert_eq!(rests.skip(&desk, &pair("1"), now), Skip::Missed);
        assert_eq!(rests.skip(&desk, &pair("2"), now), Skip::Missed);
        assert_eq!(rests.skip(&desk, &pair("2"), now), Skip::Again, "it is missed once");
        assert!(rests.over(now).is_empty());
        let later = now + REST;
        assert_eq!(rests.skip(&desk, &pair("3"), later), Skip::No, "a message may try it");
        assert_eq!(over(&rests, later), [(vec![pair("1"), pair("2")], true)]);
        assert!(rests.over(later).is_empty(), "one try is enough");
        assert!(rests.end(&desk));
        assert_eq!(over(&rests, later), [(vec![pair("1"), pair("2")], false)]);
        assert!(!rests.end(&desk) && rests.lock().is_empty());
    }

    #[test]
    fn an_address_that_is_still_dead_rests_again() {
        let (rests, desk, now) = (Rests::default(), route("a"), Instant::now());
        rests.begin(desk.clone(), REST, now);
        assert_eq!(rests.skip(&desk, &pair("1"), now), Skip::Missed);
        let later = now + REST;
        assert_eq!(over(&rests, later), [(vec![pair("1")], true)]);
        rests.begin(desk.clone(), REST, later);
        assert_eq!(rests.skip(&desk, &pair("1"), later), Skip::Again);
        assert_eq!(over(&rests, later + REST), [(vec![pair("1")], true)]);
    }

    #[test]
    fn an_address_whose_try_has_no_outcome_is_told_all_the_same() {
        let (rests, desk, now) = (Rests::default(), route("a"), Instant::now());
        rests.begin(desk.clone(), REST, now);
        rests.skip(&desk, &pair("1"), now);
        rests.skip(&desk, &pair("2"), now);
        let later = now + REST;
        assert_eq!(over(&rests, later), [(vec![pair("1"), pair("2")], true)]);
        assert!(rests.over(later + TRIED_WITHIN - Duration::from_millis(1)).is_empty());
        assert_eq!(over(&rests, later + TRIED_WITHIN), [(vec![pair("1"), pair("2")], false)]);
        assert!(rests.lock().is_empty());
    }

    #[test]
    fn a_try_has_its_time_however_late_it_is_made() {
        let (rests, desk, now) = (Rests::default(), route("a"), Instant::now());
        rests.begin(desk.clone(), REST, now);
        rests.skip(&desk, &pair("1"), now);
        // The database failed for a while.
        let tried = now + REST + TRIED_WITHIN;
        assert_eq!(over(&rests, tried), [(vec![pair("1")], true)]);
        assert!(rests.over(tried + TRIED_WITHIN - Duration::from_millis(1)).is_empty());
        assert_eq!(over(&rests, tried + TRIED_WITHIN), [(vec![pair("1")], false)]);
    }

    #[test]
    fn what_could_not_be_told_is_told_later() {
        let (rests, desk, now) = (Rests::default(), route("a"), Instant::now());
        rests.begin(desk.clone(), REST, now);
        rests.skip(&desk, &pair("1"), now);
        let later = now + REST;
        for _ in 0..2 {
            let tried = rests.over(later).remove(0);
            assert!(tried.is_try);
            rests.put_back(tried, later);
        }
        rests.end(&desk);
        for _ in 0..2 {
            let back = rests.over(later).remove(0);
            assert_eq!((back.missed.as_slice(), back.is_try), (&[pair("1")][..], false));
            rests.put_back(back, later);
        }
        // It rests again before what it missed is put back.
        let back = rests.over(later).remove(0);
        rests.begin(desk, REST, later);
        rests.put_back(back, later);
        assert!(rests.over(later).is_empty());
        assert_eq!(over(&rests, later + REST), [(vec![pair("1")], true)]);
    }

    #[test]
    fn an_address_rests_at_one_pbx_alone() {
        let (rests, now) = (Rests::default(), Instant::now());
        rests.begin(route("a"), REST, now);
        assert_eq!(rests.skip(&route("b"), &pair("1"), now), Skip::No);
        assert!(!rests.end(&route("b")));
        assert_eq!(rests.skip(&route("a"), &pair("1"), now), Skip::Missed);
    }

    #[test]
    fn a_rest_without_a_missed_call_that_is_up_is_forgotten() {
        let (rests, now) = (Rests::default(), Instant::now());
        rests.begin(route("a"), REST, now);
        rests.begin(route("b"), REST, now);
        rests.skip(&route("b"), &pair("1"), now);
        rests.end_call(&pair("1").call);
        assert!(rests.over(now).is_empty() && !rests.lock().is_empty());
        assert!(rests.over(now + REST).is_empty() && rests.lock().is_empty());
    }
}
