//! Hosted clients: connected, away, and back.

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{ADMIN, ALICE, BOB, PROGRESS, TestNode, answer, credential};

async fn node() -> (TestNode, String) {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    node.client(BOB, json!({})).await;
    let alice = node.client(ALICE, json!({})).await;
    (node, alice)
}

#[tokio::test]
async fn what_came_while_away_is_there_on_return() {
    let (node, alice) = node().await;
    let call = node.talk().await;
    let mut stream = node.websocket(&alice, ALICE).await;
    // Read but not acknowledged: it comes again, the same.
    let first = stream.peek().await;
    drop(stream);
    let mut stream = node.websocket(&alice, ALICE).await;
    assert_eq!(stream.next().await, first);
    node.until(&call, |all| all.iter().any(|d| d["state"] == "delivered")).await;
    drop(stream);
    node.websocket(&alice, ALICE).await.quiet().await;
}

#[tokio::test]
async fn nonsense_from_a_client_is_ignored() {
    let (node, alice) = node().await;
    let call = node.talk().await;
    let mut stream = node.websocket(&alice, ALICE).await;
    for nonsense in [json!(null), json!({"ack": 1}), json!({"ack": "someone-else's"}), json!({"x": "y"})] {
        stream.say(nonsense).await;
    }
    stream.next().await;
    node.until(&call, |all| all.iter().filter(|d| d["state"] == "delivered").count() == 1).await;
}

#[tokio::test]
async fn a_browser_shows_its_token_as_a_protocol() {
    let (node, alice) = node().await;
    // A browser's WebSocket takes no headers. A `+` can't stand in a protocol, so a credential for
    // browsers is made of token characters.
    let entry = json!({"credential": "browser-credential-1"});
    node.send(Method::PUT, &format!("/v1/numbers/{ALICE}"), crate::support::ADMIN, entry).await;
    let mut request = format!("ws://{}/v1/clients/{alice}/stream", node.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "sidecall, bearer.browser-credential-1".parse().unwrap());
    let (_, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "sidecall");
    let mut request = format!("ws://{}/v1/clients/{alice}/stream?token=browser-credential-1", node.address)
        .into_client_request()
        .unwrap();
    request.headers_mut().insert("origin", "https://x.example".parse().unwrap());
    assert!(tokio_tungstenite::connect_async(request).await.is_err());
}

async fn server_sent(
    node: &TestNode,
    client: &str,
    last: Option<&str>,
) -> impl futures_util::Stream<Item = (Option<String>, Value)> + Unpin {
    let mut request = node.request(Method::GET, &format!("/v1/clients/{client}/stream"), &credential(ALICE));
    request = request.header("accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let events = response.bytes_stream().flat_map(|chunk| {
        let text = String::from_utf8(chunk.unwrap().to_vec()).unwrap();
        let events: Vec<_> = text.split("\n\n").filter_map(event).collect();
        futures_util::stream::iter(events)
    });
    Box::pin(events)
}

/// The id and the data of an event, unless it is one of [`PROGRESS`].
fn event(text: &str) -> Option<(Option<String>, Value)> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let data: Value = serde_json::from_str(&field("data: ")?).ok()?;
    PROGRESS.iter().all(|kind| data["type"] != *kind).then(|| (field("id: "), data))
}

#[tokio::test]
async fn server_sent_events_resume_after_the_last_one() {
    let (node, alice) = node().await;
    let mut stream = server_sent(&node, &alice, None).await;
    let call = node.talk().await;
    let (first, peer) = stream.next().await.unwrap();
    let first = first.unwrap();
    assert_eq!((&peer["type"], &peer["id"]), (&json!("peer"), &json!(first)));
    node.until(&call, |all| all.iter().any(|d| d["state"] == "delivered")).await;
    let address = {
        // Alice's own address, as Bob has it, so that a second message comes.
        let bob = node.client(BOB, json!({})).await;
        let mut bob = node.websocket(&bob, BOB).await;
        bob.next().await["peer"]["address"].as_str().unwrap().to_owned()
    };
    assert_eq!(answer(node.http.post(&address).json(&json!({"n": 2}))).await.0, 202);
    let (second, _) = stream.next().await.unwrap();
    assert!(second.is_some());
    // An ephemeral message has no id that the client could resume after, and is no delivery.
    assert_eq!(answer(node.http.post(&address).json(&json!({"n": 3, "ephemeral": true}))).await.0, 202);
    let (none, ephemeral) = stream.next().await.unwrap();
    assert_eq!((none, &ephemeral["content"]["n"]), (None, &json!(3)));
    let deliveries = node.until(&call, |all| all.iter().filter(|d| d["state"] == "delivered").count() == 3).await;
    assert!(deliveries.iter().all(|delivery| delivery["id"] != ephemeral["id"]), "{deliveries:?}");
    drop(stream);
    // The second was written, but suppose it never arrived.
    let mut stream = server_sent(&node, &alice, Some(&first)).await;
    assert_eq!(stream.next().await.unwrap().0, second);
}

#[tokio::test]
async fn a_binding_that_is_removed_ends_its_stream() {
    let (node, alice) = node().await;
    let mut stream = node.websocket(&alice, ALICE).await;
    assert_eq!(answer(node.request(Method::DELETE, &format!("/v1/clients/{alice}"), &credential(ALICE))).await.0, 204);
    let close = stream.0.next().await.unwrap().unwrap();
    assert!(close.is_close(), "{close:?}");
}

#[tokio::test]
async fn only_hosted_clients_have_a_stream() {
    let (node, _) = node().await;
    let sip = node.client(ALICE, json!({"address": "sip:alice@pbx.example"})).await;
    let (status, body) =
        answer(node.request(Method::GET, &format!("/v1/clients/{sip}/stream"), &credential(ALICE))).await;
    assert_eq!((status.as_u16(), &body["field"]), (422, &json!("id")));
}

#[tokio::test]
async fn a_new_credential_ends_the_streams_of_the_old_one() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    let client = node.client(ALICE, json!({})).await;
    let mut stream = node.websocket(&client, ALICE).await;
    let path = format!("/v1/numbers/{ALICE}");
    node.send(Method::PUT, &path, ADMIN, json!({"pbx": "a", "name": "Alice"})).await;
    stream.quiet().await;
    node.send(Method::PUT, &path, ADMIN, json!({"pbx": "a", "credential": "another-credential"})).await;
    let last = futures_util::StreamExt::next(&mut stream.0).await.unwrap().unwrap();
    assert!(last.is_close(), "{last:?}");
}
