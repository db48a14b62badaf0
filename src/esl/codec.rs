//! Delimits frames in a byte stream. Parses nothing else.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem::Finder;
use tokio_util::codec::Decoder;

use super::error::EslError;
use super::frame::{self, EslFrame, Head};

/// The line break before an empty line, and the empty line.
const END: &[u8] = b"\n\n";

/// Maximum size of a frame, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EslLimits {
    /// The head, which holds a whole channel's variables in the reply to `connect`.
    pub head: usize,
    /// The body: an event, or the output of an `api` command.
    pub body: usize,
}

impl Default for EslLimits {
    fn default() -> Self {
        Self { head: 256 * 1024, body: 8 * 1024 * 1024 }
    }
}

/// Splits the stream into frames. Resumes scanning where it stopped, so each byte is scanned once.
#[derive(Debug)]
pub struct EslCodec {
    limits: EslLimits,
    /// Finds [`END`].
    end: Finder<'static>,
    /// Length of the scanned part of the buffer, which doesn't contain the end of the head.
    scanned: usize,
    /// The head of an incomplete frame, and its size including the empty line.
    pending: Option<(Head, usize)>,
}

impl EslCodec {
    /// A codec that accepts frames up to `limits`.
    pub fn new(limits: EslLimits) -> Self {
        Self { limits, end: Finder::new(END), scanned: 0, pending: None }
    }

    /// Parses the head at the start of `src`, and returns it with its size.
    fn head(&mut self, src: &mut BytesMut) -> Result<Option<(Head, usize)>, EslError> {
        if self.scanned == 0 {
            // No head begins with a line break, but an uncounted one may follow a body.
            let blank = src.iter().take_while(|b| matches!(b, b'\n' | b'\r'));
            let blank = blank.count();
            src.advance(blank);
        }
        let Some(found) = self.end.find(&src[self.scanned..]) else {
            // The last byte may be the first of the two line breaks.
            self.scanned = src.len().saturating_sub(1);
            if self.scanned > self.limits.head {
                return Err(self.too_large("head", src.len()));
            }
            return Ok(None);
        };
        let size = self.scanned + found;
        self.scanned = 0;
        if size > self.limits.head {
            return Err(self.too_large("head", size));
        }
        let head = frame::head(&src[..size])?;
        if head.length > self.limits.body {
            return Err(self.too_large("body", head.length));
        }
        Ok(Some((head, size + END.len())))
    }

    fn too_large(&self, part: &'static str, size: usize) -> EslError {
        let limit = match part {
            "head" => self.limits.head,
            _ => self.limits.body,
        };
        EslError::TooLarge { part, size, limit }
    }
}

impl Default for EslCodec {
    fn default() -> Self {
        Self::new(EslLimits::default())
    }
}

impl Decoder for EslCodec {
    type Item = EslFrame;
    type Error = EslError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<EslFrame>, EslError> {
        let (head, size) = match self.pending.take() {
            Some(known) => known,
            None => match self.head(src)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        if src.len() < size + head.length {
            self.pending = Some((head, size));
            return Ok(None);
        }
        let mut frame = src.split_to(size + head.length).freeze();
        let body = match head.length {
            0 => Bytes::new(),
            _ => frame.split_off(size),
        };
        frame.truncate(size - END.len());
        Ok(Some(EslFrame { kind: head.kind, head: frame, body }))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<EslFrame>, EslError> {
        match self.decode(src)? {
            None if !src.is_empty() => Err(EslError::Disconnected("in the middle of a frame".to_owned())),
            decoded => Ok(decoded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esl::EslFrameKind;

    fn decode(bytes: &[u8], limits: EslLimits) -> Result<Option<EslFrame>, EslError> {
        EslCodec::new(limits).decode(&mut BytesMut::from(bytes))
    }

    #[test]
    fn a_body_is_counted_in_bytes() {
        let mut src =
            BytesMut::from("Content-Type: api/response\nContent-Length: 7\n\nJürgenContent-Type: auth/request\n\n");
        let mut codec = EslCodec::default();
        let first = codec.decode(&mut src).unwrap().unwrap();
        assert_eq!(first.body(), "Jürgen".as_bytes());
        let second = codec.decode(&mut src).unwrap().unwrap();
        assert_eq!(second.kind(), EslFrameKind::AuthRequest);
        assert!(src.is_empty());
    }

    #[test]
    fn what_is_over_the_limit_is_refused_before_it_is_buffered() {
        let limits = EslLimits { head: 64, body: 10 };
        let announced = b"Content-Type: api/response\nContent-Length: 11\n\n";
        let error = decode(announced, limits).unwrap_err();
        assert!(matches!(error, EslError::TooLarge { part: "body", size: 11, limit: 10 }));
        let error = decode(&[b'x'; 66], limits).unwrap_err();
        assert!(matches!(error, EslError::TooLarge { part: "head", .. }));
        let mut whole = vec![b'x'; 65];
        whole.extend_from_slice(b"\n\n");
        assert!(matches!(decode(&whole, limits), Err(EslError::TooLarge { .. })));
    }

    #[test]
    fn a_frame_without_a_type_is_malformed() {
        let error = decode(b"Hello: world\n\n", EslLimits::default()).unwrap_err();
        assert!(matches!(error, EslError::Malformed(_)));
    }

    #[test]
    fn the_end_of_the_stream_inside_a_frame_is_a_disconnect() {
        let mut src = BytesMut::from("Content-Type: api/response\nContent-Length: 9\n\n+OK");
        let error = EslCodec::default().decode_eof(&mut src).unwrap_err();
        assert!(error.is_disconnect());
        assert!(matches!(EslCodec::default().decode_eof(&mut BytesMut::new()), Ok(None)));
    }
}
