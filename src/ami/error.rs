//! Errors of a manager connection.

use std::io;

use crate::wire::CommandError;

/// An error of a manager connection. Prefer the predicates to matching on variants.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AmiError {
    /// The connection is gone. The outcome of actions in flight is unknown.
    #[error("manager connection closed: {0}")]
    Disconnected(String),
    /// The operating system refused to connect, read or write.
    #[error("manager connection: {0}")]
    Io(#[from] io::Error),
    /// The TLS handshake failed: an untrusted certificate, or a port without TLS.
    #[error("manager connection over TLS: {0}")]
    Tls(String),
    /// No answer within the deadline. Whether the action took effect is unknown.
    #[error("no answer from the manager interface within the deadline")]
    Timeout,
    /// Asterisk rejects the user, the secret or our address; it doesn't say which.
    #[error("manager login refused: {0}")]
    AuthRejected(String),
    /// Asterisk refused the action (`Response: Error`).
    #[error("manager interface refused the action: {0}")]
    Refused(String),
    /// A list ended early. Don't take it for a short one.
    #[error("the list was cut after {got} entries")]
    ListCut {
        /// Number of entries received.
        got: usize,
    },
    /// A list exceeds [`AmiLimits`](super::AmiLimits).
    #[error("the list is too long: more than {entries} entries or {bytes} bytes")]
    ListTooLong {
        /// Maximum number of entries.
        entries: usize,
        /// Maximum number of bytes.
        bytes: usize,
    },
    /// The bytes violate the protocol.
    #[error("malformed manager message: {0}")]
    Malformed(&'static str),
    /// A message exceeds [`AmiLimits`](super::AmiLimits); sizes in bytes.
    #[error("manager {part} of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// `greeting` or `message`.
        part: &'static str,
        /// The size received so far.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The command was not sent.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl AmiError {
    /// The connection is gone; reconnect.
    pub fn is_disconnect(&self) -> bool {
        matches!(self, Self::Disconnected(_) | Self::Io(_))
    }

    /// The deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout)
    }

    /// A retry with the same credentials from the same address is useless.
    pub fn is_auth(&self) -> bool {
        matches!(self, Self::AuthRejected(_))
    }

    /// Asterisk refused the action.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}
