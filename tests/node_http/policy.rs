//! To whom addresses go: what clients and numbers say about it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, AGENT, ALICE, BOB, TestNode, answer, bridged, credential, dialled};

const ABROAD: &str = "+442071838750";

async fn node() -> TestNode {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "b"})).await;
    node
}

async fn offer(node: &TestNode, client: &str, offer: Value) {
    let path = format!("/v1/clients/{client}");
    let (status, body) = node.send(Method::PATCH, &path, &credential(ALICE), json!({"offer": offer})).await;
    assert_eq!((status.as_u16(), &body["offer"]), (200, &offer), "{body}");
}

async fn switch(node: &TestNode, number: &str, enabled: bool) {
    let path = format!("/v1/numbers/{number}/sidecall");
    let (status, body) = node.send(Method::PUT, &path, &credential(number), json!({"enabled": enabled})).await;
    assert_eq!((status.as_u16(), body), (200, json!({"enabled": enabled})));
}

#[tokio::test]
async fn an_address_travels_only_to_whom_it_is_offered() {
    let node = node().await;
    let client = node.client(ALICE, json!({"offer": "never"})).await;
    node.client(BOB, json!({})).await;
    let mut n = 0;
    let mut decided = async |called: &str| {
        n += 1;
        let decision = node.decide(&format!("leg-{n}"), ALICE, called).await;
        let word = |key: &str| decision[key].as_str().unwrap_or("none").to_owned();
        (word("route"), word("reason"), decision["address"].is_string())
    };
    let said = |route: &str, reason: &str, address| (route.to_owned(), reason.to_owned(), address);
    assert_eq!(decided(BOB).await, said("pstn", "caller-has-no-client", false));
    assert_eq!(decided(ABROAD).await, said("pstn", "caller-has-no-client", false));
    for (to, abroad) in [
        (json!("served"), said("pstn", "caller-keeps-address", false)),
        (json!({"peers": ["b"]}), said("pstn", "caller-keeps-address", false)),
        (json!("everyone"), said("packet", "called-not-served", true)),
    ] {
        offer(&node, &client, to).await;
        assert_eq!(decided(BOB).await, said("packet", "called-has-client", true));
        assert_eq!(decided(ABROAD).await, abroad);
    }
    switch(&node, ALICE, false).await;
    assert_eq!(decided(ABROAD).await, said("pstn", "caller-has-no-client", false));
    switch(&node, ALICE, true).await;
    switch(&node, BOB, false).await;
    assert_eq!(decided(BOB).await, said("pstn", "called-has-no-client", false));
}

#[tokio::test]
async fn who_gives_no_address_gets_none_and_may_change_their_mind() {
    let node = node().await;
    let alices = node.client(ALICE, json!({"offer": "never"})).await;
    let bobs = node.client(BOB, json!({})).await;
    let (mut alice, mut bob) = (node.websocket(&alices, ALICE).await, node.websocket(&bobs, BOB).await);
    let call = node.talk().await;
    assert_eq!(node.deliveries(&call).await, Vec::<Value>::new());
    offer(&node, &alices, json!("served")).await;
    let (to_alice, to_bob) = (alice.next().await, bob.next().await);
    assert_eq!((&to_alice["peer"]["number"], &to_bob["peer"]["number"]), (&json!(BOB), &json!(ALICE)));
    node.until(&call, |all| all.len() == 2 && all.iter().all(|d| d["state"] == "delivered")).await;
    offer(&node, &alices, json!("never")).await;
    assert_eq!((&alice.next().await["type"], &bob.next().await["type"]), (&json!("ended"), &json!("ended")));
    let address = to_bob["peer"]["address"].as_str().unwrap();
    assert_eq!(answer(node.http.post(address).json(&json!({"n": 1}))).await.0, 404);
    let bad = json!({"offer": {"peers": ["a b"]}});
    let (status, body) = node.send(Method::PATCH, &format!("/v1/clients/{alices}"), ADMIN, bad).await;
    assert_eq!((status.as_u16(), body["field"].as_str().unwrap().starts_with("offer")), (422, true), "{body}");
}

#[tokio::test]
async fn a_number_that_is_switched_off_in_a_call_parts() {
    let node = node().await;
    let (alices, bobs) = (node.client(ALICE, json!({})).await, node.client(BOB, json!({})).await);
    let (mut alice, mut bob) = (node.websocket(&alices, ALICE).await, node.websocket(&bobs, BOB).await);
    let call = node.talk().await;
    let address = bob.next().await["peer"]["address"].as_str().unwrap().to_owned();
    alice.next().await;
    node.until(&call, |all| all.len() == 2 && all.iter().all(|d| d["state"] == "delivered")).await;
    switch(&node, ALICE, false).await;
    assert_eq!((&alice.next().await["type"], &bob.next().await["type"]), (&json!("ended"), &json!("ended")));
    assert_eq!(answer(node.http.post(&address).json(&json!({"n": 1}))).await.0, 404);
    // An administrator's change of something else doesn't switch it on.
    node.number(ALICE, json!({"pbx": "a", "name": "Alice"})).await;
    let entry = node.get(&format!("/v1/numbers/{ALICE}"), ADMIN).await;
    assert_eq!((&entry["enabled"], &entry["name"]), (&json!(false), &json!("Alice")));
    alice = node.websocket(&alices, ALICE).await;
    switch(&node, ALICE, true).await;
    assert_eq!(alice.next().await["peer"]["number"], BOB);
    assert_eq!(bob.next().await["peer"]["number"], ALICE);
}

#[tokio::test]
async fn an_address_that_came_with_a_call_goes_to_clients_that_would_give_theirs() {
    let node = node().await;
    let kept = node.client(BOB, json!({"offer": "served"})).await;
    let open = node.client(BOB, json!({})).await;
    let mut open = node.websocket(&open, BOB).await;
    let request = json!({"pbx": "b", "leg": "leg-1", "calling": ABROAD, "called": BOB, "side": "terminating",
        "received_address": "https://other.example/a/x"});
    let (_, decision) = node.send(Method::POST, "/v1/calls", AGENT, request).await;
    let call = decision["call"].as_str().unwrap();
    node.events(call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    assert_eq!(open.next().await["peer"]["address"], "https://other.example/a/x");
    let all = node.deliveries(call).await;
    assert!(all.len() == 1 && all[0]["client"] != kept, "{all:?}");
}

#[tokio::test]
async fn what_comes_to_an_address_reaches_the_clients_that_it_was_given_for() {
    let node = node().await;
    let kept = node.client(ALICE, json!({"offer": "served"})).await;
    let open = node.client(ALICE, json!({})).await;
    let address = node.decide("leg-1", ALICE, ABROAD).await["address"].as_str().unwrap().to_owned();
    let (status, body) = answer(node.http.post(&address).json(&json!({"text": "hello"}))).await;
    assert_eq!((status.as_u16(), body), (202, json!({"clients": 1})));
    let mut open = node.websocket(&open, ALICE).await;
    assert_eq!(open.next().await["content"]["text"], "hello");
    node.websocket(&kept, ALICE).await.quiet().await;
}

#[tokio::test]
async fn who_talks_with_a_client_that_is_removed_is_told() {
    for what in ["client", "number"] {
        let node = node().await;
        let alice = node.client(ALICE, json!({})).await;
        let bob = node.client(BOB, json!({})).await;
        let mut bob = node.websocket(&bob, BOB).await;
        let call = node.talk().await;
        let address = bob.next().await["peer"]["address"].as_str().unwrap().to_owned();
        node.until(&call, |all| all.iter().any(|d| d["state"] == "delivered")).await;
        let path = if what == "client" { format!("/v1/clients/{alice}") } else { format!("/v1/numbers/{ALICE}") };
        assert_eq!(answer(node.request(Method::DELETE, &path, ADMIN)).await.0, 204);
        assert_eq!(bob.next().await["type"], "ended", "{what}");
        assert_eq!(answer(node.http.post(address).json(&json!({"n": 1}))).await.0, 404);
        let states = node.deliveries(&call).await;
        assert!(states.iter().any(|d| d["number"] == ALICE && d["state"] == "dropped"), "{what}: {states:?}");
    }
}
