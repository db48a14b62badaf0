//! A client that binds the same address again.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sidecall::push::{Secret, sign};

use crate::support::{ADMIN, ALICE, BOB, TestNode, credential};
use crate::webhooks::Receiver;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_ASNFZ4mrze8BI0VniavN7wEjRWeJq83v";

async fn node() -> TestNode {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    node
}

async fn bind(node: &TestNode, number: &str, client: Value) -> (StatusCode, Value) {
    node.send(Method::POST, "/v1/clients", &credential(number), client).await
}

#[tokio::test]
async fn the_same_address_again_is_the_same_client_and_is_told_once() {
    let node = node().await;
    let (receiver, address) = Receiver::start(&[]).await;
    node.client(BOB, json!({})).await;
    let (status, first) = bind(&node, ALICE, json!({"address": address, "expires": 60})).await;
    assert_eq!(status, 201, "{first}");
    let (status, again) = bind(&node, ALICE, json!({"address": address, "expires": 600})).await;
    assert_eq!((status.as_u16(), &again["id"]), (200, &first["id"]), "{again}");
    assert!(again["expires"].as_i64().unwrap() >= first["expires"].as_i64().unwrap() + 500_000, "{again}");
    assert!(first["secret"].is_string() && again.get("secret").is_none(), "the secret is shown once: {again}");
    let listed = node.get("/v1/clients", &credential(ALICE)).await;
    assert_eq!(listed["clients"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["clients"][0]["expires"], again["expires"]);
    let call = node.talk().await;
    node.until(&call, |all| all.len() >= 2 && all.iter().any(|d| d["state"] == "delivered")).await;
    // Long enough for a second one.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(receiver.bodies(1).await.iter().filter(|body| body["type"] == "peer").count(), 1);
}

#[tokio::test]
async fn a_renewal_changes_what_it_names_and_keeps_the_rest() {
    let node = node().await;
    let (receiver, address) = Receiver::start(&[]).await;
    let bobs = node.client(BOB, json!({})).await;
    let mut bob = node.websocket(&bobs, BOB).await;
    let whole = json!({"address": address, "secret": SECRET, "capabilities": ["video"], "offer": "served"});
    let (_, first) = bind(&node, ALICE, whole).await;
    let (status, kept) = bind(&node, ALICE, json!({"address": address})).await;
    assert_eq!(status, 200, "{kept}");
    for key in ["id", "capabilities", "offer"] {
        assert_eq!(kept[key], first[key], "{key}");
    }
    node.talk().await;
    let signed_with = |secret: &str, n: usize| {
        let secret: Secret = secret.parse().unwrap();
        let (headers, body) = receiver.nth(n);
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        let timestamp = header("webhook-timestamp").parse().unwrap();
        assert_eq!(header("webhook-signature"), sign(&secret, &header("webhook-id"), timestamp, &body));
    };
    receiver.bodies(1).await;
    signed_with(SECRET, 0);
    assert_eq!(bob.next().await["peer"]["number"], ALICE);
    // Who talks with the client is told at once that its address is not theirs any more.
    let changes = json!({"address": address, "secret": OTHER_SECRET, "capabilities": [], "offer": "never"});
    let (status, changed) = bind(&node, ALICE, changes).await;
    assert_eq!((status.as_u16(), &changed["id"]), (200, &first["id"]), "{changed}");
    assert_eq!((&changed["capabilities"], &changed["offer"]), (&json!([]), &json!("never")));
    assert_eq!(changed["secret"], OTHER_SECRET);
    assert_eq!(bob.next().await["type"], "ended");
    receiver.bodies(2).await;
    signed_with(OTHER_SECRET, 1);
}

#[tokio::test]
async fn at_the_same_time_too_it_is_one_client() {
    let node = node().await;
    let soft = json!({"address": "sip:1001@pbx.example"});
    let all = futures_util::future::join_all((0..8).map(|_| bind(&node, ALICE, soft.clone()))).await;
    let mut statuses: Vec<u16> = all.iter().map(|(status, _)| status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 201], "{all:?}");
    assert!(all.iter().all(|(_, client)| client["id"] == all[0].1["id"]), "{all:?}");
}

#[tokio::test]
async fn other_numbers_other_addresses_and_hosted_clients_are_clients_of_their_own() {
    let node = node().await;
    for (number, client) in [
        (ALICE, json!({"address": "sip:1001@pbx.example"})),
        (BOB, json!({"address": "sip:1001@pbx.example"})),
        (ALICE, json!({"address": "sip:1002@pbx.example"})),
        (ALICE, json!({})),
        (ALICE, json!({})),
    ] {
        assert_eq!(bind(&node, number, client.clone()).await.0, 201, "{client}");
    }
    assert_eq!(node.get("/v1/clients", ADMIN).await["clients"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_number_with_all_the_clients_it_can_have_may_renew_them() {
    let node = node().await;
    let client = |n: usize| json!({"number": ALICE, "address": format!("sip:{n}@pbx.example")});
    let admin = async |n| node.send(Method::POST, "/v1/clients", ADMIN, client(n)).await.0.as_u16();
    let mut bound = 0;
    while admin(bound).await == 201 {
        bound += 1;
        assert!(bound < 1_000, "there is no limit");
    }
    assert_eq!((admin(0).await, admin(bound).await), (200, 409));
}
