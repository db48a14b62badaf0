//! Sources that the tests ask, and what they count.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use serde_json::{Value, json};
use sidecall::core::routing::portability::{PeerRule, Portability, ServedBy};
use sidecall::lnp::{Lnp, LnpConfig};
use tokio::net::{TcpListener, UdpSocket};

use lab::net::knot::{Records, ZONE};

pub(crate) const ALICE: &str = "+12125550100";
pub(crate) const BOB: &str = "+12125550101";
pub(crate) const CAROL: &str = "+12125550102";
/// What says that a number was ported to the peer `b`.
pub(crate) const TO_B: &str = "!^(.*)$!tel:\\1;npdi;rn=+1-303-555-9999!";
/// To us.
pub(crate) const TO_US: &str = "!^(.*)$!tel:\\1;npdi;rn=+1-212-444-0000!";

pub(crate) fn dns_source(name: &str, server: SocketAddr) -> Value {
    json!({"name": name, "kind": "enum", "suffix": ZONE, "servers": [server]})
}

pub(crate) fn http_source(name: &str, service: &Service) -> Value {
    json!({"name": name, "kind": "http", "url": format!("http://{}/v1/{{number}}", service.address)})
}

/// These sources, with what is said at the top of the tests.
pub(crate) fn config(sources: &[Value], more: Value) -> LnpConfig {
    let mut config = json!({
        // Generous, since this machine may be busy; tests of the deadline have their own.
        "deadline_ms": 2000,
        "own_routing_numbers": ["+1212444"],
        "own_operators": ["a.example"],
        "route": [
            {"rn_prefix": "+1303", "peer": "b"},
            {"rn_prefix": "D015;rn-context=+49", "trunk": "to-germany"},
            {"operator": "sip.c.example", "trunk": "to-c"},
        ],
        "source": sources,
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

pub(crate) fn lnp(sources: &[Value], more: Value) -> Lnp {
    lnp_of(&config(sources, more))
}

pub(crate) fn lnp_of(config: &LnpConfig) -> Lnp {
    let peer = PeerRule {
        name: "b".parse().unwrap(),
        node: "https://node.b.example".parse().unwrap(),
        trunk: Some("to-b".parse().unwrap()),
    };
    Lnp::new(config, Some("https://node.a.example".parse().unwrap()), vec![peer]).unwrap()
}

pub(crate) async fn ask(lnp: &Lnp, number: &str) -> Portability {
    lnp.lookup(&number.parse().unwrap()).await
}

/// Asks until a source of the tests' own answers: a busy machine may keep it from that for a while.
pub(crate) async fn awake(lnp: &Lnp, number: &str) {
    let number = number.parse().unwrap();
    until(async || lnp.explain(&number).await.iter().all(|heard| heard.said.is_ok())).await;
}

/// Who serves it, and by which trunk.
pub(crate) async fn served(lnp: &Lnp, number: &str) -> (String, Option<String>) {
    let Portability { served_by, trunk, .. } = ask(lnp, number).await;
    let by = match served_by {
        ServedBy::Unknown => "unknown".to_owned(),
        ServedBy::Ours => "ours".to_owned(),
        ServedBy::Peer(name) => format!("peer {name}"),
        ServedBy::Other => "other".to_owned(),
    };
    (by, trunk.map(|trunk| trunk.to_string()))
}

pub(crate) fn peer_b() -> (String, Option<String>) {
    ("peer b".to_owned(), Some("to-b".to_owned()))
}

pub(crate) fn unknown() -> (String, Option<String>) {
    ("unknown".to_owned(), None)
}

/// Asks until it is so.
pub(crate) async fn until(mut test: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !test().await {
        assert!(begun.elapsed() < Duration::from_secs(10), "it never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Alice was ported to `b`; nobody else is there.
pub(crate) fn alice_ported() -> Records {
    Records::default().naptr(ALICE, (100, 10), 60, "E2U+pstn:tel", TO_B)
}

/// Stands before a DNS server over UDP: counts questions, and lets them wait.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

/// Questions are swallowed.
pub(crate) const NEVER: u64 = u64::MAX;

impl Relay {
    pub(crate) async fn start(server: SocketAddr, delay_ms: u64) -> Relay {
        let front = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        let (address, asked) = (front.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((length, from)) = front.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::Relaxed);
                if delay_ms == NEVER {
                    continue;
                }
                let (front, question) = (front.clone(), buffer[..length].to_vec());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                    let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                    back.send_to(&question, server).await.unwrap();
                    let mut answer = [0; 4096];
                    let length = back.recv(&mut answer).await.unwrap();
                    front.send_to(&answer[..length], from).await.unwrap();
                });
            }
        });
        Relay { address, asked }
    }

    /// Questions so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// An HTTP service that knows some numbers.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) asked: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Knows {
    answers: Arc<Value>,
    asked: Arc<AtomicUsize>,
    delay: Duration,
}

impl Service {
    /// `answers` by number; a number as an answer is a status.
    pub(crate) async fn start(answers: Value, delay: Duration) -> Service {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let knows = Knows { answers: Arc::new(answers), asked: asked.clone(), delay };
        let app = Router::new().route("/v1/{number}", get(answer)).with_state(knows);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Service { address, asked }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn answer(State(knows): State<Knows>, Path(number): Path<String>, headers: HeaderMap) -> (StatusCode, String) {
    knows.asked.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(knows.delay).await;
    if let Some(token) = knows.answers["token"].as_str()
        && headers.get("authorization").is_none_or(|given| given != &format!("Bearer {token}"))
    {
        return (StatusCode::UNAUTHORIZED, String::new());
    }
    match &knows.answers[&number] {
        Value::Null => (StatusCode::NOT_FOUND, String::new()),
        Value::Number(status) => (StatusCode::from_u16(status.as_u64().unwrap() as u16).unwrap(), String::new()),
        Value::String(text) => (StatusCode::OK, text.clone()),
        answer => (StatusCode::OK, answer.to_string()),
    }
}
