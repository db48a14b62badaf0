//! What happens about files: in the background, for the client to do, and for the user to see.

use serde_json::Value;

use crate::core::address::Address;
use crate::core::base::name::CallId;
use crate::media::SavedFile;
use crate::media::invitations::FileInvitation;
use crate::media::session_events::SessionEvent;
use crate::media::signal::FileBundle;
use crate::media::transfer::frames::CancelReason;

/// What happened in the background.
#[derive(Debug)]
pub(super) enum FileInput {
    /// The node has answered a claim of the offer with this number, or doesn't.
    Claimed { n: usize, invitation: Box<FileInvitation>, is_unasked: bool, won: Result<bool, String> },
    /// The session with this key reports something.
    Session { key: u64, event: SessionEvent },
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum FileOutput {
    /// Post this.
    Post { call: CallId, address: Address, content: Value },
    /// Show this. `sender` is the address of the party whom it is about, if the node has named it.
    Show { call: CallId, sender: Option<Address>, news: FileNews },
}

/// Why an offer can't be accepted now.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// Its call has reached `--accept-max`.
    AcceptMax,
    /// Too many transfers or sessions run.
    Full(&'static str),
    /// The node doesn't answer, or refuses.
    Node(String),
}

/// What the user is told. `n` is the number of the offer.
#[derive(Debug)]
pub(super) enum FileNews {
    /// Files are offered; `/accept N` takes them.
    Invited { n: usize, files: FileBundle },
    /// The offer can't be accepted now, and stays open.
    Unaccepted { n: usize, obstacle: Obstacle },
    /// The words to compare by voice.
    Words([&'static str; 4]),
    /// The connection is down.
    Interrupted,
    /// At least another tenth has arrived.
    Progress { n: usize, received: u64, of: u64 },
    /// All files of an offer are in the folder.
    Saved { n: usize, files: Vec<SavedFile> },
    /// A transfer is over, and nothing of it is kept.
    Failed { n: usize, reason: CancelReason },
    /// Another client of the number was faster.
    Lost { n: usize },
    /// The accepted offer was withdrawn, or its sender left, before the node had answered.
    Withdrawn { n: usize },
    /// The accepted offer had to be declined.
    Declined { n: usize, problem: String },
    /// Somebody may be between the devices.
    Impostor,
}
