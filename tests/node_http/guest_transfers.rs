//! Guests whose host transfers the call.

use reqwest::Method;
use serde_json::json;

use crate::guests::{Guest, Host, closed, host, join, open, post};
use crate::support::{AGENT, BOB, CAROL, Stream, bridged, dialled, ended, unbridged};

/// A guest of Bob's, with the stream and a code that is still good.
async fn with_guest() -> (Host, Guest, Stream, String) {
    let mut host = host().await;
    let guest = host.guest(1).await;
    let code = host.invite().await;
    let mut own = open(&host.node, &guest.token).await;
    own.next().await;
    (host, guest, own, code)
}

/// The phones talk without Bob's, which hangs up. The guest reaches Bob until then.
async fn is_gone_with_the_hosts_phone((host, guest, mut own, code): (Host, Guest, Stream, String), seq: u64) {
    let hello = json!({"text": "hello"});
    assert_eq!(post(&host.node, &guest.to_host, &hello).await.0, 202, "the host's phone is still there");
    host.node.events(&host.call, seq, &[ended("leg-2")]).await;
    assert_eq!(post(&host.node, &guest.to_host, &hello).await.0, 404);
    assert_eq!(closed(&mut own).await, 1008);
    assert_eq!(join(&host.node, &code, "Zoë", 2).await.0, 404);
}

#[tokio::test]
async fn a_guest_is_gone_when_the_host_has_transferred_the_call() {
    let talk = with_guest().await;
    let (node, call) = (&talk.0.node, &talk.0.call);
    let carol = json!({"event": "identified", "leg": "leg-3", "number": CAROL});
    node.events(call, 3, &[unbridged("leg-1", "leg-2"), carol, bridged("leg-1", "leg-3")]).await;
    is_gone_with_the_hosts_phone(talk, 6).await;
}

/// Bob calls Carol as well, and connects Alice with her.
#[tokio::test]
async fn a_guest_is_gone_when_the_host_has_connected_two_calls() {
    let talk = with_guest().await;
    let node = &talk.0.node;
    let second = json!({"pbx": "b", "leg": "leg-3", "calling": BOB, "called": CAROL, "side": "originating"});
    let (status, decided) = node.send(Method::POST, "/v1/calls", AGENT, second).await;
    assert_eq!(status, 200, "{decided}");
    let second = decided["call"].as_str().unwrap();
    node.events(&talk.0.call, 3, &[unbridged("leg-1", "leg-2")]).await;
    node.events(second, 1, &[dialled("leg-4"), bridged("leg-3", "leg-4")]).await;
    node.events(second, 3, &[unbridged("leg-3", "leg-4"), bridged("leg-1", "leg-4")]).await;
    is_gone_with_the_hosts_phone(talk, 4).await;
}
