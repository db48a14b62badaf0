//! A link to either PBX.

use std::sync::Arc;
use std::time::Instant;

use super::{Announcement, Answer, Error, Happened, Inspection, Recording, Snapshot, asterisk, freeswitch};
use crate::contract::{PbxKind, SipMessage};
use crate::core::name::LegId;
use crate::wire::Tap;
use crate::{ami, esl};

/// Where a PBX is and how to log in.
#[derive(Debug, Clone)]
pub enum Link {
    /// FreeSWITCH.
    Freeswitch(freeswitch::Endpoint),
    /// Asterisk.
    Asterisk(Box<asterisk::Endpoint>),
}

/// What we can say to a PBX.
#[derive(Debug, Clone)]
pub enum Commands {
    /// FreeSWITCH.
    Freeswitch(freeswitch::Commands),
    /// Asterisk.
    Asterisk(Arc<asterisk::Commands>),
}

/// What a PBX says to us.
#[derive(Debug)]
pub enum Events {
    /// FreeSWITCH.
    Freeswitch(freeswitch::Events),
    /// Asterisk.
    Asterisk(asterisk::Events),
}

/// An event as it came, not yet read.
#[derive(Debug)]
pub enum Raw {
    /// FreeSWITCH.
    Freeswitch(esl::Item),
    /// Asterisk.
    Asterisk(ami::Item),
}

impl Link {
    /// Which PBX it is.
    pub fn kind(&self) -> PbxKind {
        match self {
            Link::Freeswitch(_) => PbxKind::Freeswitch,
            Link::Asterisk(_) => PbxKind::Asterisk,
        }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        match self {
            Link::Freeswitch(endpoint) => &endpoint.address,
            Link::Asterisk(endpoint) => &endpoint.address,
        }
    }

    /// Connects, logs in and subscribes.
    ///
    /// # Errors
    /// If the PBX can't be reached or refuses.
    pub async fn connect(&self) -> Result<(Commands, Events), Error> {
        match self {
            Link::Freeswitch(endpoint) => {
                let (commands, events) = freeswitch::connect(endpoint, esl::Options::default()).await?;
                Ok((Commands::Freeswitch(commands), Events::Freeswitch(events)))
            }
            Link::Asterisk(endpoint) => {
                let (commands, events) = asterisk::connect(endpoint, ami::Options::default()).await?;
                Ok((Commands::Asterisk(Arc::new(commands)), Events::Asterisk(events)))
            }
        }
    }
}

impl Link {
    /// Connects, logs in and subscribes as the agent does, or to `all` events; `tap` is shown every byte.
    ///
    /// # Errors
    /// If the PBX can't be reached or refuses.
    pub async fn record(&self, tap: Arc<dyn Tap>, all: bool) -> Result<Recording, Error> {
        match self {
            Link::Freeswitch(endpoint) => freeswitch::record(endpoint, tap, all).await,
            Link::Asterisk(endpoint) => asterisk::record(endpoint, tap, all).await,
        }
    }

    /// Connects and logs in, for questions.
    ///
    /// # Errors
    /// If the PBX can't be reached or refuses.
    pub async fn inspect(&self) -> Result<Box<dyn Inspection>, Error> {
        Ok(match self {
            Link::Freeswitch(endpoint) => Box::new(freeswitch::Questions::connect(endpoint).await?),
            Link::Asterisk(endpoint) => Box::new(asterisk::Questions::connect(endpoint).await?),
        })
    }
}

impl Events {
    /// The next event; none when the link is lost.
    pub async fn next(&mut self) -> Option<Raw> {
        match self {
            Events::Freeswitch(events) => events.next().await.map(Raw::Freeswitch),
            Events::Asterisk(events) => events.next().await.map(Raw::Asterisk),
        }
    }

    /// What it says. Events must be read in order, each once.
    pub fn read(&mut self, raw: &Raw) -> Vec<Happened> {
        match (self, raw) {
            (Events::Freeswitch(events), Raw::Freeswitch(item)) => events.read(item),
            (Events::Asterisk(events), Raw::Asterisk(item)) => events.read(item),
            _ => Vec::new(),
        }
    }

    /// Goes on from a snapshot; the events that came since it was asked for are read after this.
    pub fn restart(&mut self, snapshot: &Snapshot) {
        match self {
            Events::Freeswitch(events) => events.restart(snapshot),
            Events::Asterisk(events) => events.restart(snapshot),
        }
    }
}

impl Raw {
    /// Whether it announces a call: that can't wait for its turn.
    pub fn is_announcement(&self) -> bool {
        match self {
            Raw::Freeswitch(item) => freeswitch::Events::is_announcement(item),
            Raw::Asterisk(item) => asterisk::Events::is_announcement(item),
        }
    }
}

macro_rules! say {
    ($self:ident, $commands:ident => $say:expr) => {
        match $self {
            Commands::Freeswitch($commands) => $say,
            Commands::Asterisk($commands) => $say,
        }
    };
}

/// Each but [`Commands::send_message`] ends within [`super::REPLY_WITHIN`]. None is ever repeated by itself: after a disconnect or a
/// time-out its outcome is unknown.
impl Commands {
    /// The PBX's own words for its version.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn version(&self) -> Result<String, Error> {
        say!(self, commands => commands.version().await)
    }

    /// The id of the agent that the dialplan speaks to.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn owner(&self) -> Result<Option<String>, Error> {
        say!(self, commands => commands.owner().await)
    }

    /// Makes `agent` the one that the dialplan speaks to; with none, no call is announced.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn set_owner(&self, agent: Option<&str>) -> Result<(), Error> {
        say!(self, commands => commands.set_owner(agent).await)
    }

    /// What the agent in charge has said last as a sign of life.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn seen(&self) -> Result<Option<String>, Error> {
        say!(self, commands => commands.seen().await)
    }

    /// Says that the agent in charge is there, `at` a time that no earlier sign had.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn set_seen(&self, at: i64) -> Result<(), Error> {
        say!(self, commands => commands.set_seen(at).await)
    }

    /// The time on the PBX's clock, in microseconds since its epoch; none if it doesn't say.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or refuses.
    pub async fn clock(&self) -> Result<Option<i64>, Error> {
        say!(self, commands => commands.clock().await)
    }

    /// Writes the answer and ends the hold, in one write.
    ///
    /// # Errors
    /// If the PBX doesn't reply, or the leg is gone.
    pub async fn answer(&self, held: &Announcement, answer: &Answer) -> Result<(), Error> {
        match self {
            Commands::Freeswitch(commands) => commands.answer(&held.leg, answer).await,
            Commands::Asterisk(commands) => commands.answer(&held.release, answer).await,
        }
    }

    /// All channels; `known` ones are looked at even where a list would show them late.
    ///
    /// # Errors
    /// If the list isn't whole.
    pub async fn snapshot(&self, known: &[LegId]) -> Result<Snapshot, Error> {
        say!(self, commands => commands.snapshot(known).await)
    }

    /// Sends a SIP MESSAGE; `from` is the user part of the sender. When the PBX began to send it. It goes over a connection of its own and may take up
    /// to [`super::MESSAGE_WITHIN`]; nothing else waits for it.
    ///
    /// # Errors
    /// If the PBX can't send it.
    pub async fn send_message(&self, from: &str, message: &SipMessage) -> Result<Instant, Error> {
        say!(self, commands => commands.send_message(from, message).await)
    }

    /// Closes the connection for messages; the next message makes another one.
    pub fn close_messages(&self) {
        say!(self, commands => commands.close_messages());
    }

    /// Waits until a command connection is over: whatever was under way has an unknown outcome.
    pub async fn closed(&self) {
        say!(self, commands => commands.closed().await);
    }

    /// Asks for a sign of life on each connection.
    ///
    /// # Errors
    /// If none comes.
    pub async fn ping(&self) -> Result<(), Error> {
        say!(self, commands => commands.ping().await)
    }
}
