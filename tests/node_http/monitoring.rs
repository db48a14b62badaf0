//! What operators see.

use reqwest::Method;
use serde_json::json;

use crate::support::{ADMIN, AGENT, ALICE, BOB, TestNode, answer};

#[tokio::test]
async fn status_shows_links_calls_and_counts() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    let report = json!({"kind": "asterisk", "agent": "x", "link": "up", "since": 1, "version": "22.10"});
    let (status, reply) = node.send(Method::PUT, "/v1/pbxs/a", AGENT, report).await;
    assert_eq!((status.as_u16(), &reply), (200, &json!({"messages": []})));
    node.client(ALICE, json!({})).await;
    let decision = node.decide("leg-1", ALICE, BOB).await;
    assert!(decision["address"].is_string());
    let mut seen = node.get("/v1/status", ADMIN).await;
    for _ in 0..50 {
        if seen["calls"].as_array().unwrap().len() == 1 {
            break;
        }
        seen = node.get("/v1/status", ADMIN).await;
    }
    assert_eq!((&seen["pbxs"][0]["pbx"], &seen["pbxs"][0]["link"]), (&json!("a"), &json!("up")));
    assert_eq!((&seen["live"], &seen["totals"]["packet"], &seen["store_ok"]), (&json!(1), &json!(1), &json!(true)));
    assert_eq!(seen["calls"][0]["reason"], "called-not-served");
    assert_eq!(seen["calls"][0]["address"], json!(null), "it would let the reader write to the client");
}

#[tokio::test]
async fn metrics_name_what_happened() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.decide("leg-1", ALICE, BOB).await;
    node.http.get(node.url("/nowhere/really")).send().await.unwrap();
    let text = node.http.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "sidecall_decisions_total{route=\"pstn\",reason=\"caller-has-no-client\"}",
        "sidecall_decision_seconds_bucket",
        "sidecall_http_requests_total{method=\"PUT\",route=\"/v1/numbers/{number}\",status=\"200\"}",
        "sidecall_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"}",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    assert!(!text.contains("really"));
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let node = TestNode::start().await;
    let page = node.http.get(node.url("/")).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let text = page.text().await.unwrap();
    assert!(!text.contains("https://") && !text.contains("http://"), "no asset comes from elsewhere");
    assert!(!text.contains("innerHTML"), "what callers say is never taken for markup");
}

#[tokio::test]
async fn the_api_is_described() {
    let node = TestNode::start().await;
    let (status, document) = answer(node.request(Method::GET, "/openapi.json", ADMIN)).await;
    assert_eq!((status.as_u16(), &document["openapi"]), (200, &json!("3.1.0")));
    assert!(document["paths"]["/v1/numbers:import"]["post"].is_object());
    for method_and_path in sidecall::node::ROUTES {
        assert!(document["paths"][method_and_path.1][method_and_path.0].is_object(), "{method_and_path:?}");
    }
}

#[tokio::test]
async fn tls_is_served_with_the_files_of_the_configuration() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let node = TestNode::start_with(|config, folder| {
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        config.tls = Some(sidecall::node::TlsFiles { cert, key, client_ca: None });
        config.public_url = Some("https://localhost:8600".to_owned());
    })
    .await;
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap();
    let url = format!("https://localhost:{}/healthz", node.address.port());
    assert_eq!(http.get(url).send().await.unwrap().status(), 200);
}
