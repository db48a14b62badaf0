//! Webhooks, received by a real HTTP server.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use reqwest::Method;
use serde_json::{Value, json};
use sidecall::push::{SigningSecret, sign};

use crate::support::{ALICE, BOB, TestNode, credential, ended};

/// Answers with the statuses it was given, then with 204; keeps what it got.
#[derive(Clone, Default)]
pub(crate) struct Receiver {
    statuses: Arc<Mutex<Vec<u16>>>,
    got: Arc<Mutex<Vec<(HeaderMap, String)>>>,
}

impl Receiver {
    pub(crate) async fn start(statuses: &[u16]) -> (Receiver, String) {
        let receiver = Receiver::default();
        receiver.statuses.lock().unwrap().extend(statuses);
        let app = Router::new().fallback(Receiver::take).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, address)
    }

    async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> impl IntoResponse {
        receiver.got.lock().unwrap().push((headers, body));
        let mut statuses = receiver.statuses.lock().unwrap();
        let status = if statuses.is_empty() { 204 } else { statuses.remove(0) };
        (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")])
    }

    /// The bodies that came, at least so many of them.
    pub(crate) async fn bodies(&self, n: usize) -> Vec<Value> {
        for _ in 0..500 {
            if self.count() >= n {
                let got = self.got.lock().unwrap();
                return got.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} came, not {n}", self.count());
    }

    /// What came as the nth.
    pub(crate) fn nth(&self, n: usize) -> (HeaderMap, String) {
        self.got.lock().unwrap()[n].clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

async fn node(webhook: Value) -> (TestNode, Value) {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a", "name": "Bob"})).await;
    node.client(BOB, json!({})).await;
    let (status, client) = node.send(Method::POST, "/v1/clients", &credential(ALICE), webhook).await;
    assert_eq!(status, 201, "{client}");
    (node, client)
}

#[tokio::test]
async fn messages_are_signed_and_retried_with_the_same_id() {
    let (receiver, address) = Receiver::start(&[500, 302]).await;
    let (node, client) = node(json!({"address": address})).await;
    let secret: SigningSecret = client["secret"].as_str().unwrap().parse().unwrap();
    let call = node.talk().await;
    let all = node.until(&call, |all| all.iter().any(|d| d["form"] == "webhook" && d["state"] == "delivered")).await;
    assert_eq!(all.iter().find(|d| d["form"] == "webhook").unwrap()["attempts"], 2);
    let got = receiver.got.lock().unwrap().clone();
    assert_eq!(got.len(), 3, "the redirect was not followed");
    for (headers, body) in &got {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        let timestamp: i64 = header("webhook-timestamp").parse().unwrap();
        assert_eq!(header("webhook-signature"), sign(&secret, &header("webhook-id"), timestamp, body));
        let message: Value = serde_json::from_str(body).unwrap();
        assert_eq!((&message["id"], &message["type"]), (&json!(header("webhook-id")), &json!("peer")));
        assert_eq!(headers["webhook-id"], got[0].0["webhook-id"]);
    }
}

#[tokio::test]
async fn gone_ends_the_binding() {
    let (receiver, address) = Receiver::start(&[410]).await;
    let (node, client) = node(json!({"address": address})).await;
    let call = node.talk().await;
    node.until(&call, |all| all.iter().any(|d| d["form"] == "webhook" && d["state"] == "failed")).await;
    for _ in 0..50 {
        let left = node.get("/v1/clients", &credential(ALICE)).await;
        if left["clients"] == json!([]) {
            assert_eq!(receiver.count(), 1);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{client} is still bound");
}

#[tokio::test]
async fn nothing_is_tried_after_the_call() {
    let (receiver, address) = Receiver::start(&[500; 100]).await;
    let (node, _) = node(json!({"address": address})).await;
    let call = node.talk().await;
    node.until(&call, |all| all.iter().any(|d| d["error"] == "HTTP 500")).await;
    node.events(&call, 3, &[ended("leg-1"), ended("leg-2")]).await;
    node.until(&call, |all| all.iter().filter(|d| d["message"] == "peer").all(|d| d["state"] == "dropped")).await;
    let before = receiver.got.lock().unwrap().iter().filter(|(_, body)| body.contains("\"peer\"")).count();
    tokio::time::sleep(Duration::from_millis(800)).await;
    let after = receiver.got.lock().unwrap().iter().filter(|(_, body)| body.contains("\"peer\"")).count();
    assert_eq!(before, after);
}

#[tokio::test]
async fn secrets_and_addresses_are_checked() {
    let (node, _) =
        node(json!({"address": "https://hook.example/x", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})).await;
    let own = node.decide("leg-1", ALICE, "+442071838750").await["address"].as_str().unwrap().to_owned();
    for (client, field) in [
        (json!({"address": own}), "address"),
        (json!({"address": own.replace("http:", "HTTP:") + "?x=1"}), "address"),
        (json!({"address": "https://hook.example/", "secret": "weak"}), "secret"),
        (json!({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}), "secret"),
        (json!({"address": "http://hook.example/"}), "address"),
        (json!({"address": "javascript:alert(1)"}), "address"),
        (json!({"expires": 59}), "expires"),
        (json!({"capabilities": ["Video"]}), "capabilities[0]"),
        (json!({"capabilities": vec!["x"; 17]}), "capabilities"),
    ] {
        let (status, body) = node.send(Method::POST, "/v1/clients", &credential(ALICE), client.clone()).await;
        assert_eq!((status.as_u16(), body["field"].as_str()), (422, Some(field)), "{client}: {body}");
    }
}
