//! What was acknowledged survives `kill -9`.

use std::os::unix::fs::PermissionsExt;

use reqwest::Method;
use serde_json::json;

use crate::support::{ADMIN, ALICE, BOB, TestNode, answer, ended};

#[tokio::test]
async fn calls_pairs_and_addresses_survive() {
    let mut node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    let (alice, bob) = (node.client(ALICE, json!({})).await, node.client(BOB, json!({})).await);
    let call = node.talk().await;
    node.kill_and_restart().await;
    assert_eq!(node.get(&format!("/v1/calls/{call}"), ADMIN).await["phase"], "talking");
    // What was pending before is still there, once, and its address still works.
    let (mut alice, mut bob) = (node.websocket(&alice, ALICE).await, node.websocket(&bob, BOB).await);
    let address = alice.next().await["peer"]["address"].as_str().unwrap().to_owned();
    bob.next().await;
    assert_eq!(answer(node.http.post(&address).json(&json!({"n": 1}))).await.0, 202);
    assert_eq!(bob.next().await["content"]["n"], 1);
    node.until(&call, |all| all.len() == 3 && all.iter().all(|d| d["state"] == "delivered")).await;
    // The agent goes on where it was: repeats are repeats, and the end is the end.
    node.events(&call, 1, &[ended("leg-1")]).await;
    assert_eq!(node.get(&format!("/v1/calls/{call}"), ADMIN).await["phase"], "talking");
    node.kill_and_restart().await;
    node.events(&call, 3, &[ended("leg-1"), ended("leg-2")]).await;
    assert_eq!(node.get("/v1/calls?live=true", ADMIN).await["calls"], json!([]));
}

#[tokio::test]
async fn a_row_that_cant_be_read_keeps_the_others_from_nobody() {
    use sqlx::Executor;
    let mut node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    node.client(ALICE, json!({})).await;
    let bob = node.client(BOB, json!({})).await;
    let call = node.talk().await;
    node.decide("leg-9", ALICE, BOB).await;
    node.stop().await;
    let mut database = node.database().await;
    let spoil = format!(
        "UPDATE calls SET body = '{{}}' WHERE id <> '{call}';
         UPDATE deliveries SET body = '{{}}' WHERE number = '{ALICE}';
         INSERT INTO deliveries (id, call, number, other, client, form, kind, body, is_open, state, attempts, created)
         VALUES ('x', '{call}', 'nobody', '{BOB}', 'x', 'hosted', 'peer', '{{}}', 1, 'delivered', 1, 0);
         INSERT INTO offers (peer, id, received, body) VALUES ('a', 'x', 0, '{{}}')"
    );
    database.execute(sqlx::AssertSqlSafe(spoil)).await.unwrap();
    node.kill_and_restart().await;
    let live = node.get("/v1/calls?live=true", ADMIN).await;
    assert_eq!(live["calls"].as_array().unwrap().len(), 1);
    assert_eq!(node.websocket(&bob, BOB).await.next().await["peer"]["number"], ALICE);
}

#[tokio::test]
async fn everything_acknowledged_before_the_kill_is_there() {
    let mut node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    let mut calls = Vec::new();
    for n in 0..50 {
        let call = node.decide(&format!("leg-{n}"), ALICE, BOB).await["call"].as_str().unwrap().to_owned();
        node.events(&call, 1, &[ended(&format!("leg-{n}"))]).await;
        calls.push(call);
    }
    let client = node.client(ALICE, json!({})).await;
    node.kill_and_restart().await;
    for call in calls {
        assert_eq!(node.get(&format!("/v1/calls/{call}"), ADMIN).await["phase"], "ended");
    }
    assert_eq!(node.get("/v1/clients", ADMIN).await["clients"][0]["id"], json!(client));
}

#[tokio::test]
async fn the_database_is_for_the_node_alone() {
    let node = TestNode::start().await;
    let mode = std::fs::metadata(node.folder.path().join("sidecall.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_locked_database_is_said_and_gets_over() {
    use sqlx::{ConnectOptions, Executor};
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    let file = node.folder.path().join("sidecall.db");
    let mut other = sqlx::sqlite::SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    let (status, body) = node.send(Method::PUT, &format!("/v1/numbers/{BOB}"), ADMIN, json!({})).await;
    assert_eq!(status, 503, "{body}");
    assert!(!body["detail"].as_str().unwrap().contains("sidecall.db"));
    assert_eq!(node.http.get(node.url("/readyz")).send().await.unwrap().status(), 503);
    // The decision fails at once: the dialplan has better things to do than wait.
    let begun = std::time::Instant::now();
    let call = json!({"pbx": "a", "leg": "leg-1", "calling": ALICE, "called": BOB, "side": "originating"});
    let (status, _) = node.send(Method::POST, "/v1/calls", crate::support::AGENT, call).await;
    assert_eq!(status, 503);
    assert!(begun.elapsed().as_millis() < 200, "{:?}", begun.elapsed());
    other.execute("ROLLBACK").await.unwrap();
    for _ in 0..100 {
        if node.http.get(node.url("/readyz")).send().await.unwrap().status() == 200 {
            node.decide("leg-1", ALICE, BOB).await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the node did not get over it");
}

#[tokio::test]
async fn a_node_that_stops_closes_its_streams_and_writes_everything_down() {
    let mut node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    let client = node.client(ALICE, json!({})).await;
    let mut stream = node.websocket(&client, ALICE).await;
    let call = node.decide("leg-1", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    node.stop().await;
    let last = stream.frame().await.unwrap().unwrap();
    assert!(last.is_close(), "{last:?}");
    node.kill_and_restart().await;
    assert_eq!(node.get("/v1/calls?live=true", ADMIN).await["calls"][0]["call"], json!(call));
}
