//! Whose number a leg stands for, as the directory has it.

use serde_json::{Value, json};

use crate::support::{ALICE, BOB, CAROL, TestNode, bridged};

/// Nobody's.
const PHONE: &str = "1009;phone-context=pbx.example";

async fn node(bob: Value) -> TestNode {
    let node = TestNode::start().await;
    for (number, entry) in [(ALICE, json!({})), (BOB, bob), (CAROL, json!({}))] {
        node.number(number, entry).await;
        node.client(number, json!({})).await;
    }
    node
}

/// Alice calls Bob, and this happens: who is given a peer.
async fn told(node: &TestNode, leg: &str, what: &str, device: Option<&str>) -> Vec<(String, String)> {
    let call = node.decide(leg, ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    let other = format!("{leg}-other");
    let mut event = json!({"event": what, "leg": other});
    if let Some(device) = device {
        event["number"] = device.into();
    }
    node.events(&call, 1, &[event, bridged(leg, &other)]).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = node.deliveries(&call).await.into_iter().map(|d| (text(&d["number"]), text(&d["message"])));
    told.filter(|(_, message)| message == "peer").collect()
}

fn both(a: &str, b: &str) -> Vec<(String, String)> {
    [a, b].map(|number| (number.to_owned(), "peer".to_owned())).to_vec()
}

#[tokio::test]
async fn the_phone_that_answers_is_whose_client_is_told() {
    let node = node(json!({})).await;
    assert_eq!(told(&node, "a", "dialled", Some(BOB)).await, both(ALICE, BOB));
    assert_eq!(told(&node, "b", "dialled", None).await, both(ALICE, BOB), "the PBX names no phone");
    assert_eq!(told(&node, "c", "dialled", Some(CAROL)).await, both(ALICE, CAROL), "forwarded");
    assert_eq!(told(&node, "d", "identified", Some(CAROL)).await, both(ALICE, CAROL), "picked up");
    assert_eq!(told(&node, "e", "dialled", Some(PHONE)).await, both(ALICE, BOB), "the extension behind the number");
    assert_eq!(told(&node, "f", "identified", Some(PHONE)).await, [], "picked up by nobody of ours");
    assert_eq!(told(&node, "g", "identified", None).await, []);
    let call = node.decide("h", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    let dialled = json!({"event": "dialled", "leg": "h-other", "unreadable": true});
    node.events(&call, 1, &[dialled, bridged("h", "h-other")]).await;
    assert_eq!(node.deliveries(&call).await.len(), 0, "a phone, but nobody knows whose");
}

#[tokio::test]
async fn behind_a_main_number_is_whoever_is_listed() {
    let node = node(json!({"kind": "main", "extensions": [PHONE]})).await;
    assert_eq!(told(&node, "a", "dialled", None).await, [], "nobody knows who that is");
    assert_eq!(told(&node, "b", "dialled", Some(PHONE)).await, both(ALICE, BOB));
    let other = PHONE.replace("1009", "1008");
    assert_eq!(told(&node, "c", "dialled", Some(&other)).await, []);
    assert_eq!(told(&node, "d", "dialled", Some(CAROL)).await, both(ALICE, CAROL));
}

#[tokio::test]
async fn a_leg_that_becomes_another_phone_moves_the_pair() {
    let node = node(json!({})).await;
    let call = node.talk().await;
    node.events(&call, 3, &[json!({"event": "identified", "leg": "leg-2", "number": CAROL})]).await;
    let all = node.until(&call, |all| all.iter().any(|d| d["number"] == CAROL)).await;
    // Nobody had connected yet, so what was for Bob is taken back before he has it.
    let states: Vec<_> = all.iter().map(|d| (d["number"].as_str().unwrap(), d["state"].as_str().unwrap())).collect();
    assert!(states.contains(&(BOB, "dropped")) && states.contains(&(CAROL, "pending")), "{states:?}");
}
