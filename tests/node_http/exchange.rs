//! The second client's address goes back to the first (B7), whatever the clients' form.

use reqwest::Method;
use serde_json::{Value, json};
use sidecall::push::SipText;

use crate::support::{ADMIN, AGENT, ALICE, BOB, CAROL, TestNode, answer, bridged, dialled, ended, unbridged};
use crate::two_nodes::{FRED, Two, talks};
use crate::webhooks::Receiver;

/// The SIP MESSAGEs that the agent of a PBX is given.
async fn messages(node: &TestNode, pbx: &str, sent: Value) -> Vec<Value> {
    let report = json!({"kind": "freeswitch", "agent": "x", "link": "up", "since": 1, "sent": sent});
    let (_, reply) = node.send(Method::PUT, &format!("/v1/pbxs/{pbx}"), AGENT, report).await;
    reply["messages"].as_array().unwrap().clone()
}

/// A call from Alice that has come to Fred, and is up on both sides.
async fn up(two: &Two) -> (String, String) {
    let out = two.offered("a-1").await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    talks(&two.a, &out, "a-1").await;
    talks(&two.b, &come, "b-1").await;
    (out, come)
}

#[tokio::test]
async fn b7_the_node_answers_for_a_webhook() {
    let (two, (hook, address)) = (Two::start().await, Receiver::start(&[]).await);
    let alice = two.a.client(ALICE, json!({})).await;
    let mut alice = two.a.websocket(&alice, ALICE).await;
    two.b.client(FRED, json!({"address": address})).await;
    let (_, come) = up(&two).await;
    let met = alice.next().await;
    assert_eq!((&met["peer"]["number"], &met["peer"]["name"]), (&json!(FRED), &json!("Fred")));
    let far = two.b.remote_side(&come, |far| far["answers"][0]["state"] == "accepted").await;
    assert_eq!((&far["answers"][0]["number"], &far["answers"][0]["peer"]), (&json!(FRED), &json!("a")));
    // The webhook isn't asked to do it, and gets what is sent to its number.
    let got = hook.bodies(1).await;
    assert_eq!((&got[0]["peer"]["number"], &got[0]["own"]), (&json!(ALICE), &Value::Null));
    let to = met["peer"]["address"].as_str().unwrap();
    assert!(to.starts_with(&two.b.url("/a/")), "its own address stays at home: {to}");
    assert_eq!(answer(two.b.http.post(to).json(&json!({"text": "hello"}))).await.0, 202);
    assert_eq!(hook.bodies(2).await[1]["content"]["text"], "hello");
}

#[tokio::test]
async fn b7_the_node_answers_for_a_softphone() {
    let two = Two::start().await;
    let alice = two.a.client(ALICE, json!({})).await;
    let mut alice = two.a.websocket(&alice, ALICE).await;
    two.b.client(FRED, json!({"address": "sip:fred@pbx.b.example"})).await;
    up(&two).await;
    let to = alice.next().await["peer"]["address"].as_str().unwrap().to_owned();
    assert_eq!(answer(two.b.http.post(&to).json(&json!({"text": "hello"}))).await.0, 202);
    let told = messages(&two.b, "b", json!([])).await;
    let last = told.last().unwrap();
    assert_eq!((&last["to"], &last["from"]), (&json!("sip:fred@pbx.b.example"), &json!(ALICE)));
    assert!(last["text"].as_str().unwrap().starts_with("hello sidecall:message"), "{last}");
    // What no SIP MESSAGE can hold is not tried.
    assert_eq!(answer(two.b.http.post(&to).json(&json!({"text": "x".repeat(5000)}))).await.0, 202);
    let calls = two.b.get("/v1/calls", ADMIN).await;
    let failed = |d: &Value| d["error"] == "too long for a SIP MESSAGE" && d["state"] == "failed";
    two.b.until(calls["calls"][0]["call"].as_str().unwrap(), |all| all.iter().any(failed)).await;
}

#[tokio::test]
async fn one_answer_is_enough_for_a_number_with_clients_of_all_forms() {
    let (two, (hook, address)) = (Two::start().await, Receiver::start(&[]).await);
    let alice = two.a.client(ALICE, json!({})).await;
    let mut alice = two.a.websocket(&alice, ALICE).await;
    two.b.client(FRED, json!({"address": address})).await;
    let fred = two.b.client(FRED, json!({})).await;
    let mut fred = two.b.websocket(&fred, FRED).await;
    let (_, come) = up(&two).await;
    assert_eq!(fred.next().await["own"], Value::Null, "its node does it");
    hook.bodies(1).await;
    alice.next().await;
    alice.quiet().await;
    two.b.remote_side(&come, |far| far["answers"].as_array().unwrap().len() == 1).await;
}

#[tokio::test]
async fn a_webhook_of_the_first_side_gets_the_answer_too() {
    let (two, (hook, address)) = (Two::start().await, Receiver::start(&[]).await);
    two.a.client(ALICE, json!({"address": address})).await;
    two.b.client(FRED, json!({"address": "sip:fred@pbx.b.example"})).await;
    let (out, _) = up(&two).await;
    let got = hook.bodies(1).await;
    assert_eq!(
        (&got[0]["type"], &got[0]["role"], &got[0]["peer"]["number"]),
        (&json!("peer"), &json!("first"), &json!(FRED))
    );
    two.a.until(&out, |all| all.iter().any(|d| d["state"] == "delivered")).await;
    two.a.events(&out, 3, &[ended("a-1"), ended("a-1-dialled")]).await;
    assert_eq!(hook.bodies(2).await[1]["type"], "ended");
}

#[tokio::test]
async fn an_answer_is_tried_until_it_is_taken() {
    let (mut two, (_hook, address)) = (Two::start().await, Receiver::start(&[]).await);
    let id = two.a.client(ALICE, json!({})).await;
    two.b.client(FRED, json!({"address": address})).await;
    let out = two.offered("a-1").await;
    talks(&two.a, &out, "a-1").await;
    two.a.kill().await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    talks(&two.b, &come, "b-1").await;
    two.b.remote_side(&come, |far| far["answers"][0]["attempts"].as_u64() > Some(0)).await;
    // Both nodes begin anew, and nothing is lost.
    two.b.kill_and_restart().await;
    two.a.restart().await;
    let mut alice = two.a.websocket(&id, ALICE).await;
    assert_eq!(alice.next().await["peer"]["number"], FRED);
    two.b.remote_side(&come, |far| far["answers"][0]["state"] == "accepted").await;
}

#[tokio::test]
async fn an_answer_ends_with_its_call_and_follows_no_redirect() {
    let node = TestNode::start().await;
    node.number(BOB, json!({"pbx": "b"})).await;
    let (_hook, own) = Receiver::start(&[]).await;
    node.client(BOB, json!({"address": own})).await;
    let (first, address) = Receiver::start(&[302]).await;
    let call = node.arrive("b-1", Some(ALICE), BOB, Some(&address)).await;
    talks(&node, &call, "b-1").await;
    let far = node.remote_side(&call, |far| far["answers"][0]["state"] == "refused").await;
    assert_eq!(far["answers"][0]["error"], "HTTP 302");
    assert_eq!(first.bodies(1).await.len(), 1);
    let (second, address) = Receiver::start(&[500; 100]).await;
    let call = node.arrive("b-2", Some(ALICE), BOB, Some(&address)).await;
    talks(&node, &call, "b-2").await;
    second.bodies(1).await;
    node.events(&call, 3, &[ended("b-2"), ended("b-2-dialled")]).await;
    node.remote_side(&call, |far| far["answers"][0]["state"] == "dropped").await;
}

#[tokio::test]
async fn a_node_that_others_reach_writes_into_no_private_network() {
    let node = TestNode::start_with(|config, _| config.public_url = Some("https://node.example".to_owned())).await;
    node.number(BOB, json!({"pbx": "b"})).await;
    node.client(BOB, json!({"address": "sip:bob@pbx.example"})).await;
    let private =
        ["https://10.0.0.1/a/x", "https://169.254.169.254/latest", "https://[fd00::1]/a/x", "sip:1005@10.0.0.1"];
    for (n, address) in private.iter().enumerate() {
        let leg = format!("b-{n}");
        let call = node.arrive(&leg, Some(ALICE), BOB, Some(address)).await;
        talks(&node, &call, &leg).await;
        let far = node.remote_side(&call, |far| far["answers"][0]["state"] == "refused").await;
        let error = far["answers"][0]["error"].as_str().unwrap();
        assert!(error.starts_with("leads into a private network"), "{error}");
    }
    for (leg, address) in [("b-8", "sip:1005@127.0.0.1"), ("b-9", "http://127.0.0.1:9/a/x")] {
        let call = node.arrive(leg, Some(ALICE), BOB, Some(address)).await;
        talks(&node, &call, leg).await;
        assert_eq!(node.get(&format!("/v1/calls/{call}"), ADMIN).await["remote"], Value::Null);
    }
}

#[tokio::test]
async fn a_first_address_of_the_sip_kind_is_answered_by_a_message() {
    let node = TestNode::start().await;
    node.number(BOB, json!({"pbx": "b", "name": "Bob"})).await;
    let bob = node.client(BOB, json!({})).await;
    let mut bob = node.websocket(&bob, BOB).await;
    let call = node.arrive("b-1", Some(ALICE), BOB, Some("sip:alice@pbx.a.example")).await;
    let reply = node.events(&call, 1, &[dialled("b-1-dialled"), bridged("b-1", "b-1-dialled")]).await;
    let peer = bob.next().await;
    assert_eq!((&peer["peer"]["address"], &peer["own"]), (&json!("sip:alice@pbx.a.example"), &Value::Null));
    let sent = node.get(&format!("/v1/calls/{call}"), ADMIN).await;
    assert_eq!(sent["remote"]["answers"][0]["state"], "pending");
    // The report of the bridge has fetched it, and nobody has said what became of it.
    let id = &reply["messages"][0]["id"];
    messages(&node, "b", json!([{"id": id, "error": "503", "unsent": true}])).await;
    node.remote_side(&call, |far| far["answers"][0]["error"] == "503").await;
    messages(&node, "b", json!([{"id": id}])).await;
    node.remote_side(&call, |far| far["answers"][0]["state"] == "accepted").await;
    // Bob asks Carol, connects Alice to her, and takes her back: that is news, by an id of its own.
    node.number(CAROL, json!({"pbx": "b"})).await;
    node.client(CAROL, json!({})).await;
    let request = json!({"pbx": "b", "leg": "b-5", "calling": BOB, "called": CAROL, "side": "originating"});
    let asked = node.send(Method::POST, "/v1/calls", AGENT, request).await.1["call"].as_str().unwrap().to_owned();
    node.events(&asked, 1, &[dialled("b-6"), bridged("b-5", "b-6"), unbridged("b-5", "b-6")]).await;
    let reply = node.events(&call, 3, &[unbridged("b-1", "b-1-dialled"), bridged("b-1", "b-6")]).await;
    assert_eq!(reply["messages"][0]["from"], CAROL, "{reply}");
    let reply = node.events(&call, 5, &[unbridged("b-1", "b-6"), bridged("b-1", "b-1-dialled")]).await;
    let again = &reply["messages"][0];
    assert!(again["from"] == BOB && again["id"] != *id, "{reply}");
    // What it says can be read by a program.
    let call = node.arrive("b-2", None, BOB, Some("sip:anna@pbx.a.example")).await;
    let reply = node.events(&call, 1, &[dialled("b-3"), bridged("b-2", "b-3")]).await;
    let message = &reply["messages"][0];
    assert_eq!((&message["to"], &message["from"]), (&json!("sip:anna@pbx.a.example"), &json!(BOB)));
    assert!(message["text"].as_str().unwrap().parse::<SipText>().is_ok(), "{message}");
}

#[tokio::test]
async fn a_withheld_caller_is_reached_by_what_came_in_the_signalling() {
    let node = TestNode::start().await;
    node.number(BOB, json!({"pbx": "b"})).await;
    let bob = node.client(BOB, json!({})).await;
    let mut bob = node.websocket(&bob, BOB).await;
    let call = node.arrive("b-1", None, BOB, Some("https://other.example/a/x")).await;
    talks(&node, &call, "b-1").await;
    let peer = bob.next().await;
    assert_eq!(
        (&peer["peer"]["number"], &peer["peer"]["address"]),
        (&Value::Null, &json!("https://other.example/a/x"))
    );
}

#[tokio::test]
async fn both_ends_on_one_node_are_told_once_and_by_each_other() {
    for stripped in [false, true] {
        let node = TestNode::start().await;
        node.number(ALICE, json!({"pbx": "a"})).await;
        node.number(BOB, json!({"pbx": "b"})).await;
        let (alice, bob) = (node.client(ALICE, json!({})).await, node.client(BOB, json!({})).await);
        let (mut alice, mut bob) = (node.websocket(&alice, ALICE).await, node.websocket(&bob, BOB).await);
        let decision = node.decide("a-1", ALICE, BOB).await;
        let out = decision["call"].as_str().unwrap();
        let received = decision["address"].as_str().filter(|_| !stripped);
        let come = node.arrive("b-1", Some(ALICE), BOB, received).await;
        talks(&node, &come, "b-1").await;
        talks(&node, out, "a-1").await;
        let (to_alice, to_bob) = (alice.next().await, bob.next().await);
        assert_eq!((&to_alice["role"], &to_alice["peer"]["number"]), (&json!("first"), &json!(BOB)));
        assert_eq!((&to_bob["peer"]["number"], &to_bob["own"]), (&json!(ALICE), &Value::Null));
        for message in [&to_alice, &to_bob] {
            assert_eq!(message["call"], json!(come));
        }
        alice.quiet().await;
        bob.quiet().await;
        // The next time his PBX turns the trunk away, and the call goes on by the PSTN.
        let decision = node.decide("a-2", ALICE, BOB).await;
        let out = decision["call"].as_str().unwrap();
        let received = decision["address"].as_str().filter(|_| !stripped);
        let come = node.arrive("b-2", Some(ALICE), BOB, received).await;
        node.events(&come, 1, &[ended("b-2")]).await;
        talks(&node, out, "a-2").await;
        for stream in [&mut alice, &mut bob] {
            assert_eq!(stream.next().await["call"], json!(out));
        }
    }
}

#[tokio::test]
async fn b13_who_takes_over_at_the_far_side_is_made_known() {
    let (two, (_hook, address)) = (Two::start().await, Receiver::start(&[]).await);
    let alice = two.a.client(ALICE, json!({})).await;
    let mut alice = two.a.websocket(&alice, ALICE).await;
    two.b.client(FRED, json!({"address": address})).await;
    let gina = "+13105550101";
    two.b.number(gina, json!({"pbx": "b", "name": "Gina"})).await;
    two.b.client(gina, json!({"address": address})).await;
    let (out, come) = up(&two).await;
    assert_eq!(alice.next().await["peer"]["number"], FRED);
    two.a.until(&out, |all| all.iter().any(|d| d["state"] == "delivered")).await;
    // Fred asks Gina, and connects Alice to her.
    let request = json!({"pbx": "b", "leg": "b-3", "calling": FRED, "called": gina, "side": "originating"});
    let (_, decision) = two.b.send(Method::POST, "/v1/calls", AGENT, request).await;
    let asked = decision["call"].as_str().unwrap().to_owned();
    two.b.events(&asked, 1, &[dialled("b-4"), bridged("b-3", "b-4"), unbridged("b-3", "b-4")]).await;
    two.b.events(&come, 3, &[unbridged("b-1", "b-1-dialled"), bridged("b-1", "b-4")]).await;
    let farewell = alice.next().await;
    assert_eq!((&farewell["type"], &farewell["number"]), (&json!("ended"), &json!(FRED)));
    assert_eq!(alice.next().await["peer"]["number"], gina);
    two.a.until(&out, |all| all.iter().filter(|d| d["state"] == "delivered").count() == 3).await;
    // And takes her back.
    two.b.events(&come, 5, &[unbridged("b-1", "b-4"), bridged("b-1", "b-1-dialled")]).await;
    let farewell = alice.next().await;
    assert_eq!((&farewell["type"], &farewell["number"]), (&json!("ended"), &json!(gina)));
    assert_eq!(alice.next().await["peer"]["number"], FRED);
}

#[tokio::test]
async fn b13_who_takes_over_at_the_near_side_makes_themselves_known() {
    let (two, mut alice, mut fred) = Two::with_clients().await;
    two.a.number(CAROL, json!({"pbx": "a", "name": "Carol"})).await;
    let carol = two.a.client(CAROL, json!({})).await;
    let mut carol = two.a.websocket(&carol, CAROL).await;
    let (out, _) = up(&two).await;
    let peer = fred.next().await;
    let told = json!({"type": "peer", "peer": peer["own"]});
    answer(two.a.http.post(peer["peer"]["address"].as_str().unwrap()).json(&told)).await;
    assert_eq!(alice.next().await["peer"]["number"], FRED);
    two.a.until(&out, |all| all.iter().any(|d| d["state"] == "delivered")).await;
    // Alice asks Carol, and connects Fred to her.
    let asked = two.a.decide("a-3", ALICE, CAROL).await["call"].as_str().unwrap().to_owned();
    two.a.events(&asked, 1, &[dialled("a-4"), bridged("a-3", "a-4"), unbridged("a-3", "a-4")]).await;
    two.a.events(&out, 3, &[unbridged("a-1", "a-1-dialled"), bridged("a-4", "a-1-dialled")]).await;
    let met = loop {
        let message = carol.next().await;
        if message["peer"]["number"] == FRED {
            break message;
        }
    };
    // Fred's node doesn't know Carol's address: she tells it.
    let (to, own) = (met["peer"]["address"].as_str().unwrap(), &met["own"]);
    assert_eq!(own["number"], CAROL);
    assert_eq!(answer(two.b.http.post(to).json(&json!({"type": "peer", "peer": own}))).await.0, 202);
    assert_eq!(fred.next().await["peer"]["number"], CAROL);
}

#[tokio::test]
async fn who_withholds_the_number_is_reached_and_not_named() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a", "name": "Alice"})).await;
    node.number(BOB, json!({"pbx": "a", "name": "Bob"})).await;
    let (alice, bob) = (node.client(ALICE, json!({})).await, node.client(BOB, json!({})).await);
    node.client(BOB, json!({"address": "sip:bob@pbx.example"})).await;
    let (mut alice, mut bob) = (node.websocket(&alice, ALICE).await, node.websocket(&bob, BOB).await);
    let call = node.decide_withheld("leg-1", BOB).await["call"].as_str().unwrap().to_owned();
    let up = node.events(&call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    let met = alice.next().await["peer"].clone();
    assert_eq!((&met["number"], &met["name"]), (&json!(BOB), &json!("Bob")));
    let mut told = vec![bob.next().await];
    assert_eq!(answer(node.http.post(met["address"].as_str().unwrap()).json(&json!({"text": "hi"}))).await.0, 202);
    told.push(bob.next().await);
    let over = node.events(&call, 3, &[ended("leg-2"), ended("leg-1")]).await;
    told.push(bob.next().await);
    assert_eq!(alice.next().await["number"], BOB);
    let kinds: Vec<_> = told.iter().map(|said| said["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["peer", "message", "ended"]);
    assert!(told[0]["peer"]["address"].is_string());
    // His softphone is told the same, in nobody's name.
    let mut sent = messages(&node, "a", json!([])).await;
    sent.extend([up, over].iter().flat_map(|reply| reply["messages"].as_array().unwrap().clone()));
    assert!(sent.len() >= 2 && sent.iter().all(|sent| sent["from"].as_str().unwrap().ends_with("=anonymous.invalid")));
    for said in told.iter().chain(&sent) {
        let text = said.to_string();
        assert!(!text.contains(&ALICE[1..]) && !text.contains("Alice"), "{text}");
    }
}

/// One of our PBXs calls another one of ours over a trunk that shows the number all the same.
#[tokio::test]
async fn who_withholds_the_number_does_so_at_another_pbx_of_ours() {
    for carried in [true, false] {
        let node = TestNode::start().await;
        node.number(ALICE, json!({"pbx": "a", "name": "Alice"})).await;
        node.number(BOB, json!({"pbx": "b", "name": "Bob"})).await;
        node.client(ALICE, json!({})).await;
        let bob = node.client(BOB, json!({})).await;
        let mut bob = node.websocket(&bob, BOB).await;
        let out = node.decide_withheld("a-1", BOB).await;
        let address = out["address"].as_str().filter(|_| carried);
        let come = node.arrive("b-1", Some(ALICE), BOB, address).await;
        talks(&node, out["call"].as_str().unwrap(), "a-1").await;
        talks(&node, &come, "b-1").await;
        let peer = bob.next().await;
        assert_eq!((&peer["peer"]["number"], &peer["peer"]["name"]), (&Value::Null, &Value::Null), "{carried}");
    }
}
