//! A scripted node, which decides and answers as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde_json::{Value, json};
use sidecall::contract::{NODE_PROCESS, STANDS_BY};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::Heard;

/// A node that decides `packet` at once, for whatever call.
pub struct Node {
    pub address: SocketAddr,
    /// Requests for a decision, and when each was answered.
    pub decisions: Heard<(Value, Instant)>,
    /// Reports of links.
    pub links: Heard<Value>,
    /// What was told of which call.
    pub events: Heard<(String, Value)>,
    /// Codes that phones have dialled. The right one is 123456.
    pub dialled: Heard<Value>,
    /// Questions for a sign of life.
    pub probes: Heard<()>,
    slow: Arc<AtomicU64>,
    live: Arc<Mutex<Claimed>>,
}

/// The calls that a node takes for live, how long it takes to list them, and what it refuses.
#[derive(Default)]
struct Claimed {
    calls: Vec<Value>,
    after: Duration,
    /// Calls that have ended.
    over: Vec<String>,
    /// Calls whose reports it takes in and doesn't answer.
    stalled: Vec<String>,
    /// Calls that it doesn't know until they are registered.
    lost: Vec<String>,
    /// Another node serves.
    stands_by: bool,
    /// How many times it was started again.
    restarts: u128,
}

#[derive(Clone)]
struct Desk {
    /// The name of its first process.
    process: u128,
    /// The longest that it takes to answer a report, in ms.
    slow: Arc<AtomicU64>,
    live: Arc<Mutex<Claimed>>,
    decisions: mpsc::UnboundedSender<(Instant, (Value, Instant))>,
    links: mpsc::UnboundedSender<(Instant, Value)>,
    events: mpsc::UnboundedSender<(Instant, (String, Value))>,
    dialled: mpsc::UnboundedSender<(Instant, Value)>,
    probes: mpsc::UnboundedSender<(Instant, ())>,
}

impl Node {
    pub async fn start() -> Node {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (decided, decisions) = mpsc::unbounded_channel();
        let (reported, links) = mpsc::unbounded_channel();
        let (told, events) = mpsc::unbounded_channel();
        let (asked, dialled) = mpsc::unbounded_channel();
        let (probed, probes) = mpsc::unbounded_channel();
        let slow = Arc::new(AtomicU64::new(0));
        let live = Arc::new(Mutex::new(Claimed::default()));
        let desk = Desk {
            process: rand::random(),
            slow: Arc::clone(&slow),
            live: Arc::clone(&live),
            decisions: decided,
            links: reported,
            events: told,
            dialled: asked,
            probes: probed,
        };
        let routes = Router::new()
            .route("/v1/calls", get(list).post(decide))
            .route("/v1/calls/{call}/events", post(tell))
            .route("/v1/pbxs/{pbx}", put(link))
            .route("/v1/dialled-enrolments/confirm", post(confirm))
            .route("/healthz", get(|| async { "ok\n" }))
            .layer(middleware::from_fn_with_state(desk.clone(), stand_by))
            .layer(middleware::map_response_with_state(desk.clone(), name))
            .with_state(desk);
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Node { address, decisions, links, events, dialled, probes, slow, live }
    }

    /// Takes these calls for live, as `GET /v1/calls` shows them.
    pub fn claim(&self, calls: Vec<Value>) {
        self.live.lock().unwrap().calls = calls;
    }

    /// Takes this call for over.
    pub fn end(&self, call: &str) {
        self.live.lock().unwrap().over.push(call.to_owned());
    }

    /// Answers no report about this call.
    pub fn stall(&self, call: &str) {
        self.live.lock().unwrap().stalled.push(call.to_owned());
    }

    /// Doesn't know this call until it is registered.
    pub fn lose(&self, call: &str) {
        self.live.lock().unwrap().lost.push(call.to_owned());
    }

    /// Stands by from now on, or serves.
    pub fn stand_by(&self, stands_by: bool) {
        self.live.lock().unwrap().stands_by = stands_by;
    }

    /// Is another process from now on.
    pub fn restart(&self) {
        self.live.lock().unwrap().restarts += 1;
    }

    /// Takes so long to list its live calls.
    pub fn list_after(&self, after: Duration) {
        self.live.lock().unwrap().after = after;
    }

    /// Takes up to so long to answer each report from now on, one more and one less.
    pub fn slow_up_to(&self, longest: Duration) {
        self.slow.store(u64::try_from(longest.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

/// Names the process.
async fn name(State(desk): State<Desk>, mut answer: Response) -> Response {
    let process = desk.process ^ desk.live.lock().unwrap().restarts;
    let name = uuid::Uuid::from_u128(process).to_string().parse().unwrap();
    answer.headers_mut().insert(NODE_PROCESS, name);
    answer
}

/// Refuses everything while the node stands by.
async fn stand_by(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let stands_by = desk.live.lock().unwrap().stands_by;
    let is_probe = request.uri().path() == "/healthz";
    if is_probe {
        let _ = desk.probes.send((Instant::now(), ()));
    }
    if !stands_by {
        return next.run(request).await;
    }
    if is_probe {
        return STANDS_BY.into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": 503, "detail": STANDS_BY }))).into_response()
}

async fn list(State(desk): State<Desk>) -> Json<Value> {
    let after = desk.live.lock().unwrap().after;
    tokio::time::sleep(after).await;
    Json(json!({ "calls": desk.live.lock().unwrap().calls }))
}

async fn decide(State(desk): State<Desk>, Json(request): Json<Value>) -> Json<Value> {
    let asked = Instant::now();
    desk.live.lock().unwrap().lost.retain(|call| request["leg"] != call.as_str());
    let decision = json!({ "call": request["leg"], "route": "packet", "trunk": "partner",
        "address": "https://node.example/a/0123456789abcdef0123456789abcdef", "reason": "called-has-client" });
    let _ = desk.decisions.send((asked, (request, Instant::now())));
    Json(decision)
}

async fn tell(State(desk): State<Desk>, Path(call): Path<String>, Json(events): Json<Value>) -> Response {
    let (over, stalled, lost) = {
        let live = desk.live.lock().unwrap();
        (live.over.contains(&call), live.stalled.contains(&call), live.lost.contains(&call))
    };
    if lost {
        return (StatusCode::NOT_FOUND, Json(json!({ "status": 404, "field": "call" }))).into_response();
    }
    let _ = desk.events.send((Instant::now(), (call, events)));
    if stalled {
        std::future::pending::<()>().await;
    }
    let longest = desk.slow.load(Ordering::Relaxed);
    if longest > 0 {
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..=longest))).await;
    }
    Json(json!({ "messages": [], "over": over })).into_response()
}

async fn link(State(desk): State<Desk>, Json(report): Json<Value>) -> Json<Value> {
    let _ = desk.links.send((Instant::now(), report));
    Json(json!({ "messages": [] }))
}

async fn confirm(State(desk): State<Desk>, Json(asked): Json<Value>) -> Json<Value> {
    let enrolled = asked["digits"] == "123456";
    let _ = desk.dialled.send((Instant::now(), asked));
    let longest = desk.slow.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(longest)).await;
    Json(json!({ "enrolled": enrolled }))
}

/// A live call, as the node lists it.
pub fn live(call: &str, called: &str, legs: &[&str], last_seq: u64) -> Value {
    json!({ "call": call, "pbx": "office", "leg": legs[0], "legs": legs, "calling": null, "called": called,
        "side": "originating", "route": "packet", "trunk": "partner", "reason": "called-has-client", "address": null,
        "phase": "decided", "decided": 1, "answered": null, "ended": null, "cause": null, "deliveries": [],
        "last_seq": last_seq })
}
