//! What can go wrong between us and a PBX.

use crate::{ami, esl};

/// An error of either PBX.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// FreeSWITCH's event socket.
    #[error(transparent)]
    Esl(#[from] esl::Error),
    /// Asterisk's manager interface.
    #[error(transparent)]
    Ami(#[from] ami::Error),
    /// TLS can't be set up.
    #[error("{0}")]
    Trust(String),
    /// No reply while one was of use: the outcome is unknown.
    #[error("the PBX did not reply in time")]
    Unanswered,
    /// Nothing was sent: there was no connection, or the PBX wasn't ready.
    #[error("not sent: {0}")]
    Unsent(String),
    /// Nothing was sent to a message's endpoint: it is no phone of this PBX, or we may not ask whether it is.
    #[error("nothing is sent to this endpoint: {0}")]
    EndpointRefused(&'static str),
    /// A reply that says something else than was asked for.
    #[error("the PBX replied to {command} with {reply:?}")]
    Unexpected {
        /// What was asked.
        command: &'static str,
        /// What came, cut.
        reply: String,
    },
}

impl Error {
    /// The link is gone: whatever was under way has an unknown outcome.
    pub fn is_disconnect(&self) -> bool {
        match self {
            Error::Esl(error) => error.is_disconnect(),
            Error::Ami(error) => error.is_disconnect(),
            Error::Trust(_)
            | Error::Unanswered
            | Error::Unsent(_)
            | Error::EndpointRefused(_)
            | Error::Unexpected { .. } => false,
        }
    }

    /// No reply came in time.
    pub fn is_timeout(&self) -> bool {
        match self {
            Error::Esl(error) => error.is_timeout(),
            Error::Ami(error) => error.is_timeout(),
            Error::Unanswered => true,
            Error::Trust(_) | Error::Unsent(_) | Error::EndpointRefused(_) | Error::Unexpected { .. } => false,
        }
    }

    /// The PBX refused the password.
    pub fn is_auth(&self) -> bool {
        match self {
            Error::Esl(error) => error.is_auth(),
            Error::Ami(error) => error.is_auth(),
            Error::Trust(_)
            | Error::Unanswered
            | Error::Unsent(_)
            | Error::EndpointRefused(_)
            | Error::Unexpected { .. } => false,
        }
    }

    /// The PBX was never asked: asking again can't do the same thing twice.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Error::Unsent(_))
    }

    pub(crate) fn unsent(error: impl std::fmt::Display) -> Error {
        Error::Unsent(error.to_string())
    }

    pub(super) fn unexpected(command: &'static str, reply: &str) -> Error {
        Error::Unexpected { command, reply: reply.chars().take(200).collect() }
    }
}
