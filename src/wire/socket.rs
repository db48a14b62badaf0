//! The socket of a connection to a PBX: read eagerly, and written when a client asks for it.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use futures_util::StreamExt;
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio_util::codec::{Decoder, FramedRead};

use super::tap::Tapped;
use super::{EventSender, Events, Tap, queue};

/// TCP, TLS, or a test's pipe.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// What happens next on a socket.
pub(crate) enum Next<F, R> {
    Frame(F),
    Request(R),
    /// The PBX closed it.
    Closed,
}

/// A socket with the clients' requests `R` and the queue of events `E`. The codec `C` delimits frames.
pub(crate) struct PbxSocket<C, R, E> {
    reader: FramedRead<Tapped<ReadHalf<Box<dyn ByteStream>>>, C>,
    writer: WriteHalf<Box<dyn ByteStream>>,
    out: BytesMut,
    unflushed: bool,
    /// How a command ends, if each needs a write of its own.
    command_end: Option<&'static [u8]>,
    requests: mpsc::Receiver<R>,
    /// Whether any client is left.
    has_clients: bool,
    pub(crate) events: EventSender<E>,
    tap: Option<Arc<dyn Tap>>,
}

impl<C: Decoder, R, E> PbxSocket<C, R, E> {
    /// A socket over this stream, the sender of its requests, and its events.
    pub(crate) fn open(
        stream: impl ByteStream + 'static,
        codec: C,
        tap: Option<Arc<dyn Tap>>,
        event_queue: usize,
    ) -> (Self, mpsc::Sender<R>, Events<E>) {
        let (sender, requests) = mpsc::channel(64);
        let (events, reader_of_events) = queue(event_queue);
        let stream: Box<dyn ByteStream> = Box::new(stream);
        let (stream, writer) = tokio::io::split(stream);
        let reader = Tapped { stream, tap: tap.clone() };
        let socket = Self {
            reader: FramedRead::with_capacity(reader, codec, 64 * 1024),
            writer,
            out: BytesMut::new(),
            unflushed: false,
            command_end: None,
            requests,
            has_clients: true,
            events,
            tap,
        };
        (socket, sender, reader_of_events)
    }

    /// Writes each command by itself from now on, for a PBX that reads only one from a TLS record. A command ends with `end`.
    pub(crate) fn write_separately(&mut self, end: &'static [u8]) {
        self.command_end = Some(end);
    }

    /// Writes a command while [`PbxSocket::next`] waits. The tap is shown what `scrub` leaves of it.
    pub(crate) fn send(&mut self, command: &[u8], scrub: fn(&[u8]) -> Vec<u8>) {
        if let Some(tap) = &self.tap {
            tap.sent(&scrub(command));
        }
        self.out.extend_from_slice(command);
        self.unflushed = true;
    }

    /// Waits for a frame. Also takes a request, if the caller accepts one and everything is written. None when every client
    /// and the reader of the events were dropped. Cancel-safe.
    pub(crate) async fn next(&mut self, accepts_requests: bool) -> Result<Option<Next<C::Item, R>>, C::Error> {
        while self.has_clients || !self.events.is_unread() {
            tokio::select! {
                frame = self.reader.next() => {
                    return Ok(Some(frame.transpose()?.map_or(Next::Closed, Next::Frame)));
                }
                request = self.requests.recv(), if accepts_requests && self.has_clients && !self.unflushed => match request {
                    Some(request) => return Ok(Some(Next::Request(request))),
                    None => self.has_clients = false,
                },
                written = write(&mut self.writer, &mut self.out, self.command_end), if self.unflushed => {
                    written?;
                    self.unflushed = false;
                }
            }
        }
        Ok(None)
    }

    /// Writes all, and then waits for a frame; none if the PBX closes the connection. For the time before clients are
    /// served.
    pub(crate) async fn frame(&mut self) -> Result<Option<C::Item>, C::Error> {
        write(&mut self.writer, &mut self.out, self.command_end).await?;
        self.unflushed = false;
        self.reader.next().await.transpose()
    }
}

/// Writes all of `out`, each command by itself if `command_end` says how one ends. Cancel-safe: the next call continues.
async fn write(
    writer: &mut WriteHalf<Box<dyn ByteStream>>,
    out: &mut BytesMut,
    command_end: Option<&[u8]>,
) -> io::Result<()> {
    while !out.is_empty() {
        let end = command_end.and_then(|end| memmem::find(out, end).map(|at| at + end.len()));
        let written = writer.write(&out[..end.unwrap_or(out.len())]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        out.advance(written);
    }
    writer.flush().await
}
