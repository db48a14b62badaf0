//! Call-scoped addresses.

use reqwest::Method;
use serde_json::json;

use crate::support::{ALICE, BOB, Stream, TestNode, answer, bridged, dialled, ended, unbridged};

/// A call with both clients up: Bob's stream, and his address as Alice has it.
async fn talk() -> (TestNode, Stream, String) {
    talk_on(TestNode::start().await).await
}

/// The same on this node.
pub(crate) async fn talk_on(node: TestNode) -> (TestNode, Stream, String) {
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    let (alice, bob) = (node.client(ALICE, json!({})).await, node.client(BOB, json!({})).await);
    let (mut alice, mut bob) = (node.websocket(&alice, ALICE).await, node.websocket(&bob, BOB).await);
    node.talk().await;
    let address = alice.next().await["peer"]["address"].as_str().unwrap().to_owned();
    bob.next().await;
    (node, bob, address)
}

#[tokio::test]
async fn what_was_never_made_is_answered_like_what_is_over() {
    let (node, _bob, address) = talk().await;
    let good = address.rsplit('/').next().unwrap();
    let flipped: String =
        good.chars().enumerate().map(|(n, c)| if n == 30 { if c == 'A' { 'B' } else { 'A' } } else { c }).collect();
    let mut answers = Vec::new();
    for token in ["x", &"A".repeat(44), &flipped, "%00", "..%2F..", &"x".repeat(5000)] {
        for method in [Method::POST, Method::GET] {
            let request = node.http.request(method, node.url(&format!("/a/{token}")));
            answers.push(answer(request.json(&json!({}))).await);
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, 404);
}

#[tokio::test]
async fn messages_are_json_objects_of_limited_size() {
    let (node, mut bob, address) = talk().await;
    for (body, expected) in [("[1]", 422), ("\"x\"", 422), ("{", 400), ("", 400)] {
        let request = node.http.post(&address).header("content-type", "application/json").body(body);
        assert_eq!(answer(request).await.0.as_u16(), expected, "{body}");
    }
    let plain = node.http.post(&address).body("hello");
    assert_eq!(answer(plain).await.0, 415);
    let large = json!({"text": "x".repeat(70_000)});
    assert_eq!(answer(node.http.post(&address).json(&large)).await.0, 413);
    let hostile = json!({"text": "</script>\r\n\u{0}${system(id)}\u{202e}🎈", "type": "peer", "peer": {"address": "javascript:alert(1)"}});
    assert_eq!(answer(node.http.post(&address).json(&hostile)).await.0, 202);
    assert_eq!(bob.next().await["content"], hostile);
}

#[tokio::test]
async fn nobody_poses_as_a_peer_that_the_node_itself_has_told_of() {
    let (node, mut bob, address) = talk().await;
    let peer = json!({"number": "+442071838750", "address": "https://other.example/a/y", "capabilities": ["video"]});
    let content = json!({"type": "peer", "role": "first", "peer": peer});
    assert_eq!(answer(node.http.post(&address).json(&content)).await.0, 202);
    let message = bob.next().await;
    assert_eq!((&message["type"], &message["content"]), (&json!("message"), &content));
}

#[tokio::test]
async fn b7_a_peer_message_comes_as_one_and_the_role_is_the_receivers() {
    let node = TestNode::start().await;
    node.number(BOB, json!({"pbx": "b"})).await;
    let bob = node.client(BOB, json!({})).await;
    let mut bob = node.websocket(&bob, BOB).await;
    let call = node.arrive("b-1", Some(ALICE), BOB, Some("https://other.example/a/x")).await;
    node.events(&call, 1, &[dialled("b-2"), bridged("b-1", "b-2")]).await;
    let told = bob.next().await;
    let address = told["own"]["address"].as_str().unwrap().to_owned();
    // Somebody has taken over at the far side.
    let peer = json!({"number": "+442071838750", "address": "https://other.example/a/y", "capabilities": ["video"]});
    let content = json!({"type": "peer", "role": "first", "peer": peer});
    assert_eq!(answer(node.http.post(&address).json(&content)).await.0, 202);
    let message = bob.next().await;
    assert_eq!((&message["type"], &message["role"], &message["peer"]), (&json!("peer"), &json!("second"), &peer));
    assert!(message["reply"].is_string() && message["reply"] == told["reply"], "{message}");
}

/// Pages of other origins can read for how long.
#[tokio::test]
async fn too_many_messages_are_turned_away_for_a_while() {
    let (node, _bob, address) = talk().await;
    let mut limited = None;
    for _ in 0..200 {
        let post = node.http.post(&address).header("origin", "https://other.example");
        let response = post.json(&json!({"n": 1})).send().await.unwrap();
        if response.status() == 429 {
            assert_eq!(response.headers()["access-control-allow-origin"], "*");
            assert_eq!(response.headers()["access-control-expose-headers"], "retry-after");
            limited = Some(response.headers()["retry-after"].clone());
            break;
        }
    }
    assert_eq!(limited.unwrap(), "1");
}

#[tokio::test]
async fn too_many_bytes_are_turned_away_too() {
    let (node, _bob, address) = talk().await;
    let large = json!({"text": "x".repeat(60_000)});
    let mut taken = 0;
    while taken < 45 && answer(node.http.post(&address).json(&large)).await.0 == 202 {
        taken += 1;
    }
    // Seventeen at once, and two each second.
    assert!((17..45).contains(&taken), "{taken}");
}

#[tokio::test]
async fn pages_of_other_origins_may_post_here_and_nowhere_else() {
    let (node, _bob, address) = talk().await;
    let preflight = |url: &str| {
        let request = node.http.request(Method::OPTIONS, url).header("origin", "https://other.example");
        request.header("access-control-request-method", "POST").header("access-control-request-headers", "content-type")
    };
    let allowed = preflight(&address).send().await.unwrap();
    assert_eq!(allowed.headers()["access-control-allow-origin"], "*");
    assert_eq!(allowed.headers()["access-control-allow-headers"], "authorization,content-type");
    let posted = node.http.post(&address).json(&json!({})).send().await.unwrap();
    assert_eq!(posted.headers()["access-control-allow-origin"], "*");
    let elsewhere = preflight(&node.url("/v1/calls")).send().await.unwrap();
    assert!(!elsewhere.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_person_gets_a_page() {
    let (node, _bob, address) = talk().await;
    let page = node.http.get(&address).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    let text = page.text().await.unwrap();
    assert!(text.contains("<textarea") && !text.contains(BOB) && !text.contains("://"), "{text}");
}

#[tokio::test]
async fn who_has_left_a_call_is_reached_for_a_minute_more() {
    let (mut node, mut bob, address) = talk().await;
    let call = node.get("/v1/calls", crate::support::ADMIN).await["calls"][0]["call"].as_str().unwrap().to_owned();
    node.events(&call, 3, &[unbridged("leg-1", "leg-2")]).await;
    assert_eq!(answer(node.http.post(&address).json(&json!({"n": 1}))).await.0, 202);
    assert_eq!(bob.next().await["type"], "ended");
    assert_eq!(bob.next().await["content"]["n"], 1);
    node.age(61).await;
    assert_eq!(answer(node.http.post(&address).json(&json!({"n": 2}))).await.0, 404);
    assert_eq!(answer(node.http.get(&address)).await.0, 404);
    // They talk again: it is the same address, and good again.
    node.events(&call, 4, &[bridged("leg-1", "leg-2")]).await;
    assert_eq!(answer(node.http.post(&address).json(&json!({"n": 3}))).await.0, 202);
}

#[tokio::test]
async fn what_was_said_is_not_kept_beyond_the_call() {
    use sqlx::{Executor, Row};
    let (mut node, mut bob, address) = talk().await;
    let call = node.get("/v1/calls", crate::support::ADMIN).await["calls"][0]["call"].as_str().unwrap().to_owned();
    assert_eq!(answer(node.http.post(&address).json(&json!({"text": "a secret"}))).await.0, 202);
    bob.next().await;
    node.until(&call, |all| all.iter().filter(|d| d["state"] == "delivered").count() == 3).await;
    node.events(&call, 3, &[ended("leg-1"), ended("leg-2")]).await;
    node.age(58).await;
    let mut database = node.database().await;
    for _ in 0..100 {
        let said = database.fetch_all("SELECT body FROM deliveries WHERE kind = 'message'").await.unwrap();
        assert_eq!(said.len(), 1);
        if said[0].get::<String, _>(0).is_empty() {
            // That it was said is still known.
            assert_eq!(node.deliveries(&call).await.len(), 5);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it is still there");
}

/// A head alone takes nothing of what all calls may keep together.
#[tokio::test]
async fn a_length_that_is_only_claimed_takes_no_share() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let node = TestNode::start_with(|config, _| config.storage.posts_mb = 1).await;
    for number in [ALICE, BOB] {
        node.number(number, json!({"pbx": "a"})).await;
    }
    node.client(ALICE, json!({})).await;
    let bob = node.client(BOB, json!({})).await;
    let mut bob = node.websocket(&bob, BOB).await;
    node.talk().await;
    let address = bob.next().await["peer"]["address"].as_str().unwrap().to_owned();
    let path = address.strip_prefix(&node.url("")).unwrap();
    for _ in 0..3 {
        let mut socket = tokio::net::TcpStream::connect(node.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nContent-Length: 67000000\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut said = [0; 12];
        socket.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"HTTP/1.1 413");
    }
    assert_eq!(answer(node.http.post(&address).json(&json!({"text": "hi"}))).await.0, 202);
}
