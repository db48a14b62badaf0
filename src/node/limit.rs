//! How much somebody may post to one call-scoped address: two token buckets for each, of messages and of
//! bytes, and an end to it. And how many offers a peer may make.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::core::bucket::Bucket;
use crate::core::name::{CallId, PeerName};

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

/// Whether a post may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It may.
    Yes,
    /// In a moment.
    NotNow,
    /// Not in this call.
    NoMore,
}

/// What was taken.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// By each address, until its call is forgotten.
    posts: Mutex<HashMap<CallId, HashMap<String, Spent>>>,
    /// By each peer; they are configured, so they are few.
    offers: Mutex<HashMap<PeerName, Bucket>>,
    /// The same for what they tell of calls.
    parts: Mutex<HashMap<PeerName, Bucket>>,
}

#[derive(Debug)]
struct Spent {
    posts: Bucket,
    bytes: Bucket,
    total: u64,
}

impl Limits {
    /// Takes a post to an address of this call.
    pub(super) fn take_post(&self, address: &str, call: &CallId, now: Instant) -> Taken {
        self.spend(address, call, now, |spent| {
            if !spent.posts.holds(1.0, BURST, RATE, now) {
                return Taken::NotNow;
            }
            spent.posts.take(1.0);
            Taken::Yes
        })
    }

    /// Takes so many bytes to an address of this call, or none of them. What is more than a burst is taken by a full
    /// bucket, which is filled up again from below.
    pub(super) fn take_bytes(&self, address: &str, call: &CallId, length: usize, now: Instant) -> Taken {
        self.spend(address, call, now, |spent| {
            let bytes = length as f64;
            let left = spent.bytes.holds(bytes.min(BYTES_BURST), BYTES_BURST, BYTES_RATE, now);
            if spent.total.saturating_add(length as u64) > BYTES_MAX {
                return Taken::NoMore;
            }
            if !left {
                return Taken::NotNow;
            }
            spent.bytes.take(bytes);
            spent.total += length as u64;
            Taken::Yes
        })
    }

    fn spend(&self, address: &str, call: &CallId, now: Instant, spend: impl FnOnce(&mut Spent) -> Taken) -> Taken {
        let mut calls = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |burst| Bucket::full(burst, now);
        let fresh = || Spent { posts: full(BURST), bytes: full(BYTES_BURST), total: 0 };
        spend(calls.entry(call.clone()).or_default().entry(address.to_owned()).or_insert_with(fresh))
    }

    /// Takes one offer of a peer; false if there is none left.
    pub(super) fn take_offer(&self, peer: &PeerName, now: Instant) -> bool {
        take_one(&self.offers, peer, now)
    }

    /// Takes one part of a call that a peer tells; false if there is none left.
    pub(super) fn take_part(&self, peer: &PeerName, now: Instant) -> bool {
        take_one(&self.parts, peer, now)
    }

    /// The addresses of this call are over.
    pub(super) fn forget(&self, call: &CallId) {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).remove(call);
    }
}

fn take_one(of_peers: &Mutex<HashMap<PeerName, Bucket>>, peer: &PeerName, now: Instant) -> bool {
    let mut of_peers = of_peers.lock().unwrap_or_else(PoisonError::into_inner);
    let bucket = of_peers.entry(peer.clone()).or_insert(Bucket::full(OFFERS_BURST, now));
    let allowed = bucket.holds(1.0, OFFERS_BURST, OFFERS_RATE, now);
    if allowed {
        bucket.take(1.0);
    }
    allowed
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
        let (limits, start, call) = (Limits::default(), Instant::now(), call());
        let taken = |address, now| limits.take_post(address, &call, now) == Taken::Yes;
        assert_eq!((0..100).filter(|_| taken("a", start)).count(), 50);
        assert!(taken("b", start));
        let peer = "b".parse().unwrap();
        assert_eq!((0..1000).filter(|_| limits.take_offer(&peer, start)).count(), 500);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| taken("a", later)).count(), 20);
        limits.forget(&call);
        assert!(limits.posts.lock().unwrap().is_empty());
    }

    #[test]
    fn bytes_have_a_rate_and_an_end() {
        let (limits, start, call) = (Limits::default(), Instant::now(), call());
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
