//! Errors of number portability.

use crate::core::base::name::SourceName;

/// An invalid configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LnpError {
    /// A value in `[node.lnp]`.
    #[error("node.lnp.{key}: {reason}")]
    Key {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A value of one source.
    #[error("node.lnp.source {source_name}: {reason}")]
    Source {
        /// The source.
        source_name: SourceName,
        /// What is wrong, with the key's name.
        reason: String,
    },
}

/// Why a source gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No answer in time. A late answer is cached for the next call.
    #[error("no answer in time")]
    Late,
    /// The breaker is open after several failures in a row.
    #[error("it failed several times in a row and is left alone for now")]
    Resting,
    /// Too many queries are in flight.
    #[error("too many questions are under way")]
    Busy,
    /// The source can't be reached, or reports an error.
    #[error("{0}")]
    Failed(String),
    /// The answer is malformed.
    #[error("a strange answer: {0}")]
    Strange(String),
}

impl AskError {
    /// The word in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            AskError::Late => "late",
            AskError::Resting => "resting",
            AskError::Busy => "busy",
            AskError::Failed(_) => "failed",
            AskError::Strange(_) => "strange",
        }
    }
}
