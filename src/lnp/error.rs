//! What can go wrong with portability.

use crate::core::name::SourceName;

/// A configuration that can't work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LnpError {
    /// A value of `[node.lnp]`.
    #[error("node.lnp.{key}: {reason}")]
    Key {
        /// Which one.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A value of one source.
    #[error("node.lnp.source {source_name}: {reason}")]
    Source {
        /// Which source.
        source_name: SourceName,
        /// What is wrong, with the key's name.
        reason: String,
    },
}

/// Why a source says nothing, though it may know something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No answer within the time that there was. It is kept for the next call if it still comes.
    #[error("no answer in time")]
    Late,
    /// It failed several times in a row and isn't asked for a while.
    #[error("it failed several times in a row and is left alone for now")]
    Resting,
    /// As many questions are under way as may be.
    #[error("too many questions are under way")]
    Busy,
    /// It can't be reached, or says that it can't answer.
    #[error("{0}")]
    Failed(String),
    /// Its answer is not of the form that was agreed on.
    #[error("a strange answer: {0}")]
    Strange(String),
}

impl AskError {
    /// The word for it in metrics.
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
