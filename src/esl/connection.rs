//! Owns the socket: reads eagerly, writes clients' commands, and matches replies with commands.
//!
//! Replies have no id; they arrive in the order of the commands. So a waiter that gave up stays in the queue
//! until its reply arrives, which is then dropped.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;

use super::codec::EslCodec;
use super::command::Command;
use super::error::EslError;
use super::event::EslEvent;
use super::frame::{EslFrame, EslFrameKind};
use super::reply::EslReply;
use super::scrub::scrub;
use crate::wire::{Next, PbxSocket};

/// Maximum number of commands that wait for a reply. Beyond it, new ones aren't sent, which bounds the memory if
/// FreeSWITCH stops answering.
const MAX_OWED: usize = 1024;

pub(super) type EslSocket = PbxSocket<EslCodec, EslRequest, EslEvent>;

/// Commands to send in one write.
#[derive(Debug)]
pub(super) struct EslRequest {
    pub(super) commands: Vec<(Command, oneshot::Sender<EslReply>)>,
    /// A background job's id, and the waiter for its result.
    pub(super) job: Option<(String, oneshot::Sender<EslEvent>)>,
}

/// A connection after login. Does nothing until [`run`](Self::run) is polled.
pub struct EslConnection {
    pub(super) socket: EslSocket,
    owed: VecDeque<oneshot::Sender<EslReply>>,
    jobs: HashMap<String, oneshot::Sender<EslEvent>>,
    exiting: bool,
}

impl EslConnection {
    pub(super) fn new(socket: EslSocket) -> Self {
        Self { socket, owed: VecDeque::new(), jobs: HashMap::new(), exiting: false }
    }

    /// Runs until the connection ends. Spawn it: it never waits for the reader of the events.
    ///
    /// Commands in flight at the end fail with [`EslError::is_disconnect`]; none is repeated. Returns why the connection
    /// ended; `Ok` after `exit`, or when every client and the reader of the events were dropped.
    pub async fn run(mut self) -> Result<(), EslError> {
        while let Some(next) = self.socket.next(self.owed.len() < MAX_OWED).await? {
            match next {
                Next::Request(request) => self.begin(request),
                Next::Frame(frame) => {
                    if let Some(reason) = self.read(frame)? {
                        return self.ended(reason);
                    }
                }
                Next::Closed => return self.ended("by FreeSWITCH".to_owned()),
            }
        }
        Ok(())
    }

    /// Puts a request's commands in one write, unless all of its waiters have given up.
    fn begin(&mut self, request: EslRequest) {
        if request.commands.iter().all(|(_, waiter)| waiter.is_closed()) {
            return;
        }
        for (command, waiter) in request.commands {
            self.socket.send(command.as_bytes(), scrub);
            self.exiting |= command.exits();
            self.owed.push_back(waiter);
        }
        if let Some((id, waiter)) = request.job {
            self.jobs.retain(|_, waiter| !waiter.is_closed());
            self.jobs.insert(id, waiter);
        }
    }

    /// Dispatches a frame. Returns the reason if it is the last one.
    fn read(&mut self, frame: EslFrame) -> Result<Option<String>, EslError> {
        match frame.kind() {
            EslFrameKind::Event => {
                if let Some(event) = frame.into_event().and_then(|event| self.job_done(event)) {
                    self.socket.events.push(event);
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
