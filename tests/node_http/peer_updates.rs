//! Somebody at one side of a call between two organisations talks to somebody else, and the other side's PBX sees
//! nothing of it (B13).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{AGENT, ALICE, Stream, TestNode, answer, bridged, dialled, ended, unbridged};
use crate::two_nodes::{FRED, GINA, Two, talks};

/// Alice, Fred and Gina, with their clients.
struct Three {
    two: Two,
    alice: Stream,
    fred: Stream,
    gina: Stream,
}

impl Three {
    async fn start() -> Three {
        let (two, alice, fred) = Two::with_clients().await;
        two.b.number(GINA, json!({"pbx": "b", "name": "Gina"})).await;
        let gina = two.b.client(GINA, json!({})).await;
        let gina = two.b.websocket(&gina, GINA).await;
        Three { two, alice, fred, gina }
    }

    /// Alice talks to a number of B's, and both clients know it; her call, and the one at B.
    async fn talk(&mut self, n: &str, called: &str) -> (String, String) {
        let (a, b) = (format!("a-{n}"), format!("b-{n}"));
        let decision = self.two.a.decide(&a, ALICE, called).await;
        let out = decision["call"].as_str().unwrap().to_owned();
        let come = self.two.b.arrive(&b, Some(ALICE), called, decision["address"].as_str()).await;
        talks(&self.two.a, &out, &a).await;
        talks(&self.two.b, &come, &b).await;
        let theirs = if called == FRED { &mut self.fred } else { &mut self.gina };
        answers(&self.two, theirs, ALICE).await;
        assert_eq!(self.alice.next().await["peer"]["number"], called);
        (out, come)
    }
}

/// A hosted client is told of somebody, and answers.
async fn answers(two: &Two, client: &mut Stream, number: &str) {
    let peer = client.next().await;
    assert_eq!(peer["peer"]["number"], number, "{peer}");
    let told = json!({"type": "peer", "peer": peer["own"]});
    let address = peer["peer"]["address"].as_str().unwrap();
    assert_eq!(answer(two.a.http.post(address).json(&told)).await.0, 202);
}

async fn is_told_of_the_end(client: &mut Stream, number: &str) {
    let message = client.next().await;
    assert_eq!((&message["type"], &message["number"]), (&json!("ended"), &json!(number)), "{message}");
}

#[tokio::test]
async fn b13_a_caller_who_is_parked_is_told_of_the_end_and_of_who_takes_the_call_back() {
    let mut three = Three::start().await;
    let (_, come) = three.talk("1", FRED).await;
    three.two.b.events(&come, 10, &[unbridged("b-1", "b-1-dialled"), ended("b-1-dialled")]).await;
    is_told_of_the_end(&mut three.fred, ALICE).await;
    is_told_of_the_end(&mut three.alice, FRED).await;
    let back = json!({"event": "identified", "leg": "b-9", "number": GINA});
    three.two.b.events(&come, 20, &[back, bridged("b-1", "b-9")]).await;
    answers(&three.two, &mut three.gina, ALICE).await;
    assert_eq!(three.alice.next().await["peer"]["number"], GINA);
    three.fred.quiet().await;
}

#[tokio::test]
async fn b13_a_caller_whose_other_side_has_no_client_any_more_learns_that_the_voice_goes_on() {
    let mut three = Three::start().await;
    let (out, come) = three.talk("1", FRED).await;
    // Fred puts her through to a phone alone.
    let phone = json!({"event": "identified", "leg": "b-9", "number": "+13105550199"});
    let events = [unbridged("b-1", "b-1-dialled"), phone, bridged("b-1", "b-9"), ended("b-1-dialled")];
    three.two.b.events(&come, 10, &events).await;
    is_told_of_the_end(&mut three.alice, FRED).await;
    let notice = three.alice.peek_any().await;
    let peer = json!({"number": FRED});
    assert_eq!(notice, json!({"id": notice["id"], "call": out, "type": "answered", "role": "first", "peer": peer}));
}

/// Nobody else at either side: the address that was known before is said again.
#[tokio::test]
async fn b13_a_caller_who_parks_and_takes_the_call_back_herself_is_a_pair_again() {
    let mut three = Three::start().await;
    let (out, _) = three.talk("1", FRED).await;
    three.two.a.events(&out, 10, &[unbridged("a-1", "a-1-dialled")]).await;
    is_told_of_the_end(&mut three.alice, FRED).await;
    is_told_of_the_end(&mut three.fred, ALICE).await;
    three.two.a.events(&out, 20, &[bridged("a-1", "a-1-dialled")]).await;
    answers(&three.two, &mut three.alice, FRED).await;
    assert_eq!(three.fred.next().await["peer"]["number"], ALICE);
    three.alice.quiet().await;
}

#[tokio::test]
async fn b13_whom_the_caller_connects_at_her_own_pbx_are_told_of_each_other() {
    let mut three = Three::start().await;
    let (first, _) = three.talk("1", FRED).await;
    three.two.a.events(&first, 10, &[unbridged("a-1", "a-1-dialled")]).await;
    is_told_of_the_end(&mut three.alice, FRED).await;
    is_told_of_the_end(&mut three.fred, ALICE).await;
    let (second, _) = three.talk("2", GINA).await;
    // She puts one through to the other, and hangs up.
    three.two.a.events(&second, 10, &[unbridged("a-2", "a-2-dialled")]).await;
    is_told_of_the_end(&mut three.alice, GINA).await;
    three.two.a.events(&first, 20, &[bridged("a-1-dialled", "a-2-dialled"), ended("a-1")]).await;
    three.two.a.events(&second, 20, &[ended("a-2")]).await;
    is_told_of_the_end(&mut three.gina, ALICE).await;
    let (at_fred, at_gina) = (three.fred.next().await, three.gina.next().await);
    assert_eq!((&at_fred["peer"]["number"], &at_gina["peer"]["number"]), (&json!(GINA), &json!(FRED)));
    // Each has the other's address already.
    assert_eq!((&at_fred["own"], &at_gina["own"]), (&Value::Null, &Value::Null));
    let text = json!({"type": "text", "text": "hello"});
    assert_eq!(answer(three.two.a.http.post(at_fred["peer"]["address"].as_str().unwrap()).json(&text)).await.0, 202);
    assert_eq!(three.gina.next().await["content"]["text"], "hello");
    for stream in [&mut three.alice, &mut three.fred, &mut three.gina] {
        stream.quiet().await;
    }
}

#[tokio::test]
async fn b13_a_caller_who_hands_the_call_on_is_over_for_the_other_side() {
    let mut three = Three::start().await;
    let (first, come) = three.talk("1", FRED).await;
    // Her leg goes, the trunk's goes on.
    three.two.a.events(&first, 10, &[unbridged("a-1", "a-1-dialled"), ended("a-1")]).await;
    is_told_of_the_end(&mut three.alice, FRED).await;
    is_told_of_the_end(&mut three.fred, ALICE).await;
    // Nothing is left to say when it ends.
    three.two.b.events(&come, 10, &[ended("b-1-dialled"), ended("b-1")]).await;
    three.fred.quiet().await;
}

#[tokio::test]
async fn only_who_has_the_address_can_say_that_it_is_over() {
    let mut three = Three::start().await;
    three.talk("1", FRED).await;
    let eve = json!({"type": "ended", "address": "http://127.0.0.1:1/a/eve"});
    let decision = three.two.a.decide("a-1", ALICE, FRED).await;
    assert_eq!(answer(three.two.a.http.post(decision["address"].as_str().unwrap()).json(&eve)).await.0, 202);
    three.alice.quiet().await;
}

/// The call passes a call server and comes to a PBX behind it: one node follows it on both.
#[tokio::test]
async fn b9_a_call_through_the_call_server_is_told_once() {
    let mut three = Three::start().await;
    let decision = three.two.a.decide("a-1", ALICE, FRED).await;
    let address = decision["address"].as_str().unwrap();
    let server = arrives_at_the_server(&three.two.b, address).await;
    let come = three.two.b.arrive("b-1", Some(ALICE), FRED, Some(address)).await;
    three.two.b.events(&server, 1, &[dialled("s-2"), bridged("s-1", "s-2")]).await;
    // Picked up by Gina, which the server doesn't see.
    let picked = json!({"event": "identified", "leg": "b-2", "number": GINA});
    three.two.b.events(&come, 1, &[picked, bridged("b-1", "b-2")]).await;
    assert_eq!(three.gina.next().await["peer"]["number"], ALICE);
    three.fred.quiet().await;
    three.two.b.events(&come, 10, &[ended("b-2"), ended("b-1")]).await;
    three.two.b.events(&server, 10, &[ended("s-2"), ended("s-1")]).await;
    is_told_of_the_end(&mut three.gina, ALICE).await;
    three.fred.quiet().await;
}

async fn arrives_at_the_server(node: &TestNode, address: &str) -> String {
    let request = json!({
        "pbx": "server", "leg": "s-1", "calling": ALICE, "called": FRED, "side": "terminating", "received_address": address,
    });
    let (status, body) = node.send(Method::POST, "/v1/calls", AGENT, request).await;
    assert_eq!(status, 200, "{body}");
    body["call"].as_str().unwrap().to_owned()
}
