//! Delimits frames in a byte stream. Parses nothing else.

use bytes::{Buf, BytesMut};
use memchr::memchr;
use memchr::memmem::Finder;
use tokio_util::codec::Decoder;

use super::error::AmiError;
use super::frame::{AmiFrame, AmiFrameKind, GREETING, kind};

/// Maximum length of the greeting, which is one short line, in bytes.
const MAX_GREETING: usize = 1024;

const END: &[u8] = b"\r\n\r\n";

/// The middle of [`END`]. Each line ends with what [`END`] begins with, but hardly anything else has this.
const MIDDLE: &[u8] = b"\n\r";

/// Maximum sizes, in bytes, and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmiLimits {
    /// A message: an event or a reply.
    pub message: usize,
    /// The number of entries in one list.
    pub entries: usize,
    /// The total size of the entries in one list.
    pub list: usize,
}

impl Default for AmiLimits {
    fn default() -> Self {
        Self { message: 8 * 1024 * 1024, entries: 100_000, list: 64 * 1024 * 1024 }
    }
}

/// Splits the stream into frames. Resumes scanning where it stopped, so each byte is scanned once.
#[derive(Debug)]
pub struct AmiCodec {
    limits: AmiLimits,
    /// Finds [`MIDDLE`].
    middle: Finder<'static>,
    greeted: bool,
    /// Length of the scanned part of the buffer, which doesn't contain the end of the frame.
    scanned: usize,
}

impl AmiCodec {
    /// A codec that accepts frames up to `limits`.
    pub fn new(limits: AmiLimits) -> Self {
        Self { limits, middle: Finder::new(MIDDLE), greeted: false, scanned: 0 }
    }

    /// `Asterisk Call Manager/11.0.0`, without an empty line after it.
    fn greeting(&mut self, src: &mut BytesMut) -> Result<Option<AmiFrame>, AmiError> {
        let known = src.len().min(GREETING.len());
        if src[..known] != GREETING[..known] {
            return Err(AmiError::Malformed("this is no Asterisk manager interface"));
        }
        // The limit also applies to a complete line, so that chunk boundaries make no difference.
        let line = &src[..src.len().min(MAX_GREETING + 1)];
        let Some(end) = memchr(b'\n', line) else {
            return match line.len() > MAX_GREETING {
                true => Err(AmiError::TooLarge { part: "greeting", size: line.len(), limit: MAX_GREETING }),
                false => Ok(None),
            };
        };
        self.greeted = true;
        let raw = src.split_to(end + 1).freeze();
        Ok(Some(AmiFrame { kind: AmiFrameKind::Greeting, raw: raw.slice_ref(raw.trim_ascii_end()) }))
    }

    /// The position of the first [`END`].
    fn empty_line(&self, bytes: &[u8]) -> Option<usize> {
        let mut from = 1;
        loop {
            let middle = from + self.middle.find(bytes.get(from..)?)?;
            if bytes[middle - 1..].starts_with(END) {
                return Some(middle - 1);
            }
            from = middle + 1;
        }
    }

    /// The length of the message at the start of `src`.
    fn end(&mut self, src: &[u8]) -> Option<usize> {
        let found = self.empty_line(&src[self.scanned..]).map(|found| self.scanned + found);
        if found.is_none() {
            self.scanned = src.len().saturating_sub(END.len() - 1);
        }
        found
    }
}

impl Default for AmiCodec {
    fn default() -> Self {
        Self::new(AmiLimits::default())
    }
}

impl Decoder for AmiCodec {
    type Item = AmiFrame;
    type Error = AmiError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<AmiFrame>, AmiError> {
        if !self.greeted {
            return self.greeting(src);
        }
        if self.scanned == 0 {
            // No message begins with a line break.
            let blank = src.iter().take_while(|b| matches!(b, b'\n' | b'\r'));
            let blank = blank.count();
            src.advance(blank);
        }
        let end = self.end(src);
        // The scanned part contains no end, so the message is at least that long.
        let size = end.unwrap_or(self.scanned);
        if size > self.limits.message {
            return Err(AmiError::TooLarge { part: "message", size, limit: self.limits.message });
        }
        if end.is_none() {
            return Ok(None);
        }
        self.scanned = 0;
        let mut raw = src.split_to(size + END.len()).freeze();
        raw.truncate(size);
        Ok(Some(AmiFrame { kind: kind(&raw), raw }))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<AmiFrame>, AmiError> {
        match self.decode(src)? {
            None if !src.is_empty() => Err(AmiError::Disconnected("in the middle of a message".to_owned())),
            decoded => Ok(decoded),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HELLO: &str = "Asterisk Call Manager/11.0.0\r\n";

    fn frames(text: &str, limits: AmiLimits) -> Result<Vec<AmiFrame>, AmiError> {
        let mut codec = AmiCodec::new(limits);
        let mut src = BytesMut::from(text);
        let mut frames = Vec::new();
        while let Some(frame) = codec.decode(&mut src)? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn the_greeting_is_one_line() {
        let text = format!("{HELLO}Response: Success\r\nActionID: 1\r\n\r\nEvent: X\r\n\r\n");
        let kinds: Vec<_> = frames(&text, AmiLimits::default()).unwrap();
        let kinds: Vec<_> = kinds.iter().map(AmiFrame::kind).collect();
        assert_eq!(kinds, [AmiFrameKind::Greeting, AmiFrameKind::Reply, AmiFrameKind::Event]);
        let error = frames("SSH-2.0-OpenSSH\r\n", AmiLimits::default()).unwrap_err();
        assert!(matches!(error, AmiError::Malformed(_)));
    }

    /// Asterisk before version 14 sent empty lines in the output of a command. A caller's text could begin such a reply.
    #[test]
    fn an_empty_line_ends_every_message() {
        let text = format!("{HELLO}Response: Follows\r\nPrivilege: Command\r\n\r\nEvent: X\r\n\r\n");
        let kinds: Vec<_> = frames(&text, AmiLimits::default()).unwrap().iter().map(AmiFrame::kind).collect();
        assert_eq!(kinds, [AmiFrameKind::Greeting, AmiFrameKind::Reply, AmiFrameKind::Event]);
    }

    #[test]
    fn what_is_over_the_limit_is_refused_before_it_is_buffered() {
        let limits = AmiLimits { message: 20, ..AmiLimits::default() };
        let fits = format!("{HELLO}Event: {}\r\n\r\n", "x".repeat(13));
        assert_eq!(frames(&fits, limits).unwrap().len(), 2);
        for text in [
            format!("{HELLO}Event: {}\r\n\r\n", "x".repeat(14)),
            format!("{HELLO}Event: {}", "x".repeat(30)),
            format!("Asterisk Call Manager/{}", "1".repeat(2000)),
            format!("Asterisk Call Manager/{}\r\n", "1".repeat(2000)),
        ] {
            assert!(matches!(frames(&text, limits), Err(AmiError::TooLarge { .. })));
        }
    }

    #[test]
    fn the_end_of_the_stream_inside_a_message_is_a_disconnect() {
        let mut codec = AmiCodec::default();
        let mut src = BytesMut::from(&*format!("{HELLO}Event: X\r\n"));
        codec.decode(&mut src).unwrap().unwrap();
        assert!(codec.decode_eof(&mut src).unwrap_err().is_disconnect());
    }

    proptest! {
        #[test]
        fn an_empty_line_is_found_where_a_naive_search_finds_it(
            text in "[\r\n]{0,8}([a-z]{0,40}(\r|\n|\r\n|\n\r){0,3}){0,12}",
        ) {
            let naive = text.as_bytes().windows(END.len()).position(|bytes| bytes == END);
            prop_assert_eq!(AmiCodec::default().empty_line(text.as_bytes()), naive);
        }
    }
}
