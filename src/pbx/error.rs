//! What can go wrong between us and a PBX.

use crate::ami::AmiError;
use crate::esl::EslError;
use crate::wire::CommandError;

/// An error of either PBX.
#[derive(Debug, thiserror::Error)]
pub enum PbxError {
    /// FreeSWITCH's event socket.
    #[error(transparent)]
    Esl(#[from] EslError),
    /// Asterisk's manager interface.
    #[error(transparent)]
    Ami(#[from] AmiError),
    /// A command that is not sent.
    #[error(transparent)]
    Command(#[from] CommandError),
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

impl PbxError {
    /// The link is gone: whatever was under way has an unknown outcome.
    pub fn is_disconnect(&self) -> bool {
        self.is(EslError::is_disconnect, AmiError::is_disconnect)
    }

    /// No reply came in time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, PbxError::Unanswered) || self.is(EslError::is_timeout, AmiError::is_timeout)
    }

    /// The PBX refused the password.
    pub fn is_auth(&self) -> bool {
        self.is(EslError::is_auth, AmiError::is_auth)
    }

    fn is(&self, esl: fn(&EslError) -> bool, ami: fn(&AmiError) -> bool) -> bool {
        match self {
            PbxError::Esl(error) => esl(error),
            PbxError::Ami(error) => ami(error),
            _ => false,
        }
    }

    /// The PBX was never asked: asking again can't do the same thing twice.
    pub fn is_unsent(&self) -> bool {
        matches!(self, PbxError::Unsent(_))
    }

    pub(crate) fn unsent(error: impl std::fmt::Display) -> PbxError {
        PbxError::Unsent(error.to_string())
    }

    pub(super) fn unexpected(command: &'static str, reply: &str) -> PbxError {
        PbxError::Unexpected { command, reply: reply.chars().take(200).collect() }
    }
}
