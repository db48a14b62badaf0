//! Number portability: looks up who serves a number before a call is routed.
//!
//! Asks the sources (ENUM, HTTP) in order and uses the first answer that says anything. They share one
//! deadline. A source that fails, is late or has an open breaker is skipped. Without any answer, the call is
//! routed as if number portability were off.

mod config;
mod dns;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod http;
mod source;

pub use config::{LnpConfig, RouteConfig, SourceConfig, SourceKind};
pub use error::{AskError, LnpError};

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::base::name::SourceName;
use crate::core::numbering::number::Number;
use crate::core::routing::portability::{NodeUrl, PeerRule, Portability, PortabilityAnswer, PortabilityRules};
use source::Source;

/// All sources, and the rules that interpret their answers.
#[derive(Clone)]
pub struct Lnp {
    inner: Arc<Inner>,
}

struct Inner {
    sources: Vec<Source>,
    rules: PortabilityRules,
    deadline: Duration,
    terminating: bool,
}

/// One source's answer, for diagnosis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The source.
    pub source: SourceName,
    /// How long it took.
    pub took: Duration,
    /// The answer, its TTL, and its meaning here unless the source knows nothing.
    pub said: Result<(PortabilityAnswer, Duration, Option<Portability>), AskError>,
}

impl Lnp {
    /// `own_node` is our node's public URL.
    pub fn new(config: &LnpConfig, own_node: Option<NodeUrl>, peers: Vec<PeerRule>) -> Result<Lnp, LnpError> {
        config.check()?;
        let sources = config.source.iter().map(|source| Source::new(source, config)).collect::<Result<_, _>>()?;
        let (rules, deadline) = (config.rules(own_node, peers), config.deadline());
        Ok(Lnp { inner: Arc::new(Inner { sources, rules, deadline, terminating: config.terminating }) })
    }

    /// Whether any source is configured.
    pub fn is_configured(&self) -> bool {
        !self.inner.sources.is_empty()
    }

    /// Whether to ask for calls from a trunk, too.
    pub fn asks_terminating(&self) -> bool {
        self.inner.terminating
    }

    /// Looks up who serves a number. Returns within the deadline, with nothing known if in doubt.
    pub async fn lookup(&self, number: &Number) -> Portability {
        if matches!(number, Number::Local { .. }) {
            return Portability::default();
        }
        let Inner { sources, rules, deadline, .. } = &*self.inner;
        let end = Instant::now() + *deadline;
        for (n, source) in sources.iter().enumerate() {
            // A silent source must leave time for the next ones.
            let share = end.saturating_duration_since(Instant::now()) / u32::try_from(sources.len() - n).unwrap_or(1);
            if share.is_zero() {
                break;
            }
            let Ok(answer) = source.ask(number, share).await else { continue };
            if let Some(portability) = rules.judge(&answer) {
                tracing::debug!(source = %source.name, %number, ?portability, "a portability source knows the number");
                return portability;
            }
        }
        Portability::default()
    }

    /// Asks every source about a number, without the cache and the calls' deadline.
    pub async fn explain(&self, number: &Number) -> Vec<Heard> {
        let mut heard = Vec::new();
        for source in &self.inner.sources {
            let begun = Instant::now();
            let said = source.ask_afresh(number).await;
            let took = begun.elapsed();
            let said = said.map(|said| {
                let means = self.inner.rules.judge(&said.answer);
                (said.answer, said.ttl, means)
            });
            heard.push(Heard { source: source.name.clone(), took, said });
        }
        heard
    }
}
