//! The receiving side of a transfer: says what to write and what to answer.
//!
//! The sender is not trusted: more files or bytes than it announced, or another order, end the transfer.
//!
//! | state        | input                            | next state | actions                                    |
//! |--------------|----------------------------------|------------|--------------------------------------------|
//! | waiting      | opened                           | receiving  | `have`                                     |
//! | receiving    | closed                           | waiting    |                                            |
//! | receiving    | the next file, within the limits | receiving  | open                                       |
//! | receiving    | bytes, within the file           | receiving  | write, and `have` at least every MiB       |
//! | receiving    | end, with the right digest       | receiving  | close, `have`, `ok`                        |
//! | receiving    | end of the last file             | done       | close, finish, `have`, `ok`                |
//! | receiving    | pause of the sender              | receiving  | none: the sender stops by itself           |
//! | done         | opened                           | done       | `have` of all files: the last one was lost |
//! | not over     | cancel of the sender             | failed     | discard                                    |
//! | not over     | anything else of the sender      | failed     | `cancel`, discard                          |
//! | not failed   | the disk refuses                 | failed     | `cancel`, discard                          |
//! | failed       | opened                           | failed     | `cancel`                                   |
//! | done, failed | anything else                    | the same   |                                            |

use sha2::{Digest, Sha256};

use super::frames::{CancelReason, FileFrame};
use crate::media::digits::HexBytes;
use crate::media::file_name::clean_path;
use crate::media::signal::FileBundle;

/// Bytes after which the receiver says how far it is.
const REPORT: u64 = 1 << 20;

/// How a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferState {
    /// No channel is open.
    Waiting,
    /// The sender sends.
    Receiving,
    /// All files are verified.
    Done,
    /// It is over, and nothing of it is kept.
    Failed(CancelReason),
}

/// What to do next. The order counts: a frame promises that all actions before it have been carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiverAction {
    /// Begin a file. No name of its path leads out of the transfer's folder.
    Open(Vec<String>),
    /// Append these bytes to it.
    Write(Vec<u8>),
    /// It is complete, and its digest matches.
    Close,
    /// All files are complete: keep them.
    Finish,
    /// Send this frame.
    Frame(FileFrame),
    /// Keep nothing of what was written.
    Discard,
}

/// The receiver of one transfer.
#[derive(Debug)]
pub struct FileReceiver {
    bundle: FileBundle,
    state: TransferState,
    /// The current or next file, the size of it if it is open, and how much of it is here.
    file: u64,
    open: Option<u64>,
    offset: u64,
    hash: Sha256,
    /// Bytes of all files: received, announced, and reported to the sender.
    total: u64,
    announced: u64,
    reported: u64,
}

impl FileReceiver {
    /// A receiver of these files.
    pub fn new(bundle: FileBundle) -> FileReceiver {
        FileReceiver {
            bundle,
            state: TransferState::Waiting,
            file: 0,
            open: None,
            offset: 0,
            hash: Sha256::new(),
            total: 0,
            announced: 0,
            reported: 0,
        }
    }

    /// How the transfer stands.
    pub fn state(&self) -> TransferState {
        self.state
    }

    /// Bytes that have arrived.
    pub fn received(&self) -> u64 {
        self.total
    }

    /// Whether all files have arrived, or none will.
    pub fn is_over(&self) -> bool {
        matches!(self.state, TransferState::Done | TransferState::Failed(_))
    }

    /// A channel is open: the first one, or another one after the last was closed.
    pub fn opened(&mut self) -> Vec<ReceiverAction> {
        match self.state {
            // The sender may not have heard of it.
            TransferState::Failed(reason) => return vec![ReceiverAction::Frame(FileFrame::Cancel(reason))],
            TransferState::Done => {}
            TransferState::Waiting | TransferState::Receiving => self.state = TransferState::Receiving,
        }
        vec![self.have()]
    }

    /// The channel is closed.
    pub fn closed(&mut self) {
        if self.state == TransferState::Receiving {
            self.state = TransferState::Waiting;
        }
    }

    /// Ends the transfer.
    pub fn cancel(&mut self, reason: CancelReason) -> Vec<ReceiverAction> {
        if self.is_over() { Vec::new() } else { self.fail(reason) }
    }

    /// The disk refuses something, which may be the very last step.
    pub fn disk_failed(&mut self) -> Vec<ReceiverAction> {
        match self.state {
            TransferState::Failed(_) => Vec::new(),
            _ => self.fail(CancelReason::Disk),
        }
    }

    fn fail(&mut self, reason: CancelReason) -> Vec<ReceiverAction> {
        self.state = TransferState::Failed(reason);
        vec![ReceiverAction::Frame(FileFrame::Cancel(reason)), ReceiverAction::Discard]
    }

    /// Takes a text frame of the sender. One that can't be parsed breaks the rules.
    pub fn frame(&mut self, frame: &str) -> Vec<ReceiverAction> {
        if self.is_over() {
            return Vec::new();
        }
        match FileFrame::parse(frame) {
            Some(FileFrame::File { file, path, size }) => self.begin(file, &path, size),
            Some(FileFrame::End { file, sha256 }) => self.end(file, sha256),
            // The sender stops by itself.
            Some(FileFrame::Pause(_)) => Vec::new(),
            Some(FileFrame::Cancel(reason)) => {
                self.state = TransferState::Failed(reason);
                vec![ReceiverAction::Discard]
            }
            Some(FileFrame::Have { .. } | FileFrame::Ok(_)) | None => self.cancel(CancelReason::Limit),
        }
    }

    /// Takes bytes of the current file.
    pub fn bytes(&mut self, bytes: Vec<u8>) -> Vec<ReceiverAction> {
        if self.is_over() {
            return Vec::new();
        }
        let length = bytes.len() as u64;
        if self.open.is_none_or(|size| self.offset + length > size) {
            return self.cancel(CancelReason::Limit);
        }
        self.hash.update(&bytes);
        self.offset += length;
        self.total += length;
        let mut actions = vec![ReceiverAction::Write(bytes)];
        if self.total - self.reported >= REPORT {
            actions.push(self.have());
        }
        actions
    }

    fn begin(&mut self, file: u64, path: &str, size: u64) -> Vec<ReceiverAction> {
        // The sender announces the current file again on a new channel.
        if file == self.file && self.open == Some(size) {
            return Vec::new();
        }
        let fits = file < self.bundle.count && self.announced + size <= self.bundle.bytes;
        if self.open.is_some() || file != self.file || !fits {
            return self.cancel(CancelReason::Limit);
        }
        self.open = Some(size);
        self.announced += size;
        vec![ReceiverAction::Open(clean_path(path))]
    }

    fn end(&mut self, file: u64, sha256: HexBytes<32>) -> Vec<ReceiverAction> {
        if file != self.file || self.open != Some(self.offset) {
            return self.cancel(CancelReason::Limit);
        }
        if HexBytes(std::mem::take(&mut self.hash).finalize().into()) != sha256 {
            return self.cancel(CancelReason::Digest);
        }
        self.open = None;
        self.file += 1;
        self.offset = 0;
        let mut actions = vec![ReceiverAction::Close];
        if self.file == self.bundle.count {
            self.state = TransferState::Done;
            actions.push(ReceiverAction::Finish);
        }
        actions.extend([self.have(), ReceiverAction::Frame(FileFrame::Ok(file))]);
        actions
    }

    fn have(&mut self) -> ReceiverAction {
        self.reported = self.total;
        ReceiverAction::Frame(FileFrame::Have { file: self.file, offset: self.offset })
    }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
