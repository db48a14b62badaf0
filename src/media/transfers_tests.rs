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
