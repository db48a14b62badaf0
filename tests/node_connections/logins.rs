//! Attempts: wrong tokens, and clients that come and go.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{ADMIN, AGENT, ALICE, BOB, TestNode, answer, credential};

/// The answer to a request with this token, as one that a proxy has passed on for `client`.
async fn asks(node: &TestNode, token: &str, client: &str) -> (StatusCode, Option<u64>) {
    let request = node.request(Method::GET, "/v1/clients", token).header("x-forwarded-for", client);
    let response = request.send().await.unwrap();
    let wait = response.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    (response.status(), wait)
}

#[tokio::test]
async fn failed_logins_are_throttled_and_valid_tokens_are_not() {
    let node = TestNode::start_with(|config, _| config.connections.failed_logins = 5).await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    for n in 0..40 {
        let (status, wait) = asks(&node, &format!("a-wrong-token-{n:04}"), "192.0.2.1").await;
        match n {
            0..5 => assert_eq!((status.as_u16(), wait), (401, None), "{n}"),
            // One comes back every twelve seconds.
            _ => assert!(status == 429 && wait == Some(12) || status == 401 && n > 5, "{n}: {status} {wait:?}"),
        }
    }
    let (status, _) = asks(&node, "a-wrong-token-9999", "192.0.2.1").await;
    assert_eq!(status, 429);
    // Who is behind the same address with a good token goes on.
    assert_eq!(asks(&node, &credential(ALICE), "192.0.2.1").await.0, 200);
    assert_eq!(asks(&node, ADMIN, "192.0.2.1").await.0, 200);
    assert_eq!(asks(&node, AGENT, "192.0.2.1").await.0, 403);
    // Another address has its own attempts; one more hop in front, which a client may invent, changes nothing.
    assert_eq!(asks(&node, "a-wrong-token-9999", "192.0.2.2").await.0, 401);
    assert_eq!(asks(&node, "a-wrong-token-9999", "198.51.100.7, 192.0.2.1").await.0, 429);
}

#[tokio::test]
async fn a_client_that_switches_its_number_off_and_on_is_slowed_down() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    let switch = async |token: &str, n: u32| {
        let path = format!("/v1/numbers/{ALICE}/sidecall");
        node.send(Method::PUT, &path, token, json!({"enabled": n.is_multiple_of(2)})).await.0.as_u16()
    };
    let mut refused = None;
    for n in 0..400 {
        match switch(&credential(ALICE), n).await {
            200 => {}
            status => {
                refused = Some((n, status));
                break;
            }
        }
    }
    let (n, status) = refused.expect("it is refused in the end");
    assert!(n >= 100 && status == 429, "{status} after {n} times");
    assert_eq!(switch(ADMIN, 0).await, 200);
}

#[tokio::test]
async fn a_client_that_comes_and_goes_is_slowed_down() {
    let node = TestNode::start().await;
    for number in [ALICE, BOB] {
        node.number(number, json!({"pbx": "a"})).await;
    }
    let mut refused = None;
    for n in 0..400 {
        let bound = node.request(Method::POST, "/v1/clients", &credential(ALICE)).json(&json!({}));
        let bound = bound.send().await.unwrap();
        if bound.status() == 429 {
            refused = Some((n, bound.headers()["retry-after"].clone()));
            break;
        }
        let id = bound.json::<serde_json::Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
        let unbind = node.request(Method::DELETE, &format!("/v1/clients/{id}"), &credential(ALICE));
        let (status, _) = answer(unbind).await;
        assert!([204, 429].contains(&status.as_u16()), "{status}");
    }
    let (n, wait) = refused.expect("it is refused in the end");
    assert!(n >= 60 && wait == "2", "after {n} times");
    node.client(BOB, json!({})).await;
    // Administrators may.
    let (status, _) = node.send(Method::POST, "/v1/clients", ADMIN, json!({"number": ALICE})).await;
    assert_eq!(status, 201);
}
