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
    let (one, switch, nobody) = (format!("/v1/clients/{id}"), format!("{number}/sidecall"), "/v1/clients/0199-nobody");
    let (codes, device) = (format!("{number}/enrolments"), "/v1/devices/0199-none");
    // Path, then what admin, agent, client, another number's client and a stranger get. What deletes comes
    // last. 415, whoever asks: the body is refused before the role is looked at. The tests of codes, claims, devices and
    // clients show who may send one.
    let table = [
        (Method::GET, number.as_str(), [200, 403, 403, 403, 401]),
        (Method::GET, "/v1/numbers", [200, 403, 403, 403, 401]),
        (Method::PUT, &number, [415, 403, 403, 403, 401]),
        (Method::POST, "/v1/numbers:import", [415, 403, 403, 403, 401]),
        (Method::GET, &switch, [200, 403, 200, 403, 401]),
        (Method::PUT, &switch, [415, 415, 415, 415, 401]),
        (Method::GET, "/v1/clients", [200, 403, 200, 200, 401]),
        (Method::POST, &codes, [415, 415, 415, 415, 401]),
        (Method::POST, "/v1/devices", [415; 5]),
        (Method::POST, "/v1/dialled-enrolments", [415; 5]),
        (Method::GET, "/v1/dialled-enrolments/x", [404; 5]),
        (Method::POST, "/v1/dialled-enrolments/confirm", [403, 415, 403, 403, 401]),
        (Method::GET, "/v1/devices", [200, 403, 200, 200, 401]),
        (Method::GET, device, [404, 404, 404, 404, 401]),
        (Method::PATCH, device, [415, 415, 415, 415, 401]),
        (Method::DELETE, device, [404, 404, 404, 404, 401]),
        (Method::POST, "/v1/clients", [415, 415, 415, 415, 401]),
        (Method::PATCH, &one, [415, 415, 415, 415, 401]),
        (Method::GET, &stream, [403, 403, 426, 404, 401]),
        (Method::GET, "/v1/ice", [403, 403, 200, 200, 401]),
        (Method::GET, "/v1/calls", [200, 200, 403, 403, 401]),
        (Method::GET, "/v1/calls/x", [404, 404, 403, 403, 401]),
        (Method::POST, "/v1/calls", [403, 415, 403, 403, 401]),
        (Method::POST, "/v1/calls/x/events", [403, 415, 403, 403, 401]),
        (Method::POST, "/v1/calls/x/claims", [415, 415, 415, 415, 401]),
        (Method::POST, "/v1/calls/x/guests", [415, 415, 415, 415, 401]),
        (Method::GET, "/v1/calls/x/guests", [403, 403, 404, 404, 401]),
        (Method::POST, "/v1/guests", [415; 5]),
        (Method::DELETE, "/v1/guests", [401; 5]),
        (Method::GET, "/v1/guests/stream", [401; 5]),
        (Method::DELETE, "/v1/guests/x", [403, 403, 404, 404, 401]),
        (Method::POST, "/v1/peer/offers", [403, 403, 403, 403, 401]),
        (Method::DELETE, "/v1/peer/offers/x", [403, 403, 403, 403, 401]),
        (Method::POST, "/v1/peer/offers/x/part", [403, 403, 403, 403, 401]),
        (Method::PUT, "/v1/pbxs/a", [403, 415, 403, 403, 401]),
        (Method::GET, "/v1/status", [200; 5]),
        (Method::GET, "/metrics", [200; 5]),
        (Method::GET, "/healthz", [200; 5]),
        (Method::GET, "/readyz", [200; 5]),
        (Method::GET, "/", [200; 5]),
        (Method::GET, "/openapi.json", [200; 5]),
        (Method::GET, "/client", [200; 5]),
        (Method::GET, "/client/", [200; 5]),
        (Method::GET, "/client/client.js", [200; 5]),
        (Method::GET, "/j", [200; 5]),
        // Who has an address needs no token, and who has none gets the same answer with any.
        (Method::GET, "/a/x", [404; 5]),
        (Method::POST, "/a/x", [404; 5]),
        (Method::GET, "/a/x/ice", [404; 5]),
        (Method::DELETE, nobody, [404, 404, 404, 404, 401]),
        (Method::DELETE, "/v1/numbers/+1", [404, 403, 403, 403, 401]),
    ];
    node.number(BOB, json!({})).await;
    let other = credential(BOB);
    for (method, path, expected) in &table {
        for (token, expected) in [ADMIN, AGENT, &client, &other, "a-stranger's-token"].iter().zip(expected) {
            let (status, body) = answer(node.request(method.clone(), path, token)).await;
            assert_eq!(status.as_u16(), *expected, "{method} {path} with {token}: {body}");
        }
    }
    // Nothing that is answered was left out.
    let like = |pattern: &str, path: &str| {
        let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
        pattern.len() == path.len() && pattern.iter().zip(&path).all(|(p, s)| p.starts_with('{') || p == s)
    };
    for (method, pattern) in sidecall::node::ROUTES {
        let tried = table.iter().any(|(m, path, _)| m.as_str().eq_ignore_ascii_case(method) && like(pattern, path));
        assert!(tried, "{method} {pattern}");
    }
}

#[tokio::test]
async fn what_is_another_numbers_can_be_neither_read_nor_changed() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"name": "Alice"})).await;
    node.number(BOB, json!({})).await;
    let alices = node.client(ALICE, json!({})).await;
    let (client, switch) = (format!("/v1/clients/{alices}"), format!("/v1/numbers/{ALICE}/sidecall"));
    for token in [AGENT.to_owned(), credential(BOB)] {
        let changed = node.send(Method::PATCH, &client, &token, json!({"offer": "never"})).await.0;
        assert_eq!(changed, 404, "not even whether it is there");
        assert_eq!(node.send(Method::PUT, &switch, &token, json!({"enabled": false})).await.0, 403);
        assert_eq!(answer(node.request(Method::DELETE, &client, &token)).await.0, 404);
        let listed = answer(node.request(Method::GET, &format!("/v1/clients?number={}", &ALICE[1..]), &token)).await;
        assert!(listed.0.is_client_error(), "{listed:?}");
    }
    let (_, listed) = answer(node.request(Method::GET, "/v1/clients?number=%2B12125550100", &credential(BOB))).await;
    assert_eq!((&listed["status"], &listed["field"]), (&json!(403), &json!("number")));
    let mine = node.get("/v1/clients", &credential(ALICE)).await;
    assert_eq!(mine["clients"][0]["offer"], "everyone");
    assert_eq!(node.get(&switch, &credential(ALICE)).await["enabled"], true);
}

#[tokio::test]
async fn a_token_that_the_configuration_no_longer_has_is_void() {
    use sidecall::node::{BootstrapTokens, Node, NodeConfig};
    use sidecall::store::{Location, Store, credential_hash};
    let folder = tempfile::tempdir().unwrap();
    let config = NodeConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        database: Location::File(folder.path().join("x.db")),
        ..NodeConfig::default()
    };
    let store = Store::open(&config.database).await.unwrap();
    let both = BootstrapTokens { admin: Some(ADMIN.into()), agent: Some(AGENT.into()) };
    drop(Node::bind(&config, &both, store.clone()).await.unwrap());
    let known = async |token| store.token(&credential_hash(token)).await.unwrap();
    assert!(known(ADMIN).await.is_some());
    let one = BootstrapTokens { admin: None, agent: Some(AGENT.into()) };
    drop(Node::bind(&config, &one, store.clone()).await.unwrap());
    assert_eq!(known(ADMIN).await, None);
    assert!(known(AGENT).await.is_some());
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
