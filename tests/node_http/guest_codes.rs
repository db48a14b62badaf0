//! Codes for guests: who gets one, what it lets in, and how many may be tried.

use reqwest::Method;
use serde_json::json;

use crate::guests::{Host, host, join, talk};
use crate::support::{ADMIN, BOB, CAROL, answer, credential};

#[tokio::test]
async fn a_number_has_one_code_in_a_call() {
    let host = host().await;
    let code = host.invite().await;
    assert!(code.len() == 6 && code.bytes().all(|c| c.is_ascii_digit()), "{code}");
    assert_eq!(host.invite().await, code, "a repeat");
    let other = host.node.client(BOB, json!({})).await;
    let (status, replaced) = host.try_invite(&other, &credential(BOB)).await;
    assert_eq!(status, 201, "{replaced}");
    assert_ne!(replaced["code"], code.as_str());
    assert_eq!(join(&host.node, &code, "Zoë", 1).await.0, 404);
    let spaced = replaced["code"].as_str().unwrap().split_at(3);
    assert_eq!(join(&host.node, &format!("{} {}", spaced.0, spaced.1), "Zoë", 1).await.0, 201);
}

#[tokio::test]
async fn only_a_hosted_client_of_somebody_in_the_call_gets_a_code() {
    let host = host().await;
    host.node.number(CAROL, json!({})).await;
    let carol = host.node.client(CAROL, json!({})).await;
    let [_, tablet] = host.node.device(BOB, "tablet").await;
    let webhook = host.node.client(BOB, json!({"address": "http://127.0.0.1:9/hook"})).await;
    assert_eq!(host.try_invite(&carol, &credential(CAROL)).await.0, 404, "Carol is not in the call");
    assert_eq!(host.try_invite(&carol, &credential(BOB)).await.0, 404, "it is Carol's client");
    assert_eq!(host.try_invite(&host.client, &tablet).await.0, 404, "it is no client of the tablet's");
    assert_eq!(host.try_invite("0199-unknown", &credential(BOB)).await.0, 404);
    assert_eq!(host.try_invite(&host.client, ADMIN).await.0, 403);
    let (status, problem) = host.try_invite(&webhook, &credential(BOB)).await;
    assert_eq!((status.as_u16(), &problem["field"]), (422, &json!("client")));
    let elsewhere = Host { call: "0199-unknown".to_owned(), ..host };
    assert_eq!(elsewhere.try_invite(&elsewhere.client, &credential(BOB)).await.0, 404);
    let path = "/v1/calls/0199-unknown/guests";
    assert_eq!(answer(elsewhere.node.request(Method::GET, path, &credential(BOB))).await.0, 404);
}

#[tokio::test]
async fn a_guest_needs_a_name_that_can_be_shown() {
    let host = host().await;
    let code = host.invite().await;
    for name in ["", " ", "Bob\u{202e}", "a\nb", &"x".repeat(65)] {
        let (status, problem) = join(&host.node, &code, name, 1).await;
        assert_eq!((status, &problem["field"]), (422, &json!("name")), "{name:?}");
    }
    for code in ["", "12345", "1234567", "12345x"] {
        let (status, problem) = join(&host.node, code, "Zoë", 1).await;
        assert_eq!((status, &problem["field"]), (422, &json!("code")), "{code:?}");
    }
    // None of these was a guess.
    assert_eq!(join(&host.node, &code, "Zoë", 1).await.0, 201);
}

/// No other client is told when they leave.
#[tokio::test]
async fn a_device_lists_the_guests_of_its_own_clients() {
    let host = host().await;
    let [_, phone] = host.node.device(BOB, "phone").await;
    let [_, tablet] = host.node.device(BOB, "tablet").await;
    let mut clients = Vec::new();
    for token in [&phone, &tablet] {
        let (status, bound) = host.node.send(Method::POST, "/v1/clients", token, json!({})).await;
        assert_eq!(status, 201, "{bound}");
        clients.push(bound["id"].as_str().unwrap().to_owned());
    }
    let (status, made) = host.try_invite(&clients[0], &phone).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(join(&host.node, made["code"].as_str().unwrap(), "Zoë", 1).await.0, 201);
    let path = format!("/v1/calls/{}/guests", host.call);
    for (token, count) in [(&phone, 1), (&tablet, 0), (&credential(BOB), 1)] {
        assert_eq!(host.node.get(&path, token).await["guests"].as_array().unwrap().len(), count);
    }
}

#[tokio::test]
async fn a_call_has_eight_guests() {
    let mut host = host().await;
    for source in 1..=8 {
        host.guest(source).await;
    }
    let code = host.invite().await;
    assert_eq!(join(&host.node, &code, "Zoë", 9).await.0, 409);
    let guests = host.node.get(&format!("/v1/calls/{}/guests", host.call), &credential(BOB)).await;
    let first = guests["guests"][0]["id"].as_str().unwrap();
    assert_eq!(host.dismiss(first, &credential(BOB)).await, 204);
    let code = host.invite().await;
    assert_eq!(join(&host.node, &code, "Zoë", 9).await.0, 201);
}

#[tokio::test]
async fn a_code_leads_to_its_own_call() {
    let host = host().await;
    let code = host.invite().await;
    let other = talk(&host.node, "leg-3", "leg-4").await;
    let (_, joined) = join(&host.node, &code, "Zoë", 1).await;
    assert_eq!(joined["call"], host.call.as_str());
    let guests = host.node.get(&format!("/v1/calls/{other}/guests"), &credential(BOB)).await;
    assert_eq!(guests["guests"], json!([]));
}

#[tokio::test]
async fn an_address_tries_five_codes_a_minute_and_all_together_sixty() {
    let host = host().await;
    let code = host.invite().await;
    // Another code than the right one.
    let wrong = format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000);
    for _ in 0..5 {
        let (status, problem) = join(&host.node, &wrong, "Eve", 1).await;
        assert_eq!((status, &problem["field"]), (404, &json!("code")));
    }
    let request = host.node.http.post(host.node.url("/v1/guests")).header("x-forwarded-for", "192.0.2.1");
    let refused = request.json(&json!({"code": code, "name": "Eve"})).send().await.unwrap();
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"12".parse().unwrap()));
    assert_eq!(join(&host.node, &code, "Zoë", 2).await.0, 201, "another address");
    // Twelve addresses try all that they may; a few more are taken while the others are on their way.
    let mut tried = 6;
    'all: for source in 3..=40 {
        for _ in 0..5 {
            match join(&host.node, &wrong, "Eve", source).await.0 {
                404 => tried += 1,
                429 => break 'all,
                other => panic!("{other}"),
            }
        }
    }
    assert!((60..75).contains(&tried), "{tried}");
    // Whoever has the right code waits, too; one more may be let in by now.
    let right = [join(&host.node, &code, "Zoë", 250).await.0, join(&host.node, &code, "Zoë", 251).await.0];
    assert!(right.contains(&429), "{right:?}");
    let metrics = host.node.http.get(host.node.url("/metrics")).bearer_auth(ADMIN).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("sidecall_failed_logins_total{answer=\"refused\"}"), "{metrics}");
}
