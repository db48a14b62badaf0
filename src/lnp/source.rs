//! One source behind its cache and its circuit breaker. Concurrent queries for one number share an answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::config::{LnpConfig, SourceConfig, SourceKind};
use super::dns::Dns;
use super::http::Http;
use super::{AskError, LnpError};
use crate::core::base::breaker::Breaker;
use crate::core::base::name::SourceName;
use crate::core::numbering::number::Number;
use crate::core::routing::portability::PortabilityAnswer;
use crate::monitor::brief;
use crate::monitor::metrics::lnp::asked;

/// Time limit for a query. Longer than any call waits: a late answer is cached for the next call.
pub(super) const FLIGHT: Duration = Duration::from_secs(1);
/// Maximum number of concurrent queries.
const AT_ONCE: usize = 64;

/// A source's answer and its time to live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceAnswer {
    pub(super) answer: PortabilityAnswer,
    pub(super) ttl: Duration,
    /// Whether the source knows nothing about the number.
    pub(super) nothing: bool,
}

impl SourceAnswer {
    pub(super) fn nothing(ttl: Duration) -> SourceAnswer {
        SourceAnswer { answer: PortabilityAnswer::default(), ttl, nothing: true }
    }
}

enum Transport {
    Dns(Box<Dns>),
    Http(Http),
}

impl Transport {
    async fn ask(&self, number: &Number) -> Result<SourceAnswer, AskError> {
        let said = async {
            match self {
                Transport::Dns(dns) => dns.ask(number).await,
                Transport::Http(http) => http.ask(number).await,
            }
        };
        timeout(FLIGHT, said).await.unwrap_or(Err(AskError::Late))
    }
}

/// One portability source.
pub(super) struct Source {
    pub(super) name: SourceName,
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    /// Allows one query per number at a time: concurrent callers share its answer.
    cache: Cache<Number, SourceAnswer>,
    permits: Semaphore,
    breaker: Mutex<Breaker>,
    max_ttl: Duration,
    negative_ttl: Duration,
}

/// Expires entries after their TTL.
struct Good;

impl Expiry<Number, SourceAnswer> for Good {
    fn expire_after_create(&self, _: &Number, said: &SourceAnswer, _: Instant) -> Option<Duration> {
        Some(said.ttl)
    }

    fn expire_after_update(
        &self,
        _: &Number,
        said: &SourceAnswer,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(said.ttl)
    }
}

impl Source {
    pub(super) fn new(config: &SourceConfig, lnp: &LnpConfig) -> Result<Source, LnpError> {
        let transport = match (config.kind, &config.suffix, &config.url) {
            (SourceKind::Enum, Some(suffix), _) => {
                Dns::new(suffix, &config.servers).map(|dns| Transport::Dns(Box::new(dns)))
            }
            (SourceKind::Http, _, Some(url)) => Http::new(url.clone(), config.token.clone()).map(Transport::Http),
            (SourceKind::Enum, ..) => Err("set suffix".to_owned()),
            (SourceKind::Http, ..) => Err("set url".to_owned()),
        };
        let transport = transport.map_err(|reason| LnpError::Source { source_name: config.name.clone(), reason })?;
        let inner = Inner {
            transport,
            cache: Cache::builder().max_capacity(lnp.cache).expire_after(Good).build(),
            permits: Semaphore::new(AT_ONCE),
            breaker: Mutex::new(Breaker::new(lnp.breaker_failures, Duration::from_millis(lnp.breaker_rest_ms))),
            max_ttl: Duration::from_secs(lnp.max_ttl),
            negative_ttl: Duration::from_secs(lnp.negative_ttl),
        };
        Ok(Source { name: config.name.clone(), inner: Arc::new(inner) })
    }

    /// Asks for a call that can wait for `within`.
    pub(super) async fn ask(&self, number: &Number, within: Duration) -> Result<PortabilityAnswer, AskError> {
        let begun = Instant::now();
        let (result, word) = match self.inner.cache.get(number).await {
            Some(said) => (Ok(said.answer), "cached"),
            None => {
                let result = self.ask_now(number, within).await;
                let word = match &result {
                    Ok(answer) if *answer == PortabilityAnswer::default() => "nothing",
                    Ok(_) => "answered",
                    Err(error) => error.as_str(),
                };
                (result, word)
            }
        };
        asked(&self.name, word, begun.elapsed());
        result
    }

    async fn ask_now(&self, number: &Number, within: Duration) -> Result<PortabilityAnswer, AskError> {
        // While the breaker is open, no call waits for a query that is still in flight.
        if self.inner.breaker().rests(Instant::now()) {
            return Err(AskError::Resting);
        }
        // The query outlives a call that stops waiting, so that the next call finds the answer.
        let first = Arc::new(AtomicBool::new(false));
        let question = self.inner.clone().share(number.clone(), first.clone());
        let result = match timeout(within, tokio::spawn(brief("portability", question))).await {
            Err(_) => Err(AskError::Late),
            Ok(Ok(Some(result))) => result,
            Ok(Ok(None) | Err(_)) => Err(AskError::Failed("the question was lost".to_owned())),
        };
        // A shared query counts once.
        if first.load(Ordering::Relaxed) {
            self.count(&result);
        }
        result
    }

    fn count(&self, result: &Result<PortabilityAnswer, AskError>) {
        match result {
            Ok(_) => {
                if self.inner.breaker().succeeded() {
                    tracing::info!(source = %self.name, "the portability source answers again");
                }
            }
            Err(error) => {
                tracing::debug!(source = %self.name, %error, "a portability source did not answer");
                if self.inner.breaker().failed(Instant::now()) {
                    tracing::warn!(
                        source = %self.name,
                        %error,
                        "the portability source failed several times in a row: calls go on without it for now"
                    );
                }
            }
        }
    }

    /// Asks without the cache and the breaker.
    pub(super) async fn ask_afresh(&self, number: &Number) -> Result<SourceAnswer, AskError> {
        self.inner.transport.ask(number).await
    }
}

impl Inner {
    /// Shares the answer to a query among concurrent callers, and caches it. Sets `first` for the caller that queried
    /// the source.
    async fn share(self: Arc<Inner>, number: Number, first: Arc<AtomicBool>) -> Result<PortabilityAnswer, AskError> {
        let question = async {
            let _permit = self.permits.try_acquire().map_err(|_| AskError::Busy)?;
            if !self.breaker().allows(Instant::now()) {
                return Err(AskError::Resting);
            }
            first.store(true, Ordering::Relaxed);
            self.transport.ask(&number).await.map(|said| self.limited(said))
        };
        let shared = self.cache.entry_by_ref(&number).or_try_insert_with(question).await;
        shared.map(|entry| entry.into_value().answer).map_err(|error| (*error).clone())
    }

    /// Limits the TTL. An answer with a TTL of zero expires as it is inserted.
    fn limited(&self, said: SourceAnswer) -> SourceAnswer {
        let most = if said.nothing { self.negative_ttl } else { self.max_ttl };
        SourceAnswer { ttl: said.ttl.min(most), ..said }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
