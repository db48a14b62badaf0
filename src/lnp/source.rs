//! One source with what stands before it: its cache, the questions under way, and its circuit breaker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::config::{LnpConfig, SourceConfig, SourceKind};
use super::dns::Dns;
use super::http::Http;
use super::{AskError, LnpError};
use crate::core::breaker::Breaker;
use crate::core::name::SourceName;
use crate::core::number::Number;
use crate::core::portability::Answer;
use crate::monitor::brief;
use crate::monitor::lnp::asked;

/// How long a question may be under way. Longer than any call waits: an answer that comes too late for
/// this call is there for the next.
pub(super) const FLIGHT: Duration = Duration::from_secs(1);
/// Questions under way at the same time.
const AT_ONCE: usize = 64;

/// What a source says, and how long that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) answer: Answer,
    pub(super) ttl: Duration,
    /// It knows nothing about the number.
    pub(super) nothing: bool,
}

impl Said {
    pub(super) fn nothing(ttl: Duration) -> Said {
        Said { answer: Answer::default(), ttl, nothing: true }
    }
}

enum Way {
    Dns(Box<Dns>),
    Http(Http),
}

impl Way {
    async fn ask(&self, number: &Number) -> Result<Said, AskError> {
        let said = async {
            match self {
                Way::Dns(dns) => dns.ask(number).await,
                Way::Http(http) => http.ask(number).await,
            }
        };
        timeout(FLIGHT, said).await.unwrap_or(Err(AskError::Late))
    }
}

type Landed = Option<Result<Answer, AskError>>;

/// One source.
pub(super) struct Source {
    pub(super) name: SourceName,
    inner: Arc<Inner>,
    permits: Arc<Semaphore>,
    breaker: Mutex<Breaker>,
}

struct Inner {
    way: Way,
    cache: Cache<Number, Said>,
    /// At most one per number: those who ask meanwhile wait with the first.
    flights: Mutex<HashMap<Number, watch::Receiver<Landed>>>,
    max_ttl: Duration,
    negative_ttl: Duration,
}

/// Entries live as long as what they hold is good.
struct Good;

impl Expiry<Number, Said> for Good {
    fn expire_after_create(&self, _: &Number, said: &Said, _: Instant) -> Option<Duration> {
        Some(said.ttl)
    }

    fn expire_after_update(&self, _: &Number, said: &Said, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(said.ttl)
    }
}

impl Source {
    pub(super) fn new(config: &SourceConfig, lnp: &LnpConfig) -> Result<Source, LnpError> {
        let way = match (config.kind, &config.suffix, &config.url) {
            (SourceKind::Enum, Some(suffix), _) => Dns::new(suffix, &config.servers).map(|dns| Way::Dns(Box::new(dns))),
            (SourceKind::Http, _, Some(url)) => Http::new(url.clone(), config.token.clone()).map(Way::Http),
            (SourceKind::Enum, ..) => Err("set suffix".to_owned()),
            (SourceKind::Http, ..) => Err("set url".to_owned()),
        };
        let way = way.map_err(|reason| LnpError::Source { source_name: config.name.clone(), reason })?;
        let inner = Inner {
            way,
            cache: Cache::builder().max_capacity(lnp.cache).expire_after(Good).build(),
            flights: Mutex::default(),
            max_ttl: Duration::from_secs(lnp.max_ttl),
            negative_ttl: Duration::from_secs(lnp.negative_ttl),
        };
        Ok(Source {
            name: config.name.clone(),
            inner: Arc::new(inner),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            breaker: Mutex::new(Breaker::new(lnp.breaker_failures, Duration::from_millis(lnp.breaker_rest_ms))),
        })
    }

    /// What it says, for a call that can wait so long.
    pub(super) async fn ask(&self, number: &Number, within: Duration) -> Result<Answer, AskError> {
        let begun = Instant::now();
        let (result, word) = match self.inner.cache.get(number) {
            Some(said) => (Ok(said.answer), "cached"),
            None => {
                let result = self.ask_now(number, within).await;
                let word = match &result {
                    Ok(answer) if *answer == Answer::default() => "nothing",
                    Ok(_) => "answered",
                    Err(error) => error.as_str(),
                };
                (result, word)
            }
        };
        asked(&self.name, word, begun.elapsed());
        result
    }

    async fn ask_now(&self, number: &Number, within: Duration) -> Result<Answer, AskError> {
        let (mut flight, first) = self.board(number)?;
        let result = match timeout(within, flight.wait_for(Option::is_some)).await {
            Err(_) => Err(AskError::Late),
            Ok(Ok(landed)) => landed.clone().unwrap_or(Err(AskError::Late)),
            Ok(Err(_)) => Err(AskError::Failed("the question was lost".to_owned())),
        };
        // One question counts once, however many wait for it.
        if first {
            self.count(&result);
        }
        result
    }

    /// The question that is under way about this number, or a new one; and whether it is new.
    fn board(&self, number: &Number) -> Result<(watch::Receiver<Landed>, bool), AskError> {
        let mut flights = self.inner.flights();
        if let Some(flight) = flights.get(number) {
            // One that nobody believes in any more isn't waited for again.
            return if self.breaker().is_open() { Err(AskError::Resting) } else { Ok((flight.clone(), false)) };
        }
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| AskError::Busy)?;
        if !self.breaker().allows(Instant::now()) {
            return Err(AskError::Resting);
        }
        let (land, flight) = watch::channel(None);
        flights.insert(number.clone(), flight.clone());
        let flying = Flying { inner: self.inner.clone(), number: number.clone(), land, _permit: permit };
        tokio::spawn(brief("portability", flying.fly()));
        Ok((flight, true))
    }

    fn count(&self, result: &Result<Answer, AskError>) {
        match result {
            Ok(_) => {
                if self.breaker().succeeded() {
                    tracing::info!(source = %self.name, "the portability source answers again");
                }
            }
            Err(error) => {
                tracing::debug!(source = %self.name, %error, "a portability source did not answer");
                if self.breaker().failed(Instant::now()) {
                    tracing::warn!(
                        source = %self.name,
                        %error,
                        "the portability source failed several times in a row: calls go on without it for now"
                    );
                }
            }
        }
    }

    /// Asks, whatever is kept or rests.
    pub(super) async fn ask_afresh(&self, number: &Number) -> Result<Said, AskError> {
        self.inner.way.ask(number).await
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn flights(&self) -> MutexGuard<'_, HashMap<Number, watch::Receiver<Landed>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, number: &Number, said: &Said) {
        let most = if said.nothing { self.negative_ttl } else { self.max_ttl };
        let ttl = said.ttl.min(most);
        if !ttl.is_zero() {
            self.cache.insert(number.clone(), Said { ttl, ..said.clone() });
        }
    }
}

/// A question under way. It goes on when the call that asked has stopped waiting.
struct Flying {
    inner: Arc<Inner>,
    number: Number,
    land: watch::Sender<Landed>,
    _permit: OwnedSemaphorePermit,
}

impl Flying {
    async fn fly(self) {
        let result = self.inner.way.ask(&self.number).await;
        if let Ok(said) = &result {
            self.inner.keep(&self.number, said);
        }
        self.land.send_replace(Some(result.map(|said| said.answer)));
    }
}

impl Drop for Flying {
    // However it ended, the next call must not wait for it.
    fn drop(&mut self) {
        self.inner.flights().remove(&self.number);
    }
}
