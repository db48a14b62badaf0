//! Which addresses clients may bind, and what becomes of those that are bound already.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sidecall::core::address::client_policy::ClientPolicy;

use crate::support::{ADMIN, AGENT, ALICE, BOB, TestNode, answer, bridged, credential, dialled, unbridged};
use crate::two_nodes::talks;
use crate::webhooks::Receiver;

async fn node_with(clients: Value) -> TestNode {
    let node = TestNode::start_with(|config, _| config.clients = serde_json::from_value(clients).unwrap()).await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    node
}

async fn bind(node: &TestNode, token: &str, address: &str) -> (StatusCode, String) {
    let (status, body) =
        node.send(Method::POST, "/v1/clients", token, json!({"number": BOB, "address": address})).await;
    (status, body.to_string())
}

#[tokio::test]
async fn nobody_binds_an_address_that_leads_inside_or_to_another_domain() {
    let node = node_with(json!({})).await;
    for (address, key) in [
        ("sip:+19005551234@carrier.example", "node.clients.sip_hosts"),
        ("sip:x@10.0.0.8", "node.clients.sip_hosts"),
        ("sip:x@127.0.0.1:5080", "node.clients.sip_hosts"),
        ("https://169.254.169.254/latest/meta-data", "node.clients.webhook_hosts"),
        ("https://10.0.0.8/x", "node.clients.webhook_hosts"),
        ("http://127.0.0.1:8080/x", "node.clients.webhook_hosts"),
        ("https://localhost/x", "node.clients.webhook_hosts"),
        ("https://[::ffff:10.0.0.8]/x", "node.clients.webhook_hosts"),
    ] {
        for token in [ADMIN, &credential(BOB)] {
            let (status, body) = bind(&node, token, address).await;
            assert_eq!(status, 422, "{address}: {body}");
            assert!(body.contains(key) && body.contains("\"address\""), "{address}: {body}");
        }
    }
    assert_eq!(node.get(&format!("/v1/clients?number={}", BOB.replace('+', "%2B")), ADMIN).await["clients"], json!([]));
    // A name that can't be resolved now is looked at again when there is something to post.
    assert_eq!(bind(&node, &credential(BOB), "https://hook.example/x").await.0, 201);
}

#[tokio::test]
async fn what_is_listed_or_an_own_domain_may_be_bound() {
    let clients =
        json!({"sip_hosts": ["*.branch.example", "10.20.0.0/16"], "webhook_hosts": ["10.0.0.8", "localhost"]});
    let node = TestNode::start_with(|config, _| {
        config.clients = serde_json::from_value(clients).unwrap();
        config.clients.own("pbx.example");
    })
    .await;
    node.number(BOB, json!({"pbx": "a"})).await;
    for address in [
        "sip:1001@pbx.example",
        "sip:1001@b.branch.example",
        "sips:x@10.20.7.7:5061",
        "https://10.0.0.8/x",
        "https://localhost/x",
    ] {
        let (status, body) = bind(&node, &credential(BOB), address).await;
        assert_eq!(status, 201, "{address}: {body}");
    }
}

/// An earlier version took any address, and an administrator may take a host from the list.
#[tokio::test]
async fn nothing_is_sent_to_what_was_bound_before_the_policy() {
    let (receiver, address) = Receiver::start(&[]).await;
    let mut node = node_with(json!({"sip_hosts": ["pbx.example"], "webhook_hosts": ["127.0.0.1"]})).await;
    node.client(BOB, json!({"address": address})).await;
    node.client(ALICE, json!({"address": "sip:alice@pbx.example"})).await;
    node.config.clients = ClientPolicy::default();
    node.kill_and_restart().await;
    let call = node.talk().await;
    let deliveries = node.until(&call, |all| all.len() == 2 && all.iter().all(|d| d["state"] == "failed")).await;
    let errors: Vec<&str> = deliveries.iter().map(|delivery| delivery["error"].as_str().unwrap()).collect();
    for key in ["node.clients.sip_hosts", "node.clients.webhook_hosts"] {
        assert!(errors.iter().any(|error| error.ends_with(key)), "{errors:?}");
    }
    assert_eq!(receiver.count(), 0);
    assert_eq!(handed_out(&node).await, 0);
}

#[tokio::test]
async fn a_numbers_softphones_are_sent_a_limited_number_of_messages() {
    let node = node_with(json!({"sip_hosts": ["pbx.example"], "messages_per_minute": 4})).await;
    node.client(BOB, json!({"address": "sip:bob@pbx.example"})).await;
    let alice = node.client(ALICE, json!({})).await;
    let mut stream = node.websocket(&alice, ALICE).await;
    let call = node.talk().await;
    let peer = stream.next().await;
    let to_bob = peer["peer"]["address"].as_str().unwrap();
    // Half is kept for whom the number talks with.
    for n in 0..3 {
        let text = json!({"type": "text", "text": format!("{n}")});
        assert_eq!(answer(node.http.post(to_bob).json(&text)).await.0, 202);
    }
    // The peer message and one text are taken.
    let failed = |all: &[Value]| all.iter().filter(|d| d["state"] == "failed").count() == 2;
    let deliveries = node.until(&call, failed).await;
    let why = deliveries.iter().find_map(|delivery| delivery["error"].as_str()).unwrap();
    assert!(why.contains("messages_per_minute"), "{why}");
    // The peer message went out with the answer to the report of the bridge.
    assert_eq!(handed_out(&node).await, 1);
}

/// Whoever has Bob's address for the call can post an address to it. The PBX writes to none that no trunk, peer or
/// administrator vouches for.
#[tokio::test]
async fn an_answer_goes_to_no_sip_address_that_only_a_message_names() {
    let node = node_with(json!({"sip_hosts": ["branch.example"]})).await;
    node.client(ALICE, json!({})).await;
    node.client(BOB, json!({})).await;
    for (leg, host, answered) in [("a", "carrier.example", false), ("b", "branch.example", true)] {
        let [first, far_leg, second, other] = ["1", "1-dialled", "2", "3"].map(|n| format!("{leg}-{n}"));
        let decision = node.decide(&first, BOB, "+442071838750").await;
        let (call, own) = (decision["call"].as_str().unwrap(), decision["address"].as_str().unwrap());
        talks(&node, call, &first).await;
        let peer =
            json!({"number": "+442071838750", "address": format!("sip:+19005551234@{host}"), "capabilities": []});
        let told = json!({"type": "peer", "role": "first", "peer": peer});
        assert_eq!(answer(node.http.post(own).json(&told)).await.0, 202);
        // Bob connects them to Alice, whose address they don't have yet.
        let asked = node.decide(&second, BOB, ALICE).await["call"].as_str().unwrap().to_owned();
        let events = [dialled(&other), bridged(&second, &other), unbridged(&second, &other)];
        node.events(&asked, 1, &events).await;
        let reply = node.events(call, 3, &[unbridged(&first, &far_leg), bridged(&other, &far_leg)]).await;
        let far = node.remote_side(call, |far| far["answers"][0]["state"].is_string()).await;
        assert_eq!(far["answers"][0]["state"], if answered { "pending" } else { "refused" }, "{far}");
        let error = far["answers"][0]["error"].as_str().unwrap_or_default();
        assert_eq!(error.contains("node.clients.answer_hosts"), !answered, "{far}");
        let sent = reply["messages"].as_array().map_or(0, Vec::len) + handed_out(&node).await;
        assert_eq!(sent, usize::from(answered), "{host}: {reply}");
    }
}

#[tokio::test]
async fn answers_to_others_sip_addresses_have_the_numbers_rate() {
    let node = node_with(json!({"messages_per_minute": 2})).await;
    node.client(BOB, json!({})).await;
    let mut states = Vec::new();
    for n in 0..3 {
        let leg = format!("b-{n}");
        let call = node.arrive(&leg, Some("+442071838750"), BOB, Some("sip:anna@a.example")).await;
        talks(&node, &call, &leg).await;
        let far = node.remote_side(&call, |far| far["answers"][0]["state"].is_string()).await;
        states.push(far["answers"][0]["state"].as_str().unwrap().to_owned());
        let error = far["answers"][0]["error"].as_str().unwrap_or_default();
        assert_eq!(error.contains("messages_per_minute"), n == 2, "{far}");
    }
    assert_eq!(states, ["pending", "pending", "refused"]);
}

/// The PBX could not send it yet, and Anna's client says once more where it is.
#[tokio::test]
async fn an_answer_counts_once_however_often_the_other_client_makes_itself_known() {
    let node = node_with(json!({"messages_per_minute": 2})).await;
    node.client(BOB, json!({})).await;
    let anna = "sip:anna@a.example";
    let call = node.arrive("b-1", Some("+442071838750"), BOB, Some(anna)).await;
    let reply = node.events(&call, 1, &[dialled("b-2"), bridged("b-1", "b-2")]).await;
    let sent = &reply["messages"][0];
    let unsent = json!([{"id": sent["id"], "error": "no link", "unsent": true, "rest_ms": 60_000}]);
    let report = json!({"kind": "asterisk", "agent": "x", "link": "up", "since": 1, "sent": unsent});
    assert_eq!(node.send(Method::PUT, "/v1/pbxs/b", AGENT, report).await.0, 200);
    node.remote_side(&call, |far| far["answers"][0]["error"] == "no link").await;
    let own = sent["text"].as_str().unwrap().split_whitespace().find(|word| word.starts_with("http://")).unwrap();
    let peer = json!({"number": "+442071838750", "address": anna, "capabilities": []});
    for _ in 0..3 {
        let told = json!({"type": "peer", "role": "first", "peer": peer});
        assert_eq!(answer(node.http.post(own).json(&told)).await.0, 202);
    }
    let far = node.remote_side(&call, |_| true).await;
    assert_eq!((&far["answers"][0]["state"], &far["answers"][0]["error"]), (&json!("pending"), &json!("no link")));
}

/// How many SIP MESSAGEs the PBX's agent is given to send.
async fn handed_out(node: &TestNode) -> usize {
    let report = json!({"kind": "asterisk", "agent": "x", "link": "up", "since": 1});
    let (status, answer) = node.send(Method::PUT, "/v1/pbxs/a", AGENT, report).await;
    assert_eq!(status, 200, "{answer}");
    answer["messages"].as_array().map_or(0, Vec::len)
}
