//! The door to number portability: who serves a number today, asked before a call is routed.
//!
//! Sources (ENUM, HTTP) are asked in order, and the first that says something is believed. All of them
//! together have a deadline; a source that fails, is late or rests is passed over, and if nobody knows
//! anything, the call is routed as it would be without this room.

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

use crate::core::name::SourceName;
use crate::core::number::Number;
use crate::core::portability::{Answer, NodeUrl, PeerRule, Portability, Rules};
use source::Source;

/// All sources, and what their answers mean here.
#[derive(Clone)]
pub struct Lnp {
    inner: Arc<Inner>,
}

struct Inner {
    sources: Vec<Source>,
    rules: Rules,
    deadline: Duration,
    terminating: bool,
}

/// What one source said when it was asked for its own sake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Which source.
    pub source: SourceName,
    /// How long it took.
    pub took: Duration,
    /// Its answer, how long that is good, and what it means here if it says anything.
    pub said: Result<(Answer, Duration, Option<Portability>), AskError>,
}

impl Lnp {
    /// `own_node` is our node as others know it.
    ///
    /// # Errors
    /// If the configuration can't work.
    pub fn new(config: &LnpConfig, own_node: Option<NodeUrl>, peers: Vec<PeerRule>) -> Result<Lnp, LnpError> {
        config.check()?;
        let sources = config.source.iter().map(|source| Source::new(source, config)).collect::<Result<_, _>>()?;
        let (rules, deadline) = (config.rules(own_node, peers), config.deadline());
        Ok(Lnp { inner: Arc::new(Inner { sources, rules, deadline, terminating: config.terminating }) })
    }

    /// Whether there is anybody to ask.
    pub fn is_configured(&self) -> bool {
        !self.inner.sources.is_empty()
    }

    /// Whether it is asked for calls that come from a trunk, too.
    pub fn asks_terminating(&self) -> bool {
        self.inner.terminating
    }

    /// Who serves a number, for a call that waits. It takes at most the deadline, and knows nothing in doubt.
    pub async fn lookup(&self, number: &Number) -> Portability {
        if matches!(number, Number::Local { .. }) {
            return Portability::default();
        }
        let Inner { sources, rules, deadline, .. } = &*self.inner;
        let end = Instant::now() + *deadline;
        for (n, source) in sources.iter().enumerate() {
            // One that is silent must leave time for those behind it.
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

    /// What each source says about a number, asked afresh and without the calls' deadline.
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
