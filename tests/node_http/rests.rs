//! Clients whose addresses rested are told of everything that they missed.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor;

use crate::support::{AGENT, ALICE, BOB, CAROL, TestNode, bridged, dialled, ended};

/// By then an address that rested for a second or two has been tried.
const SOON: Duration = Duration::from_secs(5);

/// A node with a softphone for Alice, at home at PBX a.
async fn node() -> TestNode {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    node.client(ALICE, json!({"address": "sip:alice@pbx.example"})).await;
    node.client(BOB, json!({})).await;
    node
}

async fn decide(node: &TestNode, leg: &str) -> String {
    node.decide(leg, ALICE, BOB).await["call"].as_str().unwrap().to_owned()
}

/// The call is up from now on; the SIP MESSAGEs that the agent is given.
async fn up(node: &TestNode, call: &str, leg: &str) -> Vec<Value> {
    let other = format!("{leg}-dialled");
    let reply = node.events(call, 1, &[dialled(&other), bridged(leg, &other)]).await;
    reply["messages"].as_array().unwrap().clone()
}

/// What the agent of a PBX is given when it reports what it has sent.
async fn given(node: &TestNode, pbx: &str, sent: Value) -> Vec<Value> {
    let report = json!({"kind": "freeswitch", "agent": "x", "link": "up", "since": 1, "sent": sent});
    let (_, reply) = node.send(Method::PUT, &format!("/v1/pbxs/{pbx}"), AGENT, report).await;
    reply["messages"].as_array().unwrap().clone()
}

/// All that the agent of PBX a is given for so long: call and address, in order. A message that the node repeats after some
/// seconds, because it has no outcome, is here once.
async fn given_within(node: &TestNode, time: Duration) -> Vec<(String, String)> {
    let (begun, mut all) = (std::time::Instant::now(), Vec::new());
    while begun.elapsed() < time {
        for message in given(node, "a", json!([])).await {
            if all.iter().all(|other: &Value| other["id"] != message["id"]) {
                all.push(message);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut told: Vec<_> = all.iter().map(|message| (text(&message["call"]), text(&message["to"]))).collect();
    told.sort();
    told
}

fn failed(message: &Value, rest_ms: u64) -> Value {
    json!({"id": message["id"], "error": "480", "rest_ms": rest_ms})
}

#[tokio::test]
async fn an_older_call_that_was_missed_is_told_though_the_newest_was_told_before() {
    let node = node().await;
    let older = decide(&node, "leg-1").await;
    let newer = decide(&node, "leg-2").await;
    let messages = up(&node, &newer, "leg-2").await;
    given(&node, "a", json!([failed(&messages[0], 1_000)])).await;
    assert_eq!(up(&node, &older, "leg-1").await, [] as [Value; 0], "the address rests");
    let told = given_within(&node, SOON).await;
    assert_eq!(told, [(older, "sip:alice@pbx.example".to_owned())]);
}

#[tokio::test]
async fn an_address_is_tried_though_another_one_of_the_same_number_was_told_of_the_newest_call() {
    let node = node().await;
    node.client(ALICE, json!({"address": "sip:desk@pbx.example"})).await;
    let to = |messages: &[Value], address: &str| messages.iter().find(|m| m["to"] == address).unwrap().clone();
    // The desk phone misses both calls, and Alice's softphone only the older one.
    let first = decide(&node, "leg-1").await;
    let messages = up(&node, &first, "leg-1").await;
    let desk = to(&messages, "sip:desk@pbx.example");
    let unsent = |rest_ms: u64| json!({"id": desk["id"], "error": "480", "unsent": true, "rest_ms": rest_ms});
    given(&node, "a", json!([unsent(60_000)])).await;
    let [older, newer] = [decide(&node, "leg-2").await, decide(&node, "leg-3").await];
    let messages = up(&node, &newer, "leg-3").await;
    let alice = to(&messages, "sip:alice@pbx.example");
    assert_eq!(messages.len(), 1);
    // Both rests are over at the same moment.
    given(&node, "a", json!([failed(&alice, 1_000), unsent(1_000)])).await;
    assert_eq!(up(&node, &older, "leg-2").await, [] as [Value; 0]);
    let told = given_within(&node, SOON).await;
    let tried = |address: &str| told.iter().any(|(_, to)| to == address);
    assert!(tried("sip:alice@pbx.example") && tried("sip:desk@pbx.example"), "{told:?}");
}

#[tokio::test]
async fn a_missed_call_is_told_once_the_database_works_again() {
    let node = node().await;
    let call = decide(&node, "leg-1").await;
    let messages = up(&node, &call, "leg-1").await;
    given(&node, "a", json!([failed(&messages[0], 1_000)])).await;
    let missed = decide(&node, "leg-2").await;
    assert_eq!(up(&node, &missed, "leg-2").await, [] as [Value; 0], "the address rests");
    let mut database = node.database().await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'full'); END";
    database.execute(full).await.unwrap();
    // The rest ends, and the address is to be tried: the delivery can't be written.
    assert_eq!(given_within(&node, Duration::from_secs(3)).await, []);
    database.execute("DROP TRIGGER full").await.unwrap();
    assert_eq!(given_within(&node, SOON).await, [(missed, "sip:alice@pbx.example".to_owned())]);
}

#[tokio::test]
async fn an_address_that_rests_at_one_pbx_is_told_by_another() {
    let node = node().await;
    node.number(CAROL, json!({"pbx": "b"})).await;
    // Carol's softphone is Alice's, and is registered at PBX b too.
    node.client(CAROL, json!({"address": "sip:alice@pbx.example"})).await;
    let call = decide(&node, "leg-1").await;
    let messages = up(&node, &call, "leg-1").await;
    given(&node, "a", json!([failed(&messages[0], 60_000)])).await;
    let other = node.decide("leg-2", BOB, CAROL).await["call"].as_str().unwrap().to_owned();
    assert_eq!(up(&node, &other, "leg-2").await, [] as [Value; 0]);
    let messages = given(&node, "b", json!([])).await;
    assert_eq!(messages.iter().map(|message| &message["call"]).collect::<Vec<_>>(), [&json!(other)]);
    // It still rests at PBX a.
    let again = decide(&node, "leg-3").await;
    assert_eq!(up(&node, &again, "leg-3").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_message_that_is_not_made_counts_once() {
    let node = node().await;
    let call = decide(&node, "leg-1").await;
    let messages = up(&node, &call, "leg-1").await;
    given(&node, "a", json!([failed(&messages[0], 60_000)])).await;
    node.events(&call, 3, &[ended("leg-1"), ended("leg-1-dialled")]).await;
    let skipped = async || {
        let text = node.http.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let series = "sidecall_sip_messages_dropped_total{why=\"resting\"} ";
        text.lines().find_map(|line| line.strip_prefix(series)).map_or(0, |count| count.parse().unwrap())
    };
    let before: u64 = skipped().await;
    let missed = decide(&node, "leg-2").await;
    up(&node, &missed, "leg-2").await;
    // Another client of Bob's has the node look at all pairs again, each time.
    for n in 0..3 {
        node.client(BOB, json!({})).await;
        node.until(&missed, |all| all.len() == n + 2).await;
    }
    assert_eq!(skipped().await - before, 1);
}
