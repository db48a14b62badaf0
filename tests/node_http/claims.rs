//! Invitations: of a number's clients, the first to accept one gets it, and the others are told.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{ADMIN, AGENT, ALICE, BOB, CAROL, Stream, TestNode, answer, credential, ended};

/// A call of Alice's to Bob, who has so many clients: their ids and streams. Carol has a client, too.
async fn talk(clients: usize) -> (TestNode, String, Vec<(String, Stream)>) {
    let node = TestNode::start().await;
    for number in [ALICE, BOB, CAROL] {
        node.number(number, json!({"pbx": "a"})).await;
    }
    node.client(ALICE, json!({})).await;
    let mut bobs = Vec::new();
    for _ in 0..clients {
        let id = node.client(BOB, json!({})).await;
        let stream = node.websocket(&id, BOB).await;
        bobs.push((id, stream));
    }
    let call = node.talk().await;
    for (_, stream) in &mut bobs {
        stream.next().await;
    }
    (node, call, bobs)
}

async fn claim(node: &TestNode, call: &str, number: &str, client: &str, invitation: &str) -> (StatusCode, Value) {
    claim_with(node, call, &credential(number), client, invitation).await
}

async fn claim_with(node: &TestNode, call: &str, token: &str, client: &str, invitation: &str) -> (StatusCode, Value) {
    let body = json!({"client": client, "invitation": invitation});
    node.send(Method::POST, &format!("/v1/calls/{call}/claims"), token, body).await
}

fn outcome(client: &str, won: bool) -> (StatusCode, Value) {
    (StatusCode::OK, json!({"client": client, "won": won}))
}

/// The id of Alice's client.
async fn alices(node: &TestNode) -> String {
    let list = node.get("/v1/clients", &credential(ALICE)).await;
    list["clients"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn of_eight_clients_that_claim_at_once_one_wins_and_the_others_are_told() {
    let (node, call, mut bobs) = talk(8).await;
    let before = node.deliveries(&call).await.len();
    let claims: Vec<_> = bobs
        .iter()
        .map(|(id, _)| {
            let body = json!({"client": id, "invitation": "screen-1"});
            let request = node.request(Method::POST, &format!("/v1/calls/{call}/claims"), &credential(BOB));
            tokio::spawn(answer(request.json(&body)))
        })
        .collect();
    let mut winner = None;
    for (claim, (id, _)) in claims.into_iter().zip(&bobs) {
        let (status, said) = claim.await.unwrap();
        assert_eq!(status, 200, "{said}");
        let named = said["client"].as_str().unwrap().to_owned();
        assert_eq!(said["won"], named == *id);
        assert_eq!(*winner.get_or_insert_with(|| named.clone()), named, "all name the same client");
    }
    let winner = winner.unwrap();
    for (id, stream) in &mut bobs {
        if *id != winner {
            let notice = stream.peek().await;
            assert_eq!(
                notice,
                json!({"id": notice["id"], "call": call, "type": "taken", "invitation": "screen-1", "client": winner})
            );
        }
    }
    // A repeat changes nothing, and nobody is told again.
    for (id, _) in &bobs {
        assert_eq!(claim(&node, &call, BOB, id, "screen-1").await, outcome(&winner, *id == winner));
    }
    for (_, stream) in &mut bobs {
        stream.quiet().await;
    }
    assert_eq!(node.deliveries(&call).await.len(), before, "a notice is no delivery");
}

#[tokio::test]
async fn a_claim_is_one_numbers_in_one_call() {
    let (node, call, bobs) = talk(2).await;
    let [one, two] = [&bobs[0].0, &bobs[1].0];
    let alice = alices(&node).await;
    assert_eq!(claim(&node, &call, BOB, one, "video").await, outcome(one, true));
    assert_eq!(claim(&node, &call, ALICE, &alice, "video").await, outcome(&alice, true));
    assert_eq!(claim(&node, &call, BOB, two, "Video").await, outcome(two, true), "another invitation");
    let other = node.decide("leg-9", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    assert_eq!(claim(&node, &other, BOB, two, "video").await, outcome(two, true));
    assert_eq!(claim(&node, &call, BOB, two, "video").await, outcome(one, false));
}

#[tokio::test]
async fn a_winner_that_is_gone_is_replaced_by_the_next_to_claim() {
    let (node, call, mut bobs) = talk(3).await;
    let ids: Vec<String> = bobs.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(claim(&node, &call, BOB, &ids[0], "screen").await, outcome(&ids[0], true));
    assert_eq!(claim(&node, &call, BOB, &ids[1], "screen").await, outcome(&ids[0], false));
    for (_, stream) in &mut bobs[1..] {
        assert_eq!(stream.peek().await["client"], json!(ids[0]));
    }
    let path = format!("/v1/clients/{}", ids[0]);
    assert_eq!(answer(node.request(Method::DELETE, &path, &credential(BOB))).await.0, 204);
    assert_eq!(claim(&node, &call, BOB, &ids[0], "screen").await.0, 404);
    assert_eq!(claim(&node, &call, BOB, &ids[1], "screen").await, outcome(&ids[1], true));
    let told = bobs[2].1.peek().await;
    assert_eq!((&told["type"], &told["client"]), (&json!("taken"), &json!(ids[1])));
    assert_eq!(claim(&node, &call, BOB, &ids[2], "screen").await, outcome(&ids[1], false));
    let [id, token] = node.device(BOB, "tablet").await;
    let (_, bound) = node.send(Method::POST, "/v1/clients", &token, json!({})).await;
    let tablet = bound["id"].as_str().unwrap();
    assert_eq!(claim_with(&node, &call, &token, tablet, "file").await, outcome(tablet, true));
    assert_eq!(answer(node.request(Method::DELETE, &format!("/v1/devices/{id}"), &token)).await.0, 204);
    assert_eq!(claim(&node, &call, BOB, &ids[2], "file").await, outcome(&ids[2], true));
}

#[tokio::test]
async fn nobody_else_may_claim() {
    let (node, call, bobs) = talk(1).await;
    let (bob, alice, carol) = (&bobs[0].0, alices(&node).await, node.client(CAROL, json!({})).await);
    // Carol takes no part in the call; the answer is that about a call that isn't there.
    let outside = claim(&node, &call, CAROL, &carol, "file").await;
    assert_eq!((outside.0.as_u16(), &outside), (404, &claim(&node, "0199-1", CAROL, &carol, "file").await));
    for (number, client) in [(CAROL, bob), (BOB, &alice), (BOB, &carol)] {
        assert_eq!(claim(&node, &call, number, client, "file").await.0, 404, "{number} for {client}");
    }
    let path = format!("/v1/calls/{call}/claims");
    let body = json!({"client": bob, "invitation": "file"});
    for (token, status) in [(ADMIN, 403), (AGENT, 403), ("nobody's-token-012345", 401)] {
        assert_eq!(node.send(Method::POST, &path, token, body.clone()).await.0.as_u16(), status, "{token}");
    }
    // Nor a client that takes no part.
    let change = json!({"offer": "never"});
    node.send(Method::PATCH, &format!("/v1/clients/{bob}"), &credential(BOB), change).await;
    assert_eq!(claim(&node, &call, BOB, bob, "file").await.0, 404);
    let change = json!({"offer": "everyone"});
    node.send(Method::PATCH, &format!("/v1/clients/{bob}"), &credential(BOB), change).await;
    assert_eq!(claim(&node, &call, BOB, bob, "file").await, outcome(bob, true), "none of them had claimed it");
}

#[tokio::test]
async fn an_invitation_has_a_harmless_name() {
    let (node, call, bobs) = talk(1).await;
    let bob = &bobs[0].0;
    for bad in ["", "a b", "ä", "a/b", "a\r\nb", "<b>", &"x".repeat(65)] {
        let (status, problem) = claim(&node, &call, BOB, bob, bad).await;
        assert_eq!((status.as_u16(), &problem["field"]), (422, &json!("invitation")), "{bad:?}: {problem}");
    }
    for good in ["a", "A.b_c-9", &"x".repeat(64)] {
        assert_eq!(claim(&node, &call, BOB, bob, good).await, outcome(bob, true), "{good}");
    }
    let path = format!("/v1/calls/{call}/claims");
    for body in [json!({"client": bob}), json!({"client": bob, "invitation": "a", "more": 1}), json!([])] {
        assert_eq!(node.send(Method::POST, &path, &credential(BOB), body).await.0, 422);
    }
}

#[tokio::test]
async fn a_number_claims_so_many_invitations_in_a_call() {
    let (node, call, bobs) = talk(2).await;
    let [one, two] = [&bobs[0].0, &bobs[1].0];
    for n in 0..256 {
        assert_eq!(claim(&node, &call, BOB, one, &format!("file-{n}")).await, outcome(one, true));
    }
    assert_eq!(claim(&node, &call, BOB, one, "file-256").await.0, 429);
    assert_eq!(claim(&node, &call, BOB, two, "file-7").await, outcome(one, false));
    let alice = alices(&node).await;
    assert_eq!(claim(&node, &call, ALICE, &alice, "file-256").await, outcome(&alice, true));
}

#[tokio::test]
async fn claims_hold_for_a_minute_after_the_call_and_a_restart_forgets_them() {
    let (mut node, call, bobs) = talk(2).await;
    let ids: Vec<String> = bobs.into_iter().map(|(id, _)| id).collect();
    assert_eq!(claim(&node, &call, BOB, &ids[0], "video").await, outcome(&ids[0], true));
    node.kill_and_restart().await;
    assert_eq!(claim(&node, &call, BOB, &ids[1], "video").await, outcome(&ids[1], true));
    node.events(&call, 3, &[ended("leg-1"), ended("leg-2")]).await;
    assert_eq!(claim(&node, &call, BOB, &ids[0], "video").await, outcome(&ids[1], false), "for a minute more");
    node.age(61).await;
    assert_eq!(claim(&node, &call, BOB, &ids[0], "video").await.0, 404);
}

#[tokio::test]
async fn a_device_claims_for_its_own_client_alone() {
    let (node, call, bobs) = talk(1).await;
    let [_, token] = node.device(BOB, "tablet").await;
    let (_, bound) = node.send(Method::POST, "/v1/clients", &token, json!({})).await;
    let own = bound["id"].as_str().unwrap();
    assert_eq!(claim_with(&node, &call, &token, &bobs[0].0, "screen-1").await.0, StatusCode::NOT_FOUND);
    assert_eq!(claim_with(&node, &call, &token, own, "screen-1").await, outcome(own, true));
}
