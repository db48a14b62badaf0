//! Everything that can go wrong on an event socket.

use std::io;

/// What went wrong on an event socket. Ask the predicates rather than matching on variants.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EslError {
    /// The link is gone. What became of the commands in flight isn't known.
    #[error("event socket closed: {0}")]
    Disconnected(String),
    /// The operating system refused to connect, read or write.
    #[error("event socket: {0}")]
    Io(#[from] io::Error),
    /// No answer within the deadline. Whether the command took effect isn't known.
    #[error("no answer from the event socket within the deadline")]
    Timeout,
    /// FreeSWITCH doesn't accept this user or password.
    #[error("event socket login refused: {0}")]
    AuthRejected(String),
    /// The event socket's ACL (`apply-inbound-acl`) keeps our address out.
    #[error("event socket access denied by its ACL")]
    AccessDenied,
    /// The command was understood and refused (`-ERR …`, `-USAGE …`).
    #[error("event socket refused the command: {0}")]
    Refused(String),
    /// The bytes aren't what the protocol allows here.
    #[error("malformed event socket frame: {0}")]
    Malformed(&'static str),
    /// A `Content-Length` that isn't a plain decimal number.
    #[error("Content-Length is not a length: {0:?}")]
    ContentLength(String),
    /// A part of a frame is larger than [`EslLimits`](super::EslLimits) allow; sizes in bytes.
    #[error("event socket {part} of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// `head` or `body`.
        part: &'static str,
        /// What was announced, or had come so far.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A command's argument holds what would end the command, or begin another one.
    #[error("{what} may not contain {found:?}")]
    Forbidden {
        /// Which argument.
        what: &'static str,
        /// The first character at fault.
        found: char,
    },
    /// A command's argument is missing, empty or too many.
    #[error("{0}")]
    Invalid(&'static str),
}

impl EslError {
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
        matches!(self, Self::AuthRejected(_) | Self::AccessDenied)
    }

    /// FreeSWITCH answered, and the answer is no.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// The peer doesn't speak the protocol, or goes beyond the limits. The link isn't usable any more.
    pub fn is_protocol(&self) -> bool {
        matches!(self, Self::Malformed(_) | Self::ContentLength(_) | Self::TooLarge { .. })
    }

    /// The command was never sent, because it isn't safe to send.
    pub fn is_invalid_command(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::Invalid(_))
    }

    /// The command may or may not have taken effect: don't repeat it blindly.
    pub fn is_outcome_unknown(&self) -> bool {
        self.is_disconnect() || self.is_timeout()
    }
}
