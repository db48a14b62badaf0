//! What somebody else's node may take of ours: floods, requests that hang, answers that never end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{AGENT, ALICE, BOB, TestNode};
use crate::two_nodes::{FRED, GINA, TOKEN, Two, offer, rows};

/// How many of so many requests, a few at a time, got which status.
async fn flood<F: Future<Output = u16> + Send + 'static>(n: usize, one: impl Fn(usize) -> F) -> Vec<u16> {
    let mut statuses = Vec::with_capacity(n);
    for first in (0..n).step_by(4) {
        let under_way: Vec<_> = (first..n.min(first + 4)).map(|n| tokio::spawn(one(n))).collect();
        for request in under_way {
            statuses.push(request.await.unwrap());
        }
    }
    statuses
}

/// A request's status, as often as it is wanted.
fn asks(node: &TestNode, path: &str, token: &str) -> impl Fn(Value) -> BoxFuture<'static, u16> + use<> {
    let (http, url, token) = (node.http.clone(), node.url(path), token.to_owned());
    move |body| {
        let request = http.post(&url).bearer_auth(&token).json(&body);
        Box::pin(async move { request.send().await.unwrap().status().as_u16() })
    }
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|s| **s == status).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_are_limited_and_calls_are_decided_meanwhile() {
    let (two, _alice, _fred) = Two::with_clients().await;
    let b = &two.b;
    let decide = asks(b, "/v1/calls", AGENT);
    let deciding = tokio::spawn(flood(100, move |n| {
        decide(json!({"pbx": "b", "leg": format!("f-{n}"), "calling": ALICE, "called": GINA, "side": "terminating"}))
    }));
    let begun = Instant::now();
    let (known, unknown) = (asks(b, "/v1/peer/offers", TOKEN), asks(b, "/v1/peer/offers", "a-stranger's-token"));
    // Of numbers that nobody calls from, so that all of them wait.
    let made = |n: usize| {
        let mut offer = offer(&format!("0199-{n}"));
        offer["calling"] = format!("+1212555{:04}", 2000 + n).into();
        offer
    };
    let (known, unknown) =
        tokio::join!(flood(1_500, move |n| known(made(n))), flood(500, move |n| unknown(offer(&format!("0199-{n}")))));
    let most = 500 + (begun.elapsed().as_secs_f64() * 200.0) as usize + 1;
    let taken = count(&known, 202);
    // On a machine that is busy with other things a read may take too long, which is said too.
    let busy = |statuses: &[u16]| count(statuses, 503);
    assert!(taken <= most, "{taken} of at most {most}");
    assert_eq!(taken + count(&known, 429) + busy(&known), 1_500, "{known:?}");
    assert_eq!(count(&unknown, 401) + count(&unknown, 429) + busy(&unknown), 500, "{unknown:?}");
    assert_eq!(count(&deciding.await.unwrap(), 200), 100, "a decision was refused");
    // To one address.
    b.number(BOB, json!({})).await;
    b.client(BOB, json!({})).await;
    let out = b.decide("b-2", FRED, BOB).await;
    let address = out["address"].as_str().unwrap().strip_prefix(&b.url("")).unwrap().to_owned();
    let (begun, post) = (Instant::now(), asks(b, &address, ""));
    let posted = flood(300, move |n| post(json!({"n": n}))).await;
    let (taken, most) = (count(&posted, 202), 50 + (begun.elapsed().as_secs_f64() * 20.0) as usize + 1);
    assert!((50..=most).contains(&taken), "{taken} of at most {most}");
    assert_eq!(taken + count(&posted, 429) + busy(&posted), 300, "{posted:?}");
}

#[tokio::test]
async fn one_peer_has_so_many_offers_waiting_and_no_more() {
    let (mut two, _alice, _fred) = Two::with_clients().await;
    let first = offer("0199-first");
    two.b.kill().await;
    let body = first.to_string().replace("0199-first", "'||n||'");
    let change = format!(
        "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 2000) \
         INSERT INTO offers (peer, id, received, body) SELECT 'a', n, {}, '{body}' FROM series",
        first["sent"]
    );
    assert_eq!(rows(&two.b, &change).await, 2_000);
    two.b.restart().await;
    let ask = asks(&two.b, "/v1/peer/offers", TOKEN);
    let mut late = first.clone();
    late["sent"] = offer("x")["sent"].clone();
    assert_eq!(ask(late).await, 429);
}

/// Takes connections and does with them as it is told; its URL, and how many are open.
async fn listener(answer: &'static [u8], endless: &'static [u8]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let open = Arc::new(AtomicUsize::new(0));
    let shared = open.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let open = shared.clone();
            tokio::spawn(async move {
                open.fetch_add(1, Ordering::SeqCst);
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(answer).await;
                while !endless.is_empty() && stream.write_all(endless).await.is_ok() {}
                // What hangs is open until the other side closes it.
                while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (url, open)
}

/// A node with Alice's client and these peers: name, URL and prefix.
async fn with_peers(peers: Value) -> TestNode {
    let node = TestNode::start_with(|config, _| config.peers = serde_json::from_value(peers).unwrap()).await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.client(ALICE, json!({})).await;
    node
}

#[tokio::test]
async fn a_peer_that_hangs_delays_no_decision_and_takes_no_more_than_its_share() {
    let (hangs, open) = listener(b"", b"").await;
    let (says_yes, _) = listener(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n", b"").await;
    let node = with_peers(json!([
        {"name": "hangs", "url": hangs, "prefixes": ["+1310"]},
        {"name": "works", "url": says_yes, "prefixes": ["+1415"]},
    ]))
    .await;
    let mut last = String::new();
    for n in 0..200 {
        let begun = Instant::now();
        last = node.decide(&format!("h-{n}"), ALICE, FRED).await["call"].as_str().unwrap().to_owned();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    let works = node.decide("w-1", ALICE, "+14155550100").await["call"].as_str().unwrap().to_owned();
    node.remote_side(&works, |far| far["offer"]["state"] == "accepted").await;
    assert!((1..=64).contains(&open.load(Ordering::SeqCst)), "{}", open.load(Ordering::SeqCst));
    // Those that had no turn say so, and are tried again until their call ends.
    let far = node.remote_side(&last, |far| far["offer"]["attempts"].as_u64() > Some(0)).await;
    assert_eq!((&far["offer"]["state"], far["offer"]["error"].is_string()), (&json!("pending"), true));
    assert!(open.load(Ordering::SeqCst) <= 64, "{}", open.load(Ordering::SeqCst));
    for n in 0..200 {
        let leg = format!("h-{n}");
        let body = json!({"pbx": "a", "leg": leg, "calling": ALICE, "called": FRED, "side": "originating"});
        let (_, call) = node.send(Method::POST, "/v1/calls", AGENT, body).await;
        node.events(call["call"].as_str().unwrap(), 1, &[crate::support::ended(&leg)]).await;
    }
    assert_eq!(node.remote_side(&last, |_| true).await["offer"]["state"], "dropped");
    assert!(open.load(Ordering::SeqCst) <= 64, "{}", open.load(Ordering::SeqCst));
}

#[tokio::test]
async fn an_answer_that_never_ends_is_an_answer() {
    let chunk = b"1000\r\n";
    let (yes, open) = listener(b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n", chunk).await;
    let (no, open_too) =
        listener(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 100000000000\r\n\r\n", &[b'x'; 4096]).await;
    let (garbage, _) = listener(b"HTTP/1.1 999999 \x00\xff\r\n", &[b'\xff'; 4096]).await;
    let node = with_peers(json!([
        {"name": "yes", "url": yes, "prefixes": ["+1310"]},
        {"name": "no", "url": no, "prefixes": ["+1415"]},
        {"name": "garbage", "url": garbage, "prefixes": ["+1617"]},
    ]))
    .await;
    for (leg, called, state, error) in [
        ("1", FRED, "accepted", ""),
        ("2", "+14155550100", "refused", "HTTP 403"),
        ("3", "+16175550100", "pending", ""),
    ] {
        let call = node.decide(leg, ALICE, called).await["call"].as_str().unwrap().to_owned();
        let far = node.remote_side(&call, |far| far["offer"]["attempts"].as_u64() > Some(0)).await;
        assert_eq!(far["offer"]["state"], state, "{far}");
        assert!(error.is_empty() || far["offer"]["error"] == error, "{far}");
    }
    // And nobody goes on reading.
    for _ in 0..200 {
        if open.load(Ordering::SeqCst) + open_too.load(Ordering::SeqCst) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the connections are still open");
}
