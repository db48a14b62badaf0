//! Records a connection: every byte received, and every command sent. The protocol removes secrets from
//! commands.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Records a connection. Called from the connection's task, so it must not block for long.
pub trait Tap: Send + Sync + fmt::Debug {
    /// Bytes from the PBX, in chunks as the network delivered them.
    fn received(&self, bytes: &[u8]);
    /// One whole command to the PBX, without secrets.
    fn sent(&self, bytes: &[u8]);
}

/// A stream that passes received bytes to a tap.
#[derive(Debug)]
pub(crate) struct Tapped<S> {
    stream: S,
    tap: Option<Arc<dyn Tap>>,
}

impl<S> Tapped<S> {
    pub(crate) fn new(stream: S, tap: Option<Arc<dyn Tap>>) -> Self {
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
