//! The commands that a running session takes, and the events that it reports.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::identity::MediaIdentity;
use super::receive_folder::ReceiveFolder;
use super::signal::{FileBundle, OwnSignal, Signal};
use super::staging::SavedFile;
use super::transfer::frames::CancelReason;
use crate::core::base::name::{InvitationId, SessionId};
use crate::core::base::time::UnixMillis;

/// What a session needs.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// Our certificate.
    pub identity: Arc<MediaIdentity>,
    /// The address of this machine that the other side reaches.
    pub address: IpAddr,
    /// Where received files go.
    pub folder: Arc<ReceiveFolder>,
    /// The wall clock.
    pub now: fn() -> UnixMillis,
}

/// A command to a session.
#[derive(Debug)]
pub enum SessionCommand {
    /// The other device said this.
    Signal(Signal),
    /// These files have been accepted, and will come.
    Expect {
        /// Their invitation.
        invitation: InvitationId,
        /// What was announced.
        files: FileBundle,
    },
    /// End a transfer.
    Cancel {
        /// Its invitation.
        invitation: InvitationId,
        /// Why.
        reason: CancelReason,
    },
}

/// An event of a session.
#[derive(Debug)]
pub enum SessionEvent {
    /// Post this to the other device.
    Say(OwnSignal),
    /// The words to compare by voice.
    Words([&'static str; 4]),
    /// The connection is up, for the first time or again.
    Connected,
    /// The connection is down.
    Interrupted,
    /// So much of a transfer has arrived.
    Progress {
        /// Its invitation.
        invitation: InvitationId,
        /// Bytes of all its files.
        received: u64,
    },
    /// All files of a transfer are verified and in their place.
    Saved {
        /// Its invitation.
        invitation: InvitationId,
        /// The files.
        files: Vec<SavedFile>,
    },
    /// A transfer is over, and nothing of it is kept.
    Failed {
        /// Its invitation.
        invitation: InvitationId,
        /// Why.
        reason: CancelReason,
    },
    /// The session is over. It is the last event.
    Over(SessionOver),
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionOver {
    /// Its client has dropped its commands.
    Closed,
    /// The other device has ended it.
    Remote,
    /// It was asked for a new connection often enough, and none came about.
    Unreachable,
    /// Somebody else's certificate was offered: somebody may be in between.
    Impostor,
    /// Its task has died.
    Broken,
}

/// A running session.
#[derive(Debug)]
pub struct SessionHandle {
    /// Its id.
    pub id: SessionId,
    /// Its commands. If this is dropped, the session carries out those that wait, and ends.
    pub commands: mpsc::Sender<SessionCommand>,
}
