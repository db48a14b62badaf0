//! Who is told of whom.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, AGENT, ALICE, BOB, CAROL, TestNode, answer, bridged, dialled, ended, unbridged};

async fn node() -> TestNode {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a", "name": "Alice"})).await;
    node.number(BOB, json!({"pbx": "a", "name": "Bob"})).await;
    node
}

#[tokio::test]
async fn both_clients_get_each_others_address() {
    let node = node().await;
    let alice = node.client(ALICE, json!({"capabilities": ["text"]})).await;
    let bob = node.client(BOB, json!({"capabilities": ["text", "video"]})).await;
    let (mut alice, mut bob) = (node.websocket(&alice, ALICE).await, node.websocket(&bob, BOB).await);
    let call = node.talk().await;
    let (to_alice, to_bob) = (alice.next().await, bob.next().await);
    assert_eq!(
        (&to_alice["type"], &to_alice["role"], &to_alice["call"]),
        (&json!("peer"), &json!("first"), &json!(call))
    );
    assert_eq!((&to_alice["peer"]["number"], &to_alice["peer"]["name"]), (&json!(BOB), &json!("Bob")));
    assert_eq!(to_alice["peer"]["capabilities"], json!(["text", "video"]));
    assert_eq!((&to_bob["role"], &to_bob["peer"]["number"]), (&json!("second"), &json!(ALICE)));
    // The addresses work: each to the other.
    for (from, to, mut stream) in [(&to_alice, "hello Bob", bob), (&to_bob, "hello Alice", alice)] {
        let address = from["peer"]["address"].as_str().unwrap();
        let (status, _) = answer(node.http.post(address).json(&json!({"text": to}))).await;
        assert_eq!(status, 202);
        let message = stream.next().await;
        assert_eq!((&message["type"], &message["content"]), (&json!("message"), &json!({"text": to})));
    }
    node.until(&call, |all| all.len() == 4 && all.iter().all(|d| d["state"] == "delivered")).await;
}

#[tokio::test]
async fn nobody_is_told_if_only_one_side_has_a_client() {
    let node = node().await;
    node.client(ALICE, json!({})).await;
    let call = node.talk().await;
    assert_eq!(node.deliveries(&call).await, Vec::<Value>::new());
    // Bob's client comes in the middle of the call.
    node.client(BOB, json!({})).await;
    node.until(&call, |all| all.len() == 2).await;
    // A second one is told too, and nobody twice.
    node.client(BOB, json!({})).await;
    node.until(&call, |all| all.len() == 3).await;
}

#[tokio::test]
async fn who_was_told_is_told_that_it_ended() {
    let node = node().await;
    let (alice, bob) = (node.client(ALICE, json!({})).await, node.client(BOB, json!({})).await);
    let (mut alice, _) = (node.websocket(&alice, ALICE).await, bob);
    let call = node.talk().await;
    alice.next().await;
    node.until(&call, |all| all.iter().any(|d| d["state"] == "delivered")).await;
    node.events(&call, 3, &[ended("leg-2"), ended("leg-1")]).await;
    let farewell = alice.next().await;
    assert_eq!((&farewell["type"], &farewell["number"]), (&json!("ended"), &json!(BOB)));
    // Bob never connected: his message is dropped, and there is nothing to take back.
    let all = node.until(&call, |all| all.iter().all(|d| d["state"] != "pending")).await;
    let states: Vec<_> = all.iter().map(|d| (d["number"].as_str().unwrap(), d["state"].as_str().unwrap())).collect();
    assert_eq!(states, [(ALICE, "delivered"), (BOB, "dropped"), (ALICE, "delivered")]);
}

#[tokio::test]
async fn b13_the_pairing_follows_the_voice() {
    let node = node().await;
    node.number(CAROL, json!({"pbx": "a", "name": "Carol"})).await;
    let alice = node.client(ALICE, json!({})).await;
    node.client(BOB, json!({})).await;
    let carol = node.client(CAROL, json!({})).await;
    let (mut alice, mut carol) = (node.websocket(&alice, ALICE).await, node.websocket(&carol, CAROL).await);
    let call = node.talk().await;
    let peer = alice.next().await;
    assert_eq!(peer["peer"]["number"], BOB);
    node.until(&call, |all| all.iter().any(|d| d["state"] == "delivered")).await;
    // Bob calls Carol, and connects Alice to her: an attended transfer.
    let second = node.decide("leg-3", BOB, CAROL).await["call"].as_str().unwrap().to_owned();
    node.events(&second, 1, &[dialled("leg-4"), bridged("leg-3", "leg-4")]).await;
    assert_eq!(carol.next().await["peer"]["number"], BOB);
    node.until(&second, |all| all.iter().any(|d| d["state"] == "delivered")).await;
    node.events(&second, 3, &[unbridged("leg-3", "leg-4")]).await;
    node.events(&call, 3, &[unbridged("leg-1", "leg-2"), bridged("leg-1", "leg-4")]).await;
    assert_eq!(alice.next().await["type"], "ended");
    let peer = alice.next().await;
    assert_eq!((&peer["type"], &peer["peer"]["number"]), (&json!("peer"), &json!(CAROL)));
    assert_eq!(carol.next().await["type"], "ended");
    assert_eq!(carol.next().await["peer"]["number"], ALICE);
    // Carol's address in this call is for her, though she is neither its caller nor its called.
    let address = peer["peer"]["address"].as_str().unwrap();
    assert_eq!(answer(node.http.post(address).json(&json!({"text": "hi"}))).await.0, 202);
    assert_eq!(carol.next().await["content"]["text"], "hi");
}

#[tokio::test]
async fn a_call_whose_agent_never_came_back_is_over_after_a_day() {
    let mut node = node().await;
    let alice = node.client(ALICE, json!({})).await;
    node.client(BOB, json!({})).await;
    let mut stream = node.websocket(&alice, ALICE).await;
    let call = node.talk().await;
    stream.next().await;
    node.until(&call, |all| all.iter().any(|d| d["state"] == "delivered")).await;
    node.age(23 * 3600).await;
    assert_eq!(node.get(&format!("/v1/calls/{call}"), ADMIN).await["phase"], "talking");
    node.age(3600).await;
    let mut stream = node.websocket(&alice, ALICE).await;
    assert_eq!(stream.next().await["type"], "ended");
    let over = node.get(&format!("/v1/calls/{call}"), ADMIN).await;
    assert_eq!((&over["phase"], &over["cause"]), (&json!("ended"), &json!("lost")));
    assert_eq!(node.get("/v1/calls?live=true", ADMIN).await["calls"], json!([]));
}

#[tokio::test]
async fn b6_the_received_address_reaches_the_second_client() {
    let node = node().await;
    let bob = node.client(BOB, json!({})).await;
    let mut bob = node.websocket(&bob, BOB).await;
    let request = json!({"pbx": "a", "leg": "leg-1", "calling": "+442071838750", "called": BOB, "side": "terminating",
        "received_address": "https://other.example/a/x"});
    let (_, decision) = node.send(Method::POST, "/v1/calls", AGENT, request).await;
    assert_eq!((&decision["route"], &decision["address"]), (&json!("local"), &Value::Null));
    node.events(decision["call"].as_str().unwrap(), 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    let peer = bob.next().await;
    assert_eq!((&peer["role"], &peer["peer"]["address"]), (&json!("second"), &json!("https://other.example/a/x")));
    // What the second client is to tell the first.
    assert_eq!((&peer["own"]["number"], &peer["own"]["name"]), (&json!(BOB), &json!("Bob")));
    let own = peer["own"]["address"].as_str().unwrap();
    assert_eq!(answer(node.http.post(own).json(&json!({"text": "hi"}))).await.0, 202);
    assert_eq!(bob.next().await["content"]["text"], "hi");
}

#[tokio::test]
async fn sip_clients_are_reached_through_the_agent() {
    let node = node().await;
    node.client(ALICE, json!({"address": "sip:alice@pbx.example"})).await;
    node.client(BOB, json!({"capabilities": ["video"]})).await;
    let call = node.decide("leg-1", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    let reply = node.events(&call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    let message = &reply["messages"][0];
    assert_eq!((&message["to"], &message["from"]), (&json!("sip:alice@pbx.example"), &json!(BOB)));
    let text = message["text"].as_str().unwrap();
    assert!(text.starts_with(&format!("Call with Bob ({BOB}): reach their client at http://127.0.0.1:")), "{text}");
    assert!(text.parse::<sidecall::push::SipText>().is_ok(), "{text}");
    let report = |sent: Value| json!({"kind": "freeswitch", "agent": "x", "link": "up", "since": 1, "sent": sent});
    let (_, reply) = node.send(Method::PUT, "/v1/pbxs/a", AGENT, report(json!([]))).await;
    assert_eq!(reply["messages"], json!([]), "it was handed out already");
    let unsent = json!([{"id": message["id"], "error": "no link to the PBX", "unsent": true}]);
    node.send(Method::PUT, "/v1/pbxs/a", AGENT, report(unsent)).await;
    let all = node.until(&call, |all| all.iter().any(|d| d["error"] == "no link to the PBX")).await;
    assert_eq!(all.iter().find(|d| d["form"] == "sip").unwrap()["state"], "pending");
    let taken = json!([{"id": message["id"]}]);
    node.send(Method::PUT, "/v1/pbxs/a", AGENT, report(taken)).await;
    node.until(&call, |all| all.iter().any(|d| d["form"] == "sip" && d["state"] == "delivered")).await;
    // One that the PBX may have sent is not sent again.
    for failed in [json!({"error": "no answer", "unknown": true}), json!({"error": "404"})] {
        let leg = format!("leg-{}", failed["error"]).replace(['"', ' '], "-");
        let call = node.decide(&leg, ALICE, BOB).await["call"].as_str().unwrap().to_owned();
        let reply = node.events(&call, 1, &[dialled("leg-4"), bridged(&leg, "leg-4")]).await;
        let mut outcome = failed;
        outcome["id"] = reply["messages"][0]["id"].clone();
        node.send(Method::PUT, "/v1/pbxs/a", AGENT, report(json!([outcome]))).await;
        let all = node.until(&call, |all| all.iter().any(|d| d["form"] == "sip" && d["state"] == "failed")).await;
        assert_eq!(all.iter().find(|d| d["form"] == "sip").unwrap()["attempts"], 1);
        assert_eq!(node.get(&format!("/v1/calls/{call}"), ADMIN).await["phase"], "talking");
    }
}
