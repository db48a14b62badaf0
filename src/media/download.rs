//! One transfer with its disk: a thread of its own writes what arrives, so that a slow disk doesn't delay the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc as work;
use std::{io, thread};

use tokio::sync::mpsc;

use super::receive_folder::ReceiveFolder;
use super::signal::FileBundle;
use super::staging::{SavedFile, Staging};
use super::transfer::frames::{CancelReason, FileFrame};
use super::transfer::receiver::{FileReceiver, ReceiverAction, TransferState};
use crate::core::base::name::InvitationId;

/// Bytes that may wait for the disk. An honest sender stops after half of that.
const UNWRITTEN_MAX: u64 = 32 << 20;

/// What the disk has done.
#[derive(Debug)]
pub(super) enum DiskNews {
    /// This frame can be sent, if its channel is still the transfer's: all before it is written.
    Frame { channel: u32, frame: FileFrame },
    /// All files are in their place.
    Saved(Vec<SavedFile>),
    /// The disk refuses.
    Failed(io::Error),
}

/// A transfer and its thread, which ends with it.
#[derive(Debug)]
pub(super) struct Download {
    receiver: FileReceiver,
    /// Counts the channels. What is said on one must not be sent on the next: the sender would go back to that position.
    channel: u32,
    actions: work::Sender<(u32, ReceiverAction)>,
    unwritten: Arc<AtomicU64>,
    /// The transfer has failed: what waits for the disk is of no use.
    has_failed: Arc<AtomicBool>,
    is_saved: bool,
}

impl Download {
    /// Expects these files. `random` is for this transfer alone.
    pub(super) fn new(
        invitation: InvitationId,
        files: FileBundle,
        folder: Arc<ReceiveFolder>,
        random: u64,
        news: mpsc::UnboundedSender<(InvitationId, DiskNews)>,
    ) -> Download {
        let (actions, queue) = work::channel();
        let unwritten = Arc::new(AtomicU64::new(0));
        let has_failed = Arc::new(AtomicBool::new(false));
        let (waiting, failed, bundle) = (unwritten.clone(), has_failed.clone(), files.clone());
        thread::spawn(move || {
            let mut disk = Disk { folder, bundle, random, staging: None, is_broken: false };
            for (channel, action) in queue {
                let bytes = bytes_in(&action);
                if failed.load(Ordering::Relaxed) {
                    disk.discard();
                }
                if let Some(done) = disk.carry_out(channel, action) {
                    // If the session is gone, nobody needs to know.
                    let _ = news.send((invitation.clone(), done));
                }
                waiting.fetch_sub(bytes, Ordering::Relaxed);
            }
            // The session is gone. What isn't complete is of no use.
            disk.discard();
        });
        let receiver = FileReceiver::new(files);
        Download { receiver, channel: 0, actions, unwritten, has_failed, is_saved: false }
    }

    /// How the transfer stands. It is done once [`DiskNews::Saved`] has come.
    pub(super) fn state(&self) -> TransferState {
        self.receiver.state()
    }

    /// Whether nothing more will come of it.
    pub(super) fn is_over(&self) -> bool {
        self.is_saved || matches!(self.state(), TransferState::Failed(_))
    }

    /// All files are in their place.
    pub(super) fn saved(&mut self) {
        self.is_saved = true;
    }

    /// Bytes that have arrived.
    pub(super) fn received(&self) -> u64 {
        self.receiver.received()
    }

    /// The channel that is open, or was open last.
    pub(super) fn channel(&self) -> u32 {
        self.channel
    }

    /// A channel is open, and takes the place of the last one.
    pub(super) fn opened(&mut self) {
        self.receiver.closed();
        self.channel += 1;
        let actions = self.receiver.opened();
        self.carry_out(actions);
    }

    /// The channel is closed.
    pub(super) fn closed(&mut self) {
        self.receiver.closed();
    }

    /// A text came.
    pub(super) fn frame(&mut self, frame: &str) {
        let actions = self.receiver.frame(frame);
        self.carry_out(actions);
    }

    /// Bytes came.
    pub(super) fn bytes(&mut self, bytes: Vec<u8>) {
        let unwritten = self.unwritten.load(Ordering::Relaxed) + bytes.len() as u64;
        let actions = if unwritten > UNWRITTEN_MAX {
            self.receiver.cancel(CancelReason::Limit)
        } else {
            self.receiver.bytes(bytes)
        };
        self.carry_out(actions);
    }

    /// Ends the transfer.
    pub(super) fn cancel(&mut self, reason: CancelReason) {
        let actions = self.receiver.cancel(reason);
        self.carry_out(actions);
    }

    /// The disk refuses.
    pub(super) fn disk_failed(&mut self) {
        let actions = self.receiver.disk_failed();
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<ReceiverAction>) {
        if let TransferState::Failed(_) = self.state() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        for action in actions {
            self.unwritten.fetch_add(bytes_in(&action), Ordering::Relaxed);
            // The thread lives as long as this does.
            let _ = self.actions.send((self.channel, action));
        }
    }
}

/// How much an action writes.
fn bytes_in(action: &ReceiverAction) -> u64 {
    if let ReceiverAction::Write(bytes) = action { bytes.len() as u64 } else { 0 }
}

/// The disk's side of a transfer.
struct Disk {
    folder: Arc<ReceiveFolder>,
    bundle: FileBundle,
    random: u64,
    staging: Option<Staging>,
    /// It has refused, or the transfer is cancelled: nothing more is written.
    is_broken: bool,
}

impl Disk {
    fn carry_out(&mut self, channel: u32, action: ReceiverAction) -> Option<DiskNews> {
        match action {
            // A promise about what was written is void.
            ReceiverAction::Frame(FileFrame::Have { .. } | FileFrame::Ok(_)) if self.is_broken => None,
            ReceiverAction::Frame(frame) => Some(DiskNews::Frame { channel, frame }),
            ReceiverAction::Discard => {
                self.discard();
                None
            }
            _ if self.is_broken => None,
            action => match self.write(action) {
                Ok(saved) => saved.map(DiskNews::Saved),
                Err(error) => {
                    self.is_broken = true;
                    Some(DiskNews::Failed(error))
                }
            },
        }
    }

    fn write(&mut self, action: ReceiverAction) -> io::Result<Option<Vec<SavedFile>>> {
        if self.staging.is_none() {
            let FileBundle { count, name, .. } = &self.bundle;
            self.staging = Some(Staging::new(&self.folder, name, *count == 1, self.bundle.room(), self.random)?);
        }
        let Some(staging) = &mut self.staging else { return Ok(None) };
        match action {
            ReceiverAction::Open(path) => staging.open(&path)?,
            ReceiverAction::Write(bytes) => staging.write(&bytes)?,
            ReceiverAction::Close => staging.close()?,
            ReceiverAction::Finish => {
                let saved = staging.finish()?;
                self.staging = None;
                return Ok(Some(saved));
            }
            ReceiverAction::Frame(_) | ReceiverAction::Discard => {}
        }
        Ok(None)
    }

    /// Removes what isn't complete.
    fn discard(&mut self) {
        self.is_broken = true;
        if let Some(Err(error)) = self.staging.take().map(|mut staging| staging.discard()) {
            tracing::warn!(%error, "an incomplete transfer can't be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_refusal_of_the_disk_nothing_is_written_and_nothing_promised() {
        let bundle = FileBundle { count: 1, bytes: 9, name: "a".to_owned() };
        let folder = Arc::new(ReceiveFolder::new("/nowhere/at/all".into(), |_| Ok(1 << 40)));
        let mut disk = Disk { folder, bundle, random: 1, staging: None, is_broken: false };
        let mut news = |action| disk.carry_out(1, action);
        assert!(matches!(news(ReceiverAction::Open(vec!["a".to_owned()])), Some(DiskNews::Failed(_))));
        assert!(news(ReceiverAction::Write(vec![0; 9])).is_none());
        for promise in [FileFrame::Have { file: 0, offset: 9 }, FileFrame::Ok(0)] {
            assert!(news(ReceiverAction::Frame(promise)).is_none());
        }
        let cancel = ReceiverAction::Frame(FileFrame::Cancel(CancelReason::Disk));
        assert!(matches!(news(cancel), Some(DiskNews::Frame { channel: 1, .. })));
    }
}
