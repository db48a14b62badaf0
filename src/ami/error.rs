//! Everything that can go wrong on a manager connection.

use std::io;

/// What went wrong on a manager connection. Ask the predicates rather than matching on variants.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AmiError {
    /// The link is gone. What became of the actions in flight isn't known.
    #[error("manager connection closed: {0}")]
    Disconnected(String),
    /// The operating system refused to connect, read or write.
    #[error("manager connection: {0}")]
    Io(#[from] io::Error),
    /// TLS couldn't be agreed on: a certificate that isn't trusted, or a port that doesn't speak it.
    #[error("manager connection over TLS: {0}")]
    Tls(String),
    /// No answer within the deadline. Whether the action took effect isn't known.
    #[error("no answer from the manager interface within the deadline")]
    Timeout,
    /// Asterisk doesn't accept this user, secret or address; it doesn't say which of them.
    #[error("manager login refused: {0}")]
    AuthRejected(String),
    /// The action was understood and refused (`Response: Error`).
    #[error("manager interface refused the action: {0}")]
    Refused(String),
    /// A list ended early: it isn't to be taken for a short one.
    #[error("the list was cut after {got} entries")]
    ListCut {
        /// Entries that came.
        got: usize,
    },
    /// A list is longer than [`AmiLimits`](super::AmiLimits) allow.
    #[error("the list is too long: more than {entries} entries or {bytes} bytes")]
    ListTooLong {
        /// Entries that are allowed.
        entries: usize,
        /// Bytes that are allowed.
        bytes: usize,
    },
    /// The bytes aren't what the protocol allows here.
    #[error("malformed manager message: {0}")]
    Malformed(&'static str),
    /// A message is larger than [`AmiLimits`](super::AmiLimits) allow; sizes in bytes.
    #[error("manager {part} of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// `greeting` or `message`.
        part: &'static str,
        /// What had come so far.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A field holds what would end it, or begin another one.
    #[error("{what} may not contain {found:?}")]
    Forbidden {
        /// Which part of the action.
        what: &'static str,
        /// The first character at fault.
        found: char,
    },
    /// A part of an action is missing, empty or too long.
    #[error("{0}")]
    Invalid(&'static str),
}

impl AmiError {
    /// The link is gone; connect again.
    pub fn is_disconnect(&self) -> bool {
        matches!(self, Self::Disconnected(_) | Self::Io(_))
    }

    /// The deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout)
    }

    /// Trying again with the same credentials from the same address is of no use.
    pub fn is_auth(&self) -> bool {
        matches!(self, Self::AuthRejected(_))
    }

    /// The certificate or the TLS set-up is wrong.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Asterisk answered, and the answer is no.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// A list was begun, and we don't have the whole of it.
    pub fn is_list_cut(&self) -> bool {
        matches!(self, Self::ListCut { .. } | Self::ListTooLong { .. })
    }

    /// The peer doesn't speak the protocol, or goes beyond the limits. The link isn't usable any more.
    pub fn is_protocol(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::TooLarge { .. })
    }

    /// The action was never sent, because it isn't safe to send.
    pub fn is_invalid_command(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::Invalid(_))
    }

    /// The action may or may not have taken effect: don't repeat it blindly.
    pub fn is_outcome_unknown(&self) -> bool {
        self.is_disconnect() || self.is_timeout()
    }
}
