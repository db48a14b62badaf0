//! A session with another device while it runs, and the transfers that it carries.

use std::collections::HashMap;

use tokio::sync::mpsc;

use super::file_news::FileNews;
use crate::core::address::Address;
use crate::core::base::name::{CallId, InvitationId, SessionId};
use crate::media::TRANSFERS_MAX;
use crate::media::invitations::FileInvitation;
use crate::media::session_events::{SessionCommand, SessionHandle};
use crate::media::signal::{DeviceTag, FileBundle};
use crate::media::words::Proof;

/// A session that runs.
#[derive(Debug)]
pub(super) struct RunningSession {
    /// Tells it from all others of this client.
    pub(super) key: u64,
    pub(super) call: CallId,
    pub(super) with: DeviceTag,
    pub(super) address: Address,
    /// The address of the party whose device it is, if the node has named it.
    pub(super) sender: Option<Address>,
    pub(super) own: Proof,
    id: SessionId,
    /// None once the session has to end.
    commands: Option<mpsc::Sender<SessionCommand>>,
    transfers: HashMap<InvitationId, RunningTransfer>,
}

/// A transfer that isn't over.
#[derive(Debug)]
struct RunningTransfer {
    /// The number of the offer.
    n: usize,
    /// Bytes in all, and how many tenths of them the user knows of.
    bytes: u64,
    tenths: u64,
}

impl RunningSession {
    /// The session that this invitation begins.
    pub(super) fn new(key: u64, invitation: &FileInvitation, own: Proof, handle: SessionHandle) -> RunningSession {
        let FileInvitation { call, from, address, sender, .. } = invitation.clone();
        let SessionHandle { id, commands } = handle;
        let commands = Some(commands);
        RunningSession { key, call, with: from, address, sender, own, id, commands, transfers: HashMap::new() }
    }

    /// Whether files of this device in this call can come through it: it isn't about to end.
    pub(super) fn serves(&self, call: &CallId, device: &DeviceTag) -> bool {
        let is_open = self.commands.as_ref().is_some_and(|commands| !commands.is_closed());
        is_open && self.call == *call && self.with == *device
    }

    pub(super) fn id(&self) -> &SessionId {
        &self.id
    }

    /// Whether it takes files of another offer, beside those that it has and `more` that are about to come.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.transfers.len() + more < TRANSFERS_MAX
    }

    /// Whether files of this invitation come through it.
    fn carries(&self, invitation: &InvitationId) -> bool {
        self.transfers.contains_key(invitation)
    }

    /// Expects files. Returns false if the session takes no more, or has these already.
    pub(super) fn expect(&mut self, n: usize, invitation: InvitationId, files: FileBundle) -> bool {
        let transfer = RunningTransfer { n, bytes: files.bytes, tenths: 0 };
        let is_expected = self.has_room(0)
            && !self.carries(&invitation)
            && self.tell(SessionCommand::Expect { invitation: invitation.clone(), files });
        if is_expected {
            self.transfers.insert(invitation, transfer);
        }
        is_expected
    }

    /// Gives the session a command. Returns false if it takes no more: its device floods it, and repeats ICE and offers.
    pub(super) fn tell(&self, command: SessionCommand) -> bool {
        let is_taken = self.commands.as_ref().is_some_and(|commands| commands.try_send(command).is_ok());
        if !is_taken {
            tracing::debug!(session = %self.id, "a session does not keep up");
        }
        is_taken
    }

    /// Ends the session, even if it takes no more commands.
    pub(super) fn end(&mut self) {
        self.commands = None;
    }

    /// What the user is told of these bytes: nothing, until another tenth of the transfer is here.
    pub(super) fn progress(&mut self, invitation: &InvitationId, received: u64) -> Option<FileNews> {
        let RunningTransfer { n, bytes, tenths } = self.transfers.get_mut(invitation)?;
        let before = std::mem::replace(tenths, received * 10 / (*bytes).max(1));
        (*tenths != before).then_some(FileNews::Progress { n: *n, received, of: *bytes })
    }

    /// A transfer is over. Returns the number of its offer.
    pub(super) fn ended(&mut self, invitation: &InvitationId) -> Option<usize> {
        self.transfers.remove(invitation).map(|transfer| transfer.n)
    }

    /// The offers whose transfers are not over, by their numbers.
    pub(super) fn running(&self) -> Vec<usize> {
        let mut running: Vec<_> = self.transfers.values().map(|transfer| transfer.n).collect();
        running.sort_unstable();
        running
    }
}
