//! Owns the socket: reads eagerly, writes clients' actions, and matches replies and lists with actions by `ActionID`.
//!
//! When a waiter gives up, its action is forgotten. Late entries of its list are recognised by the prefix of their
//! `ActionID`, which is unique to this connection, and which nobody can guess.
//!
//! An entry of a list can have an empty line in it, which a caller has written. Then it comes as several frames:
//!
//! ```text
//! Event: Status             without our ActionID, which Asterisk prints last
//! CallerIDNum: 1001
//!
//! Event: StatusComplete     any number of the caller's frames
//!
//! Uniqueid: 1.1             whatever the caller has put in front of it
//! ActionID: 5e884898-7
//! ```

use std::borrow::Cow;
use std::collections::HashMap;

use tokio::sync::oneshot;

use super::codec::{AmiCodec, AmiLimits};
use super::command::Action;
use super::error::AmiError;
use super::event::{AmiEvent, all};
use super::frame::{AmiFrame, AmiFrameKind};
use super::reply::AmiReply;
use super::scrub::scrub;
use crate::wire::{Next, PbxSocket, lines, value_of};

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
    /// Asterisk has said that the list follows.
    begun: bool,
    /// The frame that ends an entry with an empty line in it is yet to come.
    cut: bool,
    /// The number of such entries.
    broken: usize,
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
    /// Whether Asterisk sends events, also between the entries of a list.
    has_events: bool,
    exiting: bool,
}

impl AmiConnection {
    pub(super) fn new(socket: AmiSocket, limits: AmiLimits, has_events: bool) -> Self {
        Self {
            socket,
            limits,
            prefix: format!("{:08x}", rand::random::<u32>()),
            next_id: 0,
            pending: HashMap::new(),
            has_given_up: false,
            has_events,
            exiting: false,
        }
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
        let id = self.own_id(&frame);
        if id.is_none() && !self.has_events {
            self.cut_list();
        }
        match (frame.kind(), id) {
            (AmiFrameKind::Reply, Some(id)) => {
                if let Some(reply) = frame.into_reply() {
                    self.reply(id, reply);
                }
            }
            (_, Some(id)) => self.entry(id, frame),
            (AmiFrameKind::Event, None) => {
                if let Some(event) = frame.into_event() {
                    self.socket.events.push(event);
                }
            }
            (_, None) => {}
        }
    }

    /// The `ActionID` of ours that a frame has. A caller may have written another one.
    fn own_id(&self, frame: &AmiFrame) -> Option<String> {
        if self.pending.is_empty() && !self.has_given_up {
            return None;
        }
        let ours = |id: &str| id.strip_prefix(&*self.prefix).is_some_and(|rest| rest.starts_with('-'));
        all(frame.as_bytes(), "ActionID").find(|id| ours(id)).map(Cow::into_owned)
    }

    /// A frame without our id, where Asterisk sends no events, is the beginning of an entry that has an empty line in it.
    fn cut_list(&mut self) {
        for waiter in self.pending.values_mut() {
            if let Waiter::List(_, list) = waiter {
                list.cut |= list.begun;
            }
        }
    }

    /// Passes a reply to its waiter.
    fn reply(&mut self, id: String, reply: AmiReply) {
        match self.pending.remove(&id) {
            // The waiter may have given up.
            Some(Waiter::Reply(waiter)) => drop(waiter.send(reply)),
            // The end of an entry with an empty line, behind which the caller has written this.
            Some(Waiter::List(waiter, list)) if list.begun => {
                let list = List { cut: false, broken: list.broken + 1, ..list };
                self.pending.insert(id, Waiter::List(waiter, list));
            }
            // Response: Success
            // EventList: start
            Some(Waiter::List(waiter, list)) if reply.is_ok() => {
                self.pending.insert(id, Waiter::List(waiter, List { begun: true, ..list }));
            }
            Some(Waiter::List(waiter, _)) => {
                drop(waiter.send(reply.accepted().map(|_| Vec::new())));
            }
            None => {}
        }
    }

    /// Adds a frame to its list, or completes the list. Drops entries of lists whose waiter gave up.
    fn entry(&mut self, id: String, frame: AmiFrame) {
        let Some(Waiter::List(waiter, list)) = self.pending.get_mut(&id) else { return };
        let cut = std::mem::take(&mut list.cut);
        let event = match frame.into_event() {
            Some(end) if completes(&end, &id) => return self.complete(&id, &end),
            // Nobody but Asterisk begins an entry with the id.
            Some(entry) if !cut || begins(&entry, &id) => entry,
            _ => {
                list.broken += 1;
                return;
            }
        };
        if waiter.is_closed() {
            return;
        }
        let AmiLimits { entries, list: bytes, .. } = self.limits;
        list.bytes += event.as_bytes().len();
        list.entries.push(event);
        if (list.entries.len() > entries || list.bytes > bytes)
            && let Some(Waiter::List(waiter, _)) = self.pending.remove(&id)
        {
            self.has_given_up = true;
            drop(waiter.send(Err(AmiError::ListTooLong { entries, bytes })));
        }
    }

    /// Ends a list: all of it, or an error.
    fn complete(&mut self, id: &str, end: &AmiEvent) {
        let Some(Waiter::List(waiter, List { entries, broken, .. })) = self.pending.remove(id) else { return };
        let [mark, items] = end.fields(["EventList", "ListItems"]);
        let announced = items.and_then(|items| items.trim().parse::<usize>().ok());
        let got = entries.len();
        let whole = mark.is_some_and(|mark| mark.eq_ignore_ascii_case("Complete"))
            && announced.is_none_or(|announced| announced <= got + broken);
        drop(waiter.send(match whole {
            true => Ok(entries),
            false => Err(AmiError::ListCut { got }),
        }));
    }
}

/// Whether an event ends the list of this id. An entry may have lines that a caller has written.
///
/// ```text
/// Event: CoreShowChannelsComplete
/// ActionID: 5e884898-7
/// EventList: Complete
/// ListItems: 2
/// ```
fn completes(event: &AmiEvent, id: &str) -> bool {
    let first = lines(event.as_bytes()).next().map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    first.is_some_and(|line| line.ends_with(b"Complete")) && begins(event, id)
}

/// Whether this id is the second line of an event. Nobody can guess it, so a caller has written nothing in front of it.
///
/// ```text
/// Event: BridgeListItem
/// ActionID: 5e884898-7
/// BridgeUniqueid: 1869ecdf-8a84-475c-975a-ffd1de7f5fce
/// ```
fn begins(event: &AmiEvent, id: &str) -> bool {
    let second = lines(event.as_bytes()).nth(1).map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    second.and_then(|line| value_of(line, b"ActionID")) == Some(id.as_bytes())
}

impl std::fmt::Debug for AmiConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AmiConnection").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}
