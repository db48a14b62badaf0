//! B5: a portability query decides who serves the called number, and so the route.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{AGENT, ALICE, BOB, CAROL, TestNode, bridged, dialled};

/// A portability service that knows these numbers, and how often it was asked.
pub(crate) async fn service(answers: Value) -> (String, Arc<AtomicUsize>) {
    type Knows = (Arc<Value>, Arc<AtomicUsize>);
    async fn answer(State((answers, asked)): State<Knows>, Path(number): Path<String>) -> (StatusCode, String) {
        asked.fetch_add(1, Ordering::Relaxed);
        match &answers[&number] {
            Value::Null => (StatusCode::NOT_FOUND, String::new()),
            answer => (StatusCode::OK, answer.to_string()),
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/{{number}}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let app = axum::Router::new().route("/{number}", get(answer)).with_state((Arc::new(answers), asked.clone()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, asked)
}

/// A node that asks it, with a client of Alice's.
async fn node(answers: Value, terminating: bool) -> (TestNode, Arc<AtomicUsize>) {
    let (url, asked) = service(answers).await;
    let node = TestNode::start_with(|config, _| {
        config.lnp = serde_json::from_value(json!({
            // This machine may be busy.
            "deadline_ms": 2000,
            "terminating": terminating,
            "own_routing_numbers": ["+1212444"],
            "source": [{"name": "lnp", "kind": "http", "url": url}],
            "route": [{"rn_prefix": "+1303", "peer": "b"}],
        }))
        .unwrap();
        config.peers = serde_json::from_value(json!([{
            "name": "b", "url": "https://node.b.example", "prefixes": ["+1303"], "trunk": "to-b",
        }]))
        .unwrap();
    })
    .await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.client(ALICE, json!({})).await;
    (node, asked)
}

fn route(decision: &Value) -> (&str, &str, Option<&str>) {
    let text = |key: &str| decision[key].as_str();
    (text("route").unwrap(), text("reason").unwrap(), text("trunk"))
}

#[tokio::test]
async fn b5_a_number_of_ours_that_was_ported_out_goes_where_it_went() {
    let elsewhere = json!({"rn": "+442079460000"});
    let (node, _) = node(json!({BOB: {"rn": "+13035559999"}, CAROL: elsewhere}), false).await;
    for home in ["a", "b"] {
        for number in [BOB, CAROL] {
            node.number(number, json!({"pbx": home})).await;
            node.client(number, json!({})).await;
        }
        let bob = node.decide(&format!("{home}-1"), ALICE, BOB).await;
        assert_eq!(route(&bob), ("packet", "ported-out", Some("to-b")));
        assert!(bob["address"].is_string());
        // Nobody knows a trunk to whom Carol's number went to.
        let carol = node.decide(&format!("{home}-2"), ALICE, CAROL).await;
        assert_eq!(route(&carol), ("pstn", "ported-out", None));
        assert_eq!(carol["address"], Value::Null);
    }
}

#[tokio::test]
async fn b5_the_clients_that_a_ported_out_number_had_here_are_told_nothing() {
    let (node, _) = node(json!({BOB: {"rn": "+13035559999"}}), false).await;
    for number in [BOB, CAROL] {
        node.number(number, json!({"pbx": "b"})).await;
        node.client(number, json!({})).await;
    }
    let call = async |leg: &str, called: &str| {
        let call = node.decide(leg, ALICE, called).await["call"].as_str().unwrap().to_owned();
        let far = format!("{leg}-far");
        node.events(&call, 1, &[dialled(&far), bridged(leg, &far)]).await;
        call
    };
    let ported = call("leg-1", BOB).await;
    // One that wasn't ported is told, and so is the first by then if ever.
    let ours = call("leg-2", CAROL).await;
    node.until(&ours, |deliveries| deliveries.len() == 2).await;
    assert_eq!(node.deliveries(&ported).await, Vec::<Value>::new());
}

#[tokio::test]
async fn b5_they_are_told_nothing_whatever_the_reason_has_become() {
    let (node, _) = node(json!({BOB: {"rn": "+13035559999"}}), false).await;
    node.number(BOB, json!({"pbx": "b"})).await;
    node.client(BOB, json!({})).await;
    let keeper = "+12125550130";
    node.number(keeper, json!({"pbx": "a"})).await;
    node.client(keeper, json!({"offer": "served"})).await;
    let kept = node.decide("leg-1", keeper, BOB).await;
    assert_eq!(route(&kept), ("pstn", "caller-keeps-address", None));
    // Decided, and then the PBX says that this came too late for it.
    let late = node.decide("leg-2", ALICE, BOB).await;
    let routed =
        json!({"pbx": "a", "leg": "leg-2", "calling": ALICE, "called": BOB, "side": "originating", "routed": "late"});
    node.send(Method::POST, "/v1/calls", AGENT, routed).await;
    for (leg, call) in [("leg-1", &kept), ("leg-2", &late)] {
        let (call, far) = (call["call"].as_str().unwrap(), format!("{leg}-far"));
        node.events(call, 1, &[dialled(&far), bridged(leg, &far)]).await;
    }
    // A pair of ours is told, and so are the others by then if ever.
    node.number(CAROL, json!({"pbx": "a"})).await;
    node.client(CAROL, json!({})).await;
    let ours = node.decide("leg-3", ALICE, CAROL).await["call"].as_str().unwrap().to_owned();
    node.events(&ours, 1, &[dialled("leg-4"), bridged("leg-3", "leg-4")]).await;
    node.until(&ours, |deliveries| deliveries.len() == 2).await;
    for call in [&kept, &late] {
        assert_eq!(node.deliveries(call["call"].as_str().unwrap()).await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn b5_a_number_that_has_left_a_peers_range_is_not_the_peers() {
    let (stayed, left) = ("+13035550100", "+13035550101");
    let (node, _) = node(json!({left: {"rn": "+442079460000"}}), false).await;
    let decision = node.decide("leg-1", ALICE, stayed).await;
    assert_eq!(route(&decision), ("packet", "called-not-served", Some("to-b")));
    node.remote_side(decision["call"].as_str().unwrap(), |far| far["offer"]["peer"] == "b").await;
    let decision = node.decide("leg-2", ALICE, left).await;
    assert_eq!(route(&decision), ("packet", "called-not-served", Some("carrier")));
    let call = decision["call"].as_str().unwrap();
    node.events(call, 1, &[dialled("leg-3"), bridged("leg-2", "leg-3")]).await;
    assert_eq!(node.remote_side(call, |_| true).await["offer"], Value::Null);
}

#[tokio::test]
async fn a_caller_who_keeps_the_address_from_strangers_keeps_it_from_a_number_that_was_ported_out() {
    let (node, _) = node(json!({BOB: {"rn": "+13035559999"}, CAROL: {"rn": "+442079460000"}}), false).await;
    for number in [BOB, CAROL] {
        node.number(number, json!({"pbx": "b"})).await;
    }
    let keeps = |reason: &'static str| ("pstn", reason, None);
    for (n, (offer, bob, carol)) in [
        // No trunk leads to who has Carol's number, so there is nothing to keep.
        ("served", keeps("caller-keeps-address"), keeps("ported-out")),
        ("peers:b", ("packet", "ported-out", Some("to-b")), keeps("ported-out")),
    ]
    .into_iter()
    .enumerate()
    {
        let caller = format!("+1212555013{n}");
        node.number(&caller, json!({"pbx": "a"})).await;
        let offer = offer.strip_prefix("peers:").map_or(json!(offer), |peer| json!({"peers": [peer]}));
        node.client(&caller, json!({"offer": offer})).await;
        assert_eq!(route(&node.decide(&format!("{n}-1"), &caller, BOB).await), bob);
        assert_eq!(route(&node.decide(&format!("{n}-2"), &caller, CAROL).await), carol);
    }
}

#[tokio::test]
async fn b5_a_number_that_was_ported_to_us_is_ours() {
    let ours = json!({"rn": "+12124440000"});
    let (node, _) = node(json!({BOB: ours, CAROL: ours}), false).await;
    // Not in the directory yet.
    assert_eq!(route(&node.decide("leg-1", ALICE, BOB).await), ("pstn", "ported-in", None));
    node.number(BOB, json!({"pbx": "b"})).await;
    assert_eq!(route(&node.decide("leg-2", ALICE, BOB).await), ("pstn", "ported-in", None));
    node.client(BOB, json!({})).await;
    assert_eq!(route(&node.decide("leg-3", ALICE, BOB).await), ("packet", "ported-in", Some("carrier")));
    node.number(CAROL, json!({"pbx": "a"})).await;
    assert_eq!(route(&node.decide("leg-4", ALICE, CAROL).await), ("local", "ported-in", None));
}

#[tokio::test]
async fn b5_a_query_can_say_whether_the_called_number_has_a_client_and_which_trunk_leads_there() {
    let answers = json!({BOB: {"client": false}, CAROL: {"node": "https://node.b.example"}});
    let (node, _) = node(answers, false).await;
    assert_eq!(route(&node.decide("leg-1", ALICE, BOB).await), ("pstn", "called-has-no-client", None));
    assert_eq!(route(&node.decide("leg-2", ALICE, CAROL).await), ("packet", "called-not-served", Some("to-b")));
    let unknown = node.decide("leg-3", ALICE, "+442071838750").await;
    assert_eq!(route(&unknown), ("packet", "called-not-served", Some("carrier")));
}

#[tokio::test]
async fn b2_nobody_is_asked_for_a_caller_without_a_client() {
    let (node, asked) = node(json!({}), false).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    assert_eq!(route(&node.decide("leg-1", BOB, CAROL).await), ("pstn", "caller-has-no-client", None));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn b10_a_query_at_the_terminating_side_is_made_if_it_is_wanted() {
    for (wanted, reason, questions) in [(false, "called-has-no-client", 0), (true, "ported-out", 1)] {
        let (node, asked) = node(json!({BOB: {"rn": "+13035559999"}}), wanted).await;
        node.number(BOB, json!({"pbx": "a"})).await;
        let request =
            json!({"pbx": "a", "leg": "leg-1", "calling": "+442071838750", "called": BOB, "side": "terminating"});
        let (_, decision) = node.send(Method::POST, "/v1/calls", AGENT, request).await;
        assert_eq!(route(&decision), ("local", reason, None));
        assert_eq!(asked.load(Ordering::Relaxed), questions);
    }
}

#[tokio::test]
async fn a_source_that_is_not_there_changes_no_route() {
    let node = TestNode::start_with(|config, _| {
        let source = json!({"name": "gone", "kind": "http", "url": "http://127.0.0.1:9/{number}"});
        config.lnp = serde_json::from_value(json!({"source": [source]})).unwrap();
    })
    .await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.client(ALICE, json!({})).await;
    for n in 0..5 {
        let decision = node.decide(&format!("leg-{n}"), ALICE, BOB).await;
        assert_eq!(route(&decision), ("packet", "called-not-served", Some("carrier")));
    }
    let metrics = node.http.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for expected in [r#"sidecall_lnp_queries_total{source="gone",result="failed"} 3"#, r#"result="resting"} 2"#] {
        assert!(metrics.contains(expected), "{metrics}");
    }
}

#[tokio::test]
async fn an_address_for_a_listed_peer_travels_to_the_numbers_that_it_serves() {
    let (node, _) = node(json!({BOB: {"rn": "+13035559999"}}), false).await;
    let client = node.get("/v1/clients", crate::support::ADMIN).await["clients"][0]["id"].clone();
    let path = format!("/v1/clients/{}", client.as_str().unwrap());
    for (leg, listed, expected) in [
        ("leg-1", "b", ("packet", "called-not-served", Some("to-b"))),
        ("leg-2", "c", ("pstn", "caller-keeps-address", None)),
    ] {
        let change = json!({"offer": {"peers": [listed]}});
        assert_eq!(node.send(Method::PATCH, &path, crate::support::ADMIN, change).await.0, 200);
        let decision = node.decide(leg, ALICE, BOB).await;
        assert_eq!((route(&decision), decision["address"].is_string()), (expected, listed == "b"));
    }
}
