//! Who has sent a message: the client whose token came with the post.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    ADMIN, AGENT, ALICE, BOB, CAROL, Stream, TestNode, answer, bridged, credential, dialled, unbridged,
};

const DAVE: &str = "+12125550103";

/// Somebody in a conference.
struct Member {
    client: String,
    stream: Stream,
    /// What the client was told of each of the others, by number.
    told: BTreeMap<String, Value>,
}

impl Member {
    /// The address of another member, as this one knows it.
    fn knows(&self, number: &str) -> &str {
        self.told[number]["peer"]["address"].as_str().unwrap()
    }
}

/// Alice, Bob and Carol talk with each other in one call.
async fn conference(node: &TestNode) -> (String, [Member; 3]) {
    let mut members = Vec::new();
    for number in [ALICE, BOB, CAROL] {
        node.number(number, json!({"pbx": "a"})).await;
        let client = node.client(number, json!({})).await;
        let stream = node.websocket(&client, number).await;
        members.push(Member { client, stream, told: BTreeMap::new() });
    }
    let call = node.talk().await;
    let asked = node.decide("leg-3", BOB, CAROL).await["call"].as_str().unwrap().to_owned();
    node.events(&asked, 1, &[dialled("leg-4")]).await;
    node.events(&call, 3, &[bridged("leg-1", "leg-4"), bridged("leg-2", "leg-4")]).await;
    for member in &mut members {
        for _ in 0..2 {
            let told = member.stream.next().await;
            assert_eq!((&told["type"], &told["call"]), (&json!("peer"), &json!(call)), "{told}");
            member.told.insert(told["peer"]["number"].as_str().unwrap().to_owned(), told);
        }
    }
    node.until(&call, |all| all.len() == 6 && all.iter().all(|d| d["state"] == "delivered")).await;
    let Ok(members) = <[Member; 3]>::try_from(members) else { unreachable!() };
    (call, members)
}

async fn post(node: &TestNode, address: &str, token: Option<&str>, content: &Value) {
    let request = node.http.post(address).json(content);
    let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
    let (status, problem) = answer(request).await;
    assert_eq!(status, 202, "{problem}");
}

#[tokio::test]
async fn a_message_names_the_one_of_several_who_sent_it() {
    let node = TestNode::start().await;
    let (call, [mut alice, bob, carol]) = conference(&node).await;
    assert_eq!(bob.knows(ALICE), carol.knows(ALICE), "both write to the same address");
    let reply = alice.told[BOB]["reply"].as_str().unwrap().to_owned();
    for (number, other) in [(BOB, &bob), (CAROL, &carol)] {
        let sender = alice.knows(number).to_owned();
        for address in [other.knows(ALICE), reply.as_str()] {
            for content in [json!({"text": "hi"}), json!({"type": "typing", "ephemeral": true})] {
                post(&node, address, Some(&credential(number)), &content).await;
                let message = alice.stream.next().await;
                let expected = json!({"id": message["id"], "call": call, "type": "message", "content": content,
                    "sender": sender});
                assert_eq!(message, expected);
            }
        }
    }
}

#[tokio::test]
async fn a_device_proves_its_number_too() {
    let node = TestNode::start().await;
    let (_, [mut alice, bob, _]) = conference(&node).await;
    let [_, token] = node.device(BOB, "phone").await;
    post(&node, bob.knows(ALICE), Some(&token), &json!({"n": 1})).await;
    assert_eq!(alice.stream.next().await["sender"], alice.knows(BOB));
}

#[tokio::test]
async fn a_message_without_a_clients_token_has_no_sender() {
    let node = TestNode::start().await;
    let (_, [mut alice, bob, carol]) = conference(&node).await;
    let claim = json!({"text": "hi", "sender": alice.knows(BOB), "reply": bob.told[ALICE]["reply"]});
    for token in [None, Some(ADMIN), Some(AGENT), Some("a-token-that-nobody-has")] {
        post(&node, bob.knows(ALICE), token, &claim).await;
        let message = alice.stream.next().await;
        assert_eq!((&message["content"], message.get("sender")), (&claim, None), "{token:?}");
    }
    // Whatever a message says, the token counts.
    post(&node, bob.knows(ALICE), Some(&credential(CAROL)), &claim).await;
    assert_eq!(alice.stream.next().await["sender"], alice.knows(CAROL));
    let [id, token] = node.device(CAROL, "lost").await;
    let revoked = node.request(Method::DELETE, &format!("/v1/devices/{id}"), &credential(CAROL));
    assert_eq!(answer(revoked).await.0, 204);
    post(&node, carol.knows(ALICE), Some(&token), &claim).await;
    assert_eq!(alice.stream.next().await.get("sender"), None);
}

/// The address would be news to the receiver.
#[tokio::test]
async fn a_number_that_the_receiver_was_not_told_of_is_not_named() {
    let node = TestNode::start().await;
    let (_, [mut alice, bob, _]) = conference(&node).await;
    node.number(DAVE, json!({"pbx": "a"})).await;
    node.client(DAVE, json!({})).await;
    node.client(ALICE, json!({"address": "sip:alice@pbx.example"})).await;
    for number in [DAVE, ALICE] {
        let text = format!("I am {number}");
        post(&node, bob.knows(ALICE), Some(&credential(number)), &json!({"text": text})).await;
        assert_eq!(alice.stream.next().await.get("sender"), None, "{number}");
        let from = from_on_softphone(&node, &text).await;
        assert!(from.ends_with("=anonymous.invalid"), "{from}: it is nobody else's");
    }
}

/// Carol's number is in the directory, and it is another node's client that the call came with.
#[tokio::test]
async fn another_nodes_client_is_not_taken_for_the_number_that_it_calls_from() {
    let node = TestNode::start().await;
    node.number(BOB, json!({"pbx": "b"})).await;
    node.number(CAROL, json!({"pbx": "b"})).await;
    let bob = node.client(BOB, json!({})).await;
    let mut bob = node.websocket(&bob, BOB).await;
    let call = node.arrive("b-1", Some(CAROL), BOB, Some("https://other.example/a/x")).await;
    node.events(&call, 1, &[dialled("b-2"), bridged("b-1", "b-2")]).await;
    let told = bob.next().await;
    assert_eq!(
        (&told["peer"]["number"], &told["peer"]["address"]),
        (&json!(CAROL), &json!("https://other.example/a/x"))
    );
    post(&node, told["own"]["address"].as_str().unwrap(), Some(&credential(CAROL)), &json!({"n": 1})).await;
    let message = bob.next().await;
    assert_eq!((&message["content"]["n"], message.get("sender")), (&json!(1), None));
}

#[tokio::test]
async fn a_withheld_number_is_named_by_its_address_alone() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a", "name": "Alice"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    let (alice, bob) = (node.client(ALICE, json!({})).await, node.client(BOB, json!({})).await);
    node.client(BOB, json!({"address": "sip:bob@pbx.example"})).await;
    let (mut alice, mut bob) = (node.websocket(&alice, ALICE).await, node.websocket(&bob, BOB).await);
    let call = node.decide_withheld("leg-1", BOB).await["call"].as_str().unwrap().to_owned();
    node.events(&call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    let address = alice.next().await["peer"]["address"].as_str().unwrap().to_owned();
    let told = bob.next().await;
    node.until(&call, |all| all.iter().filter(|d| d["state"] == "delivered").count() == 2).await;
    let mut sent = Vec::new();
    for talks in [true, false] {
        post(&node, &address, Some(&credential(ALICE)), &json!({"text": "hi"})).await;
        let message = bob.next().await;
        assert_eq!(message["sender"], told["peer"]["address"]);
        assert!(!message.to_string().contains(&ALICE[1..]) && !message.to_string().contains("Alice"), "{message}");
        sent.extend(handed_out(&node).await);
        if talks {
            node.events(&call, 3, &[unbridged("leg-1", "leg-2")]).await;
            assert_eq!(bob.next().await["type"], "ended");
        }
    }
    let texts = sent.iter().filter(|sent| sent["text"].as_str().unwrap().starts_with("hi "));
    assert_eq!(texts.clone().count(), 2, "{sent:#?}");
    for text in texts {
        assert!(text["from"].as_str().unwrap().ends_with("=anonymous.invalid"), "{text}");
    }
}

/// The SIP MESSAGEs that the agent has yet to send.
async fn handed_out(node: &TestNode) -> Vec<Value> {
    let report = json!({"kind": "freeswitch", "agent": "x", "link": "up", "since": 1, "sent": []});
    let (_, reply) = node.send(Method::PUT, "/v1/pbxs/a", AGENT, report).await;
    reply["messages"].as_array().unwrap().clone()
}

/// From whom a softphone gets this text.
async fn from_on_softphone(node: &TestNode, text: &str) -> String {
    let sent = handed_out(node).await;
    let said = |sent: &&Value| sent["text"].as_str().unwrap().starts_with(text);
    let message = sent.iter().find(said).unwrap_or_else(|| panic!("{sent:#?}"));
    message["from"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_softphone_gets_it_from_the_number_that_sent_it() {
    let node = TestNode::start().await;
    let (_, [mut alice, bob, carol]) = conference(&node).await;
    node.client(ALICE, json!({"address": "sip:alice@pbx.example"})).await;
    for (number, other) in [(BOB, &bob), (CAROL, &carol)] {
        let text = format!("I am {number}");
        post(&node, other.knows(ALICE), Some(&credential(number)), &json!({"text": text})).await;
        alice.stream.next().await;
        assert_eq!(from_on_softphone(&node, &text).await, number);
    }
}

/// The other has been connected with somebody else, and this one still has the address.
#[tokio::test]
async fn a_party_that_has_left_is_still_named() {
    let node = TestNode::start().await;
    let (call, [mut alice, bob, _]) = conference(&node).await;
    node.events(&call, 5, &[unbridged("leg-1", "leg-2"), unbridged("leg-2", "leg-4")]).await;
    assert_eq!(alice.stream.next().await["number"], BOB);
    post(&node, bob.knows(ALICE), Some(&credential(BOB)), &json!({"n": 1})).await;
    assert_eq!(alice.stream.next().await["sender"], alice.knows(BOB));
}

#[tokio::test]
async fn a_client_that_was_away_learns_the_sender_too_even_after_a_restart() {
    let mut node = TestNode::start().await;
    let (_, [alice, bob, carol]) = conference(&node).await;
    let senders = [alice.knows(BOB).to_owned(), alice.knows(CAROL).to_owned()];
    let Member { client, stream, .. } = alice;
    drop(stream);
    post(&node, bob.knows(ALICE), Some(&credential(BOB)), &json!({"n": 1})).await;
    node.kill_and_restart().await;
    post(&node, carol.knows(ALICE), Some(&credential(CAROL)), &json!({"n": 2})).await;
    let mut stream = node.websocket(&client, ALICE).await;
    for (n, sender) in [1, 2].into_iter().zip(senders) {
        let message = stream.next().await;
        assert_eq!((&message["content"]["n"], &message["sender"]), (&json!(n), &json!(sender)));
    }
}
