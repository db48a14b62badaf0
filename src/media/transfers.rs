//! The transfers of one session, and the channels that carry them.

use std::collections::HashMap;
use std::path::PathBuf;

use str0m::channel::ChannelId;
use tokio::sync::mpsc;

use super::download::{DiskNews, Download};
use super::session_events::SessionEvent;
use super::signal::FileBundle;
use super::transfer::frames::{CancelReason, FileFrame};
use super::transfer::receiver::TransferState;
use crate::core::base::name::InvitationId;

/// Transfers at once, each with a thread. The first to be over makes room for another.
pub(super) const TRANSFERS_MAX: usize = 16;
/// The channel that opens a connection and carries nothing, and what file channels are called.
const CONTROL: &str = "control";
const FILES: &str = "files:";
const FILES_PROTOCOL: &str = "sidecall-files";

/// What to do with a channel.
#[derive(Debug)]
pub(super) enum ChannelAction {
    /// Send this frame.
    Send(ChannelId, FileFrame),
    /// Close it.
    Close(ChannelId),
}

/// All transfers of a session.
#[derive(Debug)]
pub(super) struct Transfers {
    folder: PathBuf,
    downloads: HashMap<InvitationId, Download>,
    channels: HashMap<ChannelId, InvitationId>,
    disk: mpsc::UnboundedSender<(InvitationId, DiskNews)>,
    events: mpsc::UnboundedSender<SessionEvent>,
}

impl Transfers {
    /// Files go to `folder`. The disk's news come back through `disk`, and what the user must know goes to `events`.
    pub(super) fn new(
        folder: PathBuf,
        disk: mpsc::UnboundedSender<(InvitationId, DiskNews)>,
        events: mpsc::UnboundedSender<SessionEvent>,
    ) -> Transfers {
        Transfers { folder, downloads: HashMap::new(), channels: HashMap::new(), disk, events }
    }

    /// Expects these files.
    pub(super) fn expect(&mut self, invitation: InvitationId, files: FileBundle) {
        if self.downloads.len() >= TRANSFERS_MAX {
            let over = self.downloads.iter().find(|(_, download)| download.is_over()).map(|(id, _)| id.clone());
            match over {
                Some(over) => drop(self.downloads.remove(&over)),
                None => return self.tell(SessionEvent::Failed { invitation, reason: CancelReason::Limit }),
            }
        }
        let (folder, disk) = (self.folder.clone(), self.disk.clone());
        let download = Download::new(invitation.clone(), files, folder, rand::random(), disk);
        self.downloads.insert(invitation, download);
    }

    /// Ends a transfer.
    pub(super) fn cancel(&mut self, invitation: &InvitationId, reason: CancelReason) {
        self.change(invitation, |download| download.cancel(reason));
    }

    /// Ends all transfers.
    pub(super) fn cancel_all(&mut self, reason: CancelReason) {
        for invitation in self.downloads.keys().cloned().collect::<Vec<_>>() {
            self.cancel(&invitation, reason);
        }
    }

    /// The connection is gone, and all channels with it.
    pub(super) fn cut(&mut self) {
        self.channels.clear();
        self.downloads.values_mut().for_each(Download::closed);
    }

    /// Takes a channel for files that are expected. Any other one is closed.
    pub(super) fn opened(&mut self, channel: ChannelId, label: &str, protocol: &str) -> Option<ChannelAction> {
        let invitation = label.strip_prefix(FILES).filter(|_| protocol == FILES_PROTOCOL);
        let invitation = invitation.and_then(|id| id.parse::<InvitationId>().ok());
        match invitation.filter(|id| self.downloads.contains_key(id)) {
            Some(invitation) => {
                // A second channel takes the place of the first.
                self.channels.retain(|_, other| *other != invitation);
                self.channels.insert(channel, invitation.clone());
                self.change(&invitation, Download::opened);
                None
            }
            None => (label != CONTROL).then_some(ChannelAction::Close(channel)),
        }
    }

    /// A text came through a channel.
    pub(super) fn text(&mut self, channel: ChannelId, text: &str) {
        if let Some(invitation) = self.channels.get(&channel).cloned() {
            self.change(&invitation, |download| download.frame(text));
        }
    }

    /// Bytes came through a channel.
    pub(super) fn bytes(&mut self, channel: ChannelId, bytes: Vec<u8>) {
        if let Some(invitation) = self.channels.get(&channel).cloned() {
            self.change(&invitation, |download| download.bytes(bytes));
        }
    }

    /// A channel is closed.
    pub(super) fn closed(&mut self, channel: ChannelId) {
        if let Some(invitation) = self.channels.remove(&channel) {
            self.change(&invitation, Download::closed);
        }
    }

    /// The disk has done something. Returns the frame that may be sent now.
    pub(super) fn disk_news(&mut self, invitation: InvitationId, news: DiskNews) -> Option<ChannelAction> {
        match news {
            DiskNews::Frame { channel, frame } => {
                let download = self.downloads.get(&invitation)?;
                let (is_current, received) = (download.channel() == channel, download.received());
                let open = self.channels.iter().find(|(_, other)| **other == invitation).map(|(channel, _)| *channel);
                if let FileFrame::Have { .. } = frame {
                    self.tell(SessionEvent::Progress { invitation, received });
                }
                open.filter(|_| is_current).map(|open| ChannelAction::Send(open, frame))
            }
            DiskNews::Saved(files) => {
                self.tell(SessionEvent::Saved { invitation, files });
                None
            }
            DiskNews::Failed(error) => {
                tracing::warn!(%error, %invitation, "received files can't be written");
                self.change(&invitation, Download::disk_failed);
                None
            }
        }
    }

    /// Changes a transfer, and tells if that has ended it.
    fn change(&mut self, invitation: &InvitationId, change: impl FnOnce(&mut Download)) {
        let Some(download) = self.downloads.get_mut(invitation) else { return };
        let before = download.state();
        change(download);
        match download.state() {
            TransferState::Failed(reason) if before != download.state() => {
                self.tell(SessionEvent::Failed { invitation: invitation.clone(), reason });
            }
            _ => {}
        }
    }

    fn tell(&self, event: SessionEvent) {
        // If nobody listens, the session ends, too.
        let _ = self.events.send(event);
    }
}
