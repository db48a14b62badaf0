//! Who may do what, and how refusals look.

use reqwest::Method;
use serde_json::json;

use crate::support::{ADMIN, AGENT, ALICE, BOB, TestNode, answer, credential};

#[tokio::test]
async fn each_role_does_its_own_and_no_more() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({})).await;
    let client = credential(ALICE);
    let id = node.client(ALICE, json!({})).await;
    let (number, stream) = (format!("/v1/numbers/{ALICE}"), format!("/v1/clients/{id}/stream"));
    // Path, then what admin, agent, client and a stranger get.
    let table = [
        (Method::GET, number.as_str(), [200, 403, 403, 401]),
        (Method::GET, "/v1/numbers", [200, 403, 403, 401]),
        (Method::PUT, &number, [415, 403, 403, 401]),
        (Method::POST, "/v1/numbers:import", [415, 403, 403, 401]),
        (Method::GET, "/v1/clients", [200, 403, 200, 401]),
        (Method::POST, "/v1/clients", [415, 415, 415, 401]),
        (Method::GET, &stream, [403, 403, 426, 401]),
        (Method::GET, "/v1/calls", [200, 200, 403, 401]),
        (Method::POST, "/v1/calls", [403, 415, 403, 401]),
        (Method::POST, "/v1/calls/x/events", [403, 415, 403, 401]),
        (Method::PUT, "/v1/pbxs/a", [403, 415, 403, 401]),
        (Method::GET, "/v1/status", [200; 4]),
        (Method::GET, "/healthz", [200; 4]),
    ];
    for (method, path, expected) in table {
        for (token, expected) in [ADMIN, AGENT, &client, "a-stranger's-token"].iter().zip(expected) {
            let (status, body) = answer(node.request(method.clone(), path, token)).await;
            assert_eq!(status.as_u16(), expected, "{method} {path} with {token}: {body}");
        }
    }
}

#[tokio::test]
async fn monitoring_can_be_for_administrators_alone() {
    let node = TestNode::start_with(|config, _| config.monitoring = Some(sidecall::node::Monitoring::Admin)).await;
    for path in ["/metrics", "/v1/status"] {
        assert_eq!(node.request(Method::GET, path, AGENT).send().await.unwrap().status(), 403, "{path}");
        assert_eq!(node.request(Method::GET, path, ADMIN).send().await.unwrap().status(), 200, "{path}");
    }
    for path in ["/", "/healthz", "/readyz"] {
        assert_eq!(node.http.get(node.url(path)).send().await.unwrap().status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_client_token_is_bound_to_its_number() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({})).await;
    node.number(BOB, json!({})).await;
    let alices = node.client(ALICE, json!({})).await;
    let (status, body) = node.send(Method::POST, "/v1/clients", &credential(BOB), json!({"number": ALICE})).await;
    assert_eq!((status.as_u16(), &body["field"]), (403, &json!("number")));
    let path = format!("/v1/clients/{alices}");
    assert_eq!(answer(node.request(Method::DELETE, &path, &credential(BOB))).await.0, 404);
    assert_eq!(answer(node.request(Method::GET, &format!("{path}/stream"), &credential(BOB))).await.0, 404);
    assert_eq!(node.get("/v1/clients", &credential(BOB)).await["clients"], json!([]));
    assert_eq!(node.get("/v1/clients", ADMIN).await["clients"].as_array().unwrap().len(), 1);
    assert_eq!(answer(node.request(Method::DELETE, &path, &credential(ALICE))).await.0, 204);
}

#[tokio::test]
async fn a_token_in_the_address_is_not_taken() {
    let node = TestNode::start().await;
    let (status, body) = answer(node.http.get(node.url(&format!("/v1/numbers?token={ADMIN}")))).await;
    assert_eq!((status.as_u16(), &body["field"]), (401, &json!("Authorization")));
    let response = node.http.get(node.url("/v1/numbers")).send().await.unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn every_error_is_a_problem_that_names_the_field() {
    let node = TestNode::start().await;
    let plain = |method, path: &str| node.request(method, path, ADMIN);
    let put = |body: &'static str| {
        let request = node.request(Method::PUT, "/v1/numbers/%2B1212", ADMIN);
        request.header("content-type", "application/json").body(body)
    };
    let cases = [
        (plain(Method::GET, "/nowhere"), 404, None),
        (plain(Method::PATCH, "/v1/calls"), 405, None),
        (plain(Method::GET, "/v1/numbers/1001"), 422, Some("number")),
        (plain(Method::GET, "/v1/numbers/%FF"), 400, Some("number")),
        (plain(Method::GET, "/v1/numbers?limit=x"), 422, Some("limit")),
        (plain(Method::GET, "/v1/numbers?limit=0"), 422, Some("limit")),
        (plain(Method::GET, "/v1/numbers?limti=1"), 422, Some("limti")),
        (plain(Method::GET, "/v1/calls?pbx=a%0Ab"), 422, Some("pbx")),
        (put("{"), 400, None),
        (put("[]"), 422, None),
        (put(r#"{"nmae": "x"}"#), 422, Some("nmae")),
        (put(r#"{"pbx": "a b"}"#), 422, Some("pbx")),
        (put(r#"{"kind": "main", "extensions": ["+1", "x"]}"#), 422, Some("extensions[1]")),
        (put(r#"{"credential": "short"}"#), 422, Some("credential")),
        (put(r#"{"name": "a\nb"}"#), 422, Some("name")),
        (put(Box::leak(format!("{{\"name\": \"{}\"}}", "x".repeat(300_000)).into_boxed_str())), 413, None),
    ];
    for (request, expected, field) in cases {
        let what = format!("{request:?}");
        let (status, body) = answer(request).await;
        assert_eq!(status.as_u16(), expected, "{what}: {body}");
        assert_eq!(body["field"].as_str(), field, "{what}: {body}");
        assert_eq!((&body["type"], &body["status"]), (&json!("about:blank"), &json!(expected)));
        assert!(!body["detail"].as_str().unwrap().is_empty());
    }
}
