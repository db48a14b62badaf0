//! What a recorder sees of a connection: every byte received, and every command sent, without the
//! secrets in it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Listens in on a connection. Called from the connection's task, so it must not block for long.
pub trait Tap: Send + Sync + fmt::Debug {
    /// Bytes from FreeSWITCH, cut wherever the network cut them.
    fn received(&self, bytes: &[u8]);
    /// One whole command to FreeSWITCH, [scrubbed](scrub).
    fn sent(&self, bytes: &[u8]);
}

/// Blanks the password in `auth PASSWORD` and `userauth USER:PASSWORD`. `commands` are whole.
///
/// ```text
/// auth ClueCon          →  auth ***
/// userauth 1000:secret  →  userauth 1000:***
/// ```
pub fn scrub(commands: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(commands.len());
    for line in commands.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii_end();
        let word = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
        let keep = if text[..word].eq_ignore_ascii_case(b"auth") {
            word + 1
        } else if text[..word].eq_ignore_ascii_case(b"userauth") {
            let colon = text.iter().position(|b| *b == b':');
            colon.unwrap_or(word) + 1
        } else {
            text.len()
        };
        match text.get(..keep) {
            Some(kept) if keep < text.len() => {
                out.extend_from_slice(kept);
                out.extend_from_slice(b"***");
                out.extend_from_slice(&line[text.len()..]);
            }
            _ => out.extend_from_slice(line),
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
    fn passwords_are_blanked_and_nothing_else() {
        let sent = b"auth ClueCon\n\nuserauth 1000@a.example:s3:cret\n\napi auth list\n\n";
        assert_eq!(
            String::from_utf8(scrub(sent)).unwrap(),
            "auth ***\n\nuserauth 1000@a.example:***\n\napi auth list\n\n"
        );
        assert_eq!(scrub(b"auth \n\n"), b"auth \n\n");
        assert_eq!(scrub(b"AUTH x"), b"AUTH ***");
        assert_eq!(scrub(b"userauth nocolon"), b"userauth ***");
    }
}
