//! SIP MESSAGEs are handed out once, whatever happens meanwhile.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, AGENT, ALICE, BOB, TestNode, answer, bridged, dialled, ended};

/// How long the node once waited for an outcome before it handed a message out again.
const OUTCOME: Duration = Duration::from_secs(10);

async fn node() -> TestNode {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a", "name": "Alice"})).await;
    node.number(BOB, json!({"pbx": "a", "name": "Bob"})).await;
    node.client(ALICE, json!({"address": "sip:alice@pbx.example"})).await;
    node.client(BOB, json!({})).await;
    node
}

/// A call that is up: its id, and the SIP MESSAGEs that the agent is given with the report of its bridge.
async fn up(node: &TestNode, leg: &str) -> (String, Vec<Value>) {
    let call = node.decide(leg, ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    let other = format!("{leg}-dialled");
    let reply = node.events(&call, 1, &[dialled(&other), bridged(leg, &other)]).await;
    (call, reply["messages"].as_array().unwrap().clone())
}

/// What the agent is given when it reports what it has sent.
async fn given(node: &TestNode, sent: Value) -> Vec<Value> {
    let report = json!({"kind": "freeswitch", "agent": "x", "link": "up", "since": 1, "sent": sent});
    let (_, reply) = node.send(Method::PUT, "/v1/pbxs/a", AGENT, report).await;
    reply["messages"].as_array().unwrap().clone()
}

async fn softphones_delivery(node: &TestNode, call: &str) -> Value {
    let call = node.get(&format!("/v1/calls/{call}"), ADMIN).await;
    let deliveries = call["deliveries"].as_array().unwrap();
    deliveries.iter().find(|d| d["form"] == "sip" && d["message"] == "peer").unwrap().clone()
}

#[tokio::test]
async fn a_message_without_an_outcome_is_not_handed_out_again() {
    let node = node().await;
    let (call, messages) = up(&node, "leg-1").await;
    assert_eq!((messages.len(), &messages[0]["call"]), (1, &json!(call)));
    tokio::time::sleep(OUTCOME + Duration::from_millis(500)).await;
    assert_eq!(given(&node, json!([])).await, [] as [Value; 0]);
    assert_eq!(softphones_delivery(&node, &call).await["state"], "pending");
}

/// The reply to an agent that reports the bridge of leg-1 and leg-2.
async fn bridged_by(node: &TestNode, agent: &str, call: &str) -> Value {
    let [mut dialled, mut bridged] = [dialled("leg-2"), bridged("leg-1", "leg-2")];
    (dialled["seq"], dialled["at"], bridged["seq"], bridged["at"]) = (1.into(), 1.into(), 2.into(), 2.into());
    let report = node.request(Method::POST, &format!("/v1/calls/{call}/events"), AGENT).header("sidecall-agent", agent);
    answer(report.json(&json!({"events": [dialled, bridged]}))).await.1
}

/// What an agent is given when it reports its link and what it has sent.
async fn reported_by(node: &TestNode, agent: &str, link: &str, sent: Value) -> Value {
    let report = json!({"kind": "freeswitch", "agent": agent, "link": link, "since": 1, "sent": sent});
    node.send(Method::PUT, "/v1/pbxs/a", AGENT, report).await.1["messages"].clone()
}

#[tokio::test]
async fn a_reply_that_is_lost_takes_no_message_with_it() {
    let node = node().await;
    let call = node.decide("leg-1", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    // The agent gave up before this reply came.
    let lost = bridged_by(&node, "x", &call).await;
    assert_eq!(lost["messages"].as_array().map(Vec::len), Some(1), "{lost}");
    let given_to = async |agent: &str, link: &str| reported_by(&node, agent, link, json!([])).await;
    assert_eq!(given_to("x", "up").await, json!([]), "it may still be on its way");
    tokio::time::sleep(Duration::from_millis(4500)).await;
    assert_eq!(given_to("y", "up").await, json!([]), "who doesn't know the message may send it once more");
    assert_eq!(given_to("x", "down").await, json!([]), "without a link it could not send it");
    assert_eq!(given_to("x", "up").await, lost["messages"]);
}

#[tokio::test]
async fn a_message_that_was_handed_out_before_a_restart_is_not_handed_out_again() {
    let mut node = node().await;
    let (call, messages) = up(&node, "leg-1").await;
    let (unsent, second) = up(&node, "leg-2").await;
    given(&node, json!([{"id": second[0]["id"], "error": "no link to the PBX", "unsent": true}])).await;
    node.until(&unsent, |all| all.iter().any(|d| d["error"] == "no link to the PBX")).await;
    node.kill_and_restart().await;
    let again = given(&node, json!([])).await;
    let ids: Vec<&Value> = again.iter().map(|message| &message["id"]).collect();
    assert_eq!(ids, [&second[0]["id"]], "what the PBX was never asked to send is still to be sent");
    // The agent has gone on, and says what became of the other one.
    given(&node, json!([{"id": messages[0]["id"]}])).await;
    node.until(&call, |all| all.iter().any(|d| d["form"] == "sip" && d["state"] == "delivered")).await;
    assert_eq!(softphones_delivery(&node, &call).await["attempts"], 1);
}

#[tokio::test]
async fn what_waits_for_an_agent_is_dropped_when_its_call_ends() {
    let node = node().await;
    let (call, messages) = up(&node, "leg-1").await;
    given(&node, json!([{"id": messages[0]["id"], "error": "no link to the PBX", "unsent": true}])).await;
    let reply = node.events(&call, 3, &[ended("leg-1"), ended("leg-1-dialled")]).await;
    let kinds =
        |messages: &[Value]| messages.iter().map(|m| m["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let farewell = kinds(reply["messages"].as_array().unwrap());
    assert!(farewell.iter().all(|text| !text.contains("sidecall:peer")), "{farewell:?}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let later = kinds(&given(&node, json!([])).await);
    assert!(later.iter().all(|text| !text.contains("sidecall:peer")), "{later:?}");
    assert_eq!(softphones_delivery(&node, &call).await["state"], "dropped");
}

/// The reply to a report of a link in this state.
async fn given_to(node: &TestNode, link: &str) -> Vec<Value> {
    let report = json!({"kind": "freeswitch", "agent": "x", "link": link, "since": 1, "sent": []});
    let (_, reply) = node.send(Method::PUT, "/v1/pbxs/a", AGENT, report).await;
    reply["messages"].as_array().unwrap().clone()
}

/// What the agent is given once there is something.
async fn given_soon(node: &TestNode) -> Vec<Value> {
    for _ in 0..60 {
        let messages = given(node, json!([])).await;
        if !messages.is_empty() {
            return messages;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Vec::new()
}

fn calls_of(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["call"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_address_that_rests_costs_calls_nothing_and_is_told_when_it_is_back() {
    let node = node().await;
    let (dead, messages) = up(&node, "leg-1").await;
    given(&node, json!([{"id": messages[0]["id"], "error": "480", "rest_ms": 3000}])).await;
    node.until(&dead, |all| all.iter().any(|d| d["form"] == "sip" && d["state"] == "failed")).await;
    let (older, none) = up(&node, "leg-2").await;
    assert_eq!(none, [] as [Value; 0]);
    let (newer, none) = up(&node, "leg-3").await;
    assert_eq!(none, [] as [Value; 0]);
    let call = node.get(&format!("/v1/calls/{newer}"), ADMIN).await;
    let forms: Vec<&Value> = call["deliveries"].as_array().unwrap().iter().map(|d| &d["form"]).collect();
    assert_eq!(forms, ["hosted"], "nothing is written down for it");
    // The rest is over: one message tries the address.
    let tried = given_soon(&node).await;
    assert_eq!(calls_of(&tried), [newer.as_str()]);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(given(&node, json!([])).await, [] as [Value; 0], "one is enough");
    given(&node, json!([{"id": tried[0]["id"]}])).await;
    assert_eq!(calls_of(&given_soon(&node).await), [older.as_str()]);
}

#[tokio::test]
async fn an_agent_without_a_link_is_given_nothing() {
    for state in ["down", "syncing"] {
        let node = node().await;
        assert_eq!(given_to(&node, state).await, [] as [Value; 0]);
        let (call, messages) = up(&node, "leg-1").await;
        assert_eq!(messages, [] as [Value; 0], "{state}");
        assert_eq!(given_to(&node, state).await, [] as [Value; 0], "{state}");
        assert_eq!(calls_of(&given_to(&node, "up").await), [call.as_str()]);
    }
}

#[tokio::test]
async fn each_agent_of_a_pbx_is_given_messages_by_its_own_link() {
    for (own, other, given) in [("up", "down", 1), ("syncing", "up", 0)] {
        let node = node().await;
        let call = node.decide("leg-1", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
        reported_by(&node, "new", own, json!([])).await;
        reported_by(&node, "old", other, json!([])).await;
        let reply = bridged_by(&node, "new", &call).await;
        assert_eq!(reply["messages"].as_array().map(Vec::len), Some(given), "{own}, the other one is {other}: {reply}");
    }
}

#[tokio::test]
async fn a_report_that_an_agent_repeats_does_not_take_the_message_from_another_agent() {
    let node = node().await;
    let call = node.decide("leg-1", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    let reply = bridged_by(&node, "old", &call).await;
    let unsent = json!([{"id": reply["messages"][0]["id"], "error": "no link", "unsent": true}]);
    reported_by(&node, "old", "up", unsent.clone()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(reported_by(&node, "new", "up", json!([])).await, reply["messages"]);
    reported_by(&node, "old", "up", unsent).await;
    // It would be put off for half a second.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(reported_by(&node, "old", "up", json!([])).await, json!([]), "the new agent is sending it");
}

#[tokio::test]
async fn what_was_not_sent_goes_out_as_soon_as_the_link_is_back() {
    let node = node().await;
    let (call, mut messages) = up(&node, "leg-1").await;
    // Each time it is put off for longer: the fourth time for two seconds.
    for _ in 0..3 {
        given(&node, json!([{"id": messages[0]["id"], "error": "no link", "unsent": true}])).await;
        messages = given_soon(&node).await;
    }
    given(&node, json!([{"id": messages[0]["id"], "error": "no link", "unsent": true}])).await;
    given_to(&node, "down").await;
    assert_eq!(calls_of(&given_to(&node, "up").await), [call.as_str()]);
}
