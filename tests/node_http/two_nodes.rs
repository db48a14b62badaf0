//! Two organisations that call each other, each with a node of its own.

use std::path::{Path, PathBuf};

use lab::net::ca::Ca;
use reqwest::Method;
use serde_json::{Value, json};
use sidecall::node::PeerConfig;

use crate::support::{ALICE, Stream, TestNode, bridged, dialled};

/// The number at the second node.
pub(crate) const FRED: &str = "+13105550100";
pub(crate) const GINA: &str = "+13105550101";
pub(crate) const TOKEN: &str = "token-of-a-at-b-0123";

pub(crate) fn peer(name: &str, url: &str, prefix: &str) -> PeerConfig {
    serde_json::from_value(json!({"name": name, "url": url, "prefixes": [prefix]})).unwrap()
}

/// Two organisations: Alice is at the first node, Fred at the second.
pub(crate) struct Two {
    pub(crate) a: TestNode,
    pub(crate) b: TestNode,
}

impl Two {
    pub(crate) async fn start() -> Two {
        let b = TestNode::start_with(|config, _| {
            let a = peer("a", "http://127.0.0.1:1", "+1212555");
            config.peers = vec![PeerConfig { accept_token: Some(TOKEN.into()), ..a }];
        })
        .await;
        let (url, token) = (b.url(""), Some(TOKEN.into()));
        let a = TestNode::start_with(|config, _| {
            config.peers = vec![PeerConfig { token, trunk: Some("to-b".parse().unwrap()), ..peer("b", &url, "+1310") }];
        })
        .await;
        a.number(ALICE, json!({"pbx": "a", "name": "Alice"})).await;
        b.number(FRED, json!({"pbx": "b", "name": "Fred"})).await;
        Two { a, b }
    }

    /// Both with a client that is connected.
    pub(crate) async fn with_clients() -> (Two, Stream, Stream) {
        let two = Two::start().await;
        let alice = two.a.client(ALICE, json!({"capabilities": ["text"]})).await;
        let fred = two.b.client(FRED, json!({})).await;
        let (alice, fred) = (two.a.websocket(&alice, ALICE).await, two.b.websocket(&fred, FRED).await);
        (two, alice, fred)
    }

    /// Alice's PBX asks; her call's id.
    pub(crate) async fn call(&self, leg: &str) -> String {
        self.a.decide(leg, ALICE, FRED).await["call"].as_str().unwrap().to_owned()
    }

    /// The same, once her node's offer is accepted.
    pub(crate) async fn offered(&self, leg: &str) -> String {
        let call = self.call(leg).await;
        self.accepted(&call).await;
        call
    }

    pub(crate) async fn accepted(&self, call: &str) {
        self.a.remote_side(call, |far| far["offer"]["state"] == "accepted").await;
    }
}

pub(crate) async fn talks(node: &TestNode, call: &str, leg: &str) {
    let other = format!("{leg}-dialled");
    node.events(call, 1, &[dialled(&other), bridged(leg, &other)]).await;
}

/// An offer as the first node would make it.
pub(crate) fn offer(id: &str) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    json!({"id": id, "calling": ALICE, "called": FRED, "address": "http://127.0.0.1:1/a/x", "at": now, "sent": now,
        "via": ["https://node.a.example"]})
}

pub(crate) async fn post(node: &TestNode, token: &str, offer: &Value) -> (u16, String) {
    let (status, body) = node.send(Method::POST, "/v1/peer/offers", token, offer.clone()).await;
    (status.as_u16(), body["reason"].as_str().unwrap_or_default().to_owned())
}

/// The offers that the stopped node's database holds, after a change to it.
pub(crate) async fn rows(node: &TestNode, change: &str) -> i64 {
    use sqlx::{Executor, Row};
    let mut database = node.database().await;
    database.execute(sqlx::AssertSqlSafe(change.to_owned())).await.unwrap();
    database.fetch_one("SELECT count(*) FROM offers").await.unwrap().get(0)
}

/// Certificate and key for a name, in files.
pub(crate) fn sign(ca: &Ca, name: &str, folder: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = ca.sign(&[name]);
    (write(folder, &format!("{name}.pem"), &certificate), write(folder, &format!("{name}.key"), &key))
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}
