//! How many offers a peer may make, and how often a client binds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;

use crate::core::bucket::Bucket;
use crate::core::name::PeerName;
use crate::core::number::Number;

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

/// What was taken.
#[derive(Debug)]
pub(in crate::node) struct Limits {
    /// By each peer; they are configured, so they are few.
    offers: Mutex<HashMap<PeerName, Bucket>>,
    /// The same for what they tell of calls.
    parts: Mutex<HashMap<PeerName, Bucket>>,
    /// By each number, of which the clients' token is.
    bindings: Cache<Number, Arc<Mutex<Bucket>>>,
}

impl Limits {
    pub(in crate::node) fn new() -> Limits {
        let bindings = Cache::builder().max_capacity(NUMBERS).time_to_idle(BINDINGS_FULL).build();
        Limits { offers: Mutex::default(), parts: Mutex::default(), bindings }
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

    #[test]
    fn a_peer_makes_so_many_offers_at_once() {
        let (limits, start, peer) = (Limits::new(), Instant::now(), "b".parse().unwrap());
        assert_eq!((0..1000).filter(|_| limits.take_offer(&peer, start)).count(), 500);
    }

    #[test]
    fn a_number_binds_so_often() {
        let (limits, start, number) = (Limits::new(), Instant::now(), "+12125550100".parse().unwrap());
        assert_eq!((0..200).filter(|_| limits.take_binding(&number, start)).count(), 120);
        let later = start + Duration::from_secs(10);
        assert_eq!((0..200).filter(|_| limits.take_binding(&number, later)).count(), 5);
        assert!(limits.take_binding(&"+12125550101".parse().unwrap(), start));
    }
}
