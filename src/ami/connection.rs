//! Owns the socket: reads eagerly, writes clients' actions, and matches replies and lists with actions by `ActionID`.
//!
//! When a waiter gives up, its action is forgotten. Late entries of its list are recognised by the prefix of their
//! `ActionID`, which is unique to this connection.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::codec::{AmiCodec, AmiLimits};
use super::command::Action;
use super::error::AmiError;
use super::event::AmiEvent;
use super::frame::{AmiFrame, AmiFrameKind};
use super::reply::AmiReply;
use super::scrub::scrub;
use crate::wire::{Next, PbxSocket};

/// Maximum number of actions that wait for a reply. Beyond it, new ones aren't sent, which bounds the memory if
/// Asterisk stops answering.
const MAX_PENDING: usize = 1024;

pub(super) type AmiSocket = PbxSocket<AmiCodec, AmiRequest, AmiEvent>;

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
    pub(super) socket: AmiSocket,
    limits: AmiLimits,
    /// The prefix of our `ActionID`s. An `OriginateResponse` event shows another connection's id.
    prefix: String,
    next_id: u64,
    pending: HashMap<String, Waiter>,
    /// Whether a waiter gave up on a list, whose entries may still arrive.
    has_given_up: bool,
    exiting: bool,
}

impl AmiConnection {
    pub(super) fn new(socket: AmiSocket, limits: AmiLimits) -> Self {
        let prefix = format!("{:08x}", rand::random::<u32>());
        Self { socket, limits, prefix, next_id: 0, pending: HashMap::new(), has_given_up: false, exiting: false }
    }

    /// Runs until the connection ends. Spawn it: it never waits for the reader of the events.
    ///
    /// Actions and lists in flight at the end fail with [`AmiError::is_disconnect`]; none is repeated. Returns why the
    /// connection ended; `Ok` after `Logoff`, or when every client and the reader of the events were dropped.
    pub async fn run(mut self) -> Result<(), AmiError> {
        while let Some(next) = self.socket.next(self.pending.len() < MAX_PENDING).await? {
            match next {
                Next::Request(request) => self.begin(request),
                Next::Frame(frame) => self.read(frame),
                Next::Closed if self.exiting => return Ok(()),
                Next::Closed => return Err(AmiError::Disconnected("by Asterisk".to_owned())),
            }
        }
        Ok(())
    }

    /// Puts a request's actions in one write, unless all of its waiters have given up.
    fn begin(&mut self, request: AmiRequest) {
        if request.actions.iter().all(|(_, waiter)| waiter.is_closed()) {
            return;
        }
        self.pending.retain(|_, waiter| {
            let keep = !waiter.is_closed();
            self.has_given_up |= !keep && matches!(waiter, Waiter::List(..));
            keep
        });
        for (action, waiter) in request.actions {
            let id = format!("{}-{}", self.prefix, self.next_id);
            self.next_id += 1;
            self.socket.send(&action.to_bytes(&id), scrub);
            self.exiting |= action.exits();
            self.pending.insert(id, waiter);
        }
    }

    /// Dispatches a frame.
    fn read(&mut self, frame: AmiFrame) {
        match frame.kind() {
            AmiFrameKind::Event => {
                if let Some(event) = frame.into_event().and_then(|event| self.entry(event)) {
                    self.socket.events.push(event);
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
