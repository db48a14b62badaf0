//! Pages of other origins: the client API is for the listed ones, a stream for these and the node's own.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::json;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{ADMIN, ALICE, TestNode, credential};

const CRM: &str = "https://crm.example";
const STRANGER: &str = "https://crm.example.evil.example";

async fn start() -> TestNode {
    let node = TestNode::start_with(|config, _| config.origins = vec![CRM.parse().unwrap()]).await;
    node.number(ALICE, json!({})).await;
    node
}

async fn from(origin: &str, request: RequestBuilder) -> Response {
    request.header("origin", origin).send().await.unwrap()
}

fn preflight(node: &TestNode, path: &str, method: &str) -> RequestBuilder {
    let request = node.http.request(Method::OPTIONS, node.url(path)).header("access-control-request-method", method);
    request.header("access-control-request-headers", "authorization,content-type")
}

fn allowed<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(format!("access-control-{name}")).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn pages_of_listed_origins_may_use_the_client_api() {
    let node = start().await;
    let id = node.client(ALICE, json!({})).await;
    let one = format!("/v1/clients/{id}");
    let [device, _] = node.device(ALICE, "tablet").await;
    let device = format!("/v1/devices/{device}");
    let switch = format!("/v1/numbers/{ALICE}/sidecall");
    for (method, path) in [
        ("POST", "/v1/clients"),
        ("GET", "/v1/clients"),
        ("PATCH", &one),
        ("DELETE", &one),
        ("GET", &format!("{one}/stream")),
        ("POST", "/v1/devices"),
        ("GET", "/v1/devices"),
        ("GET", &device),
        ("PATCH", &device),
        ("DELETE", &device),
        ("POST", &format!("/v1/numbers/{ALICE}/enrolments")),
        ("POST", "/v1/calls/0199-1/claims"),
        ("GET", &switch),
        ("PUT", &switch),
        ("GET", "/v1/ice"),
    ] {
        let response = from(CRM, preflight(&node, path, method)).await;
        assert!(response.status().is_success(), "{method} {path}");
        assert_eq!(allowed(&response, "allow-origin"), Some(CRM), "{method} {path}");
        assert!(allowed(&response, "allow-methods").unwrap().split(',').any(|one| one == method), "{method} {path}");
        assert!(allowed(&response, "allow-headers").unwrap().contains("authorization"), "{method} {path}");
        let response = from(STRANGER, preflight(&node, path, method)).await;
        assert_eq!(allowed(&response, "allow-origin"), None, "{method} {path}");
    }
    let list = || node.request(Method::GET, "/v1/clients", &credential(ALICE));
    let listed = from(CRM, list()).await;
    assert_eq!((listed.status().as_u16(), allowed(&listed, "allow-origin")), (200, Some(CRM)));
    assert!(listed.headers()["vary"].to_str().unwrap().to_ascii_lowercase().contains("origin"));
    assert_eq!(allowed(&from(STRANGER, list()).await, "allow-origin"), None);
    assert_eq!(allowed(&list().send().await.unwrap(), "allow-origin"), None);
}

/// Otherwise it would only see that the request failed.
#[tokio::test]
async fn a_listed_page_can_read_why_it_is_refused() {
    let node = start().await;
    for (request, status) in [
        (node.http.get(node.url("/v1/ice")), 401),
        (node.request(Method::PUT, "/v1/clients", &credential(ALICE)), 405),
        (node.request(Method::POST, "/v1/clients", &credential(ALICE)).json(&json!({"expires": 1})), 422),
    ] {
        let response = from(CRM, request).await;
        assert_eq!((response.status().as_u16(), allowed(&response, "allow-origin")), (status, Some(CRM)));
        assert_eq!(allowed(&response, "expose-headers"), Some("retry-after"));
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn the_rest_of_the_api_is_for_no_page_of_another_origin() {
    let node = start().await;
    for path in ["/v1/numbers", "/v1/calls", "/v1/status", "/metrics", "/", "/nothing-here"] {
        let response = from(CRM, preflight(&node, path, "GET")).await;
        assert_eq!(allowed(&response, "allow-origin"), None, "{path}");
        let response = from(CRM, node.request(Method::GET, path, ADMIN)).await;
        assert_eq!(allowed(&response, "allow-origin"), None, "{path}");
    }
}

#[tokio::test]
async fn a_websocket_is_for_pages_of_the_node_and_of_listed_origins() {
    let node = start().await;
    let id = node.client(ALICE, json!({})).await;
    let own = node.url("");
    let other_port = format!("http://127.0.0.1:{}", node.address.port() ^ 1);
    for (origin, is_opened) in [
        (None, true),
        (Some(own.as_str()), true),
        (Some(CRM), true),
        (Some(STRANGER), false),
        (Some(other_port.as_str()), false),
        (Some("null"), false),
    ] {
        let mut request = format!("ws://{}/v1/clients/{id}/stream", node.address).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("authorization", format!("Bearer {}", credential(ALICE)).parse().unwrap());
        origin.into_iter().for_each(|origin| drop(headers.insert("origin", origin.parse().unwrap())));
        match tokio_tungstenite::connect_async(request).await {
            Ok(_) => assert!(is_opened, "{origin:?}"),
            Err(Error::Http(refused)) => {
                assert_eq!((is_opened, refused.status().as_u16()), (false, 403), "{origin:?}");
                let problem: serde_json::Value = serde_json::from_slice(refused.body().as_ref().unwrap()).unwrap();
                assert_eq!(problem["field"], "Origin");
            }
            Err(error) => panic!("{origin:?}: {error}"),
        }
    }
}
