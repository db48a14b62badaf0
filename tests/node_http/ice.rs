//! ICE servers and TURN credentials, with a real TURN server where it decides.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use lab::Coturn;
use reqwest::Method;
use serde_json::{Value, json};
use sidecall::core::base::time::UnixMillis;
use sidecall::core::ice::turn_credential::TurnCredential;
use sidecall::node::IceConfig;

use crate::inbox::talk_on;
use crate::support::{ALICE, BOB, TestNode, answer, credential, ended};

const SECRET: &str = "what-coturn-and-the-node-share";
const STUN: &str = "stun:stun.example:3478";

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A node with a STUN server and this TURN server.
async fn start(turn: &str) -> TestNode {
    start_with(turn, 600).await
}

/// One whose credentials are valid for so many seconds.
async fn start_with(turn: &str, lifetime: u64) -> TestNode {
    let urls = [turn, STUN].map(|uri| uri.parse().unwrap()).to_vec();
    let ice = IceConfig { urls, secret: Some(SECRET.into()), lifetime, ..IceConfig::default() };
    TestNode::start_with(|config, _| config.ice = ice).await
}

async fn at_address(node: &TestNode, address: &str) -> Value {
    let (status, servers) = answer(node.http.get(format!("{address}/ice"))).await;
    assert_eq!(status, 200, "{servers}");
    servers
}

/// Username and credential of the TURN servers.
fn turn(servers: &Value) -> (String, String) {
    let text = |key: &str| servers["iceServers"][1][key].as_str().unwrap().to_owned();
    (text("username"), text("credential"))
}

#[tokio::test]
async fn coturn_relays_for_clients_and_guests_until_their_credentials_expire() {
    let Some(coturn) = Coturn::or_skip(SECRET) else { return };
    let (node, _bob, address) = talk_on(start(&format!("turn:{}?transport=udp", coturn.address())).await).await;
    let client = turn(&node.get("/v1/ice", &credential(ALICE)).await);
    let guest = turn(&at_address(&node, &address).await);
    for (username, credential) in [&client, &guest] {
        assert!(coturn.relays_for(username, credential).unwrap(), "{username} {credential}");
    }
    let (username, credential) = client;
    let (expires, id) = username.split_once(':').unwrap();
    let later = format!("{}:{id}", expires.parse::<u64>().unwrap() + 600);
    let altered = format!("{}{}", if credential.starts_with('A') { 'B' } else { 'A' }, &credential[1..]);
    let expired = TurnCredential::new(&SECRET.into(), id, UnixMillis(now() - 2_000));
    for (username, credential) in [
        (&later, &credential),
        (&username, &altered),
        (&guest.0, &credential),
        (&expired.username, &expired.credential),
    ] {
        assert!(!coturn.relays_for(username, credential).unwrap(), "{username} {credential}");
    }
}

#[tokio::test]
async fn the_answer_is_the_configuration_of_a_peer_connection() {
    let node = start("turn:turn.example").await;
    node.number(ALICE, json!({})).await;
    let begun = now();
    let response = node.request(Method::GET, "/v1/ice", &credential(ALICE)).send().await.unwrap();
    assert_eq!(response.headers()["cache-control"], "no-store");
    let servers: Value = response.json().await.unwrap();
    let (username, credential) = turn(&servers);
    let expires = servers["expires"].as_i64().unwrap();
    let wanted = json!({
        "iceServers": [
            {"urls": [STUN]},
            {"urls": ["turn:turn.example"], "username": username, "credential": credential}
        ],
        "expires": expires
    });
    assert_eq!(servers, wanted);
    assert!((begun + 599_000..=now() + 600_000).contains(&expires), "{expires}");
    assert!(username.starts_with(&format!("{}:", expires / 1000)) && expires % 1000 == 0, "{username}");
}

#[tokio::test]
async fn clients_and_guests_are_told_to_relay_everything() {
    for (relay_only, policy) in [(false, Value::Null), (true, json!("relay"))] {
        let ice = IceConfig {
            urls: vec!["turn:turn.example".parse().unwrap()],
            secret: Some(SECRET.into()),
            relay_only,
            ..IceConfig::default()
        };
        let node = TestNode::start_with(|config, _| config.ice = ice).await;
        let (node, _bob, address) = talk_on(node).await;
        for servers in [node.get("/v1/ice", &credential(ALICE)).await, at_address(&node, &address).await] {
            assert_eq!(servers["iceTransportPolicy"], policy, "{servers}");
        }
    }
}

#[tokio::test]
async fn a_guests_credentials_are_valid_for_an_hour_at_most() {
    for (lifetime, of_guests) in [(600, 600), (43_200, 3_600)] {
        let (node, _bob, address) = talk_on(start_with("turn:turn.example", lifetime).await).await;
        let begun = now();
        let of_client = node.get("/v1/ice", &credential(ALICE)).await;
        let of_guest = at_address(&node, &address).await;
        for (servers, seconds) in [(of_client, lifetime), (of_guest, of_guests)] {
            let expires = servers["expires"].as_i64().unwrap();
            let validity = i64::try_from(seconds).unwrap() * 1000;
            assert!((begun + validity - 1000..=now() + validity).contains(&expires), "{lifetime}: {servers}");
            assert!(turn(&servers).0.starts_with(&format!("{}:", expires / 1000)), "{servers}");
        }
    }
}

#[tokio::test]
async fn a_username_is_each_devices_own_and_reveals_no_number() {
    let (node, _bob, address) = talk_on(start("turn:turn.example").await).await;
    let id = |servers: &Value| turn(servers).0.split_once(':').unwrap().1.to_owned();
    let alice = id(&node.get("/v1/ice", &credential(ALICE)).await);
    let bob = id(&node.get("/v1/ice", &credential(BOB)).await);
    let guest = id(&at_address(&node, &address).await);
    let [_, tablet] = node.device(ALICE, "tablet").await;
    let [_, phone] = node.device(ALICE, "phone").await;
    let tablet = id(&node.get("/v1/ice", &tablet).await);
    let phone = id(&node.get("/v1/ice", &phone).await);
    let all = [&alice, &bob, &guest, &tablet, &phone];
    assert_eq!(BTreeSet::from(all).len(), all.len(), "{all:?}");
    assert_eq!(alice, id(&node.get("/v1/ice", &credential(ALICE)).await));
    assert!(all.iter().all(|id| !id.contains("2125550") && !address.contains(*id)));
}

#[tokio::test]
async fn without_servers_the_list_is_empty() {
    let (node, _bob, address) = talk_on(TestNode::start().await).await;
    for servers in [node.get("/v1/ice", &credential(ALICE)).await, at_address(&node, &address).await] {
        assert_eq!(servers["iceServers"], json!([]));
        assert!(servers["expires"].as_i64().unwrap() > now());
    }
}

#[tokio::test]
async fn an_address_that_is_over_has_no_servers() {
    let (mut node, _bob, address) = talk_on(start("turn:turn.example").await).await;
    let never_made = answer(node.http.get(node.url("/a/x"))).await;
    assert_eq!(answer(node.http.get(node.url("/a/x/ice"))).await, never_made);
    let call = node.get("/v1/calls", crate::support::ADMIN).await["calls"][0]["call"].as_str().unwrap().to_owned();
    node.events(&call, 3, &[ended("leg-1"), ended("leg-2")]).await;
    node.age(61).await;
    assert_eq!(answer(node.http.get(format!("{address}/ice"))).await, never_made);
}

#[tokio::test]
async fn who_asks_too_often_is_turned_away_for_a_while() {
    let (node, _bob, address) = talk_on(start("turn:turn.example").await).await;
    let client = credential(ALICE);
    for ask in [
        &(|| node.request(Method::GET, "/v1/ice", &client)) as &dyn Fn() -> reqwest::RequestBuilder,
        &(|| node.http.get(format!("{address}/ice"))),
    ] {
        let mut refused = None;
        for _ in 0..200 {
            let response = ask().send().await.unwrap();
            if response.status() == 429 {
                refused = Some(response.headers()["retry-after"].clone());
                break;
            }
        }
        assert_eq!(refused.unwrap(), "1");
    }
    // The other number's client is not affected, and requests at an address count as posts there.
    assert_eq!(answer(node.request(Method::GET, "/v1/ice", &credential(BOB))).await.0, 200);
    let posts = join_all((0..45).map(|_| answer(node.http.post(&address).json(&json!({}))))).await;
    assert!(posts.iter().any(|(status, _)| *status == 429), "{posts:?}");
}
