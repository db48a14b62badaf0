//! Transfers with their disk and without a connection: what is told, and what is in the folder, when they end.

use super::*;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::media::digits::HexBytes;

type DiskReceiver = mpsc::UnboundedReceiver<(InvitationId, DiskNews)>;

fn transfers(folder: &Path) -> (Transfers, DiskReceiver, mpsc::UnboundedReceiver<SessionEvent>) {
    let folder = Arc::new(ReceiveFolder::new(folder.to_owned(), |_| Ok(1 << 40)));
    let (disk, done) = mpsc::unbounded_channel();
    let (events, told) = mpsc::unbounded_channel();
    (Transfers::new(folder, disk, events), done, told)
}

fn invitation() -> InvitationId {
    "i".parse().unwrap()
}

/// Says how much room there is, after a while.
fn slow(_: &Path) -> std::io::Result<u64> {
    std::thread::sleep(Duration::from_millis(300));
    Ok(1 << 40)
}

/// Sends this many files of one byte, of `count` that were announced.
fn send(transfers: &mut Transfers, count: u64, sent: u64) {
    transfers.expect(invitation(), FileBundle { count, bytes: count, name: "sent".to_owned() });
    let download = transfers.downloads.get_mut(&invitation()).unwrap();
    download.opened();
    for file in 0..sent {
        download.frame(&FileFrame::File { file, path: format!("photos/{file}"), size: 1 }.text());
        download.bytes(vec![7]);
        download.frame(&FileFrame::End { file, sha256: HexBytes(Sha256::digest([7_u8]).into()) }.text());
    }
}

#[tokio::test]
async fn a_transfer_that_is_not_complete_leaves_nothing_once_the_session_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (mut transfers, done, mut told) = transfers(folder.path());
    send(&mut transfers, 50, 49);
    transfers.end(done).await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(matches!(told.recv().await, Some(SessionEvent::Failed { reason: CancelReason::Gone, .. })));
    assert!(told.recv().await.is_none());
}

#[tokio::test]
async fn what_waits_for_the_disk_when_a_transfer_ends_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let (mut transfers, mut done, _told) = transfers(folder.path());
    transfers.folder = Arc::new(ReceiveFolder::new(folder.path().to_owned(), slow));
    send(&mut transfers, 50, 49);
    transfers.cancel(&invitation(), CancelReason::User);
    drop(transfers);
    let mut frames = Vec::new();
    while let Some((_, news)) = done.recv().await {
        let DiskNews::Frame { frame, .. } = news else { panic!("{news:?}") };
        frames.push(frame);
    }
    assert!(!frames.iter().any(|frame| matches!(frame, FileFrame::Ok(_))), "{frames:?}");
    assert_eq!(frames.last(), Some(&FileFrame::Cancel(CancelReason::User)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_transfer_that_is_not_saved_yet_makes_no_room_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let (mut transfers, mut done, mut told) = transfers(folder.path());
    send(&mut transfers, 1, 1);
    let expect = |transfers: &mut Transfers, n: usize| {
        let files = FileBundle { count: 1, bytes: 1, name: "x".to_owned() };
        transfers.expect(format!("n{n}").parse().unwrap(), files);
    };
    (1..=TRANSFERS_MAX).for_each(|n| expect(&mut transfers, n));
    assert!(matches!(told.recv().await, Some(SessionEvent::Failed { reason: CancelReason::Limit, .. })));
    while !transfers.downloads[&invitation()].is_over() {
        let (invitation, news) = done.recv().await.unwrap();
        transfers.disk_news(invitation, news);
    }
    expect(&mut transfers, TRANSFERS_MAX);
    let events: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).collect();
    assert!(matches!(events.last(), Some(SessionEvent::Saved { .. })), "{events:?}");
    assert!(!transfers.downloads.contains_key(&invitation()));
}

#[tokio::test]
async fn files_that_are_expected_again_do_not_replace_what_has_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let (mut transfers, _done, _told) = transfers(folder.path());
    send(&mut transfers, 2, 1);
    transfers.expect(invitation(), FileBundle { count: 1, bytes: 1, name: "x".to_owned() });
    assert_eq!(transfers.downloads[&invitation()].received(), 1);
}

#[tokio::test]
async fn a_transfer_that_is_complete_is_saved_before_the_session_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (mut transfers, done, mut told) = transfers(folder.path());
    send(&mut transfers, 20, 20);
    transfers.end(done).await;
    assert_eq!(fs::read_dir(folder.path().join("photos")).unwrap().count(), 20);
    let Some(SessionEvent::Saved { files, .. }) = told.recv().await else { panic!("it is not saved") };
    assert_eq!(files.len(), 20);
    assert!(told.recv().await.is_none());
}

#[tokio::test]
async fn a_transfer_that_the_disk_refuses_at_its_end_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut transfers, done, mut told) = transfers(&folder.path().join("gone"));
    send(&mut transfers, 1, 1);
    transfers.end(done).await;
    assert!(matches!(told.recv().await, Some(SessionEvent::Failed { reason: CancelReason::Disk, .. })));
    assert!(told.recv().await.is_none());
}
