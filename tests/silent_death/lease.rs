//! A node on PostgreSQL decides no call if another one may decide by then.

use std::io::ErrorKind::{ConnectionReset, UnexpectedEof};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sidecall::node::{BootstrapTokens, Node, NodeConfig};
use sidecall::store::Store;
use sqlx::{Connection, Executor, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::daemon::{AGENT, ALICE, Daemon, on, wait_until};

const BOB: &str = "+12125550101";
/// What is late is tried again for seconds.
const SOON: Duration = Duration::from_secs(15);

fn announced(leg: &str) -> Value {
    json!({"pbx": "a", "leg": leg, "calling": ALICE, "called": BOB, "side": "originating"})
}

#[test]
fn a_process_that_was_stopped_for_a_minute_decides_no_call_when_it_continues() {
    decides_no_call_after(Duration::from_secs(60), |daemon| daemon.number(ALICE));
}

/// Its call is written behind the decision.
#[test]
fn a_process_that_was_stopped_while_it_wrote_decides_no_call_either() {
    decides_no_call_after(Duration::ZERO, |daemon| drop(daemon.call("leg-1", ALICE, BOB)));
}

/// Another one has taken over meanwhile, and a request waits for the process. It has done something, and continues when the
/// other one has been active for `stopped_for`.
fn decides_no_call_after(stopped_for: Duration, something: fn(&Daemon)) {
    let Some(server) = lab::Postgres::or_skip() else { return };
    let start = || Daemon::start("node", on(&server));
    let mut stopped = start();
    something(&stopped);
    stopped.signal("STOP");
    let next = start();
    next.call("leg-2", ALICE, BOB);
    thread::sleep(stopped_for);
    let body = announced("leg-3").to_string();
    let head = format!("Host: node\r\nAuthorization: Bearer {AGENT}\r\nContent-Type: application/json");
    let request = format!("POST /v1/calls HTTP/1.1\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut asked = TcpStream::connect(stopped.address()).unwrap();
    asked.set_read_timeout(Some(SOON)).unwrap();
    asked.write_all(request.as_bytes()).unwrap();
    stopped.signal("CONT");
    let mut status = [0; 12];
    match asked.read_exact(&mut status) {
        Ok(()) => assert_eq!(String::from_utf8_lossy(&status), "HTTP/1.1 503", "{}", stopped.log()),
        // The process may have ended before it took the request.
        Err(error) => assert!(matches!(error.kind(), ConnectionReset | UnexpectedEof), "{error}: {}", stopped.log()),
    }
    let status = stopped.wait(SOON);
    let log = stopped.log();
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{log}");
    assert!(log.contains("another process has taken over the database"), "{log}");
    next.call("leg-4", ALICE, BOB);
    let calls = || next.get("/v1/calls").to_string();
    assert!(wait_until(SOON, || calls().contains("leg-4")), "{}", calls());
    assert!(!calls().contains("leg-3"), "{}", calls());
}

/// Somebody has locked the row of the lease. All else is written meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_lease_isnt_renewed_decides_no_call_until_it_is() {
    let Some(server) = lab::Postgres::or_skip() else { return };
    let database = PathBuf::from(server.url()).try_into().unwrap();
    let config = NodeConfig { listen: "127.0.0.1:0".parse().unwrap(), database, ..NodeConfig::default() };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = Store::open(&config.database).await.unwrap();
    let tokens = BootstrapTokens { admin: None, agent: Some(AGENT.into()) };
    let node = Node::bind(&config, &tokens, store.clone()).await.unwrap();
    let (url, stop) = (format!("http://{}", node.local_addr()), CancellationToken::new());
    let serving = tokio::spawn(node.serve(stop.clone()));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let decides = async |leg: &str| {
        let request = http.post(format!("{url}/v1/calls")).bearer_auth(AGENT).json(&announced(leg));
        request.send().await.unwrap().status()
    };
    let reports = async || {
        let report = json!({"kind": "freeswitch", "link": "up", "since": 0, "agent": "agent-1"});
        let request = http.put(format!("{url}/v1/pbxs/a")).bearer_auth(AGENT).json(&report);
        request.send().await.unwrap().status()
    };
    let says = async |words: &str| {
        let deadline = Instant::now() + SOON;
        loop {
            let text = http.get(format!("{url}/readyz")).send().await.unwrap().text().await.unwrap();
            if text.contains(words) {
                return;
            }
            assert!(Instant::now() < deadline, "{text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(decides("leg-1").await, StatusCode::OK);
    let mut other = PgConnection::connect(&server.url()).await.unwrap();
    other.execute("BEGIN; SELECT 1 FROM leases FOR UPDATE").await.unwrap();
    says("another process may have taken over the database").await;
    assert_eq!(decides("leg-2").await, StatusCode::SERVICE_UNAVAILABLE);
    // So its agents go over to another node.
    assert_eq!(reports().await, StatusCode::SERVICE_UNAVAILABLE);
    assert!(store.probe(None).await && !store.is_failing());
    other.execute("ROLLBACK").await.unwrap();
    says("ready\n").await;
    assert_eq!(decides("leg-3").await, StatusCode::OK);
    assert_eq!(reports().await, StatusCode::OK);
    stop.cancel();
    serving.await.unwrap().unwrap();
}
