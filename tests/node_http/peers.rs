//! Offers between nodes, and the calls that they are matched with (B11).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, ALICE, answer, ended};
use crate::two_nodes::{FRED, GINA, TOKEN, Two, offer, post, talks};

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
    two.offered("a-1").await;
    two.b.kill_and_restart().await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    let far = two.b.remote_side(&come, |far| !far.is_null()).await;
    assert_eq!((&far["source"], &far["number"]), (&json!("offer"), &json!(ALICE)));
}

#[tokio::test]
async fn a_withheld_caller_stays_withheld_and_is_reached_all_the_same() {
    let (two, mut alice, mut fred) = Two::with_clients().await;
    let out = two.offered("a-1").await;
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
    let out = two.a.decide_withheld("a-1", FRED).await["call"].as_str().unwrap().to_owned();
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
    two.offered("a-1").await;
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
    two.offered("a-1").await;
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
    two.offered("a-1").await;
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
    let out = two.offered("a-1").await;
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
