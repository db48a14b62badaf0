//! SIP MESSAGEs are handed out once, whatever happens meanwhile.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, AGENT, ALICE, BOB, TestNode, bridged, dialled, ended};

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
