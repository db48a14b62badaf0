//! Owns the socket: reads eagerly, writes what clients ask, and gives each reply and each list to
//! its action by `ActionID`.
//!
//! Nothing is kept of an action whose waiter gave up. Entries of its list that come too late are told from other events
//! by the beginning of their `ActionID`, which is this connection's own.

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

/// Actions that may wait for their answer at once. Beyond it new ones wait unsent, so that an
/// Asterisk that has stopped answering costs a bounded amount of memory.
const MAX_PENDING: usize = 1024;

/// Actions that go out in one write.
#[derive(Debug)]
pub(super) struct AmiRequest {
    pub(super) actions: Vec<(Action, Waiter)>,
}

/// Who waits for an action's answer.
#[derive(Debug)]
pub(super) enum Waiter {
    /// One reply.
    Reply(oneshot::Sender<AmiReply>),
    /// A reply that begins a list, its entries so far, and the event that completes it.
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

/// A connection that is logged in. Nothing moves until [`run`](Self::run) is polled.
pub struct AmiConnection {
    reader: FramedRead<ReadHalf<Box<dyn ByteStream>>, AmiCodec>,
    writer: WriteHalf<Box<dyn ByteStream>>,
    encoder: AmiCodec,
    limits: AmiLimits,
    out: BytesMut,
    /// TLS: one record for each action.
    records: bool,
    unflushed: bool,
    requests: mpsc::Receiver<AmiRequest>,
    /// Whether a client is left that could ask for something.
    has_clients: bool,
    /// Begins our `ActionID`s. An `OriginateResponse` tells every connection another one's id.
    prefix: String,
    next_id: u64,
    pending: HashMap<String, Waiter>,
    /// Whether a list was given up, so that entries of it may still come.
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
        // What came right behind the log-in's last frame.
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

    /// Works until the link is gone. Spawn it: it never waits for whoever reads the events.
    ///
    /// Actions that are in flight at the end fail with [`AmiError::is_disconnect`], lists too; none is
    /// repeated.
    ///
    /// # Errors
    ///
    /// Why the link is gone. `Ok` if we wanted it so: after `Logoff`, or when every [`AmiClient`] and
    /// the [`AmiEvents`] were dropped.
    ///
    /// [`AmiClient`]: super::AmiClient
    /// [`AmiEvents`]: super::AmiEvents
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

    /// Puts a request's actions in one write, unless everybody who asked has given up: what is too
    /// late is better never sent.
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

    /// Hands a frame to whom it belongs.
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

    /// Gives a reply to its waiter. Nobody waits for a reply without a known id.
    fn reply(&mut self, reply: AmiReply) {
        let Some(id) = reply.get("ActionID") else {
            return;
        };
        match self.pending.remove(&*id) {
            // Whoever has given up doesn't want it any more.
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

    /// Adds an event to the list that it is an entry of, or completes that list. An entry of a list that was given up
    /// is swallowed; any other event comes back.
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

/// Writes all of `out`. Dropped half-way, it goes on from there next time.
///
/// Over TLS each action is a record of its own. Asterisk reads a part of a record, waits on the bare
/// socket for more, and doesn't see what OpenSSL still holds of it (`get_input` in `manager.c`): actions
/// that came in one record would wait for the next one.
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
