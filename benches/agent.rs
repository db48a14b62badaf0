//! What the agent adds to a held call: from the announcement on its socket to the command on its
//! socket, without the time that the node takes.
//!
//! A scripted FreeSWITCH writes announcements of the usual size at a fixed rate, and a scripted node
//! answers at once; both live in a thread of their own. Counted is what lies between: announcement
//! written → request read by the node, and reply given by the node → command read by FreeSWITCH. That
//! holds four passages over loopback and all of the HTTP client, so the budget (p99 < 1 ms) is held
//! against more than it asks for. Four passages without an agent are measured beside it: each wakes a thread,
//! and maybe an idle CPU.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

#[path = "../tests/scripted/mod.rs"]
mod scripted;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use scripted::{Freeswitch, Node, agent};
use tokio_util::sync::CancellationToken;

const RATE: u32 = 200;
const WARM_UP: usize = 200;
const CALLS: usize = 2_000;
/// Bytes of an announcement.
const EVENT: usize = 5_000;
/// Bytes of each other message.
const OTHER: usize = 400;

fn main() {
    // cargo test runs benches too, with --test: that is not the time for it.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let (ready, started) = std::sync::mpsc::channel();
    let cast = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (freeswitch, node) = (Freeswitch::start().await, Node::start().await);
            ready.send((freeswitch.address, node.address)).unwrap();
            run_calls(freeswitch, node).await
        })
    });
    let (freeswitch, node) = started.recv().unwrap();
    let stop = CancellationToken::new();
    let running = stop.clone();
    let under_test = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(agent(freeswitch, node).run(running)).unwrap();
    });
    let mut took = cast.join().unwrap();
    stop.cancel();
    under_test.join().unwrap();
    took.sort_unstable();
    show("agent, announcement to answer without the node", &took);
    println!("budget: p99 < 1000 µs: {}", if micros_at(&took, 0.99) < 1_000.0 { "held" } else { "missed" });
    let mut passed = passages();
    passed.sort_unstable();
    show("four such passages without an agent", &passed);
}

fn micros_at(sorted: &[Duration], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6
}

fn show(what: &str, sorted: &[Duration]) {
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| micros_at(sorted, share));
    println!("{what}: {} at {RATE}/s, p50 {p50:.0} µs, p99 {p99:.0} µs, max {max:.0} µs", sorted.len());
}

/// Sends announcements to a thread that asks back at once, gets an answer at once, and then says the command at once.
/// Returns how long each took.
fn passages() -> Vec<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asker = std::thread::spawn(move || {
        let [mut events, mut requests] = [(); 2].map(|()| without_delay(TcpStream::connect(address).unwrap()));
        let mut bytes = [0; EVENT];
        while events.read_exact(&mut bytes).is_ok() {
            requests.write_all(&bytes[..OTHER]).unwrap();
            requests.read_exact(&mut bytes[..OTHER]).unwrap();
            events.write_all(&bytes[..OTHER]).unwrap();
        }
    });
    let [mut events, mut requests] = [(); 2].map(|()| without_delay(listener.accept().unwrap().0));
    let (mut bytes, mut took) = ([0; EVENT], Vec::with_capacity(CALLS));
    for _ in 0..CALLS {
        std::thread::sleep(Duration::from_secs(1) / RATE);
        let begun = Instant::now();
        events.write_all(&bytes).unwrap();
        requests.read_exact(&mut bytes[..OTHER]).unwrap();
        requests.write_all(&bytes[..OTHER]).unwrap();
        events.read_exact(&mut bytes[..OTHER]).unwrap();
        took.push(begun.elapsed());
    }
    drop((events, requests));
    asker.join().unwrap();
    took
}

fn without_delay(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).unwrap();
    stream
}

/// Announces calls, and gives what the agent took for each.
async fn run_calls(mut freeswitch: Freeswitch, mut node: Node) -> Vec<Duration> {
    while node.links.recv().await.unwrap().1["link"] != "up" {}
    while freeswitch.commands.try_recv().is_ok() {}
    let mut announced = HashMap::new();
    let mut due = tokio::time::interval(Duration::from_secs(1) / RATE);
    for n in 0..WARM_UP + CALLS {
        due.tick().await;
        let leg = format!("leg-{n}");
        announced.insert(leg.clone(), freeswitch.announce(&leg, "12125550100"));
        if n > 0 {
            freeswitch.hang_up(&format!("leg-{}", n - 1));
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut decided: HashMap<String, (Instant, Instant)> = HashMap::new();
    while let Ok((asked, (request, answered))) = node.decisions.try_recv() {
        if request.get("routed").is_none() {
            decided.insert(request["leg"].as_str().unwrap().to_owned(), (asked, answered));
        }
    }
    let mut took = Vec::new();
    while let Ok((heard, said)) = freeswitch.commands.try_recv() {
        let Some(rest) = said.strip_prefix("api uuid_setvar_multi ") else { continue };
        let leg = rest.split(' ').next().unwrap();
        let n: usize = leg.trim_start_matches("leg-").parse().unwrap();
        let (asked, answered) = decided[leg];
        if n >= WARM_UP {
            took.push((asked - announced[leg]) + (heard - answered));
        }
    }
    assert_eq!(took.len(), CALLS, "every call is answered");
    took
}
