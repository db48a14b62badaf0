//! A client's reply address in a call: what is posted there reaches that client alone.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, ALICE, BOB, Stream, TestNode, answer, bridged, credential, dialled};
use crate::webhooks::Receiver;

/// A client of Bob's: its id, its stream, and its reply address.
struct Client {
    id: String,
    stream: Stream,
    reply: String,
}

/// A call of Alice's to Bob, who has two clients; and the address of his number as Alice has it.
async fn talk() -> (TestNode, [Client; 2], String) {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    let alice = node.client(ALICE, json!({})).await;
    let ids = [node.client(BOB, json!({})).await, node.client(BOB, json!({})).await];
    let mut alice = node.websocket(&alice, ALICE).await;
    let mut streams = [node.websocket(&ids[0], BOB).await, node.websocket(&ids[1], BOB).await];
    node.talk().await;
    let told = [streams[0].next().await, streams[1].next().await];
    let reply = told.map(|message| message["reply"].as_str().unwrap().to_owned());
    let address = alice.next().await["peer"]["address"].as_str().unwrap().to_owned();
    let ([first, second], [one, two], [a, b]) = (ids, streams, reply);
    let clients = [Client { id: first, stream: one, reply: a }, Client { id: second, stream: two, reply: b }];
    (node, clients, address)
}

async fn post(node: &TestNode, address: &str, content: &Value) -> (u16, Value) {
    let (status, body) = answer(node.http.post(address).json(content)).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn a_message_reaches_the_client_whose_reply_address_it_is_and_no_other() {
    let (node, [mut one, mut two], address) = talk().await;
    assert_eq!(address.rsplit('/').next().unwrap().len(), 44, "the other side is told the number's address as before");
    assert_ne!(one.reply, two.reply);
    for content in [json!({"n": 1}), json!({"n": 2, "ephemeral": true})] {
        assert_eq!(post(&node, &two.reply, &content).await, (202, json!({"clients": 1})));
        assert_eq!(two.stream.next().await["content"], content);
    }
    one.stream.quiet().await;
    assert_eq!(post(&node, &address, &json!({"n": 3})).await, (202, json!({"clients": 2})));
    assert_eq!(one.stream.next().await["content"]["n"], 3);
    assert_eq!(two.stream.next().await["content"]["n"], 3);
    // It is stored for a client that is away, like any other.
    drop(two.stream);
    assert_eq!(post(&node, &two.reply, &json!({"n": 4})).await, (202, json!({"clients": 1})));
    let mut returned = node.websocket(&two.id, BOB).await;
    assert_eq!(returned.next().await["content"]["n"], 4);
    one.stream.quiet().await;
}

/// Even if the client whose address it is has gone.
#[tokio::test]
async fn what_concerns_the_whole_number_reaches_all_its_clients() {
    let node = TestNode::start().await;
    node.number(BOB, json!({"pbx": "b"})).await;
    let ids = [node.client(BOB, json!({})).await, node.client(BOB, json!({})).await];
    let mut streams = [node.websocket(&ids[0], BOB).await, node.websocket(&ids[1], BOB).await];
    let call = node.arrive("b-1", Some(ALICE), BOB, Some("https://other.example/a/x")).await;
    node.events(&call, 1, &[dialled("b-2"), bridged("b-1", "b-2")]).await;
    let told = [streams[0].next().await, streams[1].next().await];
    let reply = told.map(|message| message["reply"].as_str().unwrap().to_owned());
    let peer = |address: &str| json!({"type": "peer", "peer": {"number": "+442071838750", "address": address}});
    assert_eq!(post(&node, &reply[0], &peer("https://other.example/a/y")).await, (202, json!({"clients": 2})));
    for (stream, reply) in streams.iter_mut().zip(&reply) {
        let told = stream.next().await;
        assert_eq!((&told["type"], &told["reply"]), (&json!("peer"), &json!(reply)));
        assert_eq!(told["peer"]["address"], "https://other.example/a/y");
    }
    let path = format!("/v1/clients/{}", ids[0]);
    assert_eq!(answer(node.request(Method::DELETE, &path, &credential(BOB))).await.0, 204);
    assert_eq!(post(&node, &reply[0], &json!({"n": 1})).await.0, 404);
    assert_eq!(post(&node, &reply[0], &peer("https://other.example/a/z")).await, (202, json!({"clients": 1})));
    assert_eq!(streams[1].next().await["peer"]["address"], "https://other.example/a/z");
    let ended = json!({"type": "ended", "address": "https://other.example/a/x"});
    assert_eq!(post(&node, &reply[0], &ended).await, (202, json!({"clients": 1})));
    assert_eq!(streams[1].next().await["type"], "ended");
    // Without any client there is nobody to tell.
    let path = format!("/v1/clients/{}", ids[1]);
    assert_eq!(answer(node.request(Method::DELETE, &path, &credential(BOB))).await.0, 204);
    assert_eq!(post(&node, &reply[0], &ended).await.0, 404);
}

/// The node itself has told of whoever is its own: a message that says so is one like any other.
#[tokio::test]
async fn a_peer_message_that_is_no_news_reaches_one_client() {
    let (node, [mut one, mut two], _) = talk().await;
    let peer = json!({"number": "+442071838750", "address": "https://other.example/a/y"});
    let content = json!({"type": "peer", "peer": peer});
    assert_eq!(post(&node, &one.reply, &content).await, (202, json!({"clients": 1})));
    assert_eq!(one.stream.next().await["content"], content);
    two.stream.quiet().await;
    let path = format!("/v1/clients/{}", one.id);
    assert_eq!(answer(node.request(Method::DELETE, &path, &credential(BOB))).await.0, 204);
    assert_eq!(post(&node, &one.reply, &content).await.0, 404);
}

#[tokio::test]
async fn it_is_good_while_its_client_is_bound_and_takes_part() {
    let (node, [one, two], address) = talk().await;
    let content = json!({"n": 1});
    let path = format!("/v1/clients/{}", one.id);
    assert_eq!(answer(node.request(Method::DELETE, &path, &credential(BOB))).await.0, 204);
    let gone = post(&node, &one.reply, &content).await;
    assert_eq!(gone.0, 404);
    assert_eq!(post(&node, &two.reply, &content).await.0, 202);
    let path = format!("/v1/clients/{}", two.id);
    let (status, _) = node.send(Method::PATCH, &path, &credential(BOB), json!({"offer": "never"})).await;
    assert_eq!(status, 200);
    assert_eq!(post(&node, &two.reply, &content).await, gone);
    // A client that comes later has another reply address, and the old ones stay what they are.
    node.client(BOB, json!({})).await;
    assert_eq!(post(&node, &address, &content).await, (202, json!({"clients": 1})));
    assert_eq!(post(&node, &one.reply, &content).await, gone);
    assert_eq!(post(&node, &two.reply, &content).await, gone);
}

#[tokio::test]
async fn one_that_was_changed_is_answered_like_one_that_was_never_made() {
    let (node, [mut one, _two], address) = talk().await;
    let never = post(&node, &node.url("/a/x"), &json!({})).await;
    let (start, token) = one.reply.rsplit_once('/').unwrap();
    let of_number = address.rsplit('/').next().unwrap();
    let flip = |at: usize| -> String {
        token
            .chars()
            .enumerate()
            .map(|(n, c)| {
                if n != at {
                    c
                } else if c == 'A' {
                    'E'
                } else {
                    'A'
                }
            })
            .collect()
    };
    let mixed = format!("{}{}", &token[..23], &of_number[23..]);
    for changed in (0..55).map(flip).chain([token[..44].to_owned(), format!("{of_number}{}", &token[44..]), mixed]) {
        if changed != token {
            assert_eq!(post(&node, &format!("{start}/{changed}"), &json!({})).await, never, "{changed}");
        }
    }
    one.stream.quiet().await;
    assert_eq!(post(&node, &one.reply, &json!({})).await.0, 202);
}

#[tokio::test]
async fn it_is_stored_with_the_message_and_survives_a_restart() {
    let mut node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    node.client(ALICE, json!({})).await;
    let bob = node.client(BOB, json!({})).await;
    node.talk().await;
    node.kill_and_restart().await;
    let mut stream = node.websocket(&bob, BOB).await;
    let reply = stream.next().await["reply"].as_str().unwrap().to_owned();
    assert_eq!(post(&node, &reply, &json!({"n": 1})).await, (202, json!({"clients": 1})));
    assert_eq!(stream.next().await["content"]["n"], 1);
}

#[tokio::test]
async fn a_webhook_has_one_too() {
    let (hook, address) = Receiver::start(&[]).await;
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    node.client(ALICE, json!({})).await;
    let hosted = node.client(BOB, json!({})).await;
    node.client(BOB, json!({"address": address})).await;
    let mut hosted = node.websocket(&hosted, BOB).await;
    let call = node.talk().await;
    hosted.next().await;
    let reply = hook.bodies(1).await[0]["reply"].as_str().unwrap().to_owned();
    assert_eq!(post(&node, &reply, &json!({"n": 1})).await, (202, json!({"clients": 1})));
    assert_eq!(hook.bodies(2).await[1]["content"]["n"], 1);
    hosted.quiet().await;
    let delivered = node.get(&format!("/v1/calls/{call}"), ADMIN).await["deliveries"].clone();
    let messages = delivered.as_array().unwrap().iter().filter(|d| d["message"] == "message");
    assert_eq!(messages.map(|d| d["form"].as_str().unwrap()).collect::<Vec<_>>(), ["webhook"]);
}

#[tokio::test]
async fn no_client_can_be_bound_to_one() {
    let (node, [one, _], _) = talk().await;
    let body = json!({"address": one.reply});
    let (status, problem) = node.send(Method::POST, "/v1/clients", &credential(BOB), body).await;
    assert_eq!((status.as_u16(), &problem["field"]), (422, &json!("address")));
}
