//! Ephemeral messages: only clients that are connected get them, and nothing of them is stored.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::{Value, json};
use sqlx::Row;

use crate::support::{ALICE, BOB, Stream, TestNode, answer};

/// The text of the messages that must not be stored.
const SECRET: &str = "v=0 of-a-secret-session";

/// A call with both clients up: Bob's stream, his number's address as Alice has it, and the call.
async fn talk() -> (TestNode, Stream, String, String) {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    let (alice, bob) = (node.client(ALICE, json!({})).await, node.client(BOB, json!({})).await);
    let (mut alice, mut bob) = (node.websocket(&alice, ALICE).await, node.websocket(&bob, BOB).await);
    let call = node.talk().await;
    let address = alice.next().await["peer"]["address"].as_str().unwrap().to_owned();
    bob.next().await;
    (node, bob, address, call)
}

async fn post(node: &TestNode, address: &str, content: &Value) -> (u16, Value) {
    let (status, body) = answer(node.http.post(address).json(content)).await;
    (status.as_u16(), body)
}

/// The rows of all deliveries, as they are stored.
async fn stored(node: &TestNode) -> Vec<(String, String, i64)> {
    let rows = sqlx::query("SELECT id, state, attempts FROM deliveries ORDER BY id");
    let rows = rows.fetch_all(&mut node.database().await).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

#[tokio::test]
async fn only_connected_clients_get_it_and_the_database_never_does() {
    let (mut node, mut bob, address, call) = talk().await;
    let away = node.client(BOB, json!({})).await;
    node.client(BOB, json!({"address": "sip:bob@pbx.example"})).await;
    node.until(&call, |all| all.iter().filter(|d| d["state"] == "delivered").count() == 2).await;
    let before = stored(&node).await;
    let content = json!({"type": "offer", "sdp": SECRET, "ephemeral": true});
    for _ in 0..5 {
        assert_eq!(post(&node, &address, &content).await, (202, json!({"clients": 1})));
        // Bob's client acknowledges none of them.
        let message = bob.peek().await;
        assert_eq!((&message["type"], &message["content"]), (&json!("message"), &content));
        assert_eq!(message["call"], call.as_str());
    }
    let mut away = node.websocket(&away, BOB).await;
    assert_eq!(away.next().await["type"], "peer");
    away.quiet().await;
    assert_eq!(post(&node, &address, &content).await, (202, json!({"clients": 2})));
    assert_eq!(away.peek().await["content"], content);
    assert_eq!(node.deliveries(&call).await.len(), before.len());
    let after = stored(&node).await;
    assert_eq!(after.iter().map(|row| &row.0).collect::<Vec<_>>(), before.iter().map(|row| &row.0).collect::<Vec<_>>());
    // Neither in a table nor in what is to be written into one.
    node.stop().await;
    for file in std::fs::read_dir(node.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    }
}

#[tokio::test]
async fn it_is_not_repeated_to_a_client_that_comes_back() {
    let (node, mut bob, address, _) = talk().await;
    let client = node.get("/v1/clients", crate::support::ADMIN).await["clients"].as_array().unwrap().clone();
    let client = client.iter().find(|client| client["number"] == BOB).unwrap()["id"].as_str().unwrap().to_owned();
    let (ephemeral, kept) = (json!({"n": 1, "ephemeral": true}), json!({"n": 2}));
    assert_eq!(post(&node, &address, &ephemeral).await.0, 202);
    assert_eq!(post(&node, &address, &kept).await.0, 202);
    assert_eq!(bob.peek().await["content"], ephemeral);
    assert_eq!(bob.peek().await["content"], kept);
    drop(bob);
    let mut bob = node.websocket(&client, BOB).await;
    assert_eq!(bob.next().await["content"], kept);
    bob.quiet().await;
}

#[tokio::test]
async fn the_answer_says_that_nobody_is_connected() {
    let (node, bob, address, call) = talk().await;
    drop(bob);
    let before = node.deliveries(&call).await.len();
    let begun = Instant::now();
    while post(&node, &address, &json!({"ephemeral": true})).await != (202, json!({"clients": 0})) {
        assert!(begun.elapsed() < Duration::from_secs(5), "the stream has ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(node.deliveries(&call).await.len(), before);
}

#[tokio::test]
async fn what_decides_about_a_call_is_refused() {
    let (node, mut bob, address, _) = talk().await;
    let peer = json!({"number": "+442071838750", "address": "https://other.example/a/y"});
    for content in [
        json!({"type": "peer", "peer": peer, "ephemeral": true}),
        json!({"type": "peer", "ephemeral": true}),
        json!({"type": "ended", "address": address, "ephemeral": true}),
    ] {
        let (status, problem) = post(&node, &address, &content).await;
        assert_eq!((status, &problem["field"]), (422, &json!("ephemeral")), "{content}");
    }
    bob.quiet().await;
    // Any other value makes no message ephemeral.
    for value in [json!(false), json!("true"), json!(1), json!(null)] {
        let content = json!({"type": "text", "ephemeral": value});
        assert_eq!(post(&node, &address, &content).await.0, 202);
        assert_eq!(bob.next().await["content"], content);
    }
    let rows = stored(&node).await;
    assert_eq!(rows.len(), 6, "two peer messages and four texts: {rows:?}");
}

#[tokio::test]
async fn it_counts_against_the_rate_of_the_address() {
    let (node, _bob, address, _) = talk().await;
    let mut limited = None;
    for _ in 0..200 {
        let response = node.http.post(&address).json(&json!({"ephemeral": true})).send().await.unwrap();
        if response.status() == 429 {
            limited = Some(response.headers()["retry-after"].clone());
            break;
        }
    }
    assert_eq!(limited.unwrap(), "1");
}

/// Many addresses together may send more than one reader takes.
#[tokio::test]
async fn a_reader_that_does_not_read_misses_some_and_keeps_its_stream() {
    let (node, mut bob, _, _) = talk().await;
    let large = json!({"sdp": "x".repeat(60_000), "ephemeral": true});
    let (mut reached, mut missed) = (0, 0);
    // As the caller of each of these calls Bob has another address.
    for leg in 0..60 {
        let call = node.decide(&format!("out-{leg}"), BOB, "+13105550100").await;
        let address = call["address"].as_str().unwrap();
        loop {
            match post(&node, address, &large).await {
                (202, answer) if answer["clients"] == 1 => reached += 1,
                (202, _) => missed += 1,
                (429, _) => break,
                other => panic!("{other:?}"),
            }
        }
        if missed > 20 {
            break;
        }
    }
    assert!(missed > 20, "the queue took {reached} messages");
    let address = node.decide("last", BOB, "+13105550100").await["address"].as_str().unwrap().to_owned();
    assert_eq!(post(&node, &address, &json!({"text": "this is stored"})).await, (202, json!({"clients": 1})));
    // The same stream has all that it was counted for, and then what is stored.
    for n in 0..reached {
        assert_eq!(bob.peek().await["content"]["ephemeral"], true, "{n} of {reached}");
    }
    assert_eq!(bob.next().await["content"]["text"], "this is stored");
    assert_eq!(post(&node, &address, &json!({"ephemeral": true})).await, (202, json!({"clients": 1})));
    assert!(bob.0.next().await.unwrap().unwrap().is_text());
}
