//! What the agent adds to a held call: from the announcement on its socket to the command on its
//! socket, without the time that the node takes.
//!
//! A scripted FreeSWITCH writes announcements of the usual size at a fixed rate, and a scripted node
//! answers at once; both live in a thread of their own. Counted is what lies between: announcement
//! written → request read by the node, and reply given by the node → command read by FreeSWITCH. That
//! holds four passages over loopback and all of the HTTP client, so the budget (p99 < 1 ms) is held
//! against more than it asks for.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

#[path = "../tests/scripted/mod.rs"]
mod scripted;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use scripted::{Freeswitch, Node, agent};
use tokio_util::sync::CancellationToken;

const RATE: u32 = 200;
const WARM_UP: usize = 200;
const CALLS: usize = 2_000;

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
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    println!(
        "agent, announcement to answer without the node: {} calls at {RATE}/s, p50 {:.0} µs, p99 {:.0} µs, max {:.0} µs",
        took.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!("budget: p99 < 1000 µs: {}", if at(0.99) < 1_000.0 { "held" } else { "missed" });
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
