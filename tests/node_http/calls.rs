//! The decision and what an agent reports.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, AGENT, ALICE, BOB, TestNode, answer, bridged, dialled, ended, unbridged};

async fn node() -> TestNode {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node
}

#[tokio::test]
async fn b1_called_number_not_served() {
    let node = node().await;
    node.client(ALICE, json!({})).await;
    let decision = node.decide("leg-1", ALICE, "+442071838750").await;
    assert_eq!((&decision["route"], &decision["reason"]), (&json!("packet"), &json!("called-not-served")));
    assert_eq!(decision["trunk"], "carrier");
    let address = decision["address"].as_str().unwrap();
    assert!(address.starts_with(&node.url("/a/")), "{address}");
}

#[tokio::test]
async fn an_emergency_call_takes_no_trunk_whoever_asks() {
    let node = node().await;
    node.client(ALICE, json!({})).await;
    for (leg, called, route, reason) in [
        ("leg-1", "+1911", "pstn", "emergency"),
        ("leg-2", "+49112", "pstn", "emergency"),
        ("leg-3", "+49112345", "packet", "called-not-served"),
    ] {
        let decision = node.decide(leg, ALICE, called).await;
        assert_eq!((&decision["route"], &decision["reason"]), (&json!(route), &json!(reason)), "{called}");
        assert_eq!(decision["address"].is_null(), route == "pstn", "{called}");
    }
}

#[tokio::test]
async fn a_clients_own_address_never_leaves_the_node() {
    for own in [json!({}), json!({"address": "sip:alice@pbx.example"}), json!({"address": "https://hook.example/x"})] {
        let node = node().await;
        node.client(ALICE, own).await;
        let address = node.decide("leg-1", ALICE, BOB).await["address"].clone();
        assert!(address.as_str().unwrap().starts_with(&node.url("/a/")), "{address}");
    }
}

#[tokio::test]
async fn b2_caller_has_no_client() {
    let node = node().await;
    node.number(BOB, json!({"pbx": "a"})).await;
    node.client(BOB, json!({})).await;
    let decision = node.decide("leg-1", ALICE, BOB).await;
    assert_eq!((&decision["route"], &decision["reason"]), (&json!("pstn"), &json!("caller-has-no-client")));
    assert_eq!((&decision["address"], &decision["trunk"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn b3_and_b4_called_number_served() {
    let node = node().await;
    node.client(ALICE, json!({})).await;
    node.number(BOB, json!({"pbx": "b"})).await;
    assert_eq!(node.decide("leg-1", ALICE, BOB).await["route"], "pstn");
    node.client(BOB, json!({})).await;
    let decision = node.decide("leg-2", ALICE, BOB).await;
    assert_eq!((&decision["route"], &decision["reason"]), (&json!("packet"), &json!("called-has-client")));
    node.number(BOB, json!({"pbx": "a"})).await;
    assert_eq!(node.decide("leg-3", ALICE, BOB).await["route"], "local");
}

#[tokio::test]
async fn a_pbx_may_have_its_own_trunk_or_none() {
    let node = TestNode::start_with(|config, _| {
        config.routing = serde_json::from_value(json!({"pbx": {"a": {"trunk": "mine"}}})).unwrap();
    })
    .await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.client(ALICE, json!({})).await;
    assert_eq!(node.decide("leg-1", ALICE, BOB).await["trunk"], "mine");
    let elsewhere = json!({"pbx": "b", "leg": "leg-1", "calling": ALICE, "called": BOB, "side": "originating"});
    let (_, decision) = node.send(Method::POST, "/v1/calls", AGENT, elsewhere).await;
    assert_eq!((&decision["route"], &decision["reason"]), (&json!("pstn"), &json!("no-trunk")));
}

#[tokio::test]
async fn the_same_leg_is_the_same_call() {
    let node = node().await;
    node.client(ALICE, json!({})).await;
    let first = node.decide("leg-1", ALICE, BOB).await;
    assert_eq!(node.decide("leg-1", ALICE, BOB).await, first);
    assert_ne!(node.decide("leg-2", ALICE, BOB).await["call"], first["call"]);
    // The answer came too late for the PBX, which says so: that is what the call is known as.
    let late =
        json!({"pbx": "a", "leg": "leg-1", "calling": ALICE, "called": BOB, "side": "originating", "routed": "late"});
    let (_, decision) = node.send(Method::POST, "/v1/calls", AGENT, late).await;
    assert_eq!(
        (&decision["call"], &decision["route"], &decision["reason"]),
        (&first["call"], &json!("pstn"), &json!("late"))
    );
}

#[tokio::test]
async fn a_call_that_the_pbx_has_routed_is_registered() {
    let node = node().await;
    node.number(BOB, json!({"pbx": "a"})).await;
    for (leg, called, route) in [("leg-1", BOB, "local"), ("leg-2", "+442071838750", "pstn")] {
        let request =
            json!({"pbx": "a", "leg": leg, "called": called, "side": "originating", "routed": "not-announced"});
        let (_, decision) = node.send(Method::POST, "/v1/calls", AGENT, request).await;
        assert_eq!((&decision["route"], &decision["reason"]), (&json!(route), &json!("not-announced")));
    }
}

#[tokio::test]
async fn agents_find_their_live_calls() {
    let node = node().await;
    let call = node.decide("leg-1", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    let over = node.decide("leg-9", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    node.events(&call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    node.events(&over, 1, &[ended("leg-9")]).await;
    let live = node.get("/v1/calls?live=true&pbx=a", AGENT).await;
    assert_eq!(live["calls"].as_array().unwrap().len(), 1);
    assert_eq!((&live["calls"][0]["call"], &live["calls"][0]["legs"]), (&json!(call), &json!(["leg-1", "leg-2"])));
    assert_eq!(live["calls"][0]["phase"], "talking");
    assert_eq!(live["calls"][0]["last_seq"], 2);
    assert_eq!(node.get("/v1/calls?live=true&pbx=b", AGENT).await["calls"], json!([]));
    let over = node.get(&format!("/v1/calls/{over}"), ADMIN).await;
    assert_eq!((&over["phase"], &over["cause"]), (&json!("ended"), &json!("NORMAL_CLEARING")));
    assert_eq!(node.get("/v1/calls?live=false", ADMIN).await["calls"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn repeated_and_late_events_do_no_harm_and_unknown_calls_are_said_to_be() {
    let node = node().await;
    let call = node.decide("leg-1", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        node.events(&call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2"), ended("leg-1"), ended("leg-2")]).await;
    }
    assert_eq!(node.try_events(&call, 4, &[ended("leg-2")]).await.1["over"], Value::Null, "nothing is dropped");
    let (_, body) = node.try_events(&call, 9, &[bridged("leg-1", "leg-2")]).await;
    assert_eq!(body["over"], true, "the agent is to know that this is dropped");
    assert_eq!(node.get(&format!("/v1/calls/{call}"), ADMIN).await["phase"], "ended");
    let again = node.decide("leg-1", ALICE, BOB).await;
    assert_ne!(again["call"], json!(call), "the leg is up, whatever was reported of it");
    let (status, body) = node.try_events("0199-unknown", 1, &[ended("leg-1")]).await;
    assert_eq!((status.as_u16(), &body["field"]), (404, &json!("call")));
}

#[tokio::test]
async fn too_many_legs_are_not_believed() {
    let node = node().await;
    let call = node.decide("leg-1", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    let mut last = 0;
    for batch in 0..5 {
        let events: Vec<Value> = (0..64).map(|n| dialled(&format!("flood-{batch}-{n}"))).collect();
        last = node.try_events(&call, batch * 64 + 1, &events).await.0.as_u16();
    }
    assert_eq!(last, 422);
}

#[tokio::test]
async fn an_agent_that_asks_for_live_calls_gets_the_oldest_too() {
    let node = node().await;
    for n in 0..101 {
        node.decide(&format!("leg-{n}"), ALICE, BOB).await;
    }
    assert_eq!(node.get("/v1/calls?live=true&pbx=a", AGENT).await["calls"].as_array().unwrap().len(), 101);
    assert_eq!(node.get("/v1/calls?live=true&limit=7", AGENT).await["calls"].as_array().unwrap().len(), 7);
}

/// The agent's machine has another clock. What it reports is written down by the node's, or the call would stay for a day
/// after its end, or be forgotten at once.
#[tokio::test]
async fn an_agent_whose_clock_is_a_day_off_ends_its_calls_in_time() {
    const DAY: i64 = 86_400_000;
    let node = node().await;
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    for (n, ahead) in [DAY, -DAY].into_iter().enumerate() {
        let leg = format!("leg-{n}");
        let call = node.decide(&leg, ALICE, BOB).await["call"].as_str().unwrap().to_owned();
        let mut event = ended(&leg);
        (event["seq"], event["at"]) = (1.into(), (now() + ahead).into());
        let report = node.request(Method::POST, &format!("/v1/calls/{call}/events"), AGENT);
        let report = report.header("sidecall-clock", now() + ahead).json(&json!({"events": [event]}));
        assert_eq!(report.send().await.unwrap().status(), 200);
        let at = node.get(&format!("/v1/calls/{call}"), ADMIN).await["ended"].as_i64().unwrap();
        assert!((now() - at).abs() < DAY / 24, "{at}");
    }
    // An agent of an earlier version doesn't say what its clock shows: no end is in the future.
    let call = node.decide("leg-3", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    let mut event = ended("leg-3");
    (event["seq"], event["at"]) = (1.into(), (now() + DAY).into());
    node.send(Method::POST, &format!("/v1/calls/{call}/events"), AGENT, json!({"events": [event]})).await;
    let at = node.get(&format!("/v1/calls/{call}"), ADMIN).await["ended"].as_i64().unwrap();
    assert!((now() - at).abs() < DAY / 24, "{at}");
}

/// A leg goes from one call to another, and the first call reports of it late: when that was is told by the agent's clock,
/// as the announcement is.
#[tokio::test]
async fn what_is_out_of_date_is_so_by_any_clock_of_the_agent() {
    const DAY: i64 = 86_400_000;
    let node = node().await;
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let mut wrong = Vec::new();
    for ahead in [DAY, 2_000, 0, -2_000, -DAY] {
        let [p, q, r, s] = ["p", "q", "r", "s"].map(|leg| format!("{leg}{ahead}"));
        let post = async |path: &str, body: Value| {
            let request = node.request(Method::POST, path, AGENT).header("sidecall-clock", now() + ahead).json(&body);
            let (status, body) = answer(request).await;
            assert_eq!(status, 200, "{body}");
            body
        };
        let announced = async |leg: &str, ago: i64| {
            let request = json!({"pbx": "a", "leg": leg, "calling": ALICE, "called": BOB, "side": "originating",
                "announced": now() + ahead - ago});
            let path = format!("/v1/calls/{}", post("/v1/calls", request).await["call"].as_str().unwrap());
            path
        };
        let say = async |call: &str, seq: u64, ago: i64, mut event: Value| {
            (event["seq"], event["at"]) = (seq.into(), (now() + ahead - ago).into());
            post(&format!("{call}/events"), json!({"events": [event]})).await;
        };
        let (old, live) = (announced(&p, 5_000).await, announced(&q, 1_000).await);
        say(&old, 1, 2_000, dialled(&q)).await;
        say(&old, 2, 1_900, ended(&q)).await;
        if node.get(&live, ADMIN).await["legs"] != json!([q]) {
            wrong.push((ahead, "what is out of date counts"));
        }
        let old = announced(&r, 5_000).await;
        say(&old, 1, 4_000, dialled(&s)).await;
        let live = announced(&s, 1_000).await;
        say(&live, 1, 0, bridged(&s, &r)).await;
        say(&old, 2, 0, unbridged(&r, &s)).await;
        if node.get(&live, ADMIN).await["phase"] != "answered" {
            wrong.push((ahead, "what is not out of date doesn't count"));
        }
    }
    assert_eq!(wrong, []);
}

/// No report could follow it, and the call could never end.
#[tokio::test]
async fn a_report_whose_number_leaves_no_room_is_refused() {
    let node = node().await;
    let call = node.decide("leg-1", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    let path = format!("/v1/calls/{call}/events");
    let report = |seq: u64| json!({"seq": seq, "at": 1, "event": "answered", "leg": "leg-1"});
    for seq in [u64::MAX, 1 << 63] {
        let (status, body) = node.send(Method::POST, &path, AGENT, json!({"events": [report(1), report(seq)]})).await;
        assert_eq!((status.as_u16(), &body["field"]), (422, &json!("events[1].seq")), "{body}");
    }
    assert_eq!(node.get(&format!("/v1/calls/{call}"), ADMIN).await["last_seq"], 0, "nothing of it is taken");
    let (status, body) = node.send(Method::POST, &path, AGENT, json!({"events": [report((1 << 63) - 1)]})).await;
    assert_eq!(status, 200, "{body}");
}
