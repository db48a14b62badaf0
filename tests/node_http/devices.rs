//! Devices: what their tokens may do, and who sees and names them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{ADMIN, AGENT, ALICE, BOB, TestNode, answer, credential};

async fn node() -> TestNode {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    node
}

async fn bind(node: &TestNode, token: &str, client: Value) -> (u16, Value) {
    let (status, bound) = node.send(Method::POST, "/v1/clients", token, client).await;
    (status.as_u16(), bound)
}

fn id(client: &Value) -> String {
    client["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_devices_token_manages_its_number_as_the_credential_does() {
    let node = node().await;
    let [device, token] = node.device(ALICE, "tablet").await;
    let others = node.client(ALICE, json!({})).await;
    let (status, bound) = bind(&node, &token, json!({"number": ALICE})).await;
    assert_eq!((status, &bound["number"], &bound["device"]), (201, &json!(ALICE), &json!(device)), "{bound}");
    assert_eq!(node.get("/v1/clients", &token).await["clients"].as_array().unwrap().len(), 2);
    let path = format!("/v1/clients/{others}");
    assert_eq!(node.send(Method::PATCH, &path, &token, json!({"offer": "served"})).await.0, 200);
    assert_eq!(answer(node.request(Method::DELETE, &path, &token)).await.0, 204);
    let switch = format!("/v1/numbers/{ALICE}/sidecall");
    assert_eq!(node.send(Method::PUT, &switch, &token, json!({"enabled": true})).await.0, 200);
    // And no more.
    assert_eq!(bind(&node, &token, json!({"number": BOB})).await.0, 403);
    for path in ["/v1/numbers", "/v1/calls"] {
        assert_eq!(answer(node.request(Method::GET, path, &token)).await.0, 403, "{path}");
    }
    let change = json!({"credential": "0123456789abcdef"});
    assert_eq!(node.send(Method::PUT, &format!("/v1/numbers/{ALICE}"), &token, change).await.0, 403);
}

#[tokio::test]
async fn a_device_that_binds_again_renews_its_hosted_client() {
    let node = node().await;
    let [_, tablet] = node.device(ALICE, "tablet").await;
    let (_, first) = bind(&node, &tablet, json!({"expires": 60, "capabilities": ["video"]})).await;
    let (status, again) = bind(&node, &tablet, json!({"expires": 600, "offer": "served"})).await;
    assert_eq!((status, &again["id"]), (200, &first["id"]), "{again}");
    assert_eq!((&again["capabilities"], &again["offer"]), (&json!(["video"]), &json!("served")));
    assert!(again["expires"].as_i64().unwrap() >= first["expires"].as_i64().unwrap() + 500_000, "{again}");
    // Others have clients of their own: another device, the credential, and what has an address.
    let [_, phone] = node.device(ALICE, "phone").await;
    assert_eq!(bind(&node, &phone, json!({})).await.0, 201);
    for _ in 0..2 {
        let (status, bound) = bind(&node, &credential(ALICE), json!({})).await;
        assert_eq!((status, bound.get("device")), (201, None), "{bound}");
    }
    assert_eq!(bind(&node, &tablet, json!({"address": "sip:1001@pbx.example"})).await.0, 201);
    assert_eq!(node.get("/v1/clients", ADMIN).await["clients"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn concurrent_binds_of_a_device_make_one_client() {
    let node = node().await;
    let [_, token] = node.device(ALICE, "tablet").await;
    let all = futures_util::future::join_all((0..8).map(|_| bind(&node, &token, json!({})))).await;
    let mut statuses: Vec<u16> = all.iter().map(|(status, _)| *status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 201], "{all:?}");
    assert!(all.iter().all(|(_, client)| client["id"] == all[0].1["id"]), "{all:?}");
}

#[tokio::test]
async fn a_client_stays_with_whoever_bound_it_first() {
    let node = node().await;
    let soft = json!({"address": "sip:1001@pbx.example"});
    let (_, first) = bind(&node, &credential(ALICE), soft.clone()).await;
    let [device, token] = node.device(ALICE, "tablet").await;
    let (status, renewed) = bind(&node, &token, soft).await;
    assert_eq!((status, &renewed["id"], renewed.get("device")), (200, &first["id"], None), "{renewed}");
    let revoked = answer(node.request(Method::DELETE, &format!("/v1/devices/{device}"), ADMIN)).await.0;
    let left = node.get("/v1/clients", ADMIN).await;
    assert_eq!((revoked.as_u16(), &left["clients"][0]["id"]), (204, &first["id"]));
}

#[tokio::test]
async fn a_device_that_changes_too_much_does_not_keep_others_from_revoking_it() {
    let node = node().await;
    let [lost, noisy] = node.device(ALICE, "lost").await;
    let [_, kept] = node.device(ALICE, "kept").await;
    let path = format!("/v1/devices/{lost}");
    let mut last = 0;
    for _ in 0..200 {
        last = node.send(Method::PATCH, &path, &noisy, json!({"name": "x"})).await.0.as_u16();
    }
    assert_eq!(last, 429);
    assert_eq!(bind(&node, &kept, json!({})).await.0, 201);
    assert_eq!(answer(node.request(Method::DELETE, &path, &kept)).await.0, 204);
}

#[tokio::test]
async fn devices_are_shown_and_named_by_their_own_number_and_administrators() {
    let node = node().await;
    let [tablet, token] = node.device(ALICE, "tablet").await;
    let [phone, _] = node.device(BOB, "phone").await;
    let names = async |path: &str, token: &str| -> Vec<String> {
        let listed = node.get(path, token).await;
        let devices = listed["devices"].as_array().unwrap().iter();
        devices.map(|device| device["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("/v1/devices", ADMIN).await, ["phone", "tablet"], "the newest first");
    assert_eq!(names("/v1/devices?number=%2B12125550100", ADMIN).await, ["tablet"]);
    assert_eq!(names("/v1/devices", &credential(BOB)).await, ["phone"]);
    let path = format!("/v1/devices/{tablet}");
    for (n, who) in [ADMIN, &credential(ALICE), &token].into_iter().enumerate() {
        let name = format!("tablet {n}");
        let (status, changed) = node.send(Method::PATCH, &path, who, json!({"name": name})).await;
        assert_eq!((status.as_u16(), &changed["name"]), (200, &json!(name)), "{changed}");
        assert_eq!(node.get(&path, who).await, changed);
    }
    for bad in [json!({"name": ""}), json!({"name": "a\u{1b}[2J"}), json!({"name": "a\u{2066}b"}), json!({})] {
        let (status, problem) = node.send(Method::PATCH, &path, ADMIN, bad.clone()).await;
        assert_eq!((status.as_u16(), &problem["field"]), (422, &json!("name")), "{bad}: {problem}");
    }
    // Others learn not even whether it is there.
    let nobodys = answer(node.request(Method::GET, "/v1/devices/0199-none", ADMIN)).await;
    assert_eq!(nobodys.0, 404);
    for who in [&credential(BOB), AGENT] {
        assert_eq!(answer(node.request(Method::GET, &path, who)).await, nobodys);
        assert_eq!(node.send(Method::PATCH, &path, who, json!({"name": "x"})).await, nobodys);
        assert_eq!(answer(node.request(Method::DELETE, &path, who)).await, nobodys);
    }
    let other = answer(node.request(Method::GET, "/v1/devices?number=%2B12125550101", &token)).await;
    assert_eq!((other.0.as_u16(), &other.1["field"]), (403, &json!("number")));
    assert_eq!(node.get(&format!("/v1/devices/{phone}"), ADMIN).await["name"], "phone");
}

#[tokio::test]
async fn a_device_is_connected_while_its_client_has_a_stream() {
    let node = node().await;
    let [device, token] = node.device(ALICE, "tablet").await;
    let connected = async || node.get(&format!("/v1/devices/{device}"), ADMIN).await["connected"] == true;
    let (_, bound) = bind(&node, &token, json!({})).await;
    assert!(!connected().await);
    let stream = node.websocket_of(&id(&bound), &token).await;
    assert!(connected().await);
    drop(stream);
    let begun = std::time::Instant::now();
    while connected().await {
        assert!(begun.elapsed().as_secs() < 5);
    }
}

#[tokio::test]
async fn nobody_reads_the_stream_of_somebody_elses_client() {
    let node = node().await;
    let [_, tablet] = node.device(ALICE, "tablet").await;
    let [_, phone] = node.device(ALICE, "phone").await;
    let (_, tablets) = bind(&node, &tablet, json!({})).await;
    let plain = node.client(ALICE, json!({})).await;
    let opens = async |client: &str, token: &str| -> StatusCode {
        answer(node.request(Method::GET, &format!("/v1/clients/{client}/stream"), token)).await.0
    };
    // 426: it may, by a WebSocket.
    assert_eq!(opens(&id(&tablets), &tablet).await, 426);
    assert_eq!(opens(&plain, &credential(ALICE)).await, 426);
    assert_eq!(opens(&id(&tablets), &credential(ALICE)).await, 404);
    assert_eq!(opens(&id(&tablets), &phone).await, 404);
    assert_eq!(opens(&plain, &phone).await, 404);
}

#[tokio::test]
async fn a_new_credential_leaves_devices_connected() {
    let node = node().await;
    let [_, token] = node.device(ALICE, "tablet").await;
    let (_, bound) = bind(&node, &token, json!({})).await;
    let mut stream = node.websocket_of(&id(&bound), &token).await;
    let change = json!({"pbx": "a", "credential": "another-credential"});
    assert_eq!(node.send(Method::PUT, &format!("/v1/numbers/{ALICE}"), ADMIN, change).await.0, 200);
    stream.quiet().await;
}
