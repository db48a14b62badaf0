//! The transfers of one session, and the channels that carry them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::channel::ChannelId;
use tokio::sync::mpsc;

use super::download::{DiskNews, Download};
use super::receive_folder::ReceiveFolder;
use super::session_events::SessionEvent;
use super::signal::FileBundle;
use super::transfer::frames::{CancelReason, FileFrame};
use super::transfer::receiver::TransferState;
use crate::core::base::name::InvitationId;

/// Maximum number of transfers of one session at once, each with a thread. The first to be over makes room for another.
pub const TRANSFERS_MAX: usize = 16;
/// How long a session that ends waits for a disk that hangs.
const DISK: Duration = Duration::from_secs(60);
/// The channel that opens a connection and carries nothing, and what file channels are called.
const CONTROL: &str = "control";
const FILES: &str = "files:";
const FILES_PROTOCOL: &str = "sidecall-files";

/// What to do with a channel.
#[derive(Debug)]
pub(super) enum ChannelAction {
    /// Send this frame.
    Send(ChannelId, FileFrame),
    /// Say that its transfer is over, and close it.
    Refuse(ChannelId, CancelReason),
    /// Close it.
    Close(ChannelId),
}

/// Until when senders must have opened channels, on this connection.
#[derive(Debug)]
struct ChannelDeadline {
    until: Instant,
    /// The transfers that wait, and how many channels each has had.
    waiting: Vec<(InvitationId, u32)>,
}

/// All transfers of a session.
#[derive(Debug)]
pub(super) struct Transfers {
    folder: Arc<ReceiveFolder>,
    downloads: HashMap<InvitationId, Download>,
    channels: HashMap<ChannelId, InvitationId>,
    deadline: Option<ChannelDeadline>,
    disk: mpsc::UnboundedSender<(InvitationId, DiskNews)>,
    events: mpsc::UnboundedSender<SessionEvent>,
}

impl Transfers {
    /// Files go to `folder`. The disk's news come back through `disk`, and what the user must know goes to `events`.
    pub(super) fn new(
        folder: Arc<ReceiveFolder>,
        disk: mpsc::UnboundedSender<(InvitationId, DiskNews)>,
        events: mpsc::UnboundedSender<SessionEvent>,
    ) -> Transfers {
        Transfers { folder, downloads: HashMap::new(), channels: HashMap::new(), deadline: None, disk, events }
    }

    /// Expects these files, unless they are expected already.
    pub(super) fn expect(&mut self, invitation: InvitationId, files: FileBundle) {
        if self.downloads.contains_key(&invitation) {
            return;
        }
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

    /// There is a connection. Senders must have opened their channels by this time: one that hasn't knows nothing of its transfer
    /// any more.
    pub(super) fn connected(&mut self, until: Instant) {
        let waiting = self.downloads.iter().filter(|(_, download)| download.state() == TransferState::Waiting);
        let waiting = waiting.map(|(id, download)| (id.clone(), download.channel())).collect();
        self.deadline = Some(ChannelDeadline { until, waiting });
    }

    /// Nothing comes through the connection for now.
    pub(super) fn disconnected(&mut self) {
        self.deadline = None;
    }

    /// Time has passed.
    pub(super) fn timeout(&mut self, now: Instant) {
        let Some(passed) = self.deadline.take_if(|deadline| deadline.until <= now) else { return };
        for (invitation, channel) in passed.waiting {
            let is_waiting = |it: &Download| it.state() == TransferState::Waiting && it.channel() == channel;
            if self.downloads.get(&invitation).is_some_and(is_waiting) {
                self.cancel(&invitation, CancelReason::Gone);
            }
        }
    }

    /// The connection is gone, and all channels with it.
    pub(super) fn cut(&mut self) {
        self.disconnected();
        self.channels.clear();
        self.downloads.values_mut().for_each(Download::closed);
    }

    /// Takes a channel for files that are expected. A sender of others learns that their transfer is over, or not known.
    pub(super) fn opened(&mut self, channel: ChannelId, label: &str, protocol: &str) -> Option<ChannelAction> {
        let Some(id) = label.strip_prefix(FILES).filter(|_| protocol == FILES_PROTOCOL) else {
            return (label != CONTROL).then_some(ChannelAction::Close(channel));
        };
        let invitation = id.parse::<InvitationId>().ok();
        let known = invitation.and_then(|id| Some((self.downloads.get(&id)?.state(), id)));
        match known {
            None => Some(ChannelAction::Refuse(channel, CancelReason::Gone)),
            Some((TransferState::Failed(reason), _)) => Some(ChannelAction::Refuse(channel, reason)),
            Some((_, invitation)) => {
                // A second channel takes the place of the first.
                let first = self.channel_of(&invitation);
                self.channels.retain(|_, other| *other != invitation);
                self.channels.insert(channel, invitation.clone());
                self.change(&invitation, Download::opened);
                first.map(ChannelAction::Close)
            }
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
                let open = self.channel_of(&invitation);
                if let FileFrame::Have { .. } = frame {
                    self.tell(SessionEvent::Progress { invitation, received });
                }
                open.filter(|_| is_current).map(|open| ChannelAction::Send(open, frame))
            }
            DiskNews::Saved(files) => {
                self.change(&invitation, Download::saved);
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

    /// Ends all transfers, and waits for the disk: what is complete is in its place then, and the rest is removed.
    pub(super) async fn end(mut self, mut done: mpsc::UnboundedReceiver<(InvitationId, DiskNews)>) {
        for invitation in self.downloads.keys().cloned().collect::<Vec<_>>() {
            self.cancel(&invitation, CancelReason::Gone);
        }
        let Transfers { folder, downloads, disk, events, .. } = self;
        let complete = downloads.iter().filter(|(_, download)| !download.is_over());
        let mut complete: HashSet<_> = complete.map(|(invitation, _)| invitation.clone()).collect();
        // The threads end when nobody has work for them any more.
        drop((downloads, disk));
        let last = async {
            while let Some((invitation, news)) = done.recv().await {
                let event = match news {
                    DiskNews::Frame { .. } => continue,
                    _ if !complete.remove(&invitation) => continue,
                    DiskNews::Saved(files) => SessionEvent::Saved { invitation, files },
                    DiskNews::Failed(error) => {
                        tracing::warn!(%error, %invitation, "received files can't be written");
                        SessionEvent::Failed { invitation, reason: CancelReason::Disk }
                    }
                };
                let _ = events.send(event);
            }
        };
        if tokio::time::timeout(DISK, last).await.is_err() {
            tracing::warn!(folder = %folder.path().display(), "the disk doesn't answer: hidden folders may stay there");
            for invitation in complete {
                let _ = events.send(SessionEvent::Failed { invitation, reason: CancelReason::Disk });
            }
        }
    }

    /// The channel that carries a transfer, if one is open.
    fn channel_of(&self, invitation: &InvitationId) -> Option<ChannelId> {
        self.channels.iter().find(|(_, other)| *other == invitation).map(|(channel, _)| *channel)
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

#[cfg(test)]
#[path = "transfers_tests.rs"]
mod tests;
