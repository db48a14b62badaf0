//! What a connected hosted client costs the node: memory for each, and a push to one among all.
//!
//! The node is a process of its own, so that its memory is told apart from the clients'. As many clients
//! connect as open files allow (`ulimit -n`), at most `SIDECALL_BENCH_CLIENTS` (50,000).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ADMIN: &str = "bench-token-of-the-admin";

fn main() {
    // cargo test runs benches too, with --test: that is not the time for it.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let wanted: usize = std::env::var("SIDECALL_BENCH_CLIENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(50_000);
    // The node keeps 1,024 files for its PBXs, its database and its webhooks. The last few are requests of this bench.
    let clients = wanted.min(open_files().saturating_sub(1_024 + 16));
    let folder = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut node = start(folder.path(), address);
    import(address, clients);
    // What the import left behind is not the clients'.
    std::thread::sleep(Duration::from_secs(2));
    let before = resident(node.id());
    let begun = Instant::now();
    let streams: Vec<TcpStream> = (0..clients).map(|n| connect(address, n)).collect();
    let took = begun.elapsed();
    std::thread::sleep(Duration::from_secs(2));
    let after = resident(node.id());
    println!(
        "{clients} hosted clients connected in {:.1} s: {} kB before, {} kB after, {:.1} kB each",
        took.as_secs_f64(),
        before,
        after,
        (after - before) as f64 / clients as f64
    );
    // A ping of the node's reaches them all: they are still there half a minute later.
    std::thread::sleep(Duration::from_secs(35));
    println!("after a round of pings: {} kB, {} streams", resident(node.id()), connected(address));
    drop(streams);
    node.kill().unwrap();
    node.wait().unwrap();
}

fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).and_then(|n| n.parse().ok()).unwrap_or(1024)
}

/// Resident memory in kB.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn start(folder: &Path, address: SocketAddr) -> Child {
    std::fs::write(folder.join("admin.token"), ADMIN).unwrap();
    std::fs::write(folder.join("agent.token"), "bench-token-of-the-agent").unwrap();
    let config = format!(
        "[node]\nlisten = \"{address}\"\ndatabase = \"bench.db\"\nadmin_token_file = \"admin.token\"\nagent_token_file = \"agent.token\"\n"
    );
    std::fs::write(folder.join("sidecall.toml"), config).unwrap();
    let mut node = Command::new(env!("CARGO_BIN_EXE_sidecall"));
    node.arg("--config").arg(folder.join("sidecall.toml")).arg("node").stderr(Stdio::null());
    let child = node.spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < until, "the node has not started");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn import(address: SocketAddr, numbers: usize) {
    let mut csv = "number,credential\n".to_owned();
    for n in 0..numbers {
        writeln!(csv, "+1212{n:07},credential-of-number-{n}").unwrap();
    }
    let mut stream = TcpStream::connect(address).unwrap();
    let answer = exchange(&mut stream, "POST", "/v1/numbers:import", ADMIN, "Content-Type: text/csv\r\n", &csv);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn connect(address: SocketAddr, n: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let token = format!("credential-of-number-{n}");
    let answer = exchange(&mut stream, "POST", "/v1/clients", &token, "Content-Type: application/json\r\n", "{}");
    let id = answer.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a client's id");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let answer = exchange(&mut stream, "GET", &format!("/v1/clients/{id}/stream"), &token, upgrade, "");
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    stream
}

fn connected(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let metrics = exchange(&mut stream, "GET", "/metrics", ADMIN, "", "");
    let count = metrics.lines().find_map(|line| line.strip_prefix("sidecall_clients_connected "));
    count.expect(&metrics).to_owned()
}

/// The whole answer, as far as one read brings it after its head: answers here are short.
fn exchange(stream: &mut TcpStream, method: &str, path: &str, token: &str, headers: &str, body: &str) -> String {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    let (mut buffer, mut text) = ([0; 16 * 1024], String::new());
    loop {
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0, "the node hung up: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}
