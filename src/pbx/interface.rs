//! What the agent and the tools see of a PBX. Whoever has a [`Pbx`] needn't ask which kind it is; only `direct` mode and the
//! doctor's advice name one.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures_util::Stream;

use super::{Announcement, DialplanAnswer, EnrolmentCall, Inspection, PbxError, PbxEvent, Recording, Snapshot};
use crate::contract::SipMessage;
use crate::core::base::name::LegId;
use crate::wire::Tap;

/// A PBX: where it is and how to log in.
#[async_trait]
pub trait Pbx: Debug + Send + Sync {
    /// What sets it apart from other kinds.
    fn quirks(&self) -> PbxQuirks;

    /// Checks for what no attempt to connect could get past: a CA file that can't be read, or a host without a name that a
    /// certificate could be for.
    fn check(&self) -> Result<(), PbxError>;

    /// Connects, logs in and subscribes.
    async fn connect(&self) -> Result<PbxLink, PbxError>;

    /// Connects, logs in and subscribes as the agent does, or to `all` events; `tap` is shown every byte.
    async fn record(&self, tap: Arc<dyn Tap>, all: bool) -> Result<Recording, PbxError>;

    /// Connects and logs in, for questions.
    async fn inspect(&self) -> Result<Box<dyn Inspection>, PbxError>;
}

/// A PBX that we are logged in to.
#[derive(Debug)]
pub struct PbxLink {
    /// What we can say to it.
    pub commands: Arc<dyn PbxCommands>,
    /// What it says to us.
    pub events: Box<dyn PbxEvents>,
}

/// What the agent must know of the kind of a PBX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PbxQuirks {
    /// A new channel shows in its list with a delay, so a first snapshot may lack a call of that moment.
    pub lists_channels_late: bool,
    /// A leg without a tenant may be a trunk's, named by the number that it was asked for.
    pub trunks_name_numbers: bool,
    /// How many SIP MESSAGEs it is given at once.
    pub slots: Slots,
}

/// How many SIP MESSAGEs a PBX is given at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// In total.
    pub total: usize,
    /// To addresses that haven't answered quickly yet, those that failed included.
    pub unproven: usize,
    /// To addresses that failed the last time.
    pub failed: usize,
}

/// What we can say to a PBX.
///
/// Whatever returns a result fails if the PBX doesn't reply in time (`request_timeout` of its client), or refuses. [`PbxCommands::send_message`] may take
/// longer. None is ever repeated by itself: after a disconnect or a time-out its outcome is unknown.
#[async_trait]
pub trait PbxCommands: Debug + Send + Sync {
    /// The PBX's own words for its version.
    async fn version(&self) -> Result<String, PbxError>;

    /// The id of the agent that the dialplan speaks to.
    async fn owner(&self) -> Result<Option<String>, PbxError>;

    /// Makes `agent` the one that the dialplan speaks to; with none, no call is announced.
    async fn set_owner(&self, agent: Option<&str>) -> Result<(), PbxError>;

    /// The last heartbeat of the agent in charge.
    async fn heartbeat(&self) -> Result<Option<String>, PbxError>;

    /// Writes the heartbeat of the agent in charge: a time that no earlier one had.
    async fn beat(&self, at: i64) -> Result<(), PbxError>;

    /// The time on the PBX's clock, in microseconds since its epoch; none if it doesn't say.
    async fn clock(&self) -> Result<Option<i64>, PbxError>;

    /// Writes the answer and ends the hold, in one write.
    async fn answer(&self, held: &Announcement, answer: &DialplanAnswer) -> Result<(), PbxError>;

    /// Says whether the page whose code was dialled is enrolled, and ends the hold, in one write.
    async fn answer_enrolment(&self, held: &EnrolmentCall, enrolled: bool) -> Result<(), PbxError>;

    /// All channels, or an error: a list that isn't whole is none. `known` channels are looked at even where a list
    /// would show them late.
    async fn snapshot(&self, known: &[LegId]) -> Result<Snapshot, PbxError>;

    /// Sends a SIP MESSAGE; `from` is the user part of the sender. Returns when the PBX began to send it. It goes over
    /// a connection of its own and may take up to [`super::MESSAGE_WITHIN`]; nothing else waits for it.
    async fn send_message(&self, from: &str, message: &SipMessage) -> Result<Instant, PbxError>;

    /// Closes the connection for messages; the next message makes another one.
    fn close_messages(&self);

    /// Waits until a command connection is over: whatever was under way has an unknown outcome.
    async fn closed(&self);

    /// Asks for a sign of life on each connection.
    async fn ping(&self) -> Result<(), PbxError>;
}

/// What a PBX says to us, in our words and in order. Ends when the link is lost.
///
/// Each item is what one message says, which may be nothing. Giving up the wait for the next one loses nothing.
pub trait PbxEvents: Stream<Item = Vec<PbxEvent>> + Debug + Send + Unpin {
    /// Announcements come out at once from here on, and all else waits for [`PbxEvents::release`]: a snapshot is about
    /// to be asked for, and what is said meanwhile must not be read before it.
    fn hold(&mut self);

    /// Goes on from the snapshot, or as before if there is none, and reads what has waited.
    fn release(&mut self, snapshot: Option<&Snapshot>) -> Vec<PbxEvent>;
}
