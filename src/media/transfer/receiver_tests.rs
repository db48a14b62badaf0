//! The receiver against a sender that keeps to the protocol, over a channel that is cut, and against one that doesn't.

use super::*;
use std::collections::{BTreeMap, VecDeque};

use proptest::collection::vec;
use proptest::prelude::*;

fn bundle(count: u64, bytes: u64) -> FileBundle {
    FileBundle { count, bytes, name: "x".to_owned() }
}

fn opened(count: u64, bytes: u64) -> FileReceiver {
    let mut receiver = FileReceiver::new(bundle(count, bytes));
    receiver.opened();
    receiver
}

fn file(file: u64, size: u64) -> String {
    FileFrame::File { file, path: "a".to_owned(), size }.text()
}

fn end(file: u64, content: &[u8]) -> String {
    FileFrame::End { file, sha256: HexBytes(Sha256::digest(content).into()) }.text()
}

/// What actions leave on a disk.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, Vec<u8>>,
    open: String,
    finished: bool,
}

impl Disk {
    /// Carries actions out, and returns the frames.
    fn carry_out(&mut self, actions: Vec<ReceiverAction>) -> Vec<FileFrame> {
        let mut frames = Vec::new();
        for action in actions {
            match action {
                ReceiverAction::Open(path) => {
                    self.open = path.join("/");
                    assert!(self.files.insert(self.open.clone(), Vec::new()).is_none(), "a file begins twice");
                }
                ReceiverAction::Write(bytes) => self.files.get_mut(&self.open).unwrap().extend(bytes),
                ReceiverAction::Close => {}
                ReceiverAction::Finish => self.finished = true,
                ReceiverAction::Frame(frame) => frames.push(frame),
                ReceiverAction::Discard => self.files.clear(),
            }
        }
        frames
    }
}

/// A text, or bytes.
type Sent = Result<String, Vec<u8>>;

/// What a sender puts on a channel from this position on: texts, and bytes in pieces.
fn sent(contents: &[Vec<u8>], from: (u64, u64), piece: usize) -> VecDeque<Sent> {
    let mut sent = VecDeque::new();
    for (n, content) in contents.iter().enumerate().skip(from.0 as usize) {
        let offset = if n as u64 == from.0 { from.1 as usize } else { 0 };
        sent.push_back(Ok(
            FileFrame::File { file: n as u64, path: format!("f/{n}"), size: content.len() as u64 }.text()
        ));
        sent.extend(content[offset..].chunks(piece).map(|bytes| Err(bytes.to_vec())));
        sent.push_back(Ok(end(n as u64, content)));
    }
    sent
}

proptest! {
    /// The channel is cut after each of these numbers of messages, and what is under way is lost.
    #[test]
    fn files_arrive_whole_wherever_the_channel_is_cut(
        contents in vec(vec(any::<u8>(), 0..3000), 1..6), cuts in vec(0_usize..12, 0..12), piece in 1_usize..700,
    ) {
        let bytes = contents.iter().map(|content| content.len() as u64).sum();
        let mut receiver = FileReceiver::new(bundle(contents.len() as u64, bytes));
        let mut disk = Disk::default();
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let frames = disk.carry_out(receiver.opened());
            let Some(FileFrame::Have { file, offset }) = frames.last().cloned() else { panic!("{frames:?}") };
            for message in sent(&contents, (file, offset), piece).into_iter().take(cut) {
                let actions = match message {
                    Ok(frame) => receiver.frame(&frame),
                    Err(bytes) => receiver.bytes(bytes),
                };
                disk.carry_out(actions);
            }
            receiver.closed();
        }
        prop_assert_eq!(receiver.state(), TransferState::Done);
        prop_assert_eq!(receiver.received(), bytes);
        prop_assert!(disk.finished);
        for (n, content) in contents.iter().enumerate() {
            prop_assert_eq!(&disk.files[&format!("f/{n}")], content);
        }
    }

    /// Whatever a sender sends, no more is written than its invitation said.
    #[test]
    fn no_sender_writes_more_than_it_announced(
        messages in vec(
            prop_oneof![
                (0_u64..3, 0_u64..9).prop_map(|(n, size)| Sent::Ok(file(n, size))),
                (0_u64..3, 0_usize..9).prop_map(|(n, size)| Sent::Ok(end(n, &vec![7; size]))),
                (0_usize..9).prop_map(|size| Sent::Err(vec![7; size])),
                "\\PC{0,9}".prop_map(Sent::Ok),
            ],
            0..30,
        ),
    ) {
        let mut receiver = opened(2, 10);
        let (mut written, mut begun) = (0, 0);
        for message in messages {
            let over = receiver.is_over();
            let actions = match message {
                Ok(frame) => receiver.frame(&frame),
                Err(bytes) => receiver.bytes(bytes),
            };
            prop_assert!(!over || actions.is_empty());
            for action in actions {
                match action {
                    ReceiverAction::Open(_) => begun += 1,
                    ReceiverAction::Write(bytes) => written += bytes.len(),
                    _ => {}
                }
            }
        }
        prop_assert!(written <= 10 && begun <= 2, "{} bytes in {} files", written, begun);
    }
}

#[test]
fn a_sender_that_does_not_keep_to_what_it_announced_is_stopped() {
    type Misdeed = fn(&mut FileReceiver) -> Vec<ReceiverAction>;
    let misdeeds: [Misdeed; 9] = [
        |receiver| receiver.frame(&file(0, 11)),
        |receiver| receiver.frame(&file(1, 1)),
        |receiver| receiver.bytes(vec![0]),
        |receiver| {
            receiver.frame(&file(0, 4));
            receiver.bytes(vec![0; 5])
        },
        |receiver| {
            receiver.frame(&file(0, 4));
            receiver.frame(&end(0, &[]))
        },
        |receiver| {
            receiver.frame(&file(0, 4));
            receiver.frame(&file(0, 5))
        },
        |receiver| receiver.frame(&FileFrame::Ok(0).text()),
        |receiver| receiver.frame("{"),
        |receiver| receiver.frame(&FileFrame::Have { file: 0, offset: 0 }.text()),
    ];
    for (n, misdeed) in misdeeds.into_iter().enumerate() {
        let mut receiver = opened(2, 10);
        let actions = misdeed(&mut receiver);
        let cancel = ReceiverAction::Frame(FileFrame::Cancel(CancelReason::Limit));
        assert_eq!(actions, [cancel.clone(), ReceiverAction::Discard], "{n}");
        assert_eq!(receiver.state(), TransferState::Failed(CancelReason::Limit));
        assert!(receiver.bytes(vec![0]).is_empty());
        assert_eq!(receiver.opened(), [cancel], "a sender that has not heard of it must learn it");
    }
}

#[test]
fn a_wrong_digest_ends_the_transfer_and_nothing_is_kept() {
    let mut receiver = opened(1, 4);
    receiver.frame(&file(0, 4));
    receiver.bytes(vec![0; 4]);
    let actions = receiver.frame(&end(0, &[1; 4]));
    assert_eq!(actions, [ReceiverAction::Frame(FileFrame::Cancel(CancelReason::Digest)), ReceiverAction::Discard]);
    assert_eq!(receiver.state(), TransferState::Failed(CancelReason::Digest));
}

#[test]
fn files_are_kept_before_the_sender_learns_of_it() {
    let mut receiver = opened(1, 0);
    receiver.frame(&file(0, 0));
    let have = ReceiverAction::Frame(FileFrame::Have { file: 1, offset: 0 });
    let ok = ReceiverAction::Frame(FileFrame::Ok(0));
    let actions = receiver.frame(&end(0, &[]));
    assert_eq!(actions, [ReceiverAction::Close, ReceiverAction::Finish, have.clone(), ok]);
    // The last `ok` may have been lost with the channel.
    assert_eq!(receiver.opened(), [have]);
}

#[test]
fn a_disk_that_refuses_the_last_step_fails_the_transfer() {
    let mut receiver = opened(1, 0);
    receiver.frame(&file(0, 0));
    receiver.frame(&end(0, &[]));
    let failed = [ReceiverAction::Frame(FileFrame::Cancel(CancelReason::Disk)), ReceiverAction::Discard];
    assert_eq!(receiver.disk_failed(), failed);
    assert_eq!(receiver.state(), TransferState::Failed(CancelReason::Disk));
    assert!(receiver.disk_failed().is_empty());
}

#[test]
fn a_long_file_is_acknowledged_every_mebibyte() {
    let mut receiver = opened(1, 4 * REPORT);
    receiver.frame(&file(0, 4 * REPORT));
    let blocks = (0..32).map(|_| receiver.bytes(vec![0; (REPORT / 8) as usize]).len());
    assert_eq!(blocks.filter(|actions| *actions == 2).count(), 4);
}
