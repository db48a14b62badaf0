//! Errors of a manager connection.

use std::io;

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
    /// A field contains a character that would end it or begin another one.
    #[error("{what} may not contain {found:?}")]
    Forbidden {
        /// Which part of the action.
        what: &'static str,
        /// The first forbidden character.
        found: char,
    },
    /// A part of an action is missing, empty or too long.
    #[error("{0}")]
    Invalid(&'static str),
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

    /// The certificate or the TLS set-up is wrong.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Asterisk refused the action.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// A list is incomplete.
    pub fn is_list_cut(&self) -> bool {
        matches!(self, Self::ListCut { .. } | Self::ListTooLong { .. })
    }

    /// The peer violated the protocol or the limits. The connection is unusable.
    pub fn is_protocol(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::TooLarge { .. })
    }

    /// The action was not sent, because it is unsafe.
    pub fn is_invalid_command(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::Invalid(_))
    }

    /// The action may have taken effect: don't repeat it blindly.
    pub fn is_outcome_unknown(&self) -> bool {
        self.is_disconnect() || self.is_timeout()
    }
}
