//! Records a connection: every byte received, and every command sent. The protocol removes secrets from
//! commands.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Records a connection. Called from the connection's task, so it must not block for long.
pub trait Tap: Send + Sync + fmt::Debug {
    /// Bytes from the PBX, in chunks as the network delivered them.
    fn received(&self, bytes: &[u8]);
    /// One whole command to the PBX, without secrets.
    fn sent(&self, bytes: &[u8]);
}

/// A stream that passes received bytes to a tap.
pub(super) struct Tapped<S> {
    pub(super) stream: S,
    pub(super) tap: Option<Arc<dyn Tap>>,
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
