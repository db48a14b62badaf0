//! How calls go on that no other client is told of: that they are answered, and that they are over.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor;

use crate::ringing::{alice, bob, call, connected, node};
use crate::support::{ALICE, BOB, CAROL, Stream, TestNode, bridged, credential, dialled, ended, unbridged};

const OUTSIDE: &str = "+442071838750";

/// Alice calls, and a client of each of these numbers is told that it rings: the node, the clients' streams and the call.
async fn alice_calls<const N: usize>(called: &str, numbers: [&str; N]) -> (TestNode, [Stream; N], String) {
    let node = node().await;
    let mut streams = Vec::new();
    for number in numbers {
        streams.push(connected(&node, number).await.1);
    }
    let call = call(&node, "leg-1", ALICE, called).await;
    for stream in &mut streams {
        is_ringing(stream, &call).await;
    }
    (node, streams.try_into().ok().unwrap(), call)
}

async fn is_ringing(stream: &mut Stream, call: &str) {
    let notice = stream.peek_any().await;
    assert_eq!((&notice["type"], &notice["call"]), (&json!("ringing"), &json!(call)), "{notice}");
}

async fn is_answered(stream: &mut Stream, call: &str, role: &str, peer: Value) {
    let notice = stream.peek_any().await;
    assert_eq!(notice, json!({"id": notice["id"], "call": call, "type": "answered", "role": role, "peer": peer}));
}

async fn is_over(stream: &mut Stream, call: &str) {
    let notice = stream.peek_any().await;
    assert_eq!(notice, json!({"id": notice["id"], "call": call, "type": "over"}));
}

#[tokio::test]
async fn a_client_learns_that_a_call_with_somebody_without_a_client_is_answered_and_over() {
    let node = node().await;
    let ((_, mut alices), (_, mut bobs)) = (connected(&node, ALICE).await, connected(&node, BOB).await);
    let come = call(&node, "leg-1", CAROL, BOB).await;
    is_ringing(&mut bobs, &come).await;
    node.events(&come, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    is_answered(&mut bobs, &come, "second", json!({"number": CAROL, "name": "Carol"})).await;
    node.events(&come, 3, &[ended("leg-2"), ended("leg-1")]).await;
    is_over(&mut bobs, &come).await;
    let out = call(&node, "leg-3", ALICE, OUTSIDE).await;
    is_ringing(&mut alices, &out).await;
    node.events(&out, 1, &[dialled("leg-4"), bridged("leg-3", "leg-4")]).await;
    is_answered(&mut alices, &out, "first", json!({"number": OUTSIDE})).await;
    node.events(&out, 3, &[ended("leg-4"), ended("leg-3")]).await;
    is_over(&mut alices, &out).await;
    alices.silent().await;
    bobs.silent().await;
    for call in [come, out] {
        assert_eq!(node.deliveries(&call).await, [] as [Value; 0], "nothing of it is stored");
    }
}

#[tokio::test]
async fn a_withheld_number_is_named_to_nobody_who_talks_with_it() {
    let node = node().await;
    let (_, mut bobs) = connected(&node, BOB).await;
    let decision = node.decide_withheld("leg-1", BOB).await;
    let ours = decision["call"].as_str().unwrap();
    is_ringing(&mut bobs, ours).await;
    node.events(ours, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    is_answered(&mut bobs, ours, "second", json!({})).await;
    // Withheld before it reached us. Bob's phone is at the other PBX, so it has not rung.
    let come = node.arrive("leg-3", None, BOB, None).await;
    node.events(&come, 1, &[dialled("leg-4"), bridged("leg-3", "leg-4")]).await;
    is_answered(&mut bobs, &come, "second", json!({})).await;
}

#[tokio::test]
async fn a_client_that_connects_later_learns_how_its_calls_go_on() {
    let node = node().await;
    let client = node.client(BOB, json!({})).await;
    let first = node.talk().await;
    let mut stream = node.websocket(&client, BOB).await;
    is_answered(&mut stream, &first, "second", alice()).await;
    stream.silent().await;
    drop(stream);
    node.events(&first, 3, &[ended("leg-2"), ended("leg-1")]).await;
    let second = call(&node, "leg-3", BOB, OUTSIDE).await;
    let mut stream = node.websocket(&client, BOB).await;
    is_over(&mut stream, &first).await;
    is_ringing(&mut stream, &second).await;
    let (_, mut others) = connected(&node, CAROL).await;
    others.silent().await;
}

#[tokio::test]
async fn a_call_is_over_for_the_number_that_has_transferred_it() {
    let (node, [mut bobs], call) = alice_calls(BOB, [BOB]).await;
    node.events(&call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    is_answered(&mut bobs, &call, "second", alice()).await;
    let carol = json!({"event": "identified", "leg": "leg-3", "number": CAROL});
    node.events(&call, 3, &[unbridged("leg-1", "leg-2"), carol, bridged("leg-1", "leg-3")]).await;
    bobs.silent().await;
    node.events(&call, 6, &[ended("leg-2")]).await;
    is_over(&mut bobs, &call).await;
}

#[tokio::test]
async fn a_phone_that_a_call_was_forwarded_or_transferred_to_is_named_to_nobody() {
    let (node, [mut alices], out) = alice_calls(BOB, [ALICE]).await;
    let mobile = json!({"event": "dialled", "leg": "leg-2", "number": "+15550100199"});
    node.events(&out, 1, &[mobile, bridged("leg-1", "leg-2")]).await;
    is_answered(&mut alices, &out, "first", json!({})).await;
    let carol = json!({"event": "identified", "leg": "leg-3", "number": CAROL});
    node.events(&out, 3, &[unbridged("leg-1", "leg-2"), carol, bridged("leg-1", "leg-3")]).await;
    is_answered(&mut alices, &out, "first", json!({})).await;
    // Bob's own phone.
    node.events(&out, 6, &[unbridged("leg-1", "leg-3"), dialled("leg-4"), bridged("leg-1", "leg-4")]).await;
    is_answered(&mut alices, &out, "first", bob()).await;
}

#[tokio::test]
async fn a_client_that_a_call_was_transferred_to_learns_of_it_when_it_connects() {
    let node = node().await;
    let client = node.client(CAROL, json!({})).await;
    let call = node.talk().await;
    let carol = json!({"event": "identified", "leg": "leg-3", "number": CAROL});
    node.events(&call, 3, &[unbridged("leg-1", "leg-2"), carol, bridged("leg-1", "leg-3")]).await;
    let mut stream = node.websocket(&client, CAROL).await;
    is_answered(&mut stream, &call, "second", alice()).await;
    drop(stream);
    let guests = format!("/v1/calls/{call}/guests");
    assert_eq!(node.send(Method::GET, &guests, &credential(CAROL), json!({})).await.0, 200);
    node.events(&call, 6, &[ended("leg-1"), ended("leg-2"), ended("leg-3")]).await;
    is_over(&mut node.websocket(&client, CAROL).await, &call).await;
    assert_eq!(node.send(Method::GET, &guests, &credential(CAROL), json!({})).await.0, 404, "at once");
}

#[tokio::test]
async fn a_call_that_rang_at_two_pbxs_is_over_at_the_first_once_it_is_answered_at_the_second() {
    let (node, [mut alices], out) = alice_calls(OUTSIDE, [ALICE]).await;
    let come = node.arrive("leg-3", Some(ALICE), OUTSIDE, None).await;
    is_ringing(&mut alices, &come).await;
    node.events(&come, 1, &[dialled("leg-4"), bridged("leg-3", "leg-4")]).await;
    is_answered(&mut alices, &come, "first", json!({"number": OUTSIDE})).await;
    is_over(&mut alices, &out).await;
    node.events(&out, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    node.events(&come, 3, &[ended("leg-4"), ended("leg-3")]).await;
    let mut notices = Vec::new();
    while notices.last() != Some(&("over".to_owned(), come.clone())) {
        let notice = alices.peek_any().await;
        notices.push((notice["type"].as_str().unwrap().to_owned(), notice["call"].as_str().unwrap().to_owned()));
    }
    assert!(notices.iter().all(|(kind, _)| kind == "over"), "{notices:?}");
    node.events(&out, 3, &[ended("leg-2"), ended("leg-1")]).await;
    is_over(&mut alices, &out).await;
}

#[tokio::test]
async fn clients_that_are_told_of_each_other_get_no_notice_but_that_it_rings() {
    let (node, [mut alices, mut bobs], call) = alice_calls(BOB, [ALICE, BOB]).await;
    node.events(&call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    node.events(&call, 3, &[ended("leg-2"), ended("leg-1")]).await;
    for stream in [&mut alices, &mut bobs] {
        for kind in ["peer", "ended"] {
            let message = stream.peek_any().await;
            stream.say(json!({"ack": message["id"]})).await;
            assert_eq!(message["type"], kind);
        }
        stream.silent().await;
    }
}

#[tokio::test]
async fn a_client_learns_that_the_voice_goes_on_without_the_other_client() {
    let (node, [mut alices, mut bobs], call) = alice_calls(BOB, [ALICE, BOB]).await;
    node.events(&call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    assert_eq!((&alices.next().await["type"], &bobs.next().await["type"]), (&json!("peer"), &json!("peer")));
    let off = json!({"enabled": false});
    assert_eq!(node.send(Method::PUT, &format!("/v1/numbers/{BOB}/sidecall"), &credential(BOB), off).await.0, 200);
    assert_eq!(alices.next().await["type"], "ended");
    is_answered(&mut alices, &call, "first", bob()).await;
    node.events(&call, 3, &[ended("leg-2"), ended("leg-1")]).await;
    is_over(&mut alices, &call).await;
}

fn answered(leg: &str) -> Value {
    json!({"event": "answered", "leg": leg})
}

#[tokio::test]
async fn a_call_that_a_voice_mail_answers_is_up_for_the_caller_and_over_for_the_called_number() {
    let (node, [mut alices, mut bobs], call) = alice_calls(BOB, [ALICE, BOB]).await;
    node.events(&call, 1, &[dialled("leg-2"), ended("leg-2")]).await;
    node.events(&call, 3, &[answered("leg-1")]).await;
    is_answered(&mut alices, &call, "first", bob()).await;
    is_over(&mut bobs, &call).await;
    let (_, mut later) = connected(&node, ALICE).await;
    is_answered(&mut later, &call, "first", bob()).await;
    let guests = format!("/v1/calls/{call}/guests");
    assert_eq!(node.send(Method::GET, &guests, &credential(ALICE), json!({})).await.0, 200, "guests may join");
    node.events(&call, 4, &[ended("leg-1")]).await;
    is_over(&mut alices, &call).await;
    assert_eq!(bobs.peek_any().await["type"], "missed");
    alices.silent().await;
}

#[tokio::test]
async fn a_caller_is_told_of_an_answer_once_it_is_written_down() {
    let (node, [mut alices], call) = alice_calls(BOB, [ALICE]).await;
    let mut database = node.database().await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON calls BEGIN SELECT RAISE(ABORT, 'full'); END";
    database.execute(full).await.unwrap();
    let voice_mail = [answered("leg-1")];
    assert_eq!(node.try_events(&call, 1, &voice_mail).await.0, 503);
    database.execute("DROP TRIGGER full").await.unwrap();
    node.events(&call, 1, &voice_mail).await;
    is_answered(&mut alices, &call, "first", bob()).await;
}

#[tokio::test]
async fn a_caller_is_told_of_an_answer_that_the_report_of_another_call_shows() {
    let (node, [mut alices], out) = alice_calls(BOB, [ALICE]).await;
    let other = call(&node, "leg-3", CAROL, OUTSIDE).await;
    // An announcement, while Bob's phone rings.
    node.events(&out, 1, &[dialled("leg-2"), answered("leg-1")]).await;
    alices.silent().await;
    node.events(&other, 1, &[ended("leg-2")]).await;
    is_answered(&mut alices, &out, "first", bob()).await;
}

#[tokio::test]
async fn a_phone_that_nobody_can_name_has_answered_for_both() {
    let (node, [mut alices, mut bobs], call) = alice_calls(BOB, [ALICE, BOB]).await;
    let unreadable = json!({"event": "dialled", "leg": "leg-2", "unreadable": true});
    node.events(&call, 1, &[unreadable, answered("leg-2"), bridged("leg-1", "leg-2")]).await;
    is_answered(&mut alices, &call, "first", bob()).await;
    is_answered(&mut bobs, &call, "second", alice()).await;
    node.events(&call, 4, &[ended("leg-2"), ended("leg-1")]).await;
    is_over(&mut alices, &call).await;
    is_over(&mut bobs, &call).await;
}
