//! `sip:` addresses that refused their last message, and the pairs that their clients missed since.
//!
//! The agent of a PBX says how long it backs off from an address. Meanwhile the node makes no deliveries over this route, so
//! unreachable addresses cost a number's calls nothing. After the back-off, one message probes the address. Once it is
//! accepted, the node tells the clients of every call that they missed and that is still up.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::core::address::Address;
use crate::core::base::name::{CallId, PbxName};
use crate::core::call::exchange::Pair;

/// How long to wait for the outcome of a probe. After that the address counts as reachable.
const PROBED_WITHIN: Duration = Duration::from_secs(60);

/// A `sip:` address and the PBX that sends to it: another PBX may reach the address by another trunk.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SipRoute {
    /// The PBX.
    pub via: PbxName,
    /// The address.
    pub to: Address,
}

/// What the clients on a route missed while it was unreachable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedPairs {
    /// The route.
    pub route: SipRoute,
    /// The pairs that clients on this route missed, in any order.
    pub pairs: Vec<Pair>,
    /// Whether the message only probes the address, which may still be unreachable.
    pub is_probe: bool,
}

#[derive(Debug)]
struct Unreachable {
    /// The end of the back-off, or when the address was probed after it.
    until: Instant,
    missed: Missed,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    BackingOff,
    /// The back-off is over, and one message probes the address.
    Probed,
    /// The address accepts messages.
    Reachable,
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
pub(in crate::push) enum Skip {
    /// Don't skip: the route may be tried.
    No,
    /// Skip: the route is unreachable, and the pair is now missed.
    Missed,
    /// Skip: the route is unreachable, and the pair was missed before.
    Again,
}

/// Routes that are or were unreachable.
#[derive(Debug, Default)]
pub(in crate::push) struct UnreachableRoutes(Mutex<HashMap<SipRoute, Unreachable>>);

impl UnreachableRoutes {
    /// Starts a back-off, since the address refused a message.
    pub(in crate::push) fn failed(&self, route: SipRoute, backoff: Duration, now: Instant) {
        let mut all = self.lock();
        let missed = all.remove(&route).map(|known| known.missed).unwrap_or_default();
        all.insert(route, Unreachable { until: now + backoff, missed, state: State::BackingOff });
    }

    /// Ends the back-off, since the address accepted a message. Returns whether it was unreachable.
    pub(in crate::push) fn accepted(&self, route: &SipRoute) -> bool {
        self.lock().get_mut(route).map(|unreachable| unreachable.state = State::Reachable).is_some()
    }

    /// If the route is unreachable, records that its client misses a pair.
    pub(in crate::push) fn skip(&self, route: &SipRoute, pair: &Pair, now: Instant) -> Skip {
        let mut all = self.lock();
        match all.get_mut(route).filter(|unreachable| unreachable.state == State::BackingOff && now < unreachable.until)
        {
            None => Skip::No,
            Some(unreachable) => match unreachable.missed.add(pair) {
                true => Skip::Missed,
                false => Skip::Again,
            },
        }
    }

    /// Takes the routes whose clients can now be told what they missed. If that fails, use [`UnreachableRoutes::put_back`].
    pub(in crate::push) fn take_missed(&self, now: Instant) -> Vec<MissedPairs> {
        let mut over = Vec::new();
        self.lock().retain(|route, unreachable| {
            if unreachable.state == State::BackingOff && now < unreachable.until {
                return true;
            }
            let is_known = match unreachable.state {
                State::BackingOff => false,
                State::Probed => now >= unreachable.until + PROBED_WITHIN,
                State::Reachable => true,
            };
            if (is_known || unreachable.state == State::BackingOff) && !unreachable.missed.0.is_empty() {
                over.push(MissedPairs { route: route.clone(), pairs: unreachable.missed.all(), is_probe: !is_known });
                (unreachable.state, unreachable.until) = (State::Probed, now);
            }
            !is_known && !unreachable.missed.0.is_empty()
        });
        over
    }

    /// Puts back a route whose clients couldn't be told yet. [`UnreachableRoutes::take_missed`] returns it again.
    pub(in crate::push) fn put_back(&self, missed: MissedPairs, now: Instant) {
        let mut all = self.lock();
        let is_over = || Unreachable { until: now, missed: Missed::default(), state: State::Reachable };
        let unreachable = all.entry(missed.route).or_insert_with(is_over);
        missed.pairs.iter().for_each(|pair| _ = unreachable.missed.add(pair));
        if unreachable.state == State::Probed {
            unreachable.state = State::BackingOff;
        }
    }

    /// Drops the missed pairs of a call that ended.
    pub(in crate::push) fn end_call(&self, call: &CallId) {
        self.lock().values_mut().for_each(|unreachable| _ = unreachable.missed.0.remove(call));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SipRoute, Unreachable>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Duration = Duration::from_secs(10);

    fn route(via: &str) -> SipRoute {
        SipRoute { via: via.parse().unwrap(), to: "sip:x@192.0.2.1".parse().unwrap() }
    }

    fn pair(call: &str) -> Pair {
        let [first, second] = ["+12125550101", "+12125550102"].map(|text| text.parse().unwrap());
        Pair { call: call.parse().unwrap(), first, second }
    }

    /// What is over, in the order of its calls.
    fn over(routes: &UnreachableRoutes, now: Instant) -> Vec<(Vec<Pair>, bool)> {
        let sorted = |mut missed: Vec<Pair>| {
            missed.sort_by(|a, b| a.call.cmp(&b.call));
            missed
        };
        routes.take_missed(now).into_iter().map(|missed| (sorted(missed.pairs), missed.is_probe)).collect()
    }

    #[test]
    fn an_address_that_is_back_is_told_of_all_that_it_missed() {
        let (routes, desk, now) = (UnreachableRoutes::default(), route("a"), Instant::now());
        assert_eq!(routes.skip(&desk, &pair("1"), now), Skip::No);
        routes.failed(desk.clone(), BACKOFF, now);
        assert_eq!(routes.skip(&desk, &pair("1"), now), Skip::Missed);
        assert_eq!(routes.skip(&desk, &pair("2"), now), Skip::Missed);
        assert_eq!(routes.skip(&desk, &pair("2"), now), Skip::Again, "it is missed once");
        assert!(routes.take_missed(now).is_empty());
        let later = now + BACKOFF;
        assert_eq!(routes.skip(&desk, &pair("3"), later), Skip::No, "a message may try it");
        assert_eq!(over(&routes, later), [(vec![pair("1"), pair("2")], true)]);
        assert!(routes.take_missed(later).is_empty(), "one try is enough");
        assert!(routes.accepted(&desk));
        assert_eq!(over(&routes, later), [(vec![pair("1"), pair("2")], false)]);
        assert!(!routes.accepted(&desk) && routes.lock().is_empty());
    }

    #[test]
    fn an_address_that_is_still_dead_is_left_alone_again() {
        let (routes, desk, now) = (UnreachableRoutes::default(), route("a"), Instant::now());
        routes.failed(desk.clone(), BACKOFF, now);
        assert_eq!(routes.skip(&desk, &pair("1"), now), Skip::Missed);
        let later = now + BACKOFF;
        assert_eq!(over(&routes, later), [(vec![pair("1")], true)]);
        routes.failed(desk.clone(), BACKOFF, later);
        assert_eq!(routes.skip(&desk, &pair("1"), later), Skip::Again);
        assert_eq!(over(&routes, later + BACKOFF), [(vec![pair("1")], true)]);
    }

    #[test]
    fn an_address_whose_try_has_no_outcome_is_told_all_the_same() {
        let (routes, desk, now) = (UnreachableRoutes::default(), route("a"), Instant::now());
        routes.failed(desk.clone(), BACKOFF, now);
        routes.skip(&desk, &pair("1"), now);
        routes.skip(&desk, &pair("2"), now);
        let later = now + BACKOFF;
        assert_eq!(over(&routes, later), [(vec![pair("1"), pair("2")], true)]);
        assert!(routes.take_missed(later + PROBED_WITHIN - Duration::from_millis(1)).is_empty());
        assert_eq!(over(&routes, later + PROBED_WITHIN), [(vec![pair("1"), pair("2")], false)]);
        assert!(routes.lock().is_empty());
    }

    #[test]
    fn a_try_has_its_time_however_late_it_is_made() {
        let (routes, desk, now) = (UnreachableRoutes::default(), route("a"), Instant::now());
        routes.failed(desk.clone(), BACKOFF, now);
        routes.skip(&desk, &pair("1"), now);
        // The database failed for a while.
        let tried = now + BACKOFF + PROBED_WITHIN;
        assert_eq!(over(&routes, tried), [(vec![pair("1")], true)]);
        assert!(routes.take_missed(tried + PROBED_WITHIN - Duration::from_millis(1)).is_empty());
        assert_eq!(over(&routes, tried + PROBED_WITHIN), [(vec![pair("1")], false)]);
    }

    #[test]
    fn what_could_not_be_told_is_told_later() {
        let (routes, desk, now) = (UnreachableRoutes::default(), route("a"), Instant::now());
        routes.failed(desk.clone(), BACKOFF, now);
        routes.skip(&desk, &pair("1"), now);
        let later = now + BACKOFF;
        for _ in 0..2 {
            let tried = routes.take_missed(later).remove(0);
            assert!(tried.is_probe);
            routes.put_back(tried, later);
        }
        routes.accepted(&desk);
        for _ in 0..2 {
            let back = routes.take_missed(later).remove(0);
            assert_eq!((back.pairs.as_slice(), back.is_probe), (&[pair("1")][..], false));
            routes.put_back(back, later);
        }
        // It fails again before what it missed is put back.
        let back = routes.take_missed(later).remove(0);
        routes.failed(desk, BACKOFF, later);
        routes.put_back(back, later);
        assert!(routes.take_missed(later).is_empty());
        assert_eq!(over(&routes, later + BACKOFF), [(vec![pair("1")], true)]);
    }

    #[test]
    fn an_address_is_unreachable_by_one_pbx_alone() {
        let (routes, now) = (UnreachableRoutes::default(), Instant::now());
        routes.failed(route("a"), BACKOFF, now);
        assert_eq!(routes.skip(&route("b"), &pair("1"), now), Skip::No);
        assert!(!routes.accepted(&route("b")));
        assert_eq!(routes.skip(&route("a"), &pair("1"), now), Skip::Missed);
    }

    #[test]
    fn a_route_without_a_missed_call_that_is_up_is_forgotten() {
        let (routes, now) = (UnreachableRoutes::default(), Instant::now());
        routes.failed(route("a"), BACKOFF, now);
        routes.failed(route("b"), BACKOFF, now);
        routes.skip(&route("b"), &pair("1"), now);
        routes.end_call(&pair("1").call);
        assert!(routes.take_missed(now).is_empty() && !routes.lock().is_empty());
        assert!(routes.take_missed(now + BACKOFF).is_empty() && routes.lock().is_empty());
    }
}
