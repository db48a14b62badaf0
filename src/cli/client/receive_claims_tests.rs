//! Claims of offers: what counts while the node is asked, and what follows from its answer.

use std::time::Duration;

use super::*;
use crate::cli::client::contacts::Contacts;
use crate::cli::client::ending::POSTS_WITHIN;
use crate::cli::client::node_double::NodeDouble;
use crate::cli::client::show::Show;
use crate::cli::client::{Client, sender};
use crate::contract::PeerClient;

#[tokio::test]
async fn what_another_client_takes_is_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), Some(ROOM + 9));
    for (n, won) in [Ok(false), Err("no answer".to_owned()), Ok(true)].into_iter().enumerate() {
        assert!(!unaccepted(&receiving.signal(&call(), None, invite(n))), "{n}");
        let Signal::Invite(claim) = invite(n).signal else { panic!("it is none") };
        let address = THEIRS.parse().unwrap();
        let invitation = FileInvitation { call: call(), from: invite(n).from, address, sender: None, invite: claim };
        claimed(&mut receiving, invitation, true, won).await;
    }
    assert!(unaccepted(&receiving.signal(&call(), None, invite(3))));
}

#[tokio::test]
async fn a_claim_that_is_won_while_the_client_ends_is_declined() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), None);
    receiving.signal(&call(), None, invite(0));
    let invitation = receiving.invitations.accept(&call(), &id(0)).unwrap();
    receiving.end();
    let outputs = claimed(&mut receiving, invitation, false, Ok(true)).await;
    assert_eq!(posted(&outputs)[0]["type"], "decline");
    assert!(outputs.len() == 1 && receiving.is_idle());
}

#[tokio::test]
async fn offers_that_are_being_claimed_take_room() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), None);
    for n in 0..=SESSIONS_OF_CALL_MAX {
        receiving.signal(&call(), None, invite_by(&format!("device-{n:016}"), n));
        assert_eq!(receiving.accept(Some(n + 1)).is_ok(), n < SESSIONS_OF_CALL_MAX, "{n}");
    }
    // Another offer of a device that has one needs no other session.
    receiving.signal(&call(), None, invite_by(&format!("device-{:016}", 0), 10));
    receiving.accept(None).unwrap();
    assert_eq!(receiving.invitations.open().count(), 1, "what can't come is not claimed");
}

#[tokio::test]
async fn offers_of_one_device_that_are_being_claimed_take_room() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), None);
    for n in 0..TRANSFERS_MAX - 1 {
        accept(&mut receiving, n).await;
    }
    for (n, fits) in [(TRANSFERS_MAX - 1, true), (TRANSFERS_MAX, false)] {
        receiving.signal(&call(), None, invite(n));
        assert_eq!(receiving.accept(None).is_ok(), fits, "{n}");
    }
}

#[tokio::test]
async fn what_is_declined_after_its_claim_is_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), Some(ROOM + 9));
    receiving.signal(&call(), None, invite(0));
    assert_eq!(receiving.calls[&call()].unasked, ROOM + 9);
    let invitation = receiving.invitations.claiming().next().unwrap().clone();
    for n in 1..=SESSIONS_OF_CALL_MAX {
        accept_of(&mut receiving, invite_by(&format!("device-{n:016}"), n), n).await;
    }
    let outputs = claimed(&mut receiving, invitation, true, Ok(true)).await;
    assert_eq!(posted(&outputs)[0]["type"], "decline");
    assert_eq!(receiving.calls[&call()].unasked, 0);
}

/// The device withdraws an offer.
fn withdraw(receiving: &mut Receiving, n: usize) {
    let bye = json!({"type": "bye", "invitation": id(n), "from": "0123456789abcdef"});
    receiving.signal(&call(), None, parse_signal(bye.as_object().unwrap()).unwrap());
}

#[tokio::test]
async fn the_user_hears_of_an_offer_that_is_withdrawn_while_it_is_claimed() {
    for (won, declined) in [(Err("no answer".to_owned()), 0), (Ok(true), 1)] {
        let folder = tempfile::tempdir().unwrap();
        let (mut receiving, _inputs) = receiving(folder.path(), None);
        receiving.signal(&call(), None, invite(0));
        let invitation = receiving.invitations.accept(&call(), &id(0)).unwrap();
        withdraw(&mut receiving, 0);
        let outputs = claimed(&mut receiving, invitation, false, won).await;
        let [.., FileOutput::Show { news: FileNews::Withdrawn { n: 1 }, .. }] = &outputs[..] else {
            panic!("{outputs:?}")
        };
        assert_eq!((outputs.len(), posted(&outputs).len()), (declined + 1, declined), "{outputs:?}");
    }
}

#[tokio::test]
async fn an_offer_that_comes_again_with_other_files_counts_by_its_own_claim() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), Some(4 * ROOM));
    let mut claims = Vec::new();
    for bytes in [9, ROOM] {
        withdraw(&mut receiving, 0);
        let mut invite = invite(0);
        if let Signal::Invite(invite) = &mut invite.signal {
            invite.files.bytes = bytes;
        }
        assert!(!unaccepted(&receiving.signal(&call(), None, invite)));
        claims.push(receiving.invitations.claiming().next().unwrap().clone());
    }
    for (invitation, answer) in claims.into_iter().zip(["decline", "accept"]) {
        let outputs = claimed(&mut receiving, invitation, true, Ok(true)).await;
        assert_eq!(posted(&outputs)[0]["type"], answer);
        assert_eq!(receiving.calls[&call()].unasked, 2 * ROOM, "what the second one takes");
    }
}

/// In a conference: the call is known by the address of whoever was met last.
#[tokio::test]
async fn a_device_without_an_address_is_answered_at_that_of_its_party() {
    let folder = tempfile::tempdir().unwrap();
    let (mut receiving, _inputs) = receiving(folder.path(), None);
    for (n, sender) in [Some("https://b.example/a/other"), None].into_iter().enumerate() {
        let address = sender.map(|sender| sender.parse().unwrap());
        receiving.signal(&call(), address.as_ref(), invite_by(&format!("device-{n:016}"), n));
        let invitation = receiving.invitations.accept(&call(), &id(n)).unwrap();
        let outputs = claimed(&mut receiving, invitation, false, Ok(true)).await;
        let [FileOutput::Post { address, .. }] = &outputs[..] else { panic!("{outputs:?}") };
        assert_eq!(address.as_str(), sender.unwrap_or(THEIRS));
    }
}

/// A client whose user has accepted an offer, and what it hears of its claim.
fn claiming(
    node: &NodeDouble,
    folder: &Path,
) -> (Client, mpsc::UnboundedReceiver<FileInput>, mpsc::Receiver<sender::SendOutcome>) {
    let (mut receiving, inputs) = receiving_at(node.api(), folder, None);
    let (number, name, capabilities) = (None, None, Vec::new());
    let peer = PeerClient { number, name, address: node.address(), capabilities };
    let mut peers = Contacts::default();
    peers.met(&call(), Role::Second, &peer);
    receiving.met(&call(), Role::Second, &peer.address, None);
    receiving.signal(&call(), None, invite(0));
    receiving.accept(None).unwrap();
    let (sender, outcomes) = sender::start(node.api()).unwrap();
    let files = Some(receiving);
    let client = Client { show: Show::new(true), peers, files, sender, auto_answer: None, left: None, keep: false };
    (client, inputs, outcomes)
}

#[tokio::test]
async fn the_end_waits_for_a_claim_and_declines_what_is_won() {
    let (folder, node) = (tempfile::tempdir().unwrap(), NodeDouble::start().await);
    let (mut client, inputs, outcomes) = claiming(&node, folder.path());
    let answers = async {
        let claim = node.answer("200 OK", r#"{"client":"client","won":true}"#).await;
        [claim, node.answer("202 Accepted", "").await]
    };
    let both = async { tokio::join!(client.finish(inputs, outcomes), answers) };
    let both = tokio::time::timeout(Duration::from_secs(10), both).await;
    let (ended, [claim, answer]) = both.expect("it doesn't wait");
    ended.unwrap();
    assert!(claim.starts_with("post /v1/calls/c/claims ") && answer.contains(r#""type":"decline""#), "{answer}");
}

#[tokio::test]
async fn the_end_waits_for_no_node_that_does_not_answer() {
    let (folder, node) = (tempfile::tempdir().unwrap(), NodeDouble::start().await);
    let (mut client, inputs, outcomes) = claiming(&node, folder.path());
    let begun = Instant::now();
    let ended = tokio::time::timeout(POSTS_WITHIN * 3, client.finish(inputs, outcomes)).await;
    ended.expect("time is up").unwrap();
    assert!(begun.elapsed() >= POSTS_WITHIN && client.files.unwrap().is_claiming());
}

#[tokio::test]
async fn a_client_that_ends_claims_nothing_again() {
    let (folder, node) = (tempfile::tempdir().unwrap(), NodeDouble::start().await);
    let (mut receiving, mut inputs) = receiving_at(node.api(), folder.path(), Some(ROOM + 9));
    receiving.signal(&call(), None, invite(0));
    receiving.end();
    node.answer("503 Service Unavailable", "").await;
    let answered = tokio::time::timeout(Duration::from_secs(10), inputs.recv()).await;
    let outputs = receiving.input(answered.expect("it gives up").unwrap()).await;
    assert!(outputs.is_empty() && !receiving.is_claiming(), "{outputs:?}");
}
