//! The answer to one command.

use std::borrow::Cow;

use bytes::Bytes;

use super::error::EslError;
use super::event::EslEvent;
use super::frame::{EslFrame, EslFrameKind};

/// The answer to one command: a `command/reply`, whose text is a header, or an `api/response`,
/// whose text is the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EslReply {
    frame: EslFrame,
}

impl EslReply {
    pub(super) fn new(frame: EslFrame) -> Self {
        Self { frame }
    }

    /// The text of the answer, without the final line break. An `api` command may answer anything; other commands
    /// answer `+OK …` or `-ERR …`.
    pub fn text(&self) -> Cow<'_, str> {
        let text = match self.frame.kind {
            EslFrameKind::ApiResponse => &self.frame.body[..],
            _ => self.frame.header("Reply-Text").unwrap_or_default(),
        };
        String::from_utf8_lossy(text.trim_ascii_end())
    }

    /// `false` for `-ERR …` and `-USAGE …`.
    pub fn is_ok(&self) -> bool {
        let text = self.text();
        !(text.starts_with("-ERR") || text.starts_with("-USAGE"))
    }

    /// Turns a refusal into [`EslError::Refused`].
    pub fn accepted(self) -> Result<Self, EslError> {
        if self.is_ok() { Ok(self) } else { Err(EslError::Refused(self.text().into_owned())) }
    }

    /// The body of an `api` reply; empty for other commands.
    pub fn body(&self) -> &Bytes {
        &self.frame.body
    }

    /// The channel data in the reply to `connect`.
    pub(super) fn into_channel_data(self) -> EslEvent {
        EslEvent::new(self.frame.head)
    }
}
