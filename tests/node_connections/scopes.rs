//! Agents' tokens that are bound to their PBXs.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sidecall::node::AgentAccess;

use crate::support::{AGENT, ALICE, BOB, TestNode, answer};

const BOUND: &str = "token-of-agent-b-0123456789";

async fn decides(node: &TestNode, token: &str, pbx: &str) -> (StatusCode, Value) {
    let leg = format!("leg-{pbx}");
    let request = json!({"pbx": pbx, "leg": leg, "calling": ALICE, "called": BOB, "side": "originating"});
    node.send(Method::POST, "/v1/calls", token, request).await
}

#[tokio::test]
async fn an_agent_speaks_for_its_own_pbxs_alone() {
    let node = TestNode::start_with(|config, _| {
        let pbxs = ["b", "c"].map(|pbx| pbx.parse().unwrap()).into();
        config.agent = vec![AgentAccess { token_file: None, token: Some(BOUND.into()), pbxs }];
    })
    .await;
    let (status, a) = decides(&node, AGENT, "a").await;
    assert_eq!(status, 200, "the token for all PBXs still works");
    let (status, b) = decides(&node, BOUND, "b").await;
    assert_eq!(status, 200, "{b}");
    let (status, refused) = decides(&node, BOUND, "a").await;
    assert_eq!(status, 403);
    assert!(refused["detail"].as_str().unwrap().contains("PBX a"), "{refused}");
    let link = json!({"agent": "x", "kind": "freeswitch", "link": "up", "since": 0, "calls": 0});
    for (call, pbx, expected) in [(&a, "a", 403), (&b, "b", 200)] {
        let call = call["call"].as_str().unwrap();
        let events = json!({"events": []});
        let path = format!("/v1/calls/{call}/events");
        assert_eq!(node.send(Method::POST, &path, BOUND, events).await.0, expected, "{pbx}");
        let show = answer(node.request(Method::GET, &format!("/v1/calls/{call}"), BOUND)).await;
        assert_eq!(show.0, expected, "{pbx}");
        let list = answer(node.request(Method::GET, &format!("/v1/calls?live=true&pbx={pbx}"), BOUND)).await;
        assert_eq!(list.0, expected, "{pbx}");
        let (status, said) = node.send(Method::PUT, &format!("/v1/pbxs/{pbx}"), BOUND, link.clone()).await;
        assert_eq!(status, expected, "{pbx}: {said}");
    }
    // It is shown its own calls.
    let list = node.get("/v1/calls?live=true", BOUND).await;
    let shown: Vec<_> = list["calls"].as_array().unwrap().iter().map(|call| &call["pbx"]).collect();
    assert_eq!(shown, ["b"]);
    assert_eq!(node.get("/v1/calls?live=true", AGENT).await["calls"].as_array().unwrap().len(), 2);
}
