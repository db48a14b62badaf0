//! Failed logins: how many an address has.
//!
//! A valid token is never refused here, or a bad client would lock out the good ones behind the same NAT.
//! That gives a guesser nothing: the tokens that sidecall makes have at least 128 random bits, so no number of
//! attempts finds one. What an attacker could take is the database, which looks up each token that isn't in
//! the configuration. So the lookups for addresses that failed too often are made one at a time.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use moka::sync::Cache;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::Problem;
use super::connections::{ConnectionsConfig, source};
use crate::core::bucket::Bucket;
use crate::monitor::Metrics;

/// In so long an address regains all its attempts, and is forgotten.
const MINUTE: Duration = Duration::from_secs(60);
/// Addresses that are remembered.
const ADDRESSES: u64 = 100_000;

/// Who has failed to log in.
#[derive(Debug)]
pub(super) struct Logins {
    config: ConnectionsConfig,
    failed: Cache<IpAddr, Arc<Mutex<Bucket>>>,
    lookups: Semaphore,
    metrics: Metrics,
}

impl Logins {
    pub(super) fn new(config: &ConnectionsConfig, metrics: Metrics) -> Logins {
        let failed = Cache::builder().max_capacity(ADDRESSES).time_to_idle(MINUTE).build();
        Logins { config: config.clone(), failed, lookups: Semaphore::new(1), metrics }
    }

    /// Whose attempt a request is.
    pub(super) fn source(&self, parts: &Parts) -> Option<IpAddr> {
        let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(source(self.client(peer.ip(), &parts.headers)))
    }

    /// The client in front of our proxies: each adds the address that it sees at the end of `X-Forwarded-For`.
    /// What anybody else claims there is not believed.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = values.flat_map(|value| value.split(',')).collect();
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            match hop.trim().parse() {
                Ok(address) if self.config.is_proxy(client) => client = address,
                _ => break,
            }
        }
        client
    }

    /// Waits for the turn of a lookup, if the address has failed too often.
    pub(super) async fn turn(&self, source: IpAddr) -> Option<SemaphorePermit<'_>> {
        let spent = self.failed.get(&source).is_some_and(|bucket| !self.holds(&bucket, Instant::now(), false));
        if spent { self.lookups.acquire().await.ok() } else { None }
    }

    /// Counts a failed login, and says what it is answered with.
    pub(super) fn failed(&self, source: Option<IpAddr>) -> Problem {
        let burst = f64::from(self.config.failed_logins);
        let bucket = |source| {
            let now = Instant::now();
            (self.failed.get_with(source, || Arc::new(Mutex::new(Bucket::full(burst, now)))), now)
        };
        if source.map(bucket).is_none_or(|(bucket, now)| self.holds(&bucket, now, true)) {
            self.metrics.failed_login("refused");
            return Problem::unauthorized();
        }
        self.metrics.failed_login("throttled");
        let wait = MINUTE.as_secs_f64() / burst;
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many failed logins from this address")
            .retry_after(wait.ceil() as u64)
    }

    fn holds(&self, bucket: &Mutex<Bucket>, now: Instant, take: bool) -> bool {
        let burst = f64::from(self.config.failed_logins);
        let rate = burst / MINUTE.as_secs_f64();
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if take { bucket.take(1.0, burst, rate, now) } else { bucket.holds(1.0, burst, rate, now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_addresses_are_believed_from_proxies_alone() {
        let config = ConnectionsConfig { proxies: vec!["10.0.0.5".parse().unwrap()], ..ConnectionsConfig::default() };
        let logins = Logins::new(&config, Metrics::install());
        for (peer, forwarded, client) in [
            ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
            ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("127.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
            ("127.0.0.1", "203.0.113.9, 198.51.100.1, 10.0.0.5", "198.51.100.1"),
            ("::1", "nonsense", "::1"),
            ("10.0.0.5", "2001:db8::1", "2001:db8::1"),
        ] {
            let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), forwarded.parse().unwrap())]);
            let found = logins.client(peer.parse().unwrap(), &headers);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {forwarded}");
        }
    }
}
