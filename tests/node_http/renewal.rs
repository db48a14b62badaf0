//! A client that binds the same address again.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sidecall::push::{SigningSecret, sign};
use sqlx::Executor;

use crate::support::{ADMIN, ALICE, BOB, CAROL, TestNode, credential};
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
        let secret: SigningSecret = secret.parse().unwrap();
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
    assert!(changed.get("secret").is_none(), "{changed}");
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

#[tokio::test]
async fn a_renewal_lasts_as_long_as_the_client_was_to_last() {
    let node = node().await;
    let soft = json!({"address": "sip:1001@pbx.example"});
    let (_, first) = bind(&node, ALICE, json!({"address": soft["address"], "expires": 60})).await;
    bind(&node, ALICE, json!({"address": soft["address"], "expires": 600})).await;
    let (status, again) = bind(&node, ALICE, soft).await;
    assert_eq!(status, 200, "{again}");
    let longer = again["expires"].as_i64().unwrap() - first["expires"].as_i64().unwrap();
    assert!((500_000..3_600_000).contains(&longer), "{longer}");
}

#[tokio::test]
async fn of_two_clients_that_an_older_version_bound_to_an_address_the_newer_is_renewed() {
    let mut node = node().await;
    let soft = json!({"address": "sip:1001@pbx.example"});
    let (_, newer) = bind(&node, ALICE, soft.clone()).await;
    node.stop().await;
    let older = "INSERT INTO bindings (id, number, form, address, capabilities, lifetime, expires, offer)
                 SELECT '0-older', number, form, address, capabilities, lifetime, expires, offer FROM bindings";
    assert_eq!(node.database().await.execute(older).await.unwrap().rows_affected(), 1);
    node.kill_and_restart().await;
    let renewal = json!({"address": soft["address"], "capabilities": ["video"]});
    let (status, renewed) = bind(&node, ALICE, renewal).await;
    assert_eq!((status.as_u16(), &renewed["id"]), (200, &newer["id"]), "{renewed}");
    let listed = node.get("/v1/clients", &credential(ALICE)).await;
    assert_eq!(listed["clients"][0]["capabilities"], json!(["video"]), "{listed}");
    assert_eq!((&listed["clients"][1]["id"], &listed["clients"][1]["capabilities"]), (&json!("0-older"), &json!([])));
}

/// Binds a client twice. The second request has read the first one's client, and waits to write, when `change` is
/// committed.
async fn renew_while(node: &TestNode, change: &'static str) -> [(StatusCode, Value); 2] {
    let soft = json!({"address": "sip:1001@pbx.example"});
    let first = bind(node, ALICE, soft.clone()).await;
    let mut database = node.database().await;
    database.execute("BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(database.execute(change).await.unwrap().rows_affected(), 1);
    let commit = async {
        // Readers don't wait for the lock.
        tokio::time::sleep(Duration::from_millis(400)).await;
        database.execute("COMMIT").await.unwrap();
    };
    let (again, ()) = tokio::join!(bind(node, ALICE, soft), commit);
    [first, again]
}

#[tokio::test]
async fn a_renewal_keeps_what_another_request_changes_meanwhile() {
    let node = node().await;
    let [_, (status, again)] = renew_while(&node, "UPDATE bindings SET offer = '\"never\"'").await;
    assert_eq!((status.as_u16(), &again["offer"]), (200, &json!("never")), "{again}");
    let listed = node.get("/v1/clients", &credential(ALICE)).await;
    assert_eq!(listed["clients"][0]["offer"], "never", "{listed}");
}

#[tokio::test]
async fn a_client_that_another_request_removes_meanwhile_is_bound_anew() {
    let node = node().await;
    let [(_, first), (status, again)] = renew_while(&node, "DELETE FROM bindings").await;
    assert_eq!(status, 201, "{again}");
    assert_ne!(again["id"], first["id"]);
    let listed = node.get("/v1/clients", &credential(ALICE)).await;
    assert_eq!((listed["clients"].as_array().unwrap().len(), &listed["clients"][0]["id"]), (1, &again["id"]));
}

#[tokio::test]
async fn only_a_number_that_is_missing_is_said_to_be_missing() {
    let node = node().await;
    let problem = async |number: &str| {
        let soft = json!({"number": number, "address": "sip:1001@pbx.example"});
        let (status, problem) = node.send(Method::POST, "/v1/clients", ADMIN, soft).await;
        (status.as_u16(), problem["detail"].as_str().unwrap_or_default().to_owned())
    };
    let (status, detail) = problem(CAROL).await;
    assert!(status == 422 && detail.contains("directory"), "{status} {detail}");
    // As if others bound and removed the same client each time.
    let outrun = "CREATE TRIGGER outrun BEFORE INSERT ON bindings BEGIN SELECT RAISE(IGNORE); END";
    node.database().await.execute(outrun).await.unwrap();
    let (status, detail) = problem(ALICE).await;
    assert!(status == 409 && detail.contains("repeat"), "{status} {detail}");
}
