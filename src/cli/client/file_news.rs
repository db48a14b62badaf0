//! What happens about files: in the background, for the client to do, and for the user to see.

use serde_json::Value;

use crate::cli::api_client::ApiError;
use crate::core::address::Address;
use crate::core::base::name::{CallId, InvitationId};
use crate::media::SavedFile;
use crate::media::session_events::SessionEvent;
use crate::media::signal::{DeviceTag, FileBundle};
use crate::media::transfer::frames::CancelReason;

/// What happened in the background.
#[derive(Debug)]
pub(super) enum FileInput {
    /// The node has answered a claim.
    Claimed { call: CallId, invitation: InvitationId, won: Result<bool, ApiError> },
    /// A session tells something.
    Session { call: CallId, with: DeviceTag, event: SessionEvent },
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum FileOutput {
    /// Post this.
    Post { call: CallId, address: Address, content: Value },
    /// Show this. `sender` is the address of the party whom it is about, if the node has named it.
    Show { call: CallId, sender: Option<Address>, news: FileNews },
}

/// What the user is told.
#[derive(Debug)]
pub(super) enum FileNews {
    /// Files are offered; `/accept N` takes them.
    Invited { n: usize, files: FileBundle },
    /// The words to compare by voice.
    Words([&'static str; 4]),
    /// The connection is down.
    Interrupted,
    /// So many tenths more have arrived.
    Progress { received: u64, of: u64 },
    /// All files of an invitation are in the folder.
    Saved(Vec<SavedFile>),
    /// A transfer is over, and nothing of it is kept.
    Failed(CancelReason),
    /// Another client of the number was faster.
    Lost,
    /// Somebody may be between the devices.
    Impostor,
    /// Files can't be accepted.
    Problem(String),
}
