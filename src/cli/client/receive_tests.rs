//! Offers of files from the first word to the answer, without a node: what would be posted, and what is shown.

use super::*;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::client::running_sessions::SESSIONS_OF_CALL_MAX;
use crate::core::base::time::UnixMillis;
use crate::media::TRANSFERS_MAX;
use crate::media::identity::MediaIdentity;
use crate::media::receive_folder::ReceiveFolder;
use crate::media::signal::parse_signal;

#[path = "receive_claims_tests.rs"]
mod claims;

const OWN: &str = "https://b.example/a/own";
const THEIRS: &str = "https://a.example/a/theirs";
/// What an empty file counts.
const ROOM: u64 = 64 << 10;

/// A client that receives files into this folder, in one call, up to these bytes unasked. Its node doesn't answer.
fn receiving(folder: &Path, unasked_max: Option<u64>) -> (Receiving, mpsc::UnboundedReceiver<FileInput>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    receiving_at(Api::new("http://127.0.0.1:9/".parse().unwrap(), "").unwrap(), folder, unasked_max)
}

fn receiving_at(api: Api, folder: &Path, unasked_max: Option<u64>) -> (Receiving, mpsc::UnboundedReceiver<FileInput>) {
    let settings = SessionSettings {
        identity: Arc::new(MediaIdentity::new().unwrap()),
        address: [127, 0, 0, 1].into(),
        folder: Arc::new(ReceiveFolder::new(folder.to_owned(), |_| Ok(1 << 40))),
        now: || UnixMillis(1_795_345_005_000),
    };
    let (mut receiving, inputs) = Receiving::new(settings, unasked_max, api, Current::of("client".parse().unwrap()));
    receiving.met(&call(), Role::Second, &THEIRS.parse().unwrap(), OWN.parse().ok().as_ref());
    (receiving, inputs)
}

fn call() -> CallId {
    "c".parse().unwrap()
}

fn id(n: usize) -> InvitationId {
    format!("i{n}").parse().unwrap()
}

/// An invitation by the device that the others are with.
fn invite(n: usize) -> ReceivedSignal {
    invite_by("0123456789abcdef", n)
}

fn invite_by(device: &str, n: usize) -> ReceivedSignal {
    let content = json!({
        "type": "invite", "invitation": id(n), "session": "s", "kind": "files", "role": "first",
        "commit": "0".repeat(64), "files": {"count": 1, "bytes": 9, "name": "a"}, "from": device,
    });
    parse_signal(content.as_object().unwrap()).unwrap()
}

/// The user accepts an invitation, and the node says that it is ours.
async fn accept(receiving: &mut Receiving, n: usize) -> Vec<FileOutput> {
    accept_of(receiving, invite(n), n).await
}

async fn accept_of(receiving: &mut Receiving, invite: ReceivedSignal, n: usize) -> Vec<FileOutput> {
    receiving.signal(&call(), None, invite);
    let invitation = receiving.invitations.accept(&call(), &id(n)).unwrap();
    claimed(receiving, invitation, false, Ok(true)).await
}

/// The node answers a claim.
async fn claimed(
    receiving: &mut Receiving,
    invitation: FileInvitation,
    is_unasked: bool,
    won: Result<bool, String>,
) -> Vec<FileOutput> {
    receiving.claims += 1;
    let n = receiving.numbered.iter().find(|(_, _, id)| *id == invitation.invite.invitation).unwrap().0;
    receiving.input(FileInput::Claimed { n, invitation: Box::new(invitation), is_unasked, won }).await
}

/// An event of the only session, or of the first one.
async fn event(receiving: &mut Receiving, event: SessionEvent) -> Vec<FileOutput> {
    let key = first_session(receiving).key;
    receiving.input(FileInput::Session { key, event }).await
}

fn first_session(receiving: &Receiving) -> &RunningSession {
    receiving.sessions.iter().next().unwrap()
}

fn unaccepted(outputs: &[FileOutput]) -> bool {
    outputs.iter().any(|output| matches!(output, FileOutput::Show { news: FileNews::Unaccepted { .. }, .. }))
}

/// The objects that are posted.
fn posted(outputs: &[FileOutput]) -> Vec<&Value> {
    let contents = outputs.iter().filter_map(|output| match output {
        FileOutput::Post { content, .. } => Some(content),
        FileOutput::Show { .. } => None,
    });
    contents.collect()
}

#[tokio::test]
async fn files_beyond_what_a_session_takes_are_declined_and_the_user_learns_why() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), None);
    for n in 0..TRANSFERS_MAX {
        let outputs = accept(&mut receiving, n).await;
        assert_eq!(posted(&outputs)[0]["type"], "accept", "{n}");
    }
    let outputs = accept(&mut receiving, TRANSFERS_MAX).await;
    let [declined] = posted(&outputs)[..] else { panic!("{outputs:?}") };
    assert_eq!((&declined["type"], &declined["invitation"]), (&json!("decline"), &json!(id(TRANSFERS_MAX))));
    let shown = |output: &FileOutput| matches!(output, FileOutput::Show { news: FileNews::Declined { n, .. }, .. } if *n == TRANSFERS_MAX + 1);
    assert!(outputs.iter().any(shown), "{outputs:?}");
    // What can't come is not claimed, and stays open for other clients of the number.
    receiving.signal(&call(), None, invite(TRANSFERS_MAX + 2));
    assert_eq!(receiving.accept(Some(TRANSFERS_MAX + 2)), Err(TRANSFERS.to_owned()));
    assert_eq!(receiving.invitations.open().count(), 1);
    // One that is over makes room.
    let failed = SessionEvent::Failed { invitation: id(0), reason: CancelReason::User };
    let outputs = event(&mut receiving, failed).await;
    assert!(matches!(outputs[..], [FileOutput::Show { news: FileNews::Failed { n: 1, .. }, .. }]), "{outputs:?}");
    let outputs = accept(&mut receiving, TRANSFERS_MAX + 1).await;
    assert_eq!(posted(&outputs)[0]["type"], "accept");
}

#[tokio::test]
async fn a_call_that_sends_too_much_unasked_waits_for_the_user() {
    let folder = tempfile::tempdir().unwrap();
    // Room for two files of nine bytes.
    let (mut receiving, _inputs) = receiving(folder.path(), Some((ROOM + 9) * 2));
    for n in 0..2 {
        assert!(!unaccepted(&receiving.signal(&call(), None, invite(n))), "{n}");
    }
    // The other side has another address now, and the call is the same.
    receiving.met(&call(), Role::Second, &"https://a.example/a/new".parse().unwrap(), None);
    assert!(unaccepted(&receiving.signal(&call(), None, invite(2))));
    let open: Vec<_> = receiving.invitations.open().map(|open| open.invite.invitation.clone()).collect();
    assert_eq!(open, [id(2)]);
    receiving.accept(Some(3)).unwrap();
    assert_eq!(receiving.invitations.open().count(), 0);
}

#[tokio::test]
async fn empty_files_without_end_are_not_accepted_unasked() {
    let folder = tempfile::tempdir().unwrap();
    for (max, accepted) in [(0, 0), (ROOM * 5, 5)] {
        let (mut receiving, _inputs) = receiving(folder.path(), Some(max));
        for n in 0..accepted + 1 {
            let mut invite = invite(n);
            if let Signal::Invite(invite) = &mut invite.signal {
                invite.files.bytes = 0;
            }
            assert_eq!(unaccepted(&receiving.signal(&call(), None, invite)), n == accepted, "{n}");
        }
    }
}

#[tokio::test]
async fn a_session_that_ends_gets_no_more_files() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, mut inputs) = receiving(folder.path(), None);
    accept(&mut receiving, 0).await;
    let bye = json!({"type": "bye", "session": "s", "from": "0123456789abcdef"});
    receiving.signal(&call(), None, parse_signal(bye.as_object().unwrap()).unwrap());
    // It has ended, and the client doesn't know yet.
    while first_session(&receiving).serves(&call(), &invite(0).from) {
        tokio::task::yield_now().await;
    }
    let outputs = accept(&mut receiving, 1).await;
    assert_eq!((&posted(&outputs)[0]["type"], receiving.sessions.of_call(&call())), (&json!("accept"), 2));
    // What the first one reports is not the second one's.
    let mut shown = Vec::new();
    while receiving.sessions.of_call(&call()) == 2 {
        let input = tokio::time::timeout(std::time::Duration::from_secs(10), inputs.recv()).await;
        shown.extend(receiving.input(input.expect("it goes on").unwrap()).await);
    }
    let failed = |output: &FileOutput| matches!(output, FileOutput::Show { news: FileNews::Failed { n: 1, .. }, .. });
    assert!(shown.iter().any(failed) && first_session(&receiving).running() == [2], "{shown:?}");
}

#[tokio::test]
async fn all_devices_of_a_call_share_the_addresses_that_are_tried() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), None);
    let addresses = receiving.calls[&call()].addresses.clone();
    let holders = Arc::strong_count(&addresses);
    for n in 0..SESSIONS_OF_CALL_MAX {
        receiving.met(&call(), Role::Second, &THEIRS.parse().unwrap(), None);
        accept_of(&mut receiving, invite_by(&format!("device-{n:016}"), n), n).await;
    }
    assert_eq!(Arc::strong_count(&addresses), holders + SESSIONS_OF_CALL_MAX);
}

#[tokio::test]
async fn the_user_is_warned_of_an_impostor() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), None);
    accept(&mut receiving, 0).await;
    let outputs = event(&mut receiving, SessionEvent::Over(SessionOver::Impostor)).await;
    let is_warning = |output: &FileOutput| matches!(output, FileOutput::Show { news: FileNews::Impostor, .. });
    assert!(outputs.iter().any(is_warning), "{outputs:?}");
}

#[tokio::test]
async fn a_session_that_is_over_ends_each_of_its_offers() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), None);
    for n in 0..2 {
        accept(&mut receiving, n).await;
    }
    let outputs = event(&mut receiving, SessionEvent::Over(SessionOver::Broken)).await;
    let failed = outputs.iter().map(|output| match output {
        FileOutput::Show { news: FileNews::Failed { n, reason: CancelReason::Gone }, .. } => *n,
        other => panic!("{other:?}"),
    });
    assert_eq!(failed.collect::<Vec<_>>(), [1, 2]);
    assert!(receiving.is_idle());
}

#[tokio::test]
async fn one_call_does_not_take_all_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), None);
    for n in 0..=SESSIONS_OF_CALL_MAX {
        let outputs = accept_of(&mut receiving, invite_by(&format!("device-{n:016}"), n), n).await;
        let answer = if n < SESSIONS_OF_CALL_MAX { "accept" } else { "decline" };
        assert_eq!(posted(&outputs)[0]["type"], answer, "{n}");
    }
}

#[tokio::test]
async fn a_session_that_is_flooded_takes_no_more_files_and_still_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, mut inputs) = receiving(folder.path(), None);
    accept(&mut receiving, 0).await;
    // The session has no chance to run in between.
    for _ in 0..1000 {
        let content = json!({"type": "restart", "session": "s", "round": 1, "from": "0123456789abcdef"});
        receiving.signal(&call(), None, parse_signal(content.as_object().unwrap()).unwrap());
    }
    let outputs = accept(&mut receiving, 1).await;
    assert_eq!(posted(&outputs)[0]["type"], "decline");
    receiving.end();
    let end = async {
        while let Some(input) = inputs.recv().await {
            receiving.input(input).await;
            if receiving.is_idle() {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), end).await.expect("it goes on");
}

#[test]
fn old_offers_are_forgotten_and_the_others_keep_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), None);
    for n in 1..=INVITATIONS_MAX + 100 {
        let call: CallId = format!("c{n}").parse().unwrap();
        receiving.met(&call, Role::Second, &THEIRS.parse().unwrap(), None);
        receiving.signal(&call, None, invite(n));
    }
    assert_eq!(receiving.numbered.len(), INVITATIONS_MAX);
    assert!(receiving.decline(Some(1)).is_err() && receiving.decline(Some(100)).is_err());
    for n in [101, INVITATIONS_MAX + 100] {
        assert_eq!(posted(&receiving.decline(Some(n)).unwrap())[0]["invitation"], json!(id(n)), "{n}");
    }
}

#[tokio::test]
async fn only_the_sessions_of_the_one_who_leaves_end() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), None);
    let [stays, leaves] =
        ["stays", "leaves"].map(|name| format!("https://a.example/a/{name}").parse::<Address>().unwrap());
    let senders = [Some(&stays), Some(&leaves), None];
    for (n, sender) in senders.into_iter().enumerate() {
        for (n, is_accepted) in [(n, true), (n + 3, false)] {
            receiving.signal(&call(), sender, invite_by(&format!("device-{n:016}"), n));
            if is_accepted {
                let invitation = receiving.invitations.accept(&call(), &id(n)).unwrap();
                claimed(&mut receiving, invitation, false, Ok(true)).await;
            }
        }
    }
    receiving.somebody_left(&call(), std::slice::from_ref(&stays));
    let goes_on =
        |n: usize| receiving.sessions.serving(&call(), &invite_by(&format!("device-{n:016}"), n).from).is_some();
    assert_eq!([0, 1, 2].map(goes_on), [true, false, false], "nobody knows whose device the last one is");
    let open: Vec<_> = receiving.invitations.open().map(|open| open.invite.invitation.clone()).collect();
    assert_eq!(open, [id(3)]);
}

#[tokio::test]
async fn nothing_is_kept_of_a_call_that_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, mut inputs) = receiving(folder.path(), None);
    accept(&mut receiving, 0).await;
    receiving.call_over(&call());
    // Its session is about to end, and no other one begins.
    assert!(receiving.signal(&call(), None, invite(1)).is_empty());
    let mut outputs = Vec::new();
    while !receiving.is_idle() {
        let input = tokio::time::timeout(std::time::Duration::from_secs(10), inputs.recv()).await;
        outputs.extend(receiving.input(input.expect("it goes on").unwrap()).await);
    }
    // The other device is told before.
    assert!(posted(&outputs).iter().any(|content| content["type"] == "bye"), "{outputs:?}");
    assert!(receiving.calls.is_empty());
    assert!(receiving.signal(&call(), None, invite(1)).is_empty());
}
