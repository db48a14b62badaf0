//! Calls before their answer: who is told that they ring, and that they were missed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    ADMIN, AGENT, ALICE, BOB, CAROL, Stream, TestNode, bridged, credential, dialled, ended, unbridged,
};
use crate::two_nodes::{FRED, Two};
use crate::webhooks::Receiver;

const MAIN: &str = "+12125550199";

/// Alice, Bob and Carol, who have a phone at PBX `a` each.
pub(crate) async fn node() -> TestNode {
    let node = TestNode::start().await;
    for (number, name) in [(ALICE, "Alice"), (BOB, "Bob"), (CAROL, "Carol")] {
        node.number(number, json!({"pbx": "a", "name": name})).await;
    }
    node
}

/// A client of a number that is connected: its id and its stream.
pub(crate) async fn connected(node: &TestNode, number: &str) -> (String, Stream) {
    let id = node.client(number, json!({})).await;
    let stream = node.websocket(&id, number).await;
    (id, stream)
}

/// A call that is decided; its id.
pub(crate) async fn call(node: &TestNode, leg: &str, calling: &str, called: &str) -> String {
    node.decide(leg, calling, called).await["call"].as_str().unwrap().to_owned()
}

/// A call that an agent registers because the PBX has routed it for this reason; its id.
async fn registered(node: &TestNode, leg: &str, called: &str, reason: &str) -> String {
    let request = json!({"pbx": "a", "leg": leg, "calling": ALICE, "called": called, "side": "originating",
        "routed": reason});
    let (status, body) = node.send(Method::POST, "/v1/calls", AGENT, request).await;
    assert_eq!(status, 200, "{body}");
    body["call"].as_str().unwrap().to_owned()
}

/// The caller hangs up while the phone rings.
async fn abandon(node: &TestNode, call: &str, leg: &str) {
    let other = format!("{leg}-dialled");
    node.events(call, 1, &[dialled(&other), ended(leg), ended(&other)]).await;
}

async fn is_ringing(stream: &mut Stream, call: &str, role: &str, peer: Value) {
    let notice = stream.peek_any().await;
    assert_eq!(notice, json!({"id": notice["id"], "call": call, "type": "ringing", "role": role, "peer": peer}));
}

/// The next message says that a call was missed; when it began.
async fn is_missed(stream: &mut Stream, call: &str, role: &str, peer: Value) -> i64 {
    let message = stream.next().await;
    let at = message["at"].as_i64().unwrap_or_else(|| panic!("{message}"));
    let expected = json!({"id": message["id"], "call": call, "type": "missed", "role": role, "peer": peer, "at": at});
    assert_eq!(message, expected);
    at
}

pub(crate) fn alice() -> Value {
    json!({"number": ALICE, "name": "Alice"})
}

pub(crate) fn bob() -> Value {
    json!({"number": BOB, "name": "Bob"})
}

#[tokio::test]
async fn both_sides_learn_of_each_other_before_the_answer() {
    let node = node().await;
    let ((_, mut alices), (_, mut bobs)) = (connected(&node, ALICE).await, connected(&node, BOB).await);
    let (_, mut tablet) = connected(&node, BOB).await;
    let call = call(&node, "leg-1", ALICE, BOB).await;
    is_ringing(&mut alices, &call, "first", bob()).await;
    is_ringing(&mut bobs, &call, "second", alice()).await;
    is_ringing(&mut tablet, &call, "second", alice()).await;
    // The agent asks again: it is the same call.
    node.decide("leg-1", ALICE, BOB).await;
    for stream in [&mut alices, &mut bobs, &mut tablet] {
        stream.silent().await;
    }
    assert_eq!(node.deliveries(&call).await, [] as [Value; 0], "nothing of it is stored");
    node.events(&call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    assert_eq!(bobs.next().await["type"], "peer");
    node.events(&call, 3, &[ended("leg-2"), ended("leg-1")]).await;
    assert_eq!(bobs.next().await["type"], "ended");
    bobs.silent().await;
    assert!(node.deliveries(&call).await.iter().all(|delivery| delivery["message"] != "missed"));
}

#[tokio::test]
async fn a_side_without_a_client_keeps_nothing_from_the_other() {
    let node = node().await;
    let (_, mut bobs) = connected(&node, BOB).await;
    let first = call(&node, "leg-1", ALICE, BOB).await;
    is_ringing(&mut bobs, &first, "second", alice()).await;
    let out = call(&node, "leg-2", BOB, "+442071838750").await;
    is_ringing(&mut bobs, &out, "first", json!({"number": "+442071838750"})).await;
    let come = node.arrive("leg-3", Some("+442071838750"), BOB, None).await;
    // Bob's phone is at PBX a, and the call has come to PBX b: it is to arrive at a yet.
    bobs.silent().await;
    node.events(&come, 1, &[ended("leg-3")]).await;
    is_missed(&mut bobs, &come, "second", json!({"number": "+442071838750"})).await;
}

#[tokio::test]
async fn a_withheld_caller_is_named_to_nobody() {
    let node = node().await;
    let ((_, mut alices), (_, mut bobs)) = (connected(&node, ALICE).await, connected(&node, BOB).await);
    let decision = node.decide_withheld("leg-1", BOB).await;
    let call = decision["call"].as_str().unwrap();
    is_ringing(&mut bobs, call, "second", json!({})).await;
    is_ringing(&mut alices, call, "first", bob()).await;
    abandon(&node, call, "leg-1").await;
    is_missed(&mut bobs, call, "second", json!({})).await;
}

#[tokio::test]
async fn a_main_number_rings_nobody_and_whom_the_attendant_finds_is_rung() {
    let node = node().await;
    node.number(MAIN, json!({"pbx": "a", "kind": "main", "extensions": [BOB]})).await;
    let ((_, mut alices), (_, mut bobs)) = (connected(&node, ALICE).await, connected(&node, BOB).await);
    let (_, mut mains) = connected(&node, MAIN).await;
    let main = call(&node, "leg-1", ALICE, MAIN).await;
    for stream in [&mut alices, &mut bobs, &mut mains] {
        stream.silent().await;
    }
    let found = call(&node, "leg-1", ALICE, BOB).await;
    is_ringing(&mut bobs, &found, "second", alice()).await;
    is_ringing(&mut alices, &found, "first", bob()).await;
    node.events(&main, 1, &[ended("leg-1")]).await;
    alices.silent().await;
    mains.silent().await;
    // An attendant's call that the agent found already answered.
    let answered = registered(&node, "leg-9", BOB, "attended").await;
    node.events(&answered, 1, &[ended("leg-9")]).await;
    bobs.silent().await;
}

#[tokio::test]
async fn both_sides_learn_that_a_call_was_missed_and_each_client_once() {
    let node = node().await;
    let ((_, mut alices), (_, mut bobs)) = (connected(&node, ALICE).await, connected(&node, BOB).await);
    let call = call(&node, "leg-1", ALICE, BOB).await;
    abandon(&node, &call, "leg-1").await;
    let decided = node.get(&format!("/v1/calls/{call}"), ADMIN).await["decided"].as_i64().unwrap();
    assert_eq!(is_missed(&mut bobs, &call, "second", alice()).await, decided);
    is_missed(&mut alices, &call, "first", bob()).await;
    node.try_events(&call, 3, &[ended("leg-1-dialled")]).await;
    let all = node.until(&call, |all| all.iter().all(|delivery| delivery["state"] == "delivered")).await;
    assert_eq!(all.iter().map(|delivery| &delivery["message"]).collect::<Vec<_>>(), ["missed", "missed"]);
    bobs.quiet().await;
}

#[tokio::test]
async fn a_call_that_somebody_else_answers_is_missed_at_once() {
    let node = node().await;
    let ((_, mut alices), (_, mut bobs)) = (connected(&node, ALICE).await, connected(&node, BOB).await);
    let (_, mut carols) = connected(&node, CAROL).await;
    let call = call(&node, "leg-1", ALICE, BOB).await;
    // Carol picks it up.
    let picked_up = json!({"event": "identified", "leg": "leg-3", "number": CAROL});
    let events = [dialled("leg-2"), picked_up, bridged("leg-1", "leg-3"), ended("leg-2")];
    node.events(&call, 1, &events).await;
    is_missed(&mut bobs, &call, "second", alice()).await;
    assert_eq!(carols.next().await["type"], "peer");
    // Alice has reached somebody.
    assert_eq!(alices.next().await["peer"]["number"], CAROL);
    node.events(&call, 5, &[ended("leg-3"), ended("leg-1")]).await;
    assert_eq!(alices.next().await["type"], "ended");
    for stream in [&mut alices, &mut bobs] {
        stream.quiet().await;
    }
    assert_eq!(carols.next().await["type"], "ended");
    carols.quiet().await;
}

#[tokio::test]
async fn a_call_that_was_decided_late_rings_nobody_and_is_missed_by_the_called_side_alone() {
    let node = node().await;
    let ((_, mut alices), (_, mut bobs)) = (connected(&node, ALICE).await, connected(&node, BOB).await);
    for (n, reason) in ["late", "node-unreachable", "not-announced"].into_iter().enumerate() {
        let leg = format!("late-{n}");
        let call = registered(&node, &leg, BOB, reason).await;
        bobs.silent().await;
        abandon(&node, &call, &leg).await;
        is_missed(&mut bobs, &call, "second", alice()).await;
    }
    alices.silent().await;
    // Decided in time, and applied too late: it did ring.
    let call = call(&node, "leg-1", ALICE, BOB).await;
    is_ringing(&mut alices, &call, "first", bob()).await;
    assert_eq!(registered(&node, "leg-1", BOB, "late").await, call);
    abandon(&node, &call, "leg-1").await;
    is_missed(&mut alices, &call, "first", bob()).await;
}

#[tokio::test]
async fn a_number_that_takes_no_part_is_told_nothing() {
    let node = node().await;
    let ((alice, mut alices), (_, mut bobs)) = (connected(&node, ALICE).await, connected(&node, BOB).await);
    let off = json!({"enabled": false});
    assert_eq!(node.send(Method::PUT, &format!("/v1/numbers/{BOB}/sidecall"), &credential(BOB), off).await.0, 200);
    let never = json!({"offer": "never"});
    let path = format!("/v1/clients/{alice}");
    node.send(Method::PATCH, &path, &credential(ALICE), never).await;
    let call = call(&node, "leg-1", ALICE, BOB).await;
    abandon(&node, &call, "leg-1").await;
    alices.silent().await;
    bobs.silent().await;
    assert_eq!(node.deliveries(&call).await, [] as [Value; 0]);
}

#[tokio::test]
async fn an_emergency_call_rings_nobody() {
    let node = node().await;
    let (_, mut alices) = connected(&node, ALICE).await;
    let call = call(&node, "leg-1", ALICE, "+1911").await;
    abandon(&node, &call, "leg-1").await;
    alices.silent().await;
}

#[tokio::test]
async fn a_client_that_was_away_learns_of_a_missed_call_within_a_day() {
    use sqlx::Executor;
    let mut node = node().await;
    let (away, gone) = (node.client(BOB, json!({})).await, node.client(BOB, json!({})).await);
    let call = call(&node, "leg-1", ALICE, BOB).await;
    abandon(&node, &call, "leg-1").await;
    // The node has forgotten the call long since.
    node.age(3600).await;
    node.stop().await;
    let mut database = node.database().await;
    for (client, hours) in [(&away, 23), (&gone, 25)] {
        let millis = hours * 3_600_000;
        let older = format!("UPDATE deliveries SET created = created - {millis} WHERE client = '{client}'");
        database.execute(sqlx::AssertSqlSafe(older)).await.unwrap();
    }
    drop(database);
    node.kill_and_restart().await;
    node.until(&call, |all| all.iter().any(|delivery| delivery["state"] == "dropped")).await;
    let mut stream = node.websocket(&away, BOB).await;
    is_missed(&mut stream, &call, "second", alice()).await;
    node.websocket(&gone, BOB).await.quiet().await;
    let all = node.until(&call, |all| all.iter().all(|delivery| delivery["state"] != "pending")).await;
    let states = all.iter().map(|delivery| (delivery["client"].as_str().unwrap(), delivery["state"].as_str().unwrap()));
    assert_eq!(states.collect::<std::collections::BTreeMap<_, _>>()[away.as_str()], "delivered");
}

#[tokio::test]
async fn a_restart_tells_what_was_not_told() {
    use sqlx::Executor;
    let mut node = node().await;
    let bob = node.client(BOB, json!({})).await;
    let call = call(&node, "leg-1", ALICE, BOB).await;
    abandon(&node, &call, "leg-1").await;
    node.until(&call, |all| all.len() == 1).await;
    node.stop().await;
    // As if it had been killed before it wrote the message down.
    node.database().await.execute("DELETE FROM deliveries").await.unwrap();
    node.kill_and_restart().await;
    is_missed(&mut node.websocket(&bob, BOB).await, &call, "second", alice()).await;
    node.kill_and_restart().await;
    assert_eq!(node.deliveries(&call).await.len(), 1);
}

#[tokio::test]
async fn webhooks_and_the_called_softphone_learn_of_a_missed_call() {
    let node = node().await;
    let (receiver, address) = Receiver::start(&[]).await;
    for number in [ALICE, BOB] {
        node.client(number, json!({"address": address.replace("hook", &format!("hook/{}", &number[1..]))})).await;
    }
    node.client(ALICE, json!({"address": "sip:alice@pbx.example"})).await;
    node.client(BOB, json!({"address": "sip:bob@pbx.example"})).await;
    let call = call(&node, "leg-1", ALICE, BOB).await;
    let reply = node.events(&call, 1, &[dialled("leg-2"), ended("leg-1"), ended("leg-2")]).await;
    let roles: Vec<Value> = receiver.bodies(2).await.iter().map(|body| body["role"].clone()).collect();
    assert!(roles.contains(&json!("first")) && roles.contains(&json!("second")), "{roles:?}");
    let messages = reply["messages"].as_array().unwrap();
    assert_eq!((messages.len(), &messages[0]["to"]), (1, &json!("sip:bob@pbx.example")), "{messages:?}");
    assert_eq!(messages[0]["from"], ALICE);
    let text = messages[0]["text"].as_str().unwrap();
    assert!(text.starts_with(&format!("Missed call from Alice ({ALICE}) sidecall:missed ")), "{text}");
}

#[tokio::test]
async fn a_call_between_two_pbxs_of_one_node_rings_and_is_missed_once() {
    let node = node().await;
    node.number(BOB, json!({"pbx": "b", "name": "Bob"})).await;
    let ((_, mut alices), (_, mut bobs)) = (connected(&node, ALICE).await, connected(&node, BOB).await);
    let out = call(&node, "leg-1", ALICE, BOB).await;
    alices.silent().await;
    let come = node.arrive("leg-2", Some(ALICE), BOB, None).await;
    is_ringing(&mut alices, &come, "first", bob()).await;
    is_ringing(&mut bobs, &come, "second", alice()).await;
    abandon(&node, &come, "leg-2").await;
    abandon(&node, &out, "leg-1").await;
    is_missed(&mut alices, &come, "first", bob()).await;
    is_missed(&mut bobs, &come, "second", alice()).await;
    alices.silent().await;
    bobs.silent().await;
}

#[tokio::test]
async fn each_organisation_tells_its_own_side() {
    let (two, mut alices, mut freds) = Two::with_clients().await;
    let out = two.call("a-1").await;
    is_ringing(&mut alices, &out, "first", json!({"number": FRED})).await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    is_ringing(&mut freds, &come, "second", json!({"number": ALICE})).await;
    two.b.events(&come, 1, &[ended("b-1")]).await;
    two.a.events(&out, 1, &[ended("a-1")]).await;
    is_missed(&mut freds, &come, "second", json!({"number": ALICE})).await;
    is_missed(&mut alices, &out, "first", json!({"number": FRED})).await;
}

#[tokio::test]
async fn a_call_that_was_answered_is_never_missed() {
    let node = node().await;
    let (_, mut bobs) = connected(&node, BOB).await;
    let call = call(&node, "leg-1", ALICE, BOB).await;
    node.events(&call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2"), unbridged("leg-1", "leg-2")]).await;
    node.events(&call, 4, &[ended("leg-2"), ended("leg-1")]).await;
    bobs.quiet().await;
    assert_eq!(node.deliveries(&call).await, [] as [Value; 0]);
}
