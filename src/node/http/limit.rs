//! How much somebody may post to one call-scoped address: two token buckets for each, of messages and of
//! bytes, and an end to it. And how many offers a peer may make, and how often a client binds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;

use crate::core::bucket::Bucket;
use crate::core::name::{CallId, PeerName};
use crate::core::number::Number;

/// Posts at once.
const BURST: f64 = 50.0;
/// Posts per second after that.
const RATE: f64 = 20.0;
/// Bytes at once, for all clients of a number: more than a dozen of the largest messages to one.
const BYTES_BURST: f64 = 1024.0 * 1024.0;
/// Bytes per second after that.
const BYTES_RATE: f64 = 128.0 * 1024.0;
/// Bytes in all: they are kept until the call ends. Files go from client to client.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Offers of one peer at once: as many as it may have calls to us.
const OFFERS_BURST: f64 = 500.0;
/// Its offers per second after that.
const OFFERS_RATE: f64 = 200.0;

/// Times that a number's clients bind and unbind at once: all that it can have, and some that come and go.
const BINDINGS_BURST: f64 = 120.0;
/// Times per second after that.
const BINDINGS_RATE: f64 = 0.5;
/// In so long a number regains all of them, and is forgotten.
const BINDINGS_FULL: Duration = Duration::from_secs(240);
/// Numbers that are remembered.
const NUMBERS: u64 = 100_000;

/// Whether a post may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum Taken {
    /// It may.
    Yes,
    /// In a moment.
    NotNow,
    /// Not in this call.
    NoMore,
    /// The node keeps as much as it may, of all calls together.
    Full,
}

/// What was taken.
#[derive(Debug)]
pub(in crate::node) struct Limits {
    /// By each address, until its call is forgotten.
    posts: Mutex<Posts>,
    /// By each peer; they are configured, so they are few.
    offers: Mutex<HashMap<PeerName, Bucket>>,
    /// The same for what they tell of calls.
    parts: Mutex<HashMap<PeerName, Bucket>>,
    /// By each number, of which the clients' token is.
    bindings: Cache<Number, Arc<Mutex<Bucket>>>,
    posts_max: u64,
}

#[derive(Debug, Default)]
struct Posts {
    calls: HashMap<CallId, HashMap<String, Spent>>,
    /// Bytes of all calls.
    total: u64,
}

#[derive(Debug)]
struct Spent {
    posts: Bucket,
    bytes: Bucket,
    total: u64,
}

impl Spent {
    fn new(now: Instant) -> Spent {
        Spent { posts: Bucket::full(BURST, now), bytes: Bucket::full(BYTES_BURST, now), total: 0 }
    }
}

impl Limits {
    /// `posts_max`: bytes of posts that are kept in all calls together.
    pub(in crate::node) fn new(posts_max: u64) -> Limits {
        let bindings = Cache::builder().max_capacity(NUMBERS).time_to_idle(BINDINGS_FULL).build();
        Limits { posts: Mutex::default(), offers: Mutex::default(), parts: Mutex::default(), bindings, posts_max }
    }

    /// Takes a post to an address of this call.
    pub(in crate::node) fn take_post(&self, address: &str, call: &CallId, now: Instant) -> Taken {
        let take = |spent: &mut Spent, _: &mut u64| match spent.posts.take(1.0, BURST, RATE, now) {
            true => Taken::Yes,
            false => Taken::NotNow,
        };
        self.spend(address, call, now, take)
    }

    /// Takes so many bytes to an address of this call, or none of them. What is more than a burst is taken by a full
    /// bucket, which is filled up again from below.
    pub(in crate::node) fn take_bytes(&self, address: &str, call: &CallId, length: usize, now: Instant) -> Taken {
        self.spend(address, call, now, |spent, total| {
            let bytes = length as f64;
            let left = spent.bytes.holds(bytes.min(BYTES_BURST), BYTES_BURST, BYTES_RATE, now);
            if spent.total.saturating_add(length as u64) > BYTES_MAX {
                return Taken::NoMore;
            }
            if !left {
                return Taken::NotNow;
            }
            if total.saturating_add(length as u64) > self.posts_max {
                return Taken::Full;
            }
            spent.bytes.owe(bytes);
            spent.total += length as u64;
            *total += length as u64;
            Taken::Yes
        })
    }

    fn spend(
        &self,
        address: &str,
        call: &CallId,
        now: Instant,
        spend: impl FnOnce(&mut Spent, &mut u64) -> Taken,
    ) -> Taken {
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let Posts { calls, total } = &mut *posts;
        spend(
            calls.entry(call.clone()).or_default().entry(address.to_owned()).or_insert_with(|| Spent::new(now)),
            total,
        )
    }

    /// Counts what a call of before a restart has kept.
    pub(in crate::node) fn kept(&self, call: &CallId, bytes: u64, now: Instant) {
        self.spend("", call, now, |spent, total| {
            spent.total += bytes;
            *total += bytes;
            Taken::Yes
        });
    }

    /// Takes one change of a number's bindings; false if there is none left.
    pub(in crate::node) fn take_binding(&self, number: &Number, now: Instant) -> bool {
        let fresh = || Arc::new(Mutex::new(Bucket::full(BINDINGS_BURST, now)));
        let bucket = self.bindings.get_with(number.clone(), fresh);
        bucket.lock().unwrap_or_else(PoisonError::into_inner).take(1.0, BINDINGS_BURST, BINDINGS_RATE, now)
    }

    /// Takes one offer of a peer; false if there is none left.
    pub(in crate::node) fn take_offer(&self, peer: &PeerName, now: Instant) -> bool {
        take_one(&self.offers, peer, now)
    }

    /// Takes one part of a call that a peer tells; false if there is none left.
    pub(in crate::node) fn take_part(&self, peer: &PeerName, now: Instant) -> bool {
        take_one(&self.parts, peer, now)
    }

    /// The addresses of this call are over.
    pub(in crate::node) fn forget(&self, call: &CallId) {
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let over = posts.calls.remove(call).unwrap_or_default();
        posts.total -= over.values().map(|spent| spent.total).sum::<u64>();
    }
}

fn take_one(of_peers: &Mutex<HashMap<PeerName, Bucket>>, peer: &PeerName, now: Instant) -> bool {
    let mut of_peers = of_peers.lock().unwrap_or_else(PoisonError::into_inner);
    let bucket = of_peers.entry(peer.clone()).or_insert_with(|| Bucket::full(OFFERS_BURST, now));
    bucket.take(1.0, OFFERS_BURST, OFFERS_RATE, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn call() -> CallId {
        "c-1".parse().unwrap()
    }

    #[test]
    fn a_burst_and_then_a_rate() {
        let (limits, start, call) = (Limits::new(u64::MAX), Instant::now(), call());
        let taken = |address, now| limits.take_post(address, &call, now) == Taken::Yes;
        assert_eq!((0..100).filter(|_| taken("a", start)).count(), 50);
        assert!(taken("b", start));
        let peer = "b".parse().unwrap();
        assert_eq!((0..1000).filter(|_| limits.take_offer(&peer, start)).count(), 500);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| taken("a", later)).count(), 20);
        limits.forget(&call);
        assert!(limits.posts.lock().unwrap().calls.is_empty());
    }

    #[test]
    fn all_calls_together_keep_so_much() {
        let (limits, start, first) = (Limits::new(1000), Instant::now(), call());
        let second = "c-2".parse().unwrap();
        limits.kept(&first, 300, start);
        assert_eq!(limits.take_bytes("a", &first, 400, start), Taken::Yes);
        assert_eq!(limits.take_bytes("b", &second, 301, start), Taken::Full);
        assert_eq!(limits.take_bytes("b", &second, 300, start), Taken::Yes);
        limits.forget(&first);
        assert_eq!(limits.take_bytes("b", &second, 700, start), Taken::Yes);
        limits.forget(&second);
        assert_eq!(limits.posts.lock().unwrap().total, 0);
    }

    #[test]
    fn a_number_binds_so_often() {
        let (limits, start, number) = (Limits::new(0), Instant::now(), "+12125550100".parse().unwrap());
        assert_eq!((0..200).filter(|_| limits.take_binding(&number, start)).count(), 120);
        let later = start + Duration::from_secs(10);
        assert_eq!((0..200).filter(|_| limits.take_binding(&number, later)).count(), 5);
        assert!(limits.take_binding(&"+12125550101".parse().unwrap(), start));
    }

    #[test]
    fn bytes_have_a_rate_and_an_end() {
        let (limits, start, call) = (Limits::new(u64::MAX), Instant::now(), call());
        const LARGE: usize = 64 * 1024;
        assert_eq!((0..50).filter(|_| limits.take_bytes("a", &call, LARGE, start) == Taken::Yes).count(), 16);
        assert_eq!(limits.take_bytes("a", &call, 10, start), Taken::NotNow);
        let (mut taken, mut last) = (16, Taken::Yes);
        for second in 1..2000 {
            last = limits.take_bytes("a", &call, LARGE, start + Duration::from_secs(second));
            taken += usize::from(last == Taken::Yes);
        }
        assert_eq!((taken, last), (1024, Taken::NoMore));
        assert_eq!(limits.take_bytes("b", &call, LARGE, start), Taken::Yes, "another address has its own");
        // The largest message to as many clients as a number can have.
        assert_eq!(limits.take_bytes("c", &call, 64 * LARGE, start), Taken::Yes);
        assert_eq!(limits.take_bytes("c", &call, 10, start + Duration::from_secs(23)), Taken::NotNow);
        assert_eq!(limits.take_bytes("c", &call, 10, start + Duration::from_secs(25)), Taken::Yes);
    }
}
