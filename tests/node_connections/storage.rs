//! What is stored in total, and a disk that is nearly full.

use reqwest::Method;
use serde_json::{Value, json};
use sidecall::node::StorageConfig;

use crate::support::{ADMIN, AGENT, ALICE, BOB, CAROL, TestNode, answer, bridged, credential, dialled, ended};

async fn numbers(node: &TestNode) {
    for number in [ALICE, BOB, CAROL] {
        node.number(number, json!({"pbx": "a"})).await;
    }
}

/// The status of a message of so many characters to this address.
async fn posts(node: &TestNode, address: &str, length: usize) -> u16 {
    let (status, problem) = answer(node.http.post(address).json(&json!({"text": "x".repeat(length)}))).await;
    assert!(status != 507 || problem["title"] == "Insufficient Storage", "{problem}");
    status.as_u16()
}

/// A call to Bob; the address of the caller's client.
async fn address(node: &TestNode, leg: &str, calling: &str) -> String {
    node.decide(leg, calling, "+13105550100").await["address"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn messages_of_all_calls_together_have_a_limit_that_survives_a_restart() {
    let mut node = TestNode::start_with(|config, _| config.storage.posts_mb = 1).await;
    numbers(&node).await;
    node.client(ALICE, json!({})).await;
    node.client(CAROL, json!({})).await;
    let (first, second) = (address(&node, "leg-1", ALICE).await, address(&node, "leg-2", CAROL).await);
    for _ in 0..10 {
        assert_eq!(posts(&node, &first, 60_000).await, 202);
    }
    // Neither of the two addresses is near its own limit.
    let taken = async |node: &TestNode| {
        for n in 0..10 {
            match posts(node, &second, 60_000).await {
                202 => {}
                507 => return n,
                status => panic!("{status}"),
            }
        }
        panic!("everything was taken");
    };
    assert_eq!(taken(&node).await, 7);
    node.kill_and_restart().await;
    assert_eq!(taken(&node).await, 0);
    // Calls go on.
    node.decide("leg-3", ALICE, BOB).await;
}

#[tokio::test]
async fn ephemeral_messages_need_no_room() {
    let node = TestNode::start_with(|config, _| config.storage.posts_mb = 1).await;
    numbers(&node).await;
    node.client(ALICE, json!({})).await;
    let ephemeral = json!({"sdp": "x".repeat(60_000), "ephemeral": true});
    let post = async |address: &str| answer(node.http.post(address).json(&ephemeral)).await.0.as_u16();
    for leg in ["leg-1", "leg-2"] {
        let address = address(&node, leg, ALICE).await;
        for _ in 0..12 {
            assert_eq!(post(&address).await, 202);
        }
    }
    let third = address(&node, "leg-3", ALICE).await;
    let mut kept = 0;
    while posts(&node, &third, 60_000).await == 202 {
        kept += 1;
    }
    assert!(kept >= 16, "{kept} stored messages fit into 1 MB");
    let fourth = address(&node, "leg-4", ALICE).await;
    while posts(&node, &fourth, 1_000).await == 202 {}
    assert_eq!(posts(&node, &fourth, 60_000).await, 507);
    assert_eq!(post(&fourth).await, 202, "the room is full, but it takes none");
}

#[tokio::test]
async fn a_node_follows_so_many_calls_and_no_more() {
    let node = TestNode::start_with(|config, _| config.storage.calls = 2).await;
    numbers(&node).await;
    for leg in ["leg-1", "leg-2"] {
        node.decide(leg, ALICE, BOB).await;
    }
    let request = json!({"pbx": "a", "leg": "leg-3", "calling": ALICE, "called": BOB, "side": "originating"});
    let (status, problem) = node.send(Method::POST, "/v1/calls", AGENT, request).await;
    assert_eq!((status.as_u16(), &problem["title"]), (507, &json!("Insufficient Storage")));
    // The agent may ask again for one that is known.
    node.decide("leg-1", ALICE, BOB).await;
}

#[tokio::test]
async fn the_oldest_calls_make_room_for_deliveries() {
    let mut node = TestNode::start().await;
    numbers(&node).await;
    node.client(ALICE, json!({})).await;
    node.client(BOB, json!({})).await;
    let mut calls = Vec::new();
    for n in 0..5 {
        let (a, b) = (format!("a-{n}"), format!("b-{n}"));
        let call = node.decide(&a, ALICE, BOB).await["call"].as_str().unwrap().to_owned();
        node.events(&call, 1, &[dialled(&b), bridged(&a, &b)]).await;
        node.until(&call, |all| all.len() == 2).await;
        node.events(&call, 3, &[ended(&b), ended(&a)]).await;
        calls.push(call);
    }
    node.stop().await;
    node.config.storage.deliveries = 9;
    node.kill_and_restart().await;
    // The node tidies up when it starts, and each minute.
    let gone = async |call: &str| {
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_secs(5) {
            let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM deliveries WHERE call = $1")
                .bind(call)
                .fetch_one(&mut node.database().await)
                .await
                .unwrap();
            if rows == 0 {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        false
    };
    assert!(gone(&calls[0]).await, "the oldest call's deliveries are still there");
    assert_eq!(node.deliveries(&calls[4]).await.len(), 2);
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_keeps_decisions_and_pairs_alone() {
    let mut node = TestNode::start().await;
    numbers(&node).await;
    let (alice, bob) = (node.client(ALICE, json!({})).await, node.client(BOB, json!({})).await);
    let ready = async |node: &TestNode| answer(node.http.get(node.url("/readyz"))).await;
    assert_eq!(ready(&node).await.0, 200);
    node.stop().await;
    // No disk has so much.
    node.config.storage.free_mb = 1 << 40;
    node.kill_and_restart().await;
    let (mut to_alice, mut to_bob) = (node.websocket(&alice, ALICE).await, node.websocket(&bob, BOB).await);
    // Calls are decided and paired, and the pair ends.
    let call = node.talk().await;
    let peer = to_alice.next().await;
    assert_eq!(peer["type"], "peer");
    let at_alice = to_bob.next().await["peer"]["address"].as_str().unwrap().to_owned();
    assert_eq!(posts(&node, &at_alice, 10).await, 507);
    // The other organisation's client says how it is reached: that is part of a pair.
    let out = address(&node, "leg-9", ALICE).await;
    assert_eq!(posts(&node, &out, 10).await, 507);
    let own = json!({"type": "peer", "peer": {"number": "+13105550100", "address": "https://other.example/a/y",
        "capabilities": ["video"]}});
    assert_eq!(answer(node.http.post(&out).json(&own)).await.0, 202);
    node.events(&call, 3, &[ended("leg-2"), ended("leg-1")]).await;
    loop {
        if to_alice.next().await["type"] == "ended" {
            break;
        }
    }
    // Everything else that would be written is refused.
    let number = format!("/v1/numbers/{ALICE}");
    for (method, path, token, body) in [
        (Method::PUT, number.as_str(), ADMIN, json!({"pbx": "a"})),
        (Method::POST, "/v1/numbers:import", ADMIN, json!({})),
        (Method::POST, "/v1/clients", &credential(ALICE), json!({})),
    ] {
        let (status, problem) = node.send(method.clone(), path, token, body).await;
        assert_eq!((status.as_u16(), &problem["title"]), (507, &json!("Insufficient Storage")), "{method} {path}");
    }
    // What is there can be read, withheld, and taken away.
    node.get(&number, ADMIN).await;
    for (method, path, body) in [
        (Method::PATCH, format!("/v1/clients/{alice}"), json!({"offer": "never"})),
        (Method::PUT, format!("{number}/sidecall"), json!({"enabled": false})),
    ] {
        let (status, problem) = node.send(method, &path, &credential(ALICE), body).await;
        assert_eq!(status, 200, "{path}: {problem}");
    }
    // What a peer says is another matter than space.
    let (status, _) = node.send(Method::POST, "/v1/peer/offers", AGENT, json!({})).await;
    assert_eq!(status, 403);
    let unbind = node.request(Method::DELETE, &format!("/v1/clients/{alice}"), &credential(ALICE));
    assert_eq!(answer(unbind).await.0, 204);
    let (status, problem): (_, Value) = ready(&node).await;
    assert_eq!(status, 503);
    assert!(problem["detail"].as_str().unwrap().contains("disk"), "{problem}");
    let metrics = node.http.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("sidecall_store_low_space 1"), "{metrics}");
}

#[test]
fn the_limits_as_shipped() {
    let shipped = StorageConfig::default();
    assert_eq!((shipped.free_mb, shipped.posts_mb, shipped.deliveries, shipped.calls), (256, 1024, 1_000_000, 200_000));
}
