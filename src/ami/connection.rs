//! Owns the socket: reads eagerly, writes clients' actions, and matches replies and lists with actions by `ActionID`.
//!
//! When a waiter gives up, its action is forgotten. Late entries of its list are recognised by the prefix of their
//! `ActionID`, which is unique to this connection.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use futures_util::StreamExt;
use memchr::memmem;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::{Encoder, Framed, FramedRead};

use super::codec::{AmiCodec, AmiLimits};
use super::command::Action;
use super::error::AmiError;
use super::event::AmiEvent;
use super::frame::{AmiFrame, AmiFrameKind};
use super::reply::AmiReply;
use super::scrub::scrub;
use crate::wire::{self, ByteStream, Tap};

/// Maximum number of actions that wait for a reply. Beyond it, new ones aren't sent, which bounds the memory if
/// Asterisk stops answering.
const MAX_PENDING: usize = 1024;

/// Actions to send in one write.
#[derive(Debug)]
pub(super) struct AmiRequest {
    pub(super) actions: Vec<(Action, Waiter)>,
}

/// The waiter for an action's reply.
#[derive(Debug)]
pub(super) enum Waiter {
    /// One reply.
    Reply(oneshot::Sender<AmiReply>),
    /// A list, with its entries so far.
    List(oneshot::Sender<Result<Vec<AmiEvent>, AmiError>>, List),
}

/// The entries of a list so far.
#[derive(Debug, Default)]
pub(super) struct List {
    entries: Vec<AmiEvent>,
    bytes: usize,
}

impl Waiter {
    fn is_closed(&self) -> bool {
        match self {
            Self::Reply(waiter) => waiter.is_closed(),
            Self::List(waiter, _) => waiter.is_closed(),
        }
    }
}

/// A connection after login. Does nothing until [`run`](Self::run) is polled.
pub struct AmiConnection {
    reader: FramedRead<ReadHalf<Box<dyn ByteStream>>, AmiCodec>,
    writer: WriteHalf<Box<dyn ByteStream>>,
    encoder: AmiCodec,
    limits: AmiLimits,
    out: BytesMut,
    /// Whether each action needs its own TLS record.
    records: bool,
    unflushed: bool,
    requests: mpsc::Receiver<AmiRequest>,
    /// Whether any client is left.
    has_clients: bool,
    /// The prefix of our `ActionID`s. An `OriginateResponse` event shows another connection's id.
    prefix: String,
    next_id: u64,
    pending: HashMap<String, Waiter>,
    /// Whether a waiter gave up on a list, whose entries may still arrive.
    has_given_up: bool,
    events: wire::EventSender<AmiEvent>,
    tap: Option<Arc<dyn Tap>>,
    exiting: bool,
}

impl AmiConnection {
    pub(super) fn new<S: ByteStream + 'static>(
        framed: Framed<S, AmiCodec>,
        limits: AmiLimits,
        records: bool,
        prefix: String,
        requests: mpsc::Receiver<AmiRequest>,
        events: wire::EventSender<AmiEvent>,
        tap: Option<Arc<dyn Tap>>,
    ) -> Self {
        let parts = framed.into_parts();
        let stream: Box<dyn ByteStream> = Box::new(parts.io);
        let (reader, writer) = tokio::io::split(stream);
        let mut reader = FramedRead::with_capacity(reader, parts.codec, 64 * 1024);
        // Bytes received after the login's last frame.
        reader.read_buffer_mut().extend_from_slice(&parts.read_buf);
        Self {
            reader,
            writer,
            encoder: AmiCodec::default(),
            limits,
            out: BytesMut::new(),
            records,
            unflushed: false,
            requests,
            has_clients: true,
            prefix,
            next_id: 0,
            pending: HashMap::new(),
            has_given_up: false,
            events,
            tap,
            exiting: false,
        }
    }

    /// Runs until the connection ends. Spawn it: it never waits for the reader of the events.
    ///
    /// Actions and lists in flight at the end fail with [`AmiError::is_disconnect`]; none is repeated.
    pub async fn run(mut self) -> Result<(), AmiError> {
        loop {
            let writing = !self.out.is_empty() || self.unflushed;
            tokio::select! {
                frame = self.reader.next() => {
                    let Some(frame) = frame else {
                        return match self.exiting {
                            true => Ok(()),
                            false => Err(AmiError::Disconnected("by Asterisk".to_owned())),
                        };
                    };
                    self.read(frame?);
                    if !self.has_clients && self.events.is_unread() {
                        return Ok(());
                    }
                }
                request = self.requests.recv(),
                    if self.has_clients && !writing && self.pending.len() < MAX_PENDING =>
                {
                    match request {
                        Some(request) => self.begin(request)?,
                        None if self.events.is_unread() => return Ok(()),
                        None => self.has_clients = false,
                    }
                }
                written = write(&mut self.writer, &mut self.out, self.records), if writing => {
                    written?;
                    self.unflushed = false;
                }
            }
        }
    }

    /// Puts a request's actions in one write, unless all of its waiters have given up.
    fn begin(&mut self, request: AmiRequest) -> Result<(), AmiError> {
        if request.actions.iter().all(|(_, waiter)| waiter.is_closed()) {
            return Ok(());
        }
        self.pending.retain(|_, waiter| {
            let keep = !waiter.is_closed();
            self.has_given_up |= !keep && matches!(waiter, Waiter::List(..));
            keep
        });
        for (action, waiter) in request.actions {
            let id = format!("{}-{}", self.prefix, self.next_id);
            self.next_id += 1;
            let wire = action.to_bytes(&id);
            if let Some(tap) = &self.tap {
                tap.sent(&scrub(&wire));
            }
            self.encoder.encode(wire, &mut self.out)?;
            self.exiting |= action.exits();
            self.pending.insert(id, waiter);
        }
        self.unflushed = true;
        Ok(())
    }

    /// Dispatches a frame.
    fn read(&mut self, frame: AmiFrame) {
        match frame.kind() {
            AmiFrameKind::Event => {
                if let Some(event) = frame.into_event().and_then(|event| self.entry(event)) {
                    self.events.push(event);
                }
            }
            AmiFrameKind::Reply => {
                if let Some(reply) = frame.into_reply() {
                    self.reply(reply);
                }
            }
            AmiFrameKind::Greeting | AmiFrameKind::Other => {}
        }
    }

    /// Passes a reply to its waiter. Drops replies without a known id.
    fn reply(&mut self, reply: AmiReply) {
        let Some(id) = reply.get("ActionID") else {
            return;
        };
        match self.pending.remove(&*id) {
            // The waiter may have given up.
            Some(Waiter::Reply(waiter)) => drop(waiter.send(reply)),
            // Response: Success
            // EventList: start
            Some(list @ Waiter::List(..)) if reply.is_ok() => drop(self.pending.insert(id.into_owned(), list)),
            Some(Waiter::List(waiter, _)) => {
                drop(waiter.send(reply.accepted().map(|_| Vec::new())));
            }
            None => {}
        }
    }

    /// Adds an event to its list, or completes the list. Drops entries of lists whose waiter gave up. Returns any other
    /// event.
    fn entry(&mut self, event: AmiEvent) -> Option<AmiEvent> {
        if self.pending.is_empty() && !self.has_given_up {
            return Some(event);
        }
        let [id, mark, items] = event.fields(["ActionID", "EventList", "ListItems"]);
        let Some(id) = id.filter(|id| id.strip_prefix(&*self.prefix).is_some_and(|rest| rest.starts_with('-'))) else {
            return Some(event);
        };
        let Some(Waiter::List(waiter, list)) = self.pending.get_mut(&*id) else { return None };
        match mark {
            // Event: CoreShowChannelsComplete
            // EventList: Complete
            // ListItems: 2
            Some(mark) => {
                let announced = items.and_then(|items| items.trim().parse::<usize>().ok());
                if let Some(Waiter::List(waiter, List { entries, .. })) = self.pending.remove(&*id) {
                    let got = entries.len();
                    let whole =
                        mark.eq_ignore_ascii_case("Complete") && announced.is_none_or(|announced| announced <= got);
                    drop(waiter.send(match whole {
                        true => Ok(entries),
                        false => Err(AmiError::ListCut { got }),
                    }));
                }
            }
            None => {
                let AmiLimits { entries, list: bytes, .. } = self.limits;
                if waiter.is_closed() {
                    return None;
                }
                list.bytes += event.as_bytes().len();
                let id = id.into_owned();
                list.entries.push(event);
                if (list.entries.len() > entries || list.bytes > bytes)
                    && let Some(Waiter::List(waiter, _)) = self.pending.remove(&id)
                {
                    self.has_given_up = true;
                    drop(waiter.send(Err(AmiError::ListTooLong { entries, bytes })));
                }
            }
        }
        None
    }
}

impl std::fmt::Debug for AmiConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AmiConnection").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

/// Writes all of `out`. Cancel-safe: the next call continues.
///
/// Over TLS each action gets its own record. Asterisk polls the bare socket and misses data that OpenSSL has already
/// buffered (`get_input` in `manager.c`), so a second action in the same record would wait for the next record.
async fn write(writer: &mut WriteHalf<Box<dyn ByteStream>>, out: &mut BytesMut, records: bool) -> io::Result<()> {
    while !out.is_empty() {
        let end = if records { memmem::find(out, b"\r\n\r\n").map(|at| at + 4) } else { None };
        let written = writer.write(&out[..end.unwrap_or(out.len())]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        out.advance(written);
    }
    writer.flush().await
}
