//! Offers of files from the first word to the answer, without a node: what would be posted, and what is shown.

use super::*;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::core::base::time::UnixMillis;
use crate::media::TRANSFERS_MAX;
use crate::media::identity::MediaIdentity;
use crate::media::receive_folder::ReceiveFolder;
use crate::media::signal::parse_signal;

const OWN: &str = "https://b.example/a/own";
const THEIRS: &str = "https://a.example/a/theirs";

/// A client that receives files into this folder, in one call.
fn receiving(folder: &Path) -> (Receiving, mpsc::UnboundedReceiver<FileInput>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = SessionSettings {
        identity: Arc::new(MediaIdentity::new().unwrap()),
        address: [127, 0, 0, 1].into(),
        folder: Arc::new(ReceiveFolder::new(folder.to_owned(), |_| Ok(1 << 40))),
        now: || UnixMillis(1_795_345_005_000),
    };
    let api = Api::new("http://127.0.0.1:9/".parse().unwrap(), "").unwrap();
    let (mut receiving, inputs) = Receiving::new(settings, false, api, Current::default());
    receiving.met(&call(), Role::Second, &THEIRS.parse().unwrap(), OWN.parse().ok().as_ref());
    (receiving, inputs)
}

fn call() -> CallId {
    "c".parse().unwrap()
}

fn id(n: usize) -> InvitationId {
    format!("i{n}").parse().unwrap()
}

/// An invitation by the only other device.
fn invite(n: usize) -> ReceivedSignal {
    let content = json!({
        "type": "invite", "invitation": id(n), "session": "s", "kind": "files", "role": "first",
        "commit": "0".repeat(64), "files": {"count": 1, "bytes": 9, "name": "a"}, "from": "0123456789abcdef",
    });
    parse_signal(content.as_object().unwrap()).unwrap()
}

/// The user accepts an invitation, and the node says that it is ours.
async fn accept(receiving: &mut Receiving, n: usize) -> Vec<FileOutput> {
    receiving.signal(&call(), invite(n));
    receiving.invitations.accept(&call(), &id(n));
    receiving.input(FileInput::Claimed { call: call(), invitation: id(n), won: Ok(true) }).await
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
    let (mut receiving, _inputs) = receiving(folder.path());
    for n in 0..TRANSFERS_MAX {
        let outputs = accept(&mut receiving, n).await;
        assert_eq!(posted(&outputs)[0]["type"], "accept", "{n}");
    }
    let outputs = accept(&mut receiving, TRANSFERS_MAX).await;
    let [declined] = posted(&outputs)[..] else { panic!("{outputs:?}") };
    assert_eq!((&declined["type"], &declined["invitation"]), (&json!("decline"), &json!(id(TRANSFERS_MAX))));
    assert!(outputs.iter().any(|output| matches!(output, FileOutput::Show { news: FileNews::Problem(_), .. })));
    // One that is over makes room.
    let event = SessionEvent::Failed { invitation: id(0), reason: CancelReason::User };
    let with = invite(0).from;
    receiving.input(FileInput::Session { call: call(), with, event }).await;
    let outputs = accept(&mut receiving, TRANSFERS_MAX + 1).await;
    assert_eq!(posted(&outputs)[0]["type"], "accept");
}
