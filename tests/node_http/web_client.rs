//! The browser client as the node serves it.

use reqwest::{Client, StatusCode, redirect};
use serde_json::json;

use crate::support::{ADMIN, ALICE, TestNode, answer};

#[tokio::test]
async fn the_page_and_its_files_come_with_a_strict_policy() {
    let node = TestNode::start().await;
    let http = Client::new();
    for (path, media_type) in [("", "text/html"), ("client.js", "text/javascript"), ("client.css", "text/css")] {
        let response = http.get(node.url(&format!("/client/{path}"))).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-type").starts_with(media_type), "{path}");
        assert_eq!(
            (header("x-content-type-options"), header("referrer-policy")),
            ("nosniff".into(), "no-referrer".into())
        );
        let policy = header("content-security-policy");
        for rule in ["default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'"] {
            assert!(policy.contains(rule), "{rule} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!response.text().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn guests_join_on_a_page_with_the_same_policy() {
    let node = TestNode::start().await;
    let response = Client::new().get(node.url("/j")).send().await.unwrap();
    let policy = response.headers()["content-security-policy"].clone();
    let client = Client::new().get(node.url("/client/")).send().await.unwrap();
    assert_eq!((response.status().as_u16(), &policy), (200, &client.headers()["content-security-policy"]));
    // It is one level above the client, and so are the addresses of its files.
    let page = response.text().await.unwrap();
    for file in page.split("client/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert_eq!(
            Client::new().get(node.url(&format!("/client/{file}"))).send().await.unwrap().status(),
            200,
            "{file}"
        );
    }
    assert!(page.contains("client/client.js"), "{page}");
}

#[tokio::test]
async fn a_browser_keeps_a_file_until_it_changes() {
    let node = TestNode::start().await;
    let http = Client::new();
    let url = node.url("/client/client.js");
    let first = http.get(&url).send().await.unwrap();
    assert_eq!(first.headers()["cache-control"], "no-cache");
    let etag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = http.get(&url).header("if-none-match", format!("\"x\", {etag}")).send().await.unwrap();
    assert_eq!((again.status(), &again.headers()["etag"].to_str().unwrap()), (StatusCode::NOT_MODIFIED, &&*etag));
    assert_eq!(again.bytes().await.unwrap().len(), 0);
    assert_eq!(http.get(&url).header("if-none-match", "\"x\"").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_first_load_is_small_where_the_browser_takes_gzip() {
    let node = TestNode::start().await;
    let http = Client::new();
    let mut size = 0;
    for path in ["/client/", "/client/client.js", "/client/client.css", "/client/worker.js", "/j"] {
        let plain = http.get(node.url(path)).send().await.unwrap();
        assert!(!plain.headers().contains_key("content-encoding"), "{path}");
        let packed = http.get(node.url(path)).header("accept-encoding", "gzip, br").send().await.unwrap();
        let header = |name: &str| packed.headers()[name].to_str().unwrap();
        assert_eq!((header("content-encoding"), header("vary")), ("gzip", "accept-encoding"), "{path}");
        assert_eq!(packed.headers()["etag"], plain.headers()["etag"], "{path}");
        let (packed, plain) = (packed.bytes().await.unwrap(), plain.bytes().await.unwrap());
        assert!(packed.starts_with(&[0x1f, 0x8b]) && packed.len() < plain.len(), "{path}");
        size += packed.len();
    }
    assert!(size < 150_000, "{size} bytes");
    let api = http.get(node.url("/openapi.json")).header("accept-encoding", "gzip").send().await.unwrap();
    assert!(!api.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn the_page_is_found_without_its_slash_and_nothing_else_is() {
    let node = TestNode::start().await;
    let http = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
    let found = http.get(node.url("/client")).send().await.unwrap();
    assert_eq!((found.status().as_u16(), found.headers()["location"].to_str().unwrap()), (308, "client/"));
    for path in ["/client/x", "/client/..%2fCargo.toml", "/client/index.html/", "/client/%00"] {
        let (status, problem) = answer(http.get(node.url(path))).await;
        assert_eq!((status.as_u16(), &problem["status"]), (404, &json!(404)), "{path}");
    }
}

#[tokio::test]
async fn a_link_opens_the_page_with_the_code() {
    let node = TestNode::start_with(|config, _| config.public_url = Some("https://node.example/sidecall".into())).await;
    node.number(ALICE, json!({})).await;
    let (_, made) =
        node.send(reqwest::Method::POST, &format!("/v1/numbers/{ALICE}/enrolments"), ADMIN, json!({})).await;
    let code = made["code"].as_str().unwrap();
    assert_eq!(made["link"], format!("https://node.example/sidecall/client/#enrol={code}"));
}
