//! How many offers a peer may make, how often a client binds, asks for ICE servers and shows a code to dial, and how often
//! guests may guess.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use moka::sync::Cache;

use crate::core::base::name::{DeviceId, PeerName};
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
/// Numbers and clients that are remembered.
const REMEMBERED: u64 = 100_000;

/// Requests for ICE servers at once, of one client: as many as it may post to one address.
const ICE_BURST: f64 = 50.0;
/// Requests per second after that.
const ICE_RATE: f64 = 20.0;
/// Time to refill the bucket; then the client is forgotten.
const ICE_FULL: Duration = Duration::from_secs(3);

/// Codes that one address may try at once.
const GUESSES_BURST: f64 = 5.0;
/// Codes that all addresses together may try at once.
const ALL_GUESSES_BURST: f64 = 60.0;
/// In so long an address, and all of them together, may try as many again.
const GUESSES_FULL: Duration = Duration::from_secs(60);

/// Codes to dial at once, for pages behind one address: those of an office that opens its browsers in the morning.
const DIAL_CODES_BURST: f64 = 20.0;
/// Codes per second after that.
const DIAL_CODES_RATE: f64 = 0.2;
/// Time to refill the bucket; then the address is forgotten.
const DIAL_CODES_FULL: Duration = Duration::from_secs(100);

/// A token bucket for each key, until that is forgotten.
struct Buckets<K> {
    buckets: Cache<K, Arc<Mutex<TokenBucket>>>,
    burst: f64,
    rate: f64,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Buckets<K> {
    /// Buckets that are full after `refill` at the latest.
    fn new(burst: f64, rate: f64, refill: Duration) -> Buckets<K> {
        Buckets { buckets: Cache::builder().max_capacity(REMEMBERED).time_to_idle(refill).build(), burst, rate }
    }

    fn take<Q>(&self, key: &Q, now: Instant) -> bool
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let bucket = self.buckets.get_with_by_ref(key, || Arc::new(Mutex::new(TokenBucket::full(self.burst, now))));
        bucket.lock().unwrap_or_else(PoisonError::into_inner).take(1.0, self.burst, self.rate, now)
    }
}

/// How often each device may bind, unbind and change what the number has. Whoever has the number's credential counts as
/// one. A device that makes too many changes doesn't keep the others from revoking it.
pub(in crate::node) struct BindingLimit(Buckets<(Number, Option<DeviceId>)>);

impl BindingLimit {
    pub(in crate::node) fn new() -> BindingLimit {
        BindingLimit(Buckets::new(BINDINGS_BURST, BINDINGS_RATE, BINDINGS_FULL))
    }

    /// Takes one change of a number's clients or of its switch: each is written down, and told to whoever is on the phone
    /// with the number. Administrators set up many at once.
    pub(super) fn check(&self, identity: &Identity) -> Result<(), Problem> {
        match identity {
            Identity::Client { number, device } if !self.0.take(&(number.clone(), device.clone()), Instant::now()) => {
                let detail = "the client makes changes too often; slow down";
                Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(2))
            }
            _ => Ok(()),
        }
    }
}

/// How often each client may ask for ICE servers.
pub(in crate::node) struct IceLimit(Buckets<String>);

impl IceLimit {
    pub(in crate::node) fn new() -> IceLimit {
        IceLimit(Buckets::new(ICE_BURST, ICE_RATE, ICE_FULL))
    }

    /// Takes one request of this client.
    pub(super) fn check(&self, client: &str, now: Instant) -> Result<(), Problem> {
        if self.0.take(client, now) {
            return Ok(());
        }
        let detail = "the client asks for ICE servers too often; slow down";
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(1))
    }
}

/// How many guests' codes may be tried. A code has six digits: these limits are what keeps it from being guessed.
pub(in crate::node) struct GuessLimit {
    sources: Buckets<IpAddr>,
    all: Mutex<TokenBucket>,
}

impl GuessLimit {
    pub(in crate::node) fn new(now: Instant) -> GuessLimit {
        let sources = Buckets::new(GUESSES_BURST, GUESSES_BURST / GUESSES_FULL.as_secs_f64(), GUESSES_FULL);
        GuessLimit { sources, all: Mutex::new(TokenBucket::full(ALL_GUESSES_BURST, now)) }
    }

    /// Takes one attempt of this address, whether the code is right or not.
    pub(super) fn check(&self, source: Option<IpAddr>, now: Instant) -> Result<(), Problem> {
        let limited = |detail: &str, seconds: f64| {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(seconds.ceil() as u64)
        };
        let minute = GUESSES_FULL.as_secs_f64();
        if !self.sources.take(&source.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), now) {
            return Err(limited("too many codes were tried from this address", minute / GUESSES_BURST));
        }
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.take(1.0, ALL_GUESSES_BURST, ALL_GUESSES_BURST / minute, now) {
            return Err(limited("too many codes are being tried", minute / ALL_GUESSES_BURST));
        }
        Ok(())
    }
}

/// How many codes to dial the pages behind each address get.
pub(in crate::node) struct DialCodeLimit(Buckets<IpAddr>);

impl DialCodeLimit {
    pub(in crate::node) fn new() -> DialCodeLimit {
        DialCodeLimit(Buckets::new(DIAL_CODES_BURST, DIAL_CODES_RATE, DIAL_CODES_FULL))
    }

    /// Takes one code for a page behind this address.
    pub(super) fn check(&self, source: Option<IpAddr>, now: Instant) -> Result<(), Problem> {
        if source.is_none_or(|source| self.0.take(&source, now)) {
            return Ok(());
        }
        let detail = "too many pages behind this address ask for a code; slow down";
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(5))
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
        let (limit, start) = (BindingLimit::new(), Instant::now());
        let number = ("+12125550100".parse().unwrap(), None);
        assert_eq!((0..200).filter(|_| limit.0.take(&number, start)).count(), 120);
        let later = start + Duration::from_secs(10);
        assert_eq!((0..200).filter(|_| limit.0.take(&number, later)).count(), 5);
        assert!(limit.0.take(&("+12125550101".parse().unwrap(), None), start));
        assert!(limit.0.take(&(number.0, Some("d-1".parse().unwrap())), start), "a device has its own");
    }

    #[test]
    fn an_address_gets_so_many_codes_to_dial() {
        let (limit, start) = (DialCodeLimit::new(), Instant::now());
        let [one, other] = [1, 2].map(|n| Some(IpAddr::from([192, 0, 2, n])));
        assert_eq!((0..100).filter(|_| limit.check(one, start).is_ok()).count(), 20);
        assert_eq!(limit.check(one, start).unwrap_err().status, 429);
        assert!(limit.check(other, start).is_ok());
        let later = start + Duration::from_secs(10);
        assert_eq!((0..100).filter(|_| limit.check(one, later).is_ok()).count(), 2);
    }

    #[test]
    fn a_client_asks_for_ice_servers_so_often() {
        let (limit, start, client) = (IceLimit::new(), Instant::now(), "+12125550100");
        assert_eq!((0..100).filter(|_| limit.check(client, start).is_ok()).count(), 50);
        assert_eq!(limit.check(client, start).unwrap_err().status, 429);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| limit.check(client, later).is_ok()).count(), 20);
        assert!(limit.check("+12125550101", start).is_ok());
    }

    #[test]
    fn an_address_tries_five_codes_a_minute_and_all_try_sixty() {
        let start = Instant::now();
        let limit = GuessLimit::new(start);
        let source = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        let tried = |source, at| (0..100).filter(|_| limit.check(source, at).is_ok()).count();
        assert_eq!(tried(source(1), start), 5);
        assert_eq!(limit.check(source(1), start).unwrap_err().status, 429);
        let later = start + Duration::from_secs(25);
        assert_eq!(tried(source(1), later), 2);
        // What an address may not try is not taken from the others.
        assert_eq!((2..200).map(|n| tried(source(n), later)).sum::<usize>(), 58);
        assert_eq!(tried(source(200), later + Duration::from_secs(3)), 3);
    }
}
