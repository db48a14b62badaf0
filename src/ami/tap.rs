//! What a recorder sees of a connection: every byte received, and every action sent, without the
//! secrets in it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Listens in on a connection. Called from the connection's task, so it must not block for long.
pub trait Tap: Send + Sync + fmt::Debug {
    /// Bytes from Asterisk, cut wherever the network cut them.
    fn received(&self, bytes: &[u8]);
    /// One whole action to Asterisk, [scrubbed](scrub).
    fn sent(&self, bytes: &[u8]);
}

/// Blanks the values of `Secret` and `Key`, which is the answer to a challenge. `actions` are whole.
///
/// ```text
/// Secret: secret  →  Secret: ***
/// ```
pub fn scrub(actions: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(actions.len());
    for line in actions.split_inclusive(|byte| *byte == b'\n') {
        let colon = line.iter().position(|byte| *byte == b':');
        let secret = colon.filter(|at| {
            let key = line[..*at].trim_ascii();
            key.eq_ignore_ascii_case(b"Secret") || key.eq_ignore_ascii_case(b"Key")
        });
        match secret {
            Some(at) => {
                out.extend_from_slice(&line[..=at]);
                out.extend_from_slice(b" ***");
                out.extend_from_slice(&line[line.trim_ascii_end().len()..]);
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

/// A stream whose received bytes are shown to a tap.
#[derive(Debug)]
pub(super) struct Tapped<S> {
    stream: S,
    tap: Option<Arc<dyn Tap>>,
}

impl<S> Tapped<S> {
    pub(super) fn new(stream: S, tap: Option<Arc<dyn Tap>>) -> Self {
        Self { stream, tap }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tapped<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if let Some(tap) = &self.tap {
            tap.received(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tapped<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blanked_and_nothing_else() {
        let sent = b"Action: Login\r\nUsername: a\r\nsecret: s3: x\r\nKey:0f\r\n\r\n";
        assert_eq!(
            String::from_utf8(scrub(sent)).unwrap(),
            "Action: Login\r\nUsername: a\r\nsecret: ***\r\nKey: ***\r\n\r\n"
        );
        assert_eq!(scrub(b"Secret: x"), b"Secret: ***");
    }
}
