//! Revoked devices: they are disconnected at once, and nothing of theirs is left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Executor;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{ADMIN, ALICE, BOB, Stream, TestNode, answer, credential, ended};

/// A device with a hosted client.
struct Device {
    id: String,
    token: String,
    client: String,
}

async fn node() -> TestNode {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    node
}

async fn device(node: &TestNode, number: &str) -> Device {
    let [id, token] = node.device(number, "tablet").await;
    let (status, bound) = node.send(Method::POST, "/v1/clients", &token, json!({})).await;
    assert_eq!(status, 201, "{bound}");
    Device { id, token, client: bound["id"].as_str().unwrap().to_owned() }
}

impl Device {
    async fn stream(&self, node: &TestNode) -> Stream {
        node.websocket_of(&self.client, &self.token).await
    }

    async fn revoke(&self, node: &TestNode, token: &str) -> u16 {
        answer(node.request(Method::DELETE, &format!("/v1/devices/{}", self.id), token)).await.0.as_u16()
    }
}

/// The code with which a stream is closed, which happens at once.
async fn closed(stream: &mut Stream) -> u16 {
    let last = tokio::time::timeout(Duration::from_secs(1), stream.0.next()).await.expect("it is closed at once");
    match last.unwrap().unwrap() {
        Message::Close(Some(frame)) => frame.code.into(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_revoked_device_is_disconnected_at_once_and_the_others_are_not() {
    let node = node().await;
    let (lost, kept) = (device(&node, ALICE).await, device(&node, ALICE).await);
    let plain = node.client(ALICE, json!({})).await;
    let mut streams = [kept.stream(&node).await, node.websocket(&plain, ALICE).await];
    let mut stream = lost.stream(&node).await;
    assert_eq!(lost.revoke(&node, &kept.token).await, 204);
    assert_eq!(closed(&mut stream).await, 1008);
    streams[0].quiet().await;
    streams[1].quiet().await;
    assert_eq!(answer(node.request(Method::GET, "/v1/clients", &lost.token)).await.0, 401);
    let left = node.get("/v1/clients", ADMIN).await;
    let left: Vec<&Value> = left["clients"].as_array().unwrap().iter().map(|client| &client["id"]).collect();
    assert_eq!(left, [&json!(plain), &json!(kept.client)]);
    assert_eq!(lost.revoke(&node, ADMIN).await, 404);
    assert_eq!(kept.revoke(&node, &kept.token).await, 204, "it may sign itself out");
}

#[tokio::test]
async fn a_stop_closes_streams_with_1012_and_revokes_nobody() {
    let mut node = node().await;
    let device = device(&node, ALICE).await;
    let mut stream = device.stream(&node).await;
    stream.quiet().await;
    let ((), code) = tokio::join!(node.stop(), closed(&mut stream));
    assert_eq!(code, 1012);
    node.kill_and_restart().await;
    device.stream(&node).await.quiet().await;
}

#[tokio::test]
async fn server_sent_events_end_when_the_device_is_revoked() {
    let node = node().await;
    let lost = device(&node, ALICE).await;
    let request = node.request(Method::GET, &format!("/v1/clients/{}/stream", lost.client), &lost.token);
    let response = request.header("accept", "text/event-stream").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut events = response.bytes_stream();
    assert!(tokio::time::timeout(Duration::from_millis(200), events.next()).await.is_err(), "it is open");
    assert_eq!(lost.revoke(&node, ADMIN).await, 204);
    let last = tokio::time::timeout(Duration::from_secs(1), events.next()).await.expect("it ends at once");
    assert!(last.is_none_or(|chunk| chunk.is_err()));
}

#[tokio::test]
async fn who_talks_with_the_number_is_told_when_its_last_client_is_revoked() {
    let node = node().await;
    let (one, two) = (device(&node, ALICE).await, device(&node, ALICE).await);
    let bob = node.client(BOB, json!({})).await;
    let mut bob = node.websocket(&bob, BOB).await;
    let call = node.talk().await;
    assert_eq!(bob.next().await["type"], "peer");
    assert_eq!(one.revoke(&node, ADMIN).await, 204);
    bob.quiet().await;
    assert_eq!(two.revoke(&node, ADMIN).await, 204);
    let told = bob.next().await;
    assert_eq!((&told["type"], &told["call"]), (&json!("ended"), &json!(call)));
    node.events(&call, 3, &[ended("leg-2"), ended("leg-1")]).await;
}

#[tokio::test]
async fn the_codes_of_a_revoked_device_are_void() {
    let node = node().await;
    let lost = device(&node, ALICE).await;
    let made = async |token: &str| {
        let path = format!("/v1/numbers/{ALICE}/enrolments");
        node.send(Method::POST, &path, token, json!({})).await.1["code"].as_str().unwrap().to_owned()
    };
    let codes = [made(&lost.token).await, made(&credential(ALICE)).await, made(ADMIN).await];
    assert_eq!(lost.revoke(&node, ADMIN).await, 204);
    let mut statuses = Vec::new();
    for code in &codes {
        statuses.push(node.try_enrol(code, "x").await.0.as_u16());
    }
    assert_eq!(statuses, [404, 201, 201]);
}

#[tokio::test]
async fn the_devices_and_codes_of_a_number_go_with_it() {
    let node = node().await;
    let lost = device(&node, ALICE).await;
    let code = node.code(ALICE).await;
    let mut stream = lost.stream(&node).await;
    assert_eq!(answer(node.request(Method::DELETE, &format!("/v1/numbers/{ALICE}"), ADMIN)).await.0, 204);
    assert_eq!(closed(&mut stream).await, 1008);
    node.number(ALICE, json!({"pbx": "a"})).await;
    assert_eq!(answer(node.request(Method::GET, "/v1/clients", &lost.token)).await.0, 401);
    assert_eq!(node.try_enrol(&code, "x").await.0, 404);
    assert_eq!(node.get("/v1/devices", ADMIN).await["devices"], json!([]));
}

#[tokio::test]
async fn a_request_that_was_let_in_before_binds_nothing_for_a_revoked_device() {
    let node = node().await;
    let [device, token] = node.device(ALICE, "tablet").await;
    // The device is revoked, but somebody else has the database: the request is let in, and waits behind that write.
    let mut database = node.database().await;
    database.execute("BEGIN IMMEDIATE").await.unwrap();
    let answered = AtomicBool::new(false);
    let revoke = async {
        let revoked = answer(node.request(Method::DELETE, &format!("/v1/devices/{device}"), ADMIN)).await;
        answered.store(true, Ordering::SeqCst);
        revoked
    };
    let bind = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let bound = node.send(Method::POST, "/v1/clients", &token, json!({})).await;
        answered.store(true, Ordering::SeqCst);
        bound
    };
    let free = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(answer(node.request(Method::GET, "/v1/clients", &token)).await.0, 200, "it isn't revoked yet");
        assert!(!answered.load(Ordering::SeqCst));
        database.execute("ROLLBACK").await.unwrap();
    };
    let (revoked, (status, problem), ()) = tokio::join!(revoke, bind, free);
    assert_eq!((revoked.0.as_u16(), status.as_u16()), (204, 401), "{problem}");
    assert_eq!(node.get("/v1/clients", ADMIN).await["clients"], json!([]));
}
