//! Guests: people without a client of their own, who join one call with a code.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Row;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{ADMIN, ALICE, BOB, CAROL, Stream, TestNode, answer, bridged, credential, dialled, ended};

/// Bob's client in a call with somebody whom no node knows.
pub(crate) struct Host {
    pub(crate) node: TestNode,
    pub(crate) client: String,
    pub(crate) stream: Stream,
    pub(crate) call: String,
}

pub(crate) async fn host() -> Host {
    host_on(TestNode::start().await).await
}

pub(crate) async fn host_on(node: TestNode) -> Host {
    node.number(BOB, json!({"name": "Bob", "pbx": "b"})).await;
    let client = node.client(BOB, json!({"capabilities": ["text", "video"]})).await;
    let stream = node.websocket(&client, BOB).await;
    let call = talk(&node, "leg-1", "leg-2").await;
    Host { node, client, stream, call }
}

/// A call from outside to Bob that has been answered; its id.
pub(crate) async fn talk(node: &TestNode, caller: &str, called: &str) -> String {
    let call = node.arrive(caller, Some(ALICE), BOB, None).await;
    node.events(&call, 1, &[dialled(called), bridged(caller, called)]).await;
    call
}

/// A guest who has joined.
pub(crate) struct Guest {
    pub(crate) id: String,
    pub(crate) token: String,
    /// The guest's own address.
    address: String,
    /// Where the guest writes to the host.
    pub(crate) to_host: String,
}

impl Host {
    pub(crate) async fn try_invite(&self, client: &str, token: &str) -> (StatusCode, Value) {
        let path = format!("/v1/calls/{}/guests", self.call);
        self.node.send(Method::POST, &path, token, json!({"client": client})).await
    }

    pub(crate) async fn invite(&self) -> String {
        let (status, made) = self.try_invite(&self.client, &credential(BOB)).await;
        assert_eq!(status, 201, "{made}");
        made["code"].as_str().unwrap().to_owned()
    }

    /// A guest who has joined, and is told of.
    pub(crate) async fn guest(&mut self, source: u8) -> Guest {
        let code = self.invite().await;
        let (status, joined) = join(&self.node, &code, "Zoë", source).await;
        assert_eq!(status, 201, "{joined}");
        let told = self.stream.peek().await;
        assert_eq!(told["type"], "guest", "{told}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Guest {
            id: text(&told["guest"]["id"]),
            token: text(&joined["token"]),
            address: text(&joined["address"]),
            to_host: text(&joined["peer"]["address"]),
        }
    }

    pub(crate) async fn dismiss(&self, guest: &str, token: &str) -> u16 {
        answer(self.node.request(Method::DELETE, &format!("/v1/guests/{guest}"), token)).await.0.as_u16()
    }
}

/// Joins from an address of its own.
pub(crate) async fn join(node: &TestNode, code: &str, name: &str, source: u8) -> (u16, Value) {
    let new = json!({"code": code, "name": name, "capabilities": ["text"]});
    let request = node.http.post(node.url("/v1/guests")).header("x-forwarded-for", format!("192.0.2.{source}"));
    let (status, body) = answer(request.json(&new)).await;
    (status.as_u16(), body)
}

pub(crate) async fn open(node: &TestNode, token: &str) -> Stream {
    let mut request = format!("ws://{}/v1/guests/stream", node.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    Stream(tokio_tungstenite::connect_async(request).await.unwrap().0)
}

pub(crate) async fn post(node: &TestNode, address: &str, content: &Value) -> (u16, Value) {
    let (status, body) = answer(node.http.post(address).json(content)).await;
    (status.as_u16(), body)
}

/// The code with which a stream is closed. Nothing else comes before that.
pub(crate) async fn closed(stream: &mut Stream) -> u16 {
    let last = tokio::time::timeout(Duration::from_secs(5), stream.0.next()).await.expect("it is closed");
    match last.unwrap().unwrap() {
        Message::Close(Some(frame)) => frame.code.into(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_guest_and_the_host_write_to_each_other() {
    let Host { node, client, mut stream, call } = host().await;
    let path = format!("/v1/calls/{call}/guests");
    let (status, made) = node.send(Method::POST, &path, &credential(BOB), json!({"client": client})).await;
    assert_eq!((status.as_u16(), &made["link"]), (201, &json!(node.url("/j"))));
    let (status, joined) = join(&node, made["code"].as_str().unwrap(), "Zoë", 1).await;
    assert_eq!(status, 201, "{joined}");
    // The number is not told, and the call is that of the host.
    let peer = json!({"name": "Bob", "address": joined["peer"]["address"], "capabilities": ["text", "video"]});
    assert_eq!((&joined["peer"], &joined["role"], &joined["call"]), (&peer, &json!("first"), &json!(call)));
    assert!(!joined.to_string().contains("2125550"), "{joined}");
    let told = stream.peek().await;
    let guest =
        json!({"id": told["guest"]["id"], "name": "Zoë", "address": joined["address"], "capabilities": ["text"]});
    assert_eq!((&told["type"], &told["role"], &told["guest"]), (&json!("guest"), &json!("second"), &guest));
    let listed = node.get(&path, &credential(BOB)).await;
    assert_eq!(listed, json!({"role": "second", "guests": [guest]}));
    let mut own = open(&node, joined["token"].as_str().unwrap()).await;
    let first = own.next().await;
    assert_eq!((&first["type"], &first["peer"], &first["reply"]), (&json!("peer"), &peer, &joined["address"]));
    let (to_host, to_guest) = (peer["address"].as_str().unwrap(), joined["address"].as_str().unwrap());
    for content in [json!({"text": "hello"}), json!({"type": "typing", "ephemeral": true})] {
        assert_eq!(post(&node, to_host, &content).await, (202, json!({"clients": 1})));
        let message = stream.next().await;
        let expected = json!({"id": message["id"], "call": call, "type": "message", "content": content,
            "guest": told["guest"]["id"]});
        assert_eq!(message, expected);
        assert_eq!(post(&node, to_guest, &content).await, (202, json!({"clients": 1})));
        assert_eq!(own.next().await["content"], content);
    }
    // Nobody else passes for the guest.
    let content = json!({"text": "hello", "guest": told["guest"]["id"]});
    assert_eq!(post(&node, told["reply"].as_str().unwrap(), &content).await.0, 202);
    let message = stream.next().await;
    assert_eq!(message, json!({"id": message["id"], "call": call, "type": "message", "content": content}));
    own.quiet().await;
    stream.quiet().await;
}

/// It is the guest's address that counts.
#[tokio::test]
async fn a_guest_is_named_as_a_guest_whatever_token_comes_with_the_post() {
    let mut host = host().await;
    host.node.number(CAROL, json!({})).await;
    let guest = host.guest(1).await;
    let said = host.node.http.post(&guest.to_host).bearer_auth(credential(CAROL)).json(&json!({"n": 1}));
    assert_eq!(answer(said).await.0, 202);
    let message = host.stream.next().await;
    assert_eq!((&message["guest"], message.get("sender")), (&json!(guest.id), None));
}

/// The host's other clients were not asked.
#[tokio::test]
async fn only_the_client_that_asked_hears_from_a_guest() {
    let mut host = host().await;
    let other = host.node.client(BOB, json!({})).await;
    let mut other = host.node.websocket(&other, BOB).await;
    let guest = host.guest(1).await;
    assert_eq!(post(&host.node, &guest.to_host, &json!({"n": 1})).await, (202, json!({"clients": 1})));
    assert_eq!(host.stream.next().await["content"]["n"], 1);
    other.quiet().await;
}

#[tokio::test]
async fn a_guest_decides_nothing_about_the_call() {
    let mut host = host().await;
    let guest = host.guest(1).await;
    let peer = json!({"number": CAROL, "address": "https://other.example/a/y"});
    for content in [
        json!({"type": "peer", "peer": peer}),
        json!({"type": "peer", "peer": peer, "instead": guest.address}),
        json!({"type": "ended", "address": guest.address}),
    ] {
        assert_eq!(post(&host.node, &guest.to_host, &content).await.0, 422, "{content}");
        // To a guest nobody speaks for the node either.
        assert_eq!(post(&host.node, &guest.address, &content).await.0, 202, "{content}");
    }
    let mut own = open(&host.node, &guest.token).await;
    let kinds = [own.next().await, own.next().await, own.next().await, own.next().await];
    assert_eq!(kinds.map(|message| message["type"].clone()), ["peer", "message", "message", "message"]);
    host.stream.quiet().await;
    assert_eq!(host.node.get(&format!("/v1/calls/{}", host.call), ADMIN).await["remote"], Value::Null);
}

#[tokio::test]
async fn a_guests_messages_wait_in_memory_until_they_are_acknowledged() {
    let mut host = host().await;
    let guest = host.guest(1).await;
    for n in 0..3 {
        assert_eq!(post(&host.node, &guest.address, &json!({"n": n, "secret": "in-no-database"})).await.0, 202);
    }
    assert_eq!(post(&host.node, &guest.address, &json!({"ephemeral": true})).await, (202, json!({"clients": 0})));
    let mut own = open(&host.node, &guest.token).await;
    assert_eq!(own.next().await["type"], "peer");
    assert_eq!(own.next().await["content"]["n"], 0);
    assert_eq!(own.peek().await["content"]["n"], 1);
    drop(own);
    let mut again = open(&host.node, &guest.token).await;
    assert_eq!(again.next().await["type"], "peer", "a page that is loaded again asks who it talks with");
    assert_eq!(again.next().await["content"]["n"], 1);
    assert_eq!(again.next().await["content"]["n"], 2);
    again.quiet().await;
    let rows = sqlx::query("SELECT count(*) FROM deliveries WHERE body LIKE '%in-no-database%'");
    let row = rows.fetch_one(&mut host.node.database().await).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 0);
}

#[tokio::test]
async fn a_guest_who_does_not_read_holds_the_sender_up() {
    let mut host = host().await;
    let guest = host.guest(1).await;
    let mut sent = 0;
    while post(&host.node, &guest.address, &json!({"text": "x".repeat(60_000)})).await.0 == 202 {
        sent += 1;
    }
    assert_eq!(sent, 4);
    let mut own = open(&host.node, &guest.token).await;
    for _ in 0..=sent {
        own.next().await;
    }
    own.quiet().await;
    assert_eq!(post(&host.node, &guest.address, &json!({"text": "again"})).await.0, 202);
}

#[tokio::test]
async fn a_guest_is_gone_when_the_call_ends() {
    let mut host = host().await;
    let guest = host.guest(1).await;
    let code = host.invite().await;
    let other = talk(&host.node, "leg-3", "leg-4").await;
    let mut own = open(&host.node, &guest.token).await;
    own.next().await;
    host.node.events(&host.call, 3, &[ended("leg-1"), ended("leg-2")]).await;
    // At once, whoever has yet to be told.
    for address in [&guest.address, &guest.to_host] {
        assert_eq!(post(&host.node, address, &json!({})).await.0, 404, "{address}");
        assert_eq!(answer(host.node.http.get(address)).await.0, 404, "{address}");
        assert_eq!(answer(host.node.http.get(format!("{address}/ice"))).await.0, 404, "{address}");
    }
    assert_eq!(join(&host.node, &code, "Zoë", 1).await.0, 404);
    assert_eq!(answer(host.node.request(Method::GET, "/v1/guests/stream", &guest.token)).await.0, 401);
    assert_eq!(closed(&mut own).await, 1008);
    let left = host.stream.peek().await;
    assert_eq!((&left["type"], &left["guest"]), (&json!("guest-left"), &json!(guest.id)));
    // The host's next call is none of the guest's business.
    assert!(host.node.get(&format!("/v1/calls/{other}/guests"), &credential(BOB)).await["guests"] == json!([]));
}

#[tokio::test]
async fn a_dismissed_guest_is_gone_at_once_and_cannot_return() {
    let mut host = host().await;
    host.node.number(CAROL, json!({})).await;
    let guest = host.guest(1).await;
    let code = host.invite().await;
    let mut own = open(&host.node, &guest.token).await;
    own.next().await;
    assert_eq!(host.dismiss(&guest.id, &credential(CAROL)).await, 404, "it is another number's guest");
    assert_eq!(host.dismiss(&guest.id, &guest.token).await, 401);
    assert_eq!(host.dismiss(&guest.id, &credential(BOB)).await, 204);
    assert_eq!(closed(&mut own).await, 1008);
    assert_eq!(host.stream.peek().await["type"], "guest-left");
    for address in [&guest.address, &guest.to_host] {
        assert_eq!(post(&host.node, address, &json!({})).await.0, 404, "{address}");
    }
    assert_eq!(join(&host.node, &code, "Zoë", 1).await.0, 404);
    assert_eq!(host.dismiss(&guest.id, &credential(BOB)).await, 404);
    assert_ne!(host.invite().await, code);
}

#[tokio::test]
async fn a_guest_who_leaves_is_gone_at_once_and_may_return() {
    let mut host = host().await;
    let (guest, other) = (host.guest(1).await, host.guest(2).await);
    let (mut own, mut others) = (open(&host.node, &guest.token).await, open(&host.node, &other.token).await);
    assert_eq!((&own.next().await["type"], &others.next().await["type"]), (&json!("peer"), &json!("peer")));
    let leave = || host.node.request(Method::DELETE, "/v1/guests", &guest.token);
    assert_eq!(answer(leave()).await.0, 204);
    assert_eq!(closed(&mut own).await, 1008);
    let left = host.stream.peek().await;
    assert_eq!((&left["type"], &left["guest"]), (&json!("guest-left"), &json!(guest.id)));
    for address in [&guest.address, &guest.to_host] {
        assert_eq!(post(&host.node, address, &json!({})).await.0, 404, "{address}");
    }
    assert_eq!(answer(leave()).await.0, 401);
    others.quiet().await;
    let code = host.invite().await;
    assert_eq!(join(&host.node, &code, "Zoë", 1).await.0, 201);
}

#[tokio::test]
async fn a_guest_is_gone_with_the_client_that_let_it_in() {
    let mut host = host().await;
    let guest = host.guest(1).await;
    let mut own = open(&host.node, &guest.token).await;
    own.next().await;
    let removed = host.node.request(Method::DELETE, &format!("/v1/clients/{}", host.client), &credential(BOB));
    assert_eq!(answer(removed).await.0, 204);
    assert_eq!(closed(&mut own).await, 1008);
    assert_eq!(post(&host.node, &guest.address, &json!({})).await.0, 404);
    assert_eq!(post(&host.node, &guest.to_host, &json!({})).await.0, 404);
}

#[tokio::test]
async fn a_guest_is_gone_when_the_host_takes_no_part_any_more() {
    let number = format!("/v1/numbers/{BOB}");
    for (what, method, path, token, change) in [
        ("switched off", Method::PUT, format!("{number}/sidecall"), credential(BOB), json!({"enabled": false})),
        ("disabled", Method::PUT, number.clone(), ADMIN.to_owned(), json!({"name": "Bob", "enabled": false})),
        ("new credential", Method::PUT, number, ADMIN.to_owned(), json!({"name": "Bob", "credential": "x".repeat(32)})),
        ("address withheld", Method::PATCH, "/v1/clients/".to_owned(), credential(BOB), json!({"offer": "never"})),
    ] {
        let mut host = host().await;
        let guest = host.guest(1).await;
        let code = host.invite().await;
        let mut own = open(&host.node, &guest.token).await;
        own.next().await;
        let path = if method == Method::PATCH { path + &host.client } else { path };
        let (status, answer) = host.node.send(method, &path, &token, change).await;
        assert_eq!(status, 200, "{what}: {answer}");
        assert_eq!(closed(&mut own).await, 1008, "{what}");
        assert_eq!(post(&host.node, &guest.to_host, &json!({})).await.0, 404, "{what}");
        assert_eq!(join(&host.node, &code, "Zoë", 2).await.0, 404, "{what}");
    }
}

#[tokio::test]
async fn a_restart_ends_guests_and_codes() {
    let mut host = host().await;
    let guest = host.guest(1).await;
    let code = host.invite().await;
    host.node.kill_and_restart().await;
    assert_eq!(join(&host.node, &code, "Zoë", 1).await.0, 404);
    assert_eq!(post(&host.node, &guest.to_host, &json!({})).await.0, 404);
    assert_eq!(answer(host.node.request(Method::GET, "/v1/guests/stream", &guest.token)).await.0, 401);
    assert_eq!(host.invite().await.len(), 6, "the call goes on, and can have guests");
}

/// As a client has, who is known.
#[tokio::test]
async fn a_guest_gets_ice_servers_and_nothing_else() {
    let ice = serde_json::from_value(json!({"urls": ["stun:stun.example"]})).unwrap();
    let mut host = host_on(TestNode::start_with(|config, _| config.ice = ice).await).await;
    let guest = host.guest(1).await;
    let (status, servers) = answer(host.node.http.get(format!("{}/ice", guest.address))).await;
    assert_eq!((status.as_u16(), &servers["iceServers"]), (200, &json!([{"urls": ["stun:stun.example"]}])));
    assert_eq!(host.node.http.get(&guest.address).send().await.unwrap().status(), 200);
    for path in ["/v1/ice", "/v1/clients", "/v1/devices", "/v1/calls", &format!("/v1/clients/{}/stream", host.client)] {
        assert_eq!(answer(host.node.request(Method::GET, path, &guest.token)).await.0, 401, "{path}");
    }
    let claim = json!({"client": guest.id, "invitation": "screen"});
    let claims = format!("/v1/calls/{}/claims", host.call);
    assert_eq!(host.node.send(Method::POST, &claims, &guest.token, claim).await.0, 401);
}

/// What is sent there would come back, again and again.
#[tokio::test]
async fn no_client_is_bound_to_a_guests_address() {
    let mut host = host().await;
    let guest = host.guest(1).await;
    for address in [&guest.address, &guest.to_host] {
        let (status, problem) =
            host.node.send(Method::POST, "/v1/clients", &credential(BOB), json!({"address": address})).await;
        assert_eq!((status.as_u16(), &problem["field"]), (422, &json!("address")));
    }
}
