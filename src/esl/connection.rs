//! Owns the socket: reads eagerly, writes clients' commands, and matches replies with commands.
//!
//! Replies have no id; they arrive in the order of the commands. So a waiter that gave up stays in the queue
//! until its reply arrives, which is then dropped.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::StreamExt;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::{Encoder, Framed, FramedRead};

use super::codec::EslCodec;
use super::command::Command;
use super::error::EslError;
use super::event::EslEvent;
use super::frame::{EslFrame, EslFrameKind};
use super::reply::EslReply;
use super::scrub::scrub;
use crate::wire::{self, ByteStream, Tap};

/// Maximum number of commands that wait for a reply. Beyond it, new ones aren't sent, which bounds the memory if
/// FreeSWITCH stops answering.
const MAX_OWED: usize = 1024;

/// Commands to send in one write.
#[derive(Debug)]
pub(super) struct EslRequest {
    pub(super) commands: Vec<(Command, oneshot::Sender<EslReply>)>,
    /// A background job's id, and the waiter for its result.
    pub(super) job: Option<(String, oneshot::Sender<EslEvent>)>,
}

/// A connection after login. Does nothing until [`run`](Self::run) is polled.
pub struct EslConnection {
    reader: FramedRead<ReadHalf<Box<dyn ByteStream>>, EslCodec>,
    writer: WriteHalf<Box<dyn ByteStream>>,
    encoder: EslCodec,
    out: BytesMut,
    unflushed: bool,
    requests: mpsc::Receiver<EslRequest>,
    /// Whether any client is left.
    has_clients: bool,
    owed: VecDeque<oneshot::Sender<EslReply>>,
    jobs: HashMap<String, oneshot::Sender<EslEvent>>,
    events: wire::EventSender<EslEvent>,
    tap: Option<Arc<dyn Tap>>,
    exiting: bool,
}

impl EslConnection {
    pub(super) fn new<S: ByteStream + 'static>(
        framed: Framed<S, EslCodec>,
        requests: mpsc::Receiver<EslRequest>,
        events: wire::EventSender<EslEvent>,
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
            encoder: EslCodec::default(),
            out: BytesMut::new(),
            unflushed: false,
            requests,
            has_clients: true,
            owed: VecDeque::new(),
            jobs: HashMap::new(),
            events,
            tap,
            exiting: false,
        }
    }

    /// Runs until the connection ends. Spawn it: it never waits for the reader of the events.
    ///
    /// Commands in flight at the end fail with [`EslError::is_disconnect`]; none is repeated.
    pub async fn run(mut self) -> Result<(), EslError> {
        loop {
            let writing = !self.out.is_empty() || self.unflushed;
            tokio::select! {
                frame = self.reader.next() => {
                    let Some(frame) = frame else {
                        return self.ended("by FreeSWITCH".to_owned());
                    };
                    if let Some(reason) = self.read(frame?)? {
                        return self.ended(reason);
                    }
                    if !self.has_clients && self.events.is_unread() {
                        return Ok(());
                    }
                }
                request = self.requests.recv(),
                    if self.has_clients && !writing && self.owed.len() < MAX_OWED =>
                {
                    match request {
                        Some(request) => self.begin(request)?,
                        None if self.events.is_unread() => return Ok(()),
                        None => self.has_clients = false,
                    }
                }
                written = write(&mut self.writer, &mut self.out), if writing => {
                    written?;
                    self.unflushed = false;
                }
            }
        }
    }

    /// Puts a request's commands in one write, unless all of its waiters have given up.
    fn begin(&mut self, request: EslRequest) -> Result<(), EslError> {
        if request.commands.iter().all(|(_, waiter)| waiter.is_closed()) {
            return Ok(());
        }
        for (command, waiter) in request.commands {
            if let Some(tap) = &self.tap {
                tap.sent(&scrub(command.as_bytes()));
            }
            self.encoder.encode(&command, &mut self.out)?;
            self.exiting |= command.exits();
            self.owed.push_back(waiter);
        }
        if let Some((id, waiter)) = request.job {
            self.jobs.retain(|_, waiter| !waiter.is_closed());
            self.jobs.insert(id, waiter);
        }
        self.unflushed = true;
        Ok(())
    }

    /// Dispatches a frame. Returns the reason if it is the last one.
    fn read(&mut self, frame: EslFrame) -> Result<Option<String>, EslError> {
        match frame.kind() {
            EslFrameKind::Event => {
                if let Some(event) = frame.into_event().and_then(|event| self.job_done(event)) {
                    self.events.push(event);
                }
            }
            EslFrameKind::CommandReply | EslFrameKind::ApiResponse => {
                // With an extra reply, replies and commands no longer match.
                let waiter = self.owed.pop_front().ok_or(EslError::Malformed("a reply to no command"))?;
                // The waiter may have given up.
                let _late = waiter.send(EslReply::new(frame));
            }
            // Content-Type: text/disconnect-notice
            // Content-Disposition: linger
            //
            // The channel has hung up; the socket stays open for the linger time.
            EslFrameKind::DisconnectNotice if frame.header("Content-Disposition") == Some(b"linger".as_slice()) => {}
            EslFrameKind::DisconnectNotice | EslFrameKind::RudeRejection => {
                let words = String::from_utf8_lossy(frame.body());
                return Ok(Some(words.lines().next().unwrap_or_default().to_owned()));
            }
            EslFrameKind::AuthRequest | EslFrameKind::Log | EslFrameKind::Other => {}
        }
        Ok(None)
    }

    /// Passes a background job's result to its waiter. Returns any other event.
    fn job_done(&mut self, event: EslEvent) -> Option<EslEvent> {
        if self.jobs.is_empty() {
            return Some(event);
        }
        let waiter = match event.fields(["Event-Name", "Job-UUID"]) {
            [Some(name), Some(id)] if name == "BACKGROUND_JOB" => self.jobs.remove(&*id),
            _ => None,
        };
        match waiter {
            Some(waiter) => waiter.send(event).err(),
            None => Some(event),
        }
    }

    fn ended(&self, reason: String) -> Result<(), EslError> {
        match self.exiting {
            true => Ok(()),
            false => Err(EslError::Disconnected(reason)),
        }
    }
}

impl std::fmt::Debug for EslConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EslConnection").field("owed", &self.owed.len()).finish_non_exhaustive()
    }
}

/// Writes all of `out`. Cancel-safe: the next call continues.
async fn write(writer: &mut WriteHalf<Box<dyn ByteStream>>, out: &mut BytesMut) -> io::Result<()> {
    while !out.is_empty() {
        if writer.write_buf(out).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    writer.flush().await
}
