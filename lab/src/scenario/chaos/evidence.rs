//! Everything that is recorded in a round. All times are since 1970, by one clock.

use std::time::Duration;

use crate::Kind;

/// A call from one number to another. No two calls of a round have the same two numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// The PBX of the caller.
    pub pbx: Kind,
    pub caller: String,
    pub called: String,
    /// The caller's INVITE.
    pub invited: Duration,
    /// The phones that the PBX called for it, in this order.
    pub arrivals: Vec<Arrival>,
    pub answered: Option<Duration>,
    pub over: Option<Duration>,
    /// The caller ended it.
    pub hung_up: bool,
    /// The final status and the reason that the PBX gave to the caller.
    pub status: Option<u16>,
    pub reason: Option<String>,
    /// The two heard each other, at first and at the end. Without sound: the last phone answered.
    pub heard: bool,
}

/// A call as it reached a phone at the end of a trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The phone's INVITE.
    pub invited: Duration,
    /// It came over the packet trunk: a node has decided the call. The dialplan's own route is the PSTN.
    pub decided: bool,
    /// The phone answered.
    pub answered: bool,
    pub over: Option<Duration>,
}

/// A client was told of its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    pub at: Duration,
    /// The number of the client.
    pub client: String,
    /// The number of its peer.
    pub peer: String,
    /// The id of the message. A client ignores a message whose id it knows.
    pub message: String,
    /// The node's id of the call.
    pub call: String,
}

/// A fault that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRecord {
    pub name: String,
    pub began: Duration,
    pub over: Duration,
    /// No other fault overlaps it, by the plan and in fact.
    pub alone: bool,
    /// How long it may delay pairs.
    pub pairing: Excuse,
    /// How long it may keep calls from being decided.
    pub deciding: Excuse,
}

/// How long a fault that is alone excuses a delay. Two faults that overlap excuse it as long as they last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excuse {
    /// Never: calls don't need the broken part.
    Nothing,
    /// At its start, because then the stand-by takes over.
    Start,
    /// As long as it lasts, because there is no replacement for the broken part.
    All,
}

/// An answered call in the records of a PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRecord {
    pub caller: String,
}

/// A program that was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    Agent,
    Node(usize),
}

/// A process ended, and no fault had killed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitRecord {
    pub process: Process,
    pub at: Duration,
    /// `None` if a signal ended it.
    pub code: Option<i32>,
}

/// The records of a round.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    pub calls: Vec<CallRecord>,
    pub peers: Vec<PeerRecord>,
    pub faults: Vec<FaultRecord>,
    pub rows: Vec<RowRecord>,
    /// The channels of a PBX that outlived all calls, as its console shows them.
    pub channels: Vec<String>,
    pub exits: Vec<ExitRecord>,
    /// The lines of logs that report a panic.
    pub panics: Vec<String>,
}
