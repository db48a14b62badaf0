//! What the node can decide, as its agents see it: HTTP on loopback, connections kept open.
//!
//! The node runs on one thread (its SQLite connections have their own), the load on another. Arrivals
//! are at a fixed rate and latency counts from when a request was due, so that a stall is not hidden
//! by the requests that it kept from being sent.
//!
//! `SIDECALL_BENCH_NUMBERS=1000000 cargo bench --bench decide` measures the large directory too. With `-- --end` each call
//! ends some seconds after its decision, so that no more calls are up than a node with that rate has.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use sidecall::node::{BootstrapTokens, Node, NodeConfig};
use sidecall::store::{Location, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "bench-token-of-the-agent";
const ADMIN: &str = "bench-token-of-the-admin";
const PEER: &str = "bench-token-of-the-peer";
const CONNECTIONS: usize = 16;
/// With `--end`, how long a call is up.
const CALL: Duration = Duration::from_secs(5);
/// So much later than asked for a timer may fire.
const TIMER: Duration = Duration::from_millis(2);

fn main() {
    // cargo test runs benches too, with --test: that is not the time for it.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let ends = std::env::args().any(|arg| arg == "--end");
    let numbers: usize = std::env::var("SIDECALL_BENCH_NUMBERS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000);
    let folder = tempfile::tempdir().unwrap();
    let address = node(folder.path());
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    load.block_on(async move {
        import(address, numbers).await;
        bind_clients(address).await;
        let lookup = move |n: usize| request("GET", &format!("/v1/numbers/{}", number(spread(n, numbers))), ADMIN, "");
        run("directory lookup", address, 2_000, Duration::from_secs(5), 200, lookup, |_, _| ()).await;
        for rate in [500, 2_000, 4_000, 10_000] {
            let leg = move |n: usize| format!("{rate}-{n}");
            let decide = move |n: usize| {
                let (calling, called) = (number(n % 500), number(spread(n, numbers)));
                let body =
                    json!({"pbx": "a", "leg": leg(n), "calling": calling, "called": called, "side": "originating"});
                request("POST", "/v1/calls", TOKEN, &body.to_string())
            };
            let (decided, over): (Vec<_>, Vec<_>) = (0..CONNECTIONS).map(|_| mpsc::unbounded_channel()).unzip();
            let ending: Vec<_> = over.into_iter().map(|calls| tokio::spawn(end(address, calls))).collect();
            let decided = move |n: usize, answer: &str| {
                if ends {
                    decided[n % CONNECTIONS].send((Instant::now(), leg(n), call(answer))).unwrap();
                }
            };
            run("decision", address, rate, Duration::from_secs(10), 200, decide, decided).await;
            for task in ending {
                task.await.unwrap();
            }
        }
        for people in [8, 50, 100] {
            conference(address, people).await;
        }
        come_in(address, 5_000).await;
        run("offer, 5,000 calls up", address, 200, Duration::from_secs(9), 202, offer, |_, _| ()).await;
        let come = |n: usize| arrival(&format!("late-{n}"), n);
        run("call that comes in, 1,800 offers waiting", address, 200, Duration::from_secs(5), 200, come, |_, _| ())
            .await;
    });
}

/// The n-th number of the directory.
fn number(n: usize) -> String {
    format!("+1212{n:07}")
}

/// Somewhere in the directory, not in order.
fn spread(n: usize, numbers: usize) -> usize {
    n.wrapping_mul(2_654_435_761) % numbers
}

fn node(folder: &Path) -> SocketAddr {
    let mut config = NodeConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        database: Location::File(folder.join("bench.db")),
        ..NodeConfig::default()
    };
    config.routing.trunk = Some("carrier".parse().unwrap());
    let peer = json!({"name": "b", "url": "http://127.0.0.1:1", "accept_token": PEER, "verify": false});
    config.peers = vec![serde_json::from_value(peer).unwrap()];
    let (told, bound) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let store = Store::open(&config.database).await.unwrap();
            let tokens = BootstrapTokens { admin: Some(ADMIN.into()), agent: Some(TOKEN.into()) };
            let node = Node::bind(&config, &tokens, store).await.unwrap();
            told.send(node.local_addr()).unwrap();
            node.serve(CancellationToken::new()).await.unwrap();
        });
    });
    bound.recv().unwrap()
}

async fn import(address: SocketAddr, numbers: usize) {
    let mut csv = "number,name,pbx,kind,extensions,credential\n".to_owned();
    for n in 0..numbers {
        writeln!(csv, "{},Person {n},a,,,credential-of-number-{n}", number(n)).unwrap();
    }
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for mode in ["all-or-nothing", "skip-bad"] {
        let begun = Instant::now();
        let request = http.post(format!("http://{address}/v1/numbers:import?mode={mode}")).bearer_auth(ADMIN);
        let answer = request.header("content-type", "text/csv").body(csv.clone()).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap());
        println!("import of {numbers} numbers, {mode}: {:.1} s", begun.elapsed().as_secs_f64());
    }
}

/// Every one of the first 500 numbers has a hosted client.
async fn bind_clients(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    for n in 0..500 {
        let token = format!("credential-of-number-{n}");
        exchange(&mut stream, &request("POST", "/v1/clients", &token, "{}"), 201).await.unwrap();
    }
}

/// A call from a trunk to the n-th number, of a caller whom no offer fits.
fn arrival(leg: &str, n: usize) -> String {
    let caller = format!("+44207{n:07}");
    let call = json!({"pbx": "b", "leg": leg, "calling": caller, "called": number(n), "side": "terminating"});
    request("POST", "/v1/calls", TOKEN, &call.to_string())
}

/// So many calls are up.
async fn come_in(address: SocketAddr, calls: usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    for n in 0..calls {
        exchange(&mut stream, &arrival(&format!("up-{n}"), n), 200).await.unwrap();
    }
}

/// Ends calls, each some time after its decision, until no more are decided.
async fn end(address: SocketAddr, mut decided: mpsc::UnboundedReceiver<(Instant, String, String)>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    while let Some((at, leg, call)) = decided.recv().await {
        tokio::time::sleep_until((at + CALL).into()).await;
        let event = json!({"seq": 1, "at": now(), "event": "ended", "leg": leg, "cause": "NORMAL_CLEARING"});
        let path = format!("/v1/calls/{call}/events");
        let report = request("POST", &path, TOKEN, &json!({"events": [event]}).to_string());
        exchange(&mut stream, &report, 200).await.unwrap();
    }
}

/// The id of the call that a decision answers.
fn call(answer: &str) -> String {
    answer.split("\"call\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// Milliseconds since 1970.
fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A peer's offer for a call to the n-th number, which doesn't come.
fn offer(n: usize) -> String {
    let now = now();
    let offer = json!({"id": format!("offer-{n}"), "calling": format!("+1310{n:07}"), "called": number(n),
        "address": "http://127.0.0.1:1/a/x", "at": now, "sent": now, "via": []});
    request("POST", "/v1/peer/offers", PEER, &offer.to_string())
}

/// One after the other comes to a conference, and hears everybody.
async fn conference(address: SocketAddr, people: usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let at = now();
    let leg = |n: usize| format!("room-{people}-{n}");
    let (begun, mut last) = (Instant::now(), Duration::ZERO);
    for n in 0..people {
        let asked = json!({"pbx": "a", "leg": leg(n), "calling": number(n), "called": "3000;phone-context=a", "side": "originating"});
        let decide = request("POST", "/v1/calls", TOKEN, &asked.to_string());
        let id = call(&exchange(&mut stream, &decide, 200).await.unwrap());
        let events: Vec<_> = (0..n)
            .map(|other| json!({"seq": other + 1, "at": at, "event": "bridged", "legs": [leg(n), leg(other)]}))
            .collect();
        let arrived = Instant::now();
        for batch in events.chunks(64) {
            let body = json!({"events": batch}).to_string();
            let path = format!("/v1/calls/{id}/events");
            exchange(&mut stream, &request("POST", &path, TOKEN, &body), 200).await.unwrap();
        }
        last = arrived.elapsed();
    }
    println!(
        "conference of {people}: {:.3} s in all, {:.1} ms for the last one",
        begun.elapsed().as_secs_f64(),
        last.as_secs_f64() * 1e3
    );
}

fn request(method: &str, path: &str, token: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The answer's body, if it has the expected status.
async fn exchange(stream: &mut TcpStream, request: &str, expected: u16) -> Option<String> {
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut buffer, mut filled) = ([0; 8192], 0);
    loop {
        let n = stream.read(&mut buffer[filled..]).await.unwrap();
        assert!(n > 0, "the node hung up");
        filled += n;
        let text = std::str::from_utf8(&buffer[..filled]).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() >= length.parse().unwrap() {
            return head.starts_with(&format!("HTTP/1.1 {expected}")).then(|| body.to_owned());
        }
    }
}

/// Makes requests at a rate, and prints how long they took. `answered` gets the body of each answer.
async fn run(
    what: &str,
    address: SocketAddr,
    rate: usize,
    time: Duration,
    expected: u16,
    make: impl Fn(usize) -> String + Copy + 'static,
    answered: impl Fn(usize, &str) + Clone + 'static,
) {
    let total = (time.as_secs_f64() * rate as f64) as usize;
    let begun = Instant::now() + 2 * TIMER;
    let local = tokio::task::LocalSet::new();
    let mut latencies = local
        .run_until(async {
            let tasks: Vec<_> = (0..CONNECTIONS)
                .map(|connection| {
                    let answered = answered.clone();
                    tokio::task::spawn_local(async move {
                        let mut stream = TcpStream::connect(address).await.unwrap();
                        stream.set_nodelay(true).unwrap();
                        let mut latencies = Vec::with_capacity(total / CONNECTIONS + 1);
                        for n in (connection..total).step_by(CONNECTIONS) {
                            let due = begun + time.mul_f64(n as f64 / total as f64);
                            // The timer's grain is a millisecond: the rest of the time is waited out.
                            tokio::time::sleep_until((due - TIMER).into()).await;
                            while Instant::now() < due {
                                tokio::task::yield_now().await;
                            }
                            let answer = exchange(&mut stream, &make(n), expected).await;
                            latencies.push(answer.as_ref().map_or(Duration::MAX, |_| due.elapsed()));
                            if let Some(body) = answer {
                                answered(n, &body);
                            }
                        }
                        latencies
                    })
                })
                .collect();
            let mut all = Vec::with_capacity(total);
            for task in tasks {
                all.extend(task.await.unwrap());
            }
            all
        })
        .await;
    let asked = latencies.len();
    latencies.retain(|latency| *latency < Duration::MAX);
    let failed = asked - latencies.len();
    latencies.sort_unstable();
    let at = |quantile: f64| latencies[((latencies.len() - 1) as f64 * quantile) as usize].as_secs_f64() * 1000.0;
    let achieved = latencies.len() as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{what}: {achieved:.0}/s  p50 {:.3} ms  p90 {:.3} ms  p99 {:.3} ms  p99.9 {:.3} ms  max {:.1} ms  failed {failed}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}
