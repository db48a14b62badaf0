//! Failed logins: how many an address has.
//!
//! A valid token is never refused here, or a bad client would lock out the good ones behind the same NAT.
//! That gives a guesser nothing: the tokens that sidecall makes have at least 128 random bits, so no number of
//! attempts finds one. Tokens are in memory. An attacker could only load the database, through the codes that enrol
//! devices: each is looked up there. So there is one lookup at a time: a flood of bad codes keeps one of the database's
//! readers busy, and other requests have the others. Each address sends one lookup at a time into that queue, so others
//! wait for one of its lookups and not for all.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::core::base::token_bucket::TokenBucket;
use crate::monitor::Metrics;
use crate::node::Problem;
use crate::node::config::connections::ConnectionsConfig;
use crate::node::http::connection_limit::source;

/// In so long an address regains all its attempts, and is forgotten.
const MINUTE: Duration = Duration::from_secs(60);
/// Addresses that are remembered.
const ADDRESSES: u64 = 100_000;

/// Who logs in, and who has failed.
#[derive(Debug)]
pub(in crate::node) struct Logins {
    config: ConnectionsConfig,
    sources: Cache<IpAddr, Arc<Source>>,
    lookups: Semaphore,
    metrics: Metrics,
}

/// What is known of an address that clients log in from.
#[derive(Debug)]
struct Source {
    attempts: Mutex<TokenBucket>,
    /// Held from before a lookup's place in the queue until after the lookup.
    queueing: Arc<Semaphore>,
}

/// Permission to look up one code. It ends when dropped.
#[derive(Debug)]
pub(in crate::node) struct Turn<'a> {
    _lookup: Option<SemaphorePermit<'a>>,
    _queueing: Option<OwnedSemaphorePermit>,
}

impl Logins {
    pub(in crate::node) fn new(config: &ConnectionsConfig, metrics: Metrics) -> Logins {
        let sources = Cache::builder().max_capacity(ADDRESSES).time_to_idle(MINUTE).build();
        Logins { config: config.clone(), sources, lookups: Semaphore::new(1), metrics }
    }

    /// Whose attempt a request is.
    pub(in crate::node) fn source(&self, parts: &Parts) -> Option<IpAddr> {
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

    /// Waits for the turn of a code's lookup.
    pub(in crate::node) async fn turn(&self, source: Option<IpAddr>) -> Turn<'_> {
        let queueing = match source {
            Some(source) => self.of(source).queueing.clone().acquire_owned().await.ok(),
            None => None,
        };
        Turn { _lookup: self.lookups.acquire().await.ok(), _queueing: queueing }
    }

    /// Counts a failed login, and says what it is answered with: `refusal`, unless the address has failed too often.
    pub(in crate::node) fn failed(&self, source: Option<IpAddr>, refusal: Problem) -> Problem {
        if source.is_none_or(|source| self.take_attempt(&self.of(source))) {
            self.metrics.failed_login("refused");
            return refusal;
        }
        self.metrics.failed_login("throttled");
        let wait = MINUTE.as_secs_f64() / f64::from(self.config.failed_logins);
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many failed logins from this address")
            .retry_after(wait.ceil() as u64)
    }

    fn of(&self, source: IpAddr) -> Arc<Source> {
        self.sources.get_with(source, || {
            let attempts = TokenBucket::full(f64::from(self.config.failed_logins), Instant::now());
            Source { attempts: Mutex::new(attempts), queueing: Semaphore::new(1).into() }.into()
        })
    }

    fn take_attempt(&self, source: &Source) -> bool {
        let burst = f64::from(self.config.failed_logins);
        let mut attempts = source.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.take(1.0, burst, burst / MINUTE.as_secs_f64(), Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_attackers_queue_is_its_own() {
        let logins = Arc::new(Logins::new(&ConnectionsConfig::default(), Metrics::install()));
        // Neither has failed before.
        let [attacker, other] = [1, 2].map(|n| IpAddr::from([192, 0, 2, n]));
        let served = Arc::new(Mutex::new(Vec::new()));
        let first = logins.turn(Some(attacker)).await;
        let mut waiting = tokio::task::JoinSet::new();
        for source in [attacker].repeat(100).into_iter().chain([other]) {
            let (logins, served) = (logins.clone(), served.clone());
            waiting.spawn(async move {
                let _turn = logins.turn(Some(source)).await;
                served.lock().unwrap().push(source);
            });
            tokio::task::yield_now().await;
        }
        drop(first);
        waiting.join_all().await;
        let place = served.lock().unwrap().iter().position(|source| *source == other).unwrap();
        assert!(place <= 1, "it was served after {place} lookups of the attacker's");
    }

    #[tokio::test]
    async fn one_lookup_at_a_time_leaves_readers_for_others() {
        let logins = Logins::new(&ConnectionsConfig::default(), Metrics::install());
        let here = logins.turn(Some([192, 0, 2, 1].into())).await;
        // Neither has failed before.
        for source in [Some(IpAddr::from([192, 0, 2, 2])), None] {
            let second = logins.turn(source);
            assert!(tokio::time::timeout(Duration::from_millis(200), second).await.is_err(), "{source:?}");
        }
        drop(here);
        logins.turn(None).await;
    }

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
