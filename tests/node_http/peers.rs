//! Offers between nodes: what is matched, and what is refused (B11).

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sidecall::node::{NodeConfig, PeerConfig, TlsFiles};

use crate::support::{ADMIN, AGENT, ALICE, Stream, TestNode, answer, bridged, dialled, ended};
use lab::net::ca::Ca;

/// The number at the second node.
pub(crate) const FRED: &str = "+13105550100";
pub(crate) const GINA: &str = "+13105550101";
pub(crate) const TOKEN: &str = "token-of-a-at-b-0123";

pub(crate) fn peer(name: &str, url: &str, prefix: &str) -> PeerConfig {
    serde_json::from_value(json!({"name": name, "url": url, "prefixes": [prefix]})).unwrap()
}

/// Two organisations: Alice is at the first node, Fred at the second.
pub(crate) struct Two {
    pub(crate) a: TestNode,
    pub(crate) b: TestNode,
}

impl Two {
    pub(crate) async fn start() -> Two {
        let b = TestNode::start_with(|config, _| {
            let a = peer("a", "http://127.0.0.1:1", "+1212555");
            config.peers = vec![PeerConfig { accept_token: Some(TOKEN.into()), ..a }];
        })
        .await;
        let (url, token) = (b.url(""), Some(TOKEN.into()));
        let a = TestNode::start_with(|config, _| {
            config.peers = vec![PeerConfig { token, trunk: Some("to-b".parse().unwrap()), ..peer("b", &url, "+1310") }];
        })
        .await;
        a.number(ALICE, json!({"pbx": "a", "name": "Alice"})).await;
        b.number(FRED, json!({"pbx": "b", "name": "Fred"})).await;
        Two { a, b }
    }

    /// Both with a client that is connected.
    pub(crate) async fn with_clients() -> (Two, Stream, Stream) {
        let two = Two::start().await;
        let alice = two.a.client(ALICE, json!({"capabilities": ["text"]})).await;
        let fred = two.b.client(FRED, json!({})).await;
        let (alice, fred) = (two.a.websocket(&alice, ALICE).await, two.b.websocket(&fred, FRED).await);
        (two, alice, fred)
    }

    /// Alice's PBX asks; her call's id.
    pub(crate) async fn call(&self, leg: &str) -> String {
        self.a.decide(leg, ALICE, FRED).await["call"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn accepted(&self, call: &str) {
        self.a.remote_side(call, |far| far["offer"]["state"] == "accepted").await;
    }
}

pub(crate) async fn talks(node: &TestNode, call: &str, leg: &str) {
    let other = format!("{leg}-dialled");
    node.events(call, 1, &[dialled(&other), bridged(leg, &other)]).await;
}

#[tokio::test]
async fn b11_the_offer_comes_before_the_announcement() {
    let (two, mut alice, mut fred) = Two::with_clients().await;
    let decision = two.a.decide("a-1", ALICE, FRED).await;
    assert_eq!((&decision["route"], &decision["trunk"]), (&json!("packet"), &json!("to-b")));
    let out = decision["call"].as_str().unwrap();
    two.accepted(out).await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    talks(&two.b, &come, "b-1").await;
    talks(&two.a, out, "a-1").await;
    let peer = fred.next().await;
    assert_eq!(
        (&peer["role"], &peer["peer"]["number"], &peer["peer"]["name"]),
        (&json!("second"), &json!(ALICE), &json!("Alice"))
    );
    assert_eq!((&peer["peer"]["address"], &peer["peer"]["capabilities"]), (&decision["address"], &json!(["text"])));
    let far = two.b.remote_side(&come, |far| !far.is_null()).await;
    assert_eq!((&far["source"], &far["peer"]), (&json!("offer"), &json!("a")));
    assert_eq!(far["address"], Value::Null);
    // B7: Fred's client is hosted, and tells Alice's by itself.
    let (address, own) = (peer["peer"]["address"].as_str().unwrap(), &peer["own"]);
    let told = json!({"type": "peer", "peer": own});
    for _ in 0..2 {
        assert_eq!(answer(two.a.http.post(address).json(&told)).await.0, 202);
    }
    let met = alice.next().await;
    assert_eq!(
        (&met["type"], &met["role"], &met["peer"], &met["own"]),
        (&json!("peer"), &json!("first"), own, &Value::Null)
    );
    // Once, however often it is told. From now on the addresses alone are enough.
    alice.quiet().await;
    for (from, stream) in [(own["address"].as_str().unwrap(), &mut fred), (address, &mut alice)] {
        assert_eq!(answer(two.a.http.post(from).json(&json!({"text": "hello"}))).await.0, 202);
        assert_eq!(stream.next().await["content"]["text"], "hello");
    }
    // Each side is told of the end by its own node, and its address is good for a while.
    two.a.events(out, 3, &[ended("a-1"), ended("a-1-dialled")]).await;
    let farewell = alice.next().await;
    assert_eq!((&farewell["type"], &farewell["number"]), (&json!("ended"), &json!(FRED)));
    two.b.events(&come, 3, &[ended("b-1"), ended("b-1-dialled")]).await;
    let farewell = fred.next().await;
    assert_eq!((&farewell["type"], &farewell["number"]), (&json!("ended"), &json!(ALICE)));
    assert_eq!(answer(two.a.http.post(address).json(&json!({"text": "bye"}))).await.0, 202);
    assert_eq!(alice.next().await["content"]["text"], "bye");
}

#[tokio::test]
async fn the_offer_comes_after_the_announcement_or_after_the_answer() {
    for answered in [false, true] {
        let (mut two, _alice, mut fred) = Two::with_clients().await;
        two.b.kill().await;
        let out = two.call("a-1").await;
        two.a.remote_side(&out, |far| far["offer"]["attempts"].as_u64() > Some(0)).await;
        two.b.restart().await;
        let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
        if answered {
            talks(&two.b, &come, "b-1").await;
        }
        // What the kill cut off is made again.
        let id = two.b.get("/v1/clients", ADMIN).await["clients"][0]["id"].as_str().unwrap().to_owned();
        fred.0 = two.b.websocket(&id, FRED).await.0;
        two.accepted(&out).await;
        if !answered {
            fred.quiet().await;
            talks(&two.b, &come, "b-1").await;
        }
        assert_eq!(fred.next().await["peer"]["number"], ALICE);
    }
}

#[tokio::test]
async fn an_offer_that_was_taken_outlives_the_node() {
    let (mut two, _alice, _) = Two::with_clients().await;
    let out = two.call("a-1").await;
    two.accepted(&out).await;
    two.b.kill_and_restart().await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    let far = two.b.remote_side(&come, |far| !far.is_null()).await;
    assert_eq!((&far["source"], &far["number"]), (&json!("offer"), &json!(ALICE)));
}

#[tokio::test]
async fn a_withheld_caller_stays_withheld_and_is_reached_all_the_same() {
    let (two, mut alice, mut fred) = Two::with_clients().await;
    let out = two.call("a-1").await;
    two.accepted(&out).await;
    let come = two.b.arrive("b-1", None, FRED, None).await;
    assert_eq!(two.b.get(&format!("/v1/calls/{come}"), ADMIN).await["remote"], Value::Null);
    talks(&two.a, &out, "a-1").await;
    talks(&two.b, &come, "b-1").await;
    let peer = fred.next().await;
    let text = peer.to_string();
    assert!(!text.contains(ALICE) && !text.contains("Alice") && !text.contains("anonymous"), "{text}");
    assert!(peer["peer"]["address"].as_str().unwrap().starts_with(&two.a.url("/a/")), "{text}");
    let told = json!({"type": "peer", "peer": peer["own"]});
    assert_eq!(answer(two.a.http.post(peer["peer"]["address"].as_str().unwrap()).json(&told)).await.0, 202);
    assert_eq!(alice.next().await["peer"]["number"], FRED);
    two.b.events(&come, 3, &[ended("b-1"), ended("b-1-dialled")]).await;
    let farewell = fred.next().await;
    assert_eq!((&farewell["type"], &farewell["number"]), (&json!("ended"), &Value::Null));
}

#[tokio::test]
async fn the_offer_of_a_withheld_caller_says_no_more_than_the_call() {
    let (two, _alice, mut fred) = Two::with_clients().await;
    let request = json!({"pbx": "a", "leg": "a-1", "calling": ALICE, "withheld": true, "called": FRED,
        "side": "originating"});
    let out = two.a.send(Method::POST, "/v1/calls", AGENT, request).await.1["call"].as_str().unwrap().to_owned();
    two.accepted(&out).await;
    // The trunk is careless, and shows the number; that is all that Fred's node gets to know of it.
    let shown = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    talks(&two.b, &shown, "b-1").await;
    let peer = fred.next().await;
    assert_eq!((&peer["peer"]["number"], &peer["peer"]["name"]), (&json!(ALICE), &Value::Null));
}

#[tokio::test]
async fn a_rewritten_caller_is_known_by_its_digits() {
    let (two, _alice, mut fred) = Two::with_clients().await;
    let out = two.call("a-1").await;
    two.accepted(&out).await;
    let come = two.b.arrive("b-1", Some("02125550100;phone-context=pbx.b.example"), FRED, None).await;
    talks(&two.b, &come, "b-1").await;
    assert_eq!(fred.next().await["peer"]["number"], ALICE);
}

#[tokio::test]
async fn what_cant_be_told_apart_is_left_alone() {
    let (two, _alice, mut fred) = Two::with_clients().await;
    let carol = "+12125550102";
    two.a.number(carol, json!({"pbx": "a"})).await;
    two.a.client(carol, json!({})).await;
    let out = two.call("a-1").await;
    let other = two.a.decide("a-2", carol, FRED).await["call"].as_str().unwrap().to_owned();
    two.accepted(&out).await;
    two.accepted(&other).await;
    let come = two.b.arrive("b-1", None, FRED, None).await;
    talks(&two.b, &come, "b-1").await;
    fred.quiet().await;
    // The right number still finds its own, and what is left is alone then.
    let known = two.b.arrive("b-2", Some(carol), FRED, None).await;
    assert_eq!(fred.next().await["call"], json!(come));
    talks(&two.b, &known, "b-2").await;
    let peer = fred.next().await;
    assert_eq!((&peer["call"], &peer["peer"]["number"]), (&json!(known), &json!(carol)));
}

#[tokio::test]
async fn a_strangers_call_is_not_given_to_a_peer() {
    let (two, _alice, mut fred) = Two::with_clients().await;
    let out = two.call("a-1").await;
    two.accepted(&out).await;
    let come = two.b.arrive("b-1", Some("+442071838750"), FRED, None).await;
    talks(&two.b, &come, "b-1").await;
    fred.quiet().await;
    assert_eq!(two.b.get(&format!("/v1/calls/{come}"), ADMIN).await["remote"], Value::Null);
    // Another number of the peer's may be its caller's: that of the company.
    let come = two.b.arrive("b-2", Some("+12125550000"), FRED, None).await;
    talks(&two.b, &come, "b-2").await;
    let peer = fred.next().await;
    assert_eq!((&peer["call"], &peer["peer"]["number"]), (&json!(come), &json!("+12125550000")));
}

#[tokio::test]
async fn the_same_address_by_both_ways_is_one() {
    let (two, _alice, mut fred) = Two::with_clients().await;
    let decision = two.a.decide("a-1", ALICE, FRED).await;
    two.accepted(decision["call"].as_str().unwrap()).await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, decision["address"].as_str()).await;
    two.b.remote_side(&come, |far| far["peer"] == "a").await;
    talks(&two.b, &come, "b-1").await;
    let peer = fred.next().await;
    assert_eq!((&peer["peer"]["address"], &peer["peer"]["name"]), (&decision["address"], &json!("Alice")));
    fred.quiet().await;
    assert_eq!(two.b.remote_side(&come, |_| true).await["source"], "signalling");
}

#[tokio::test]
async fn a_trusted_trunk_is_believed_before_a_peer() {
    let (two, _alice, mut fred) = Two::with_clients().await;
    let out = two.call("a-1").await;
    two.accepted(&out).await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, Some("https://other.example/a/x")).await;
    talks(&two.b, &come, "b-1").await;
    assert_eq!(fred.next().await["peer"]["address"], "https://other.example/a/x");
    fred.quiet().await;
}

#[tokio::test]
async fn behind_a_main_number_the_extension_is_found() {
    let (two, _alice, mut fred) = Two::with_clients().await;
    two.b.number(GINA, json!({"kind": "main", "extensions": [FRED]})).await;
    let out = two.a.decide("a-1", ALICE, GINA).await["call"].as_str().unwrap().to_owned();
    two.accepted(&out).await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    talks(&two.b, &come, "b-1").await;
    assert_eq!(fred.next().await["peer"]["number"], ALICE);
}

#[tokio::test]
async fn nobody_is_offered_without_a_client_or_without_need() {
    let two = Two::start().await;
    // B2: no client, no offer; until there is one.
    let out = two.call("a-1").await;
    talks(&two.a, &out, "a-1").await;
    assert_eq!(two.a.get(&format!("/v1/calls/{out}"), ADMIN).await["remote"], Value::Null);
    two.a.client(ALICE, json!({})).await;
    two.accepted(&out).await;
    // A number that no peer serves is nobody's to be told of.
    let out = two.a.decide("a-2", ALICE, "+442071838750").await["call"].as_str().unwrap().to_owned();
    assert_eq!(two.a.get(&format!("/v1/calls/{out}"), ADMIN).await["remote"], Value::Null);
}

#[tokio::test]
async fn a_refusal_is_final_and_said() {
    let two = Two::start().await;
    two.a.client(ALICE, json!({})).await;
    let out = two.a.decide("a-1", ALICE, GINA).await["call"].as_str().unwrap().to_owned();
    let far = two.a.remote_side(&out, |far| far["offer"]["state"] == "refused").await;
    assert_eq!((&far["offer"]["error"], &far["offer"]["attempts"]), (&json!("HTTP 404 not-served"), &json!(1)));
    assert_eq!(far["offer"]["peer"], "b");
}

#[tokio::test]
async fn an_offer_ends_with_its_call() {
    let mut two = Two::start().await;
    two.a.client(ALICE, json!({})).await;
    two.b.kill().await;
    let out = two.call("a-1").await;
    two.a.remote_side(&out, |far| far["offer"]["attempts"].as_u64() > Some(0)).await;
    two.a.events(&out, 1, &[ended("a-1")]).await;
    let far = two.a.remote_side(&out, |far| far["offer"]["state"] == "dropped").await;
    two.b.restart().await;
    two.a.kill_and_restart().await;
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(two.a.remote_side(&out, |_| true).await["offer"]["attempts"], far["offer"]["attempts"]);
}

#[tokio::test]
async fn a_caller_who_gave_up_leaves_no_offer_behind() {
    let (two, _alice, mut fred) = Two::with_clients().await;
    let out = two.call("a-1").await;
    two.accepted(&out).await;
    two.a.events(&out, 1, &[ended("a-1")]).await;
    // One that is taken back before it has come, by whichever way that was slower, isn't kept.
    let overtaken = answer(two.b.request(Method::DELETE, "/v1/peer/offers/0199-1", TOKEN)).await;
    assert_eq!(overtaken.0, 204);
    assert_eq!(post(&two.b, TOKEN, &offer("0199-1")).await.0, 202);
    for _ in 0..200 {
        let text = two.b.http.get(two.b.url("/metrics")).send().await.unwrap().text().await.unwrap();
        if text.contains("sidecall_peer_offers_matched_total{how=\"withdrawn\"}") {
            let come = two.b.arrive("b-1", None, FRED, None).await;
            talks(&two.b, &come, "b-1").await;
            return fred.quiet().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the offer is still there");
}

/// An offer as the first node would make it.
pub(crate) fn offer(id: &str) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    json!({"id": id, "calling": ALICE, "called": FRED, "address": "http://127.0.0.1:1/a/x", "at": now, "sent": now,
        "via": ["https://node.a.example"]})
}

async fn post(node: &TestNode, token: &str, offer: &Value) -> (u16, String) {
    let (status, body) = node.send(Method::POST, "/v1/peer/offers", token, offer.clone()).await;
    (status.as_u16(), body["reason"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn what_is_refused_and_why() {
    let two = Two::start().await;
    let with = |key: &str, value: Value| {
        let mut offer = offer("0199-1");
        offer[key] = value;
        offer
    };
    let late = |key: &str, by: i64| with(key, (offer("x")[key].as_i64().unwrap() + by).into());
    let hops: Vec<String> = (0..9).map(|n| format!("https://{n}.example")).collect();
    for (token, offer, status, reason) in [
        ("a-stranger's-token", offer("0199-1"), 401, "unknown-peer"),
        (ADMIN, offer("0199-1"), 403, "unknown-peer"),
        (TOKEN, with("calling", json!("+442071838750")), 403, "not-its-number"),
        (TOKEN, with("called", json!("+442071838750")), 404, "not-served"),
        (TOKEN, with("called", json!("+12125550199")), 409, "loop"),
        (TOKEN, with("via", json!(["https://node.a.example", two.b.url("")])), 409, "loop"),
        (TOKEN, with("via", json!(hops)), 409, "loop"),
        (TOKEN, late("sent", -120_000), 422, "stale"),
        (TOKEN, late("sent", 120_000), 422, "stale"),
        (TOKEN, late("at", 120_000), 422, "stale"),
        (TOKEN, with("address", json!("javascript:alert(1)")), 422, "invalid"),
        (TOKEN, with("name", json!("a\nb")), 422, "invalid"),
        (TOKEN, with("capabilities", json!(vec!["x"; 17])), 422, "invalid"),
        (TOKEN, with("more", json!(1)), 422, "invalid"),
        (TOKEN, with("id", json!("a\r\nb")), 422, "invalid"),
        (TOKEN, with("calling", json!("+1212\r\nCalled: 1")), 422, "invalid"),
        (TOKEN, with("calling", json!("+1${system(id)}")), 422, "invalid"),
        (TOKEN, with("called", json!("1001;phone-context=a|b")), 422, "invalid"),
        (TOKEN, with("called", json!(["+13105550100"])), 422, "invalid"),
        (TOKEN, with("address", json!("https://a.example/\r\nX: y")), 422, "invalid"),
        (TOKEN, with("address", json!("sip:a@b.example?Subject=x")), 422, "invalid"),
        (TOKEN, with("address", json!(format!("https://a.example/{}", "x".repeat(200)))), 422, "invalid"),
        (TOKEN, with("name", json!("a\u{1b}[2J")), 422, "invalid"),
        (TOKEN, with("capabilities", json!(["a b"])), 422, "invalid"),
        (TOKEN, with("via", json!(["x".repeat(200)])), 422, "invalid"),
        (TOKEN, with("sent", json!(i64::MAX)), 422, "stale"),
        (TOKEN, with("sent", json!(1e300)), 422, "invalid"),
        (TOKEN, with("name", json!("x".repeat(20_000))), 413, "invalid"),
    ] {
        assert_eq!(post(&two.b, token, &offer).await, (status, reason.to_owned()), "{offer}");
    }
    // Whenever it began by their clock: what counts is how long ago that was.
    let mut ancient = offer("0199-0");
    ancient["at"] = i64::MIN.into();
    assert_eq!(post(&two.b, TOKEN, &ancient).await, (202, String::new()));
    // With a client and without: the same answer.
    assert_eq!(post(&two.b, TOKEN, &offer("0199-1")).await, (202, String::new()));
    two.b.client(FRED, json!({})).await;
    assert_eq!(post(&two.b, TOKEN, &offer("0199-2")).await, (202, String::new()));
    let text = two.b.http.get(two.b.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in
        ["peer=\"a\",result=\"not-its-number\"", "peer=\"\",result=\"unknown-peer\"", "peer=\"a\",result=\"accepted\""]
    {
        assert!(text.contains(&format!("sidecall_peer_offers_received_total{{{line}}}")), "{line} is not in:\n{text}");
    }
}

#[tokio::test]
async fn a_number_is_a_peers_too_if_a_portability_source_says_so() {
    let theirs =
        json!({"+14155550100": {"node": "https://node.a.example"}, "+14155550101": {"node": "https://node.c.example"}});
    let (url, _) = crate::portability::service(theirs).await;
    let b = TestNode::start_with(|config, _| {
        let source = json!({"deadline_ms": 2000, "source": [{"name": "lnp", "kind": "http", "url": url}]});
        config.lnp = serde_json::from_value(source).unwrap();
        let a = peer("a", "https://node.a.example", "+1212555");
        let c = peer("c", "https://node.c.example", "+1303");
        config.peers = vec![PeerConfig { accept_token: Some(TOKEN.into()), ..a }, c];
    })
    .await;
    b.number(FRED, json!({"pbx": "b"})).await;
    for (n, calling, status) in [
        (1, ALICE, 202),
        (2, "+14155550100", 202),
        // Another peer's, and one that nobody knows.
        (3, "+14155550101", 403),
        (4, "+14155550102", 403),
    ] {
        let mut offer = offer(&format!("0199-{n}"));
        offer["calling"] = calling.into();
        assert_eq!(post(&b, TOKEN, &offer).await.0, status, "{calling}");
    }
}

#[tokio::test]
async fn a_repeat_is_no_harm_and_a_replay_is_refused() {
    let (two, _alice, mut fred) = Two::with_clients().await;
    let first = offer("0199-1");
    assert_eq!(post(&two.b, TOKEN, &first).await.0, 202);
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    talks(&two.b, &come, "b-1").await;
    fred.next().await;
    // Used or not: the same is taken again, and does nothing.
    let mut again = first.clone();
    again["sent"] = (first["sent"].as_i64().unwrap() + 1).into();
    assert_eq!(post(&two.b, TOKEN, &again).await.0, 202);
    again["address"] = "http://127.0.0.1:1/a/other".into();
    assert_eq!(post(&two.b, TOKEN, &again).await, (409, "replayed".to_owned()));
    let second = two.b.arrive("b-2", Some(ALICE), FRED, None).await;
    talks(&two.b, &second, "b-2").await;
    fred.quiet().await;
}

/// The offers that the stopped node's database holds, after a change to it.
pub(crate) async fn rows(node: &TestNode, change: &str) -> i64 {
    use sqlx::{Executor, Row};
    let mut database = node.database().await;
    database.execute(sqlx::AssertSqlSafe(change.to_owned())).await.unwrap();
    database.fetch_one("SELECT count(*) FROM offers").await.unwrap().get(0)
}

#[tokio::test]
async fn no_offer_is_used_twice_over_a_restart_and_none_stays() {
    let (mut two, _alice, _) = Two::with_clients().await;
    let first = offer("0199-1");
    assert_eq!(post(&two.b, TOKEN, &first).await.0, 202);
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    two.b.remote_side(&come, |far| !far.is_null()).await;
    // The call is written down before its offer is deleted.
    while rows(&two.b, "SELECT 1").await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // As if it had been killed between the two, and another one's number had been deleted meanwhile.
    two.b.kill().await;
    let mut gone = offer("0199-2");
    gone["called"] = GINA.into();
    let insert = |id: &str, offer: &Value| {
        format!(
            "INSERT OR IGNORE INTO offers (peer, id, received, body) VALUES ('a', '{id}', {}, '{offer}');",
            offer["sent"]
        )
    };
    let change = insert("0199-1", &first) + &insert("0199-2", &gone);
    assert_eq!(rows(&two.b, &change).await, 2);
    two.b.restart().await;
    let second = two.b.arrive("b-2", Some(ALICE), FRED, None).await;
    talks(&two.b, &second, "b-2").await;
    assert_eq!(two.b.get(&format!("/v1/calls/{second}"), ADMIN).await["remote"], Value::Null);
    two.b.kill().await;
    assert_eq!(rows(&two.b, "SELECT 1").await, 0);
}

#[tokio::test]
async fn a_peer_may_do_nothing_else() {
    let two = Two::start().await;
    for path in ["/v1/numbers", "/v1/calls", "/v1/clients"] {
        assert_eq!(answer(two.b.request(Method::GET, path, TOKEN)).await.0, 403, "{path}");
    }
}

/// Certificate and key for a name, in files.
pub(crate) fn sign(ca: &Ca, name: &str, folder: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = ca.sign(&[name]);
    (write(folder, &format!("{name}.pem"), &certificate), write(folder, &format!("{name}.key"), &key))
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn a_certificate_is_as_good_as_a_token() {
    let (ours, theirs) = (Ca::generate(), Ca::generate());
    let b = TestNode::start_with(|config, folder| {
        let (cert, key) = sign(&ours, "localhost", folder);
        config.tls = Some(TlsFiles { cert, key, client_ca: Some(write(folder, "ca.pem", &theirs.pem())) });
        config.public_url = Some("https://localhost:8600".to_owned());
        let a = peer("a", "https://node.a.example", "+1212555");
        config.peers = vec![PeerConfig { certificate: Some("node.a.example".to_owned()), ..a }];
    })
    .await;
    let url = format!("https://localhost:{}", b.address.port());
    let ask = async |set: &dyn Fn(&Path, &mut NodeConfig)| {
        let a = TestNode::start_with(|config, folder| {
            let known = PeerConfig { ca_file: Some(write(folder, "ca.pem", &ours.pem())), ..peer("b", &url, "+1310") };
            config.peers = vec![known];
            set(folder, config);
        })
        .await;
        a.number(ALICE, json!({"pbx": "a"})).await;
        a.client(ALICE, json!({})).await;
        let out = a.decide("a-1", ALICE, FRED).await["call"].as_str().unwrap().to_owned();
        a.remote_side(&out, |far| far["offer"]["attempts"].as_u64() > Some(0)).await["offer"].clone()
    };
    let shows = |ca: &Ca, name: &str, folder: &Path, config: &mut NodeConfig| {
        let (cert, key) = sign(ca, name, folder);
        (config.peers[0].client_cert, config.peers[0].client_key) = (Some(cert), Some(key));
    };
    // Known by its certificate: the number isn't served, but that it is told.
    let said = ask(&|folder, config| shows(&theirs, "node.a.example", folder, config)).await;
    assert_eq!((&said["state"], &said["error"]), (&json!("refused"), &json!("HTTP 404 not-served")));
    // Another name, or none.
    let said = ask(&|folder, config| shows(&theirs, "node.c.example", folder, config)).await;
    assert_eq!(said["error"], "HTTP 401 unknown-peer");
    assert_eq!(ask(&|_, _| ()).await["error"], "HTTP 401 unknown-peer");
    // One that another CA has signed isn't let in, and a node that we can't know isn't told anything.
    let said = ask(&|folder, config| shows(&ours, "node.a.example", folder, config)).await;
    assert_eq!(said["state"], "pending", "{said}");
    let said = ask(&|folder, config| config.peers[0].ca_file = Some(write(folder, "ca.pem", &theirs.pem()))).await;
    assert!(said["state"] == "pending" && said["error"].as_str().unwrap().contains("certificate"), "{said}");
}
