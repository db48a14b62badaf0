//! Offers between nodes that are refused, and what a peer is known by (B11).

use std::path::Path;
use std::time::Duration;

use lab::net::ca::Ca;
use reqwest::Method;
use serde_json::{Value, json};
use sidecall::node::{NodeConfig, PeerConfig, TlsFiles};

use crate::support::{ADMIN, ALICE, TestNode, answer};
use crate::two_nodes::{FRED, GINA, TOKEN, Two, offer, peer, post, rows, sign, talks, write};

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
