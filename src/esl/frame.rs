//! Bytes → frame. A frame is a head, which ends with an empty line, and the body that the head's
//! `Content-Length` announces.

use std::fmt;

use bytes::Bytes;
use nom::bytes::complete::{tag, take_till};
use nom::character::complete::digit1;
use nom::combinator::{all_consuming, map_res, opt};
use nom::sequence::terminated;
use nom::{IResult, Parser};

use super::error::EslError;
use super::event::EslEvent;
use crate::wire::{lines, value_of};

/// The kind of a frame, by its `Content-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EslFrameKind {
    /// `auth/request`: FreeSWITCH asks for the login.
    AuthRequest,
    /// `command/reply`: the answer to any command but `api`.
    CommandReply,
    /// `api/response`: the answer to `api`.
    ApiResponse,
    /// `text/event-plain`.
    Event,
    /// `log/data`: a log line, when the connection asked for them.
    Log,
    /// `text/disconnect-notice`: FreeSWITCH is about to close, or lingers after hang-up.
    DisconnectNotice,
    /// `text/rude-rejection`: the ACL rejects us.
    RudeRejection,
    /// Anything else; ignored.
    Other,
}

/// One frame, sharing the bytes it was read into.
#[derive(Clone, PartialEq, Eq)]
pub struct EslFrame {
    pub(super) kind: EslFrameKind,
    pub(super) head: Bytes,
    pub(super) body: Bytes,
}

impl EslFrame {
    /// The kind of the frame.
    pub fn kind(&self) -> EslFrameKind {
        self.kind
    }

    /// The head's lines, without the empty line that ends it.
    pub fn head(&self) -> &Bytes {
        &self.head
    }

    /// The body; empty if there is none.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The event that this frame carries, if it is one.
    pub fn into_event(self) -> Option<EslEvent> {
        match self.kind {
            EslFrameKind::Event => Some(EslEvent::new(self.body)),
            _ => None,
        }
    }

    /// The raw value of a header; its name is case-insensitive.
    pub(super) fn header(&self, wanted: &str) -> Option<&[u8]> {
        lines(&self.head).find_map(|line| value_of(line, wanted.as_bytes()))
    }
}

impl fmt::Debug for EslFrame {
    // A frame contains kilobytes of personal data, which don't belong in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EslFrame")
            .field("kind", &self.kind)
            .field("head", &self.head.len())
            .field("body", &self.body.len())
            .finish()
    }
}

/// The parsed head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: EslFrameKind,
    /// Bytes of body that follow. `Content-Length` counts bytes, never characters.
    pub(super) length: usize,
}

/// Parses a head. Its lines may have any order. Skips lines without a colon, which a log line's user data causes by its
/// line breaks.
///
/// The reply to `connect` has some 200 lines of channel data before its `Content-Type`, and an
/// event begins with its length:
///
/// ```text
/// Content-Length: 4368
/// Content-Type: text/event-plain
/// ```
pub(super) fn head(block: &[u8]) -> Result<Head, EslError> {
    let mut kind = None;
    let mut length = None;
    for line in lines(block) {
        if let Some(value) = value_of(line, b"Content-Type") {
            kind.get_or_insert_with(|| content_type(value));
        } else if let Some(value) = value_of(line, b"Content-Length") {
            let announced = content_length(value)?;
            // With two different lengths, a forged value could decide where the next frame begins.
            if length.is_some_and(|known| known != announced) {
                return Err(EslError::Malformed("two different lengths"));
            }
            length = Some(announced);
        }
    }
    Ok(Head { kind: kind.ok_or(EslError::Malformed("no Content-Type"))?, length: length.unwrap_or(0) })
}

/// `text/event-plain`, perhaps with parameters after a `;`.
fn content_type(value: &[u8]) -> EslFrameKind {
    let essence: IResult<&[u8], &[u8]> = take_till(|byte| byte == b';' || byte == b' ' || byte == b'\r').parse(value);
    match essence.map_or(value, |(_, essence)| essence) {
        b"auth/request" => EslFrameKind::AuthRequest,
        b"command/reply" => EslFrameKind::CommandReply,
        b"api/response" => EslFrameKind::ApiResponse,
        b"text/event-plain" => EslFrameKind::Event,
        b"log/data" => EslFrameKind::Log,
        b"text/disconnect-notice" => EslFrameKind::DisconnectNotice,
        b"text/rude-rejection" => EslFrameKind::RudeRejection,
        _ => EslFrameKind::Other,
    }
}

/// `4368`. Rejects signs, blanks and overflows.
fn content_length(value: &[u8]) -> Result<usize, EslError> {
    let number: IResult<&[u8], usize> = all_consuming(terminated(
        map_res(digit1, |digits: &[u8]| {
            std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(())
        }),
        opt(tag(&b"\r"[..])),
    ))
    .parse(value);
    match number {
        Ok((_, length)) => Ok(length),
        Err(_) => Err(EslError::ContentLength(String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_head_tells_kind_and_length_in_any_order() {
        let expected = Head { kind: EslFrameKind::Event, length: 4368 };
        assert_eq!(head(b"Content-Length: 4368\nContent-Type: text/event-plain").unwrap(), expected);
        assert_eq!(head(b"content-type: text/event-plain\nX: y\ncontent-length: 4368").unwrap(), expected);
    }

    #[test]
    fn a_length_that_is_none_is_a_typed_error() {
        for bad in ["-1", "+5", "", "4 ", "0x10", "4368a", "99999999999999999999999"] {
            let block = format!("Content-Type: api/response\nContent-Length: {bad}");
            let error = head(block.as_bytes()).unwrap_err();
            assert!(matches!(error, EslError::ContentLength(_)), "{bad}: {error}");
        }
    }

    #[test]
    fn two_lengths_must_agree() {
        let same = b"Content-Type: api/response\nContent-Length: 4\nContent-Length: 4";
        assert_eq!(head(same).unwrap().length, 4);
        let differ = b"Content-Type: api/response\nContent-Length: 4\nContent-Length: 5";
        assert!(matches!(head(differ), Err(EslError::Malformed(_))));
    }

    #[test]
    fn a_value_keeps_its_colons() {
        let head = Bytes::from_static(b"Content-Type: command/reply\nReply-Text: -ERR no: such: thing");
        let frame = EslFrame { kind: EslFrameKind::CommandReply, head, body: Bytes::new() };
        assert_eq!(frame.header("reply-text"), Some(&b"-ERR no: such: thing"[..]));
        assert_eq!(frame.header("Reply"), None);
    }

    /// The values of all lines with this name before their first colon.
    fn values<'b>(block: &'b str, name: &str) -> Vec<&'b str> {
        let pairs = block.split('\n').filter_map(|line| line.split_once(':'));
        let named = pairs.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.strip_prefix(' ').unwrap_or(value)).collect()
    }

    fn naive(block: &str) -> Option<Head> {
        let kind = content_type(values(block, "Content-Type").first()?.as_bytes());
        let lengths = values(block, "Content-Length");
        let length = lengths.first().map_or(Ok(0), |length| length.parse::<usize>());
        let same = lengths.iter().all(|other| other.parse::<usize>() == length);
        Some(Head { kind, length: length.ok().filter(|_| same)? })
    }

    proptest! {
        #[test]
        fn a_head_is_that_of_a_naive_reading(
            block in "(((?i)Content-(Type|Length): ?|X?)(text/event-plain|api/response|[45]{1,2}):?\n?){0,5}",
        ) {
            prop_assert_eq!(head(block.as_bytes()).ok(), naive(&block));
        }
    }
}
