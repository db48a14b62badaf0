//! How many offers a peer may make, and how often a client binds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use moka::sync::Cache;

use crate::core::base::name::PeerName;
use crate::core::base::token_bucket::TokenBucket;
use crate::core::numbering::number::Number;
use crate::node::Problem;
use crate::node::http::auth::Identity;

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

/// How often each number's clients may bind and unbind.
#[derive(Debug)]
pub(in crate::node) struct BindingLimit(Cache<Number, Arc<Mutex<TokenBucket>>>);

impl BindingLimit {
    pub(in crate::node) fn new() -> BindingLimit {
        BindingLimit(Cache::builder().max_capacity(NUMBERS).time_to_idle(BINDINGS_FULL).build())
    }

    /// Takes one change of a number's clients or of its switch: each is written down, and told to whoever is on the phone
    /// with the number. Administrators set up many at once.
    pub(super) fn check(&self, identity: &Identity) -> Result<(), Problem> {
        match identity {
            Identity::Client { number, .. } if !self.take(number, Instant::now()) => {
                let detail = "the number's clients come, go or switch too often; slow down";
                Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(2))
            }
            _ => Ok(()),
        }
    }

    fn take(&self, number: &Number, now: Instant) -> bool {
        let fresh = || Arc::new(Mutex::new(TokenBucket::full(BINDINGS_BURST, now)));
        let bucket = self.0.get_with(number.clone(), fresh);
        bucket.lock().unwrap_or_else(PoisonError::into_inner).take(1.0, BINDINGS_BURST, BINDINGS_RATE, now)
    }
}

/// How often each peer may make requests of one kind. Peers are configured, so they are few.
#[derive(Debug, Default)]
pub(in crate::node) struct PeerLimit(Mutex<HashMap<PeerName, TokenBucket>>);

impl PeerLimit {
    /// Takes one request of a peer; false if there is none left.
    pub(super) fn take(&self, peer: &PeerName, now: Instant) -> bool {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = peers.entry(peer.clone()).or_insert_with(|| TokenBucket::full(OFFERS_BURST, now));
        bucket.take(1.0, OFFERS_BURST, OFFERS_RATE, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_peer_makes_so_many_offers_at_once() {
        let (limit, start, peer) = (PeerLimit::default(), Instant::now(), "b".parse().unwrap());
        assert_eq!((0..1000).filter(|_| limit.take(&peer, start)).count(), 500);
    }

    #[test]
    fn a_number_binds_so_often() {
        let (limit, start, number) = (BindingLimit::new(), Instant::now(), "+12125550100".parse().unwrap());
        assert_eq!((0..200).filter(|_| limit.take(&number, start)).count(), 120);
        let later = start + Duration::from_secs(10);
        assert_eq!((0..200).filter(|_| limit.take(&number, later)).count(), 5);
        assert!(limit.take(&"+12125550101".parse().unwrap(), start));
    }
}
