//! Errors of an event socket connection.

use std::io;

use crate::wire::CommandError;

/// An error of an event socket connection. Prefer the predicates to matching on variants.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EslError {
    /// The connection is gone. The outcome of commands in flight is unknown.
    #[error("event socket closed: {0}")]
    Disconnected(String),
    /// The operating system refused to connect, read or write.
    #[error("event socket: {0}")]
    Io(#[from] io::Error),
    /// No answer within the deadline. Whether the command took effect is unknown.
    #[error("no answer from the event socket within the deadline")]
    Timeout,
    /// FreeSWITCH doesn't accept this user or password.
    #[error("event socket login refused: {0}")]
    AuthRejected(String),
    /// The event socket's ACL (`apply-inbound-acl`) rejects our address.
    #[error("event socket access denied by its ACL")]
    AccessDenied,
    /// FreeSWITCH refused the command (`-ERR …`, `-USAGE …`).
    #[error("event socket refused the command: {0}")]
    Refused(String),
    /// The bytes violate the protocol.
    #[error("malformed event socket frame: {0}")]
    Malformed(&'static str),
    /// A `Content-Length` that isn't a plain decimal number.
    #[error("Content-Length is not a length: {0:?}")]
    ContentLength(String),
    /// A part of a frame exceeds [`EslLimits`](super::EslLimits); sizes in bytes.
    #[error("event socket {part} of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// `head` or `body`.
        part: &'static str,
        /// The announced size, or the size received so far.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The command was not sent.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl EslError {
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
        matches!(self, Self::AuthRejected(_) | Self::AccessDenied)
    }

    /// FreeSWITCH refused the command.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}
