//! What is cut off or fails in the middle is made good.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sqlx::Executor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{AGENT, ALICE, BOB, TestNode, answer};
use crate::two_nodes::{FRED, Two, talks};

#[tokio::test]
async fn a_report_whose_agent_gives_up_is_taken_all_the_same() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    node.client(ALICE, json!({})).await;
    node.client(BOB, json!({})).await;
    let call = node.decide("leg-1", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
    let events = json!({"events": [{"seq": 1, "at": 1, "event": "dialled", "leg": "leg-2"},
        {"seq": 2, "at": 1, "event": "bridged", "legs": ["leg-1", "leg-2"]}]});
    // Somebody else has the database, and the agent doesn't wait for so long.
    let mut database = node.database().await;
    database.execute("BEGIN IMMEDIATE").await.unwrap();
    let report = || node.request(Method::POST, &format!("/v1/calls/{call}/events"), AGENT).json(&events);
    assert!(report().timeout(Duration::from_millis(150)).send().await.unwrap_err().is_timeout());
    // What hyper notices of it, it notices now.
    tokio::time::sleep(Duration::from_millis(100)).await;
    database.execute("ROLLBACK").await.unwrap();
    assert_eq!(answer(report()).await.0, 200);
    node.until(&call, |all| all.len() == 2).await;
}

#[tokio::test]
async fn an_address_that_was_told_while_the_store_failed_is_told_on_when_it_comes_again() {
    let (two, mut alice, mut fred) = Two::with_clients().await;
    let out = two.offered("a-1").await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    talks(&two.b, &come, "b-1").await;
    talks(&two.a, &out, "a-1").await;
    let peer = fred.next().await;
    let mut database = two.a.database().await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON deliveries BEGIN SELECT RAISE(ABORT, 'full'); END";
    database.execute(full).await.unwrap();
    let told = json!({"type": "peer", "peer": peer["own"]});
    let tell = || answer(two.a.http.post(peer["peer"]["address"].as_str().unwrap()).json(&told));
    assert_eq!(tell().await.0, 503);
    database.execute("DROP TRIGGER full").await.unwrap();
    assert_eq!(tell().await.0, 202);
    assert_eq!(alice.next().await["peer"]["number"], FRED);
}

#[tokio::test]
async fn a_message_that_outlives_its_call_is_for_nobody() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    let (alice, _) = (node.client(ALICE, json!({})).await, node.client(BOB, json!({})).await);
    let mut alice = node.websocket(&alice, ALICE).await;
    let call = node.talk().await;
    let address = alice.next().await["peer"]["address"].as_str().unwrap().to_owned();
    let path = address.strip_prefix(&node.url("")).unwrap();
    let mut slow = TcpStream::connect(node.address).await.unwrap();
    let head = "Host: node\r\nContent-Type: application/json\r\nContent-Length: 8\r\nConnection: close\r\n\r\n";
    slow.write_all(format!("POST {path} HTTP/1.1\r\n{head}{{\"n\":").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    // It ended a minute ago, as the agent says only now.
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64 - 61_000;
    let events = ["leg-2", "leg-1"].iter().zip(3..);
    let events: Vec<_> = events.map(|(leg, seq)| json!({"seq": seq, "at": at, "event": "ended", "leg": leg})).collect();
    node.send(Method::POST, &format!("/v1/calls/{call}/events"), AGENT, json!({"events": events})).await;
    slow.write_all(b" 1}").await.unwrap();
    let mut said = String::new();
    slow.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 404 "), "{said}");
    assert!(node.deliveries(&call).await.iter().all(|d| d["message"] != "message"));
}
