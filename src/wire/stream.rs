//! The byte stream to a PBX, whatever carries it.

use tokio::io::{AsyncRead, AsyncWrite};

/// TCP, TLS, or a test's pipe.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}
