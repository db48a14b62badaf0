//! Parses frames. A frame is a block of `Key: Value` lines that ends with an empty line. The greeting is a single line.

use std::fmt;

use bytes::Bytes;

use super::event::AmiEvent;
use super::reply::AmiReply;

/// How the greeting begins: `Asterisk Call Manager/11.0.0`
pub(super) const GREETING: &[u8] = b"Asterisk Call Manager";

/// The kind of a frame, by its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmiFrameKind {
    /// `Asterisk Call Manager/11.0.0`: the first line of a connection.
    Greeting,
    /// `Response: …`: the answer to an action.
    Reply,
    /// `Event: …`
    Event,
    /// Anything else; ignored.
    Other,
}

/// One frame, sharing the bytes it was read into.
#[derive(Clone, PartialEq, Eq)]
pub struct AmiFrame {
    pub(super) kind: AmiFrameKind,
    pub(super) raw: Bytes,
}

impl AmiFrame {
    /// The kind of the frame.
    pub fn kind(&self) -> AmiFrameKind {
        self.kind
    }

    /// The frame's lines, without the empty line that ends it.
    pub fn as_bytes(&self) -> &Bytes {
        &self.raw
    }

    /// The event, if it is one.
    pub fn into_event(self) -> Option<AmiEvent> {
        (self.kind == AmiFrameKind::Event).then(|| AmiEvent::new(self.raw))
    }

    /// The reply, if it is one.
    pub fn into_reply(self) -> Option<AmiReply> {
        (self.kind == AmiFrameKind::Reply).then(|| AmiReply::new(self.raw))
    }
}

impl fmt::Debug for AmiFrame {
    // A frame contains personal data, which doesn't belong in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmiFrame").field("kind", &self.kind).field("bytes", &self.raw.len()).finish()
    }
}

/// The kind of a block, by its first line.
///
/// ```text
/// Event: Newchannel
/// Response: Success
/// ```
pub(super) fn kind(block: &[u8]) -> AmiFrameKind {
    if begins_with(block, b"Event:") {
        AmiFrameKind::Event
    } else if begins_with(block, b"Response:") {
        AmiFrameKind::Reply
    } else {
        AmiFrameKind::Other
    }
}

/// Whether `block` begins with `text`, in upper or lower case.
fn begins_with(block: &[u8], text: &[u8]) -> bool {
    block.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_line_tells_what_a_frame_is() {
        assert_eq!(kind(b"Event: Hangup\r\nResponse: x"), AmiFrameKind::Event);
        assert_eq!(kind(b"Response: Error\r\nMessage: no"), AmiFrameKind::Reply);
        assert_eq!(kind(b"Message: no"), AmiFrameKind::Other);
        assert_eq!(kind(b""), AmiFrameKind::Other);
    }

    proptest! {
        #[test]
        fn the_first_line_is_read_in_upper_and_lower_case(
            block in "(?i)(event|response|responses|even)?:? ?(\r\n)?[a-z]{0,9}",
        ) {
            let text = block.to_ascii_lowercase();
            prop_assert_eq!(kind(block.as_bytes()) == AmiFrameKind::Event, text.starts_with("event:"));
            prop_assert_eq!(kind(block.as_bytes()) == AmiFrameKind::Reply, text.starts_with("response:"));
        }
    }
}
