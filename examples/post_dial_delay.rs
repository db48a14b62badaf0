//! What sidecall adds to the call set-up on a real PBX, and how soon both clients have the address.
//!
//! Two private instances of the same PBX run side by side, one with sidecall and one without our
//! snippets; rounds of calls alternate between them, so that a noisy machine is noisy for both.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a program that tells a story

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use serde_json::json;

use lab::net::ports;
use lab::scenario::calls::{ALICE, CALL_SCENARIOS, CallScenario, DAVE};
use lab::scenario::site::Site;
use lab::{CallReport, Habit, Kind, PbxConfig, Phone, SidecallConfig, wait_until};

/// Measures the added post-dial delay, with and without sidecall, interleaved.
#[derive(Debug, Parser)]
struct Args {
    /// Rounds with and rounds without.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Calls in a round.
    #[arg(long, default_value_t = 100)]
    calls: u32,
    /// Calls per second.
    #[arg(long, default_value_t = 20)]
    rate: u32,
    /// Also offer so many calls per second, more than the PBX takes, and compare what it completes.
    #[arg(long)]
    saturate: Option<u32>,
    /// Calls in which both numbers have a softphone beside their other client.
    #[arg(long, default_value_t = 60)]
    softphones: u32,
    /// One JSON line per PBX and mode.
    #[arg(long)]
    json: bool,
}

fn main() {
    let args = Args::parse();
    if !args.json {
        println!(
            "{:20} {:>15} {:>15} {:>9} {:>11} {:>15} {:>15} {:>15}  throughput",
            "", "without", "with", "added", "p99 - p50", "push", "softphones", "beside them"
        );
        println!(
            "{:20} {:>15} {:>15} {:>9} {:>11} {:>15} {:>15} {:>15}",
            "", "p50 / p99 ms", "p50 / p99 ms", "p50 ms", "with, ms", "p50 / p99 ms", "p50 / p90 ms", "p50 / p90 ms"
        );
    }
    let direct = ports::local();
    for (name, kind, direct) in [
        ("asterisk", Kind::Asterisk, None),
        ("freeswitch hold", Kind::FreeSwitch, None),
        ("freeswitch direct", Kind::FreeSwitch, Some(direct)),
    ] {
        match measure(&args, name, kind, direct) {
            Ok(()) => {}
            Err(error) if error.is_missing() => eprintln!("skipped: {name}: {error}"),
            Err(error) => eprintln!("{name}: {error}"),
        }
    }
}

fn measure(args: &Args, name: &str, kind: Kind, direct: Option<SocketAddr>) -> lab::Result<()> {
    let without = Site::start(kind, PbxConfig { snippets: false, ..PbxConfig::default() })?;
    let mut with = Site::start(kind, PbxConfig { direct, ..PbxConfig::default() })?;
    // Asterisk sends to addresses of other domains by way of an endpoint.
    let pbx_lines = if kind == Kind::Asterisk { "message_endpoint = \"phones\"\n" } else { "" }.to_owned();
    let clients_lines = "sip_hosts = [\"127.0.0.1\"]\n".to_owned();
    with.start_sidecall(&SidecallConfig { direct, pbx_lines, clients_lines, ..SidecallConfig::default() })?;
    let scenario = CALL_SCENARIOS.iter().find(|s| s.caller == ALICE && s.called == DAVE).expect("a scenario");
    // The first calls load what is loaded once.
    round(&without, scenario, 10, args.rate)?;
    round(&with, scenario, 10, args.rate)?;
    let (mut plain, mut held) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        plain.extend(times(&round(&without, scenario, args.calls, args.rate)?));
        held.extend(times(&round(&with, scenario, args.calls, args.rate)?));
    }
    let pushes = pushes(&mut with);
    let softphones = softphones(&mut with, scenario, args.softphones)?;
    let throughput = match args.saturate {
        Some(rate) => Some(saturated(&with, scenario, rate)? / saturated(&without, scenario, rate)?),
        None => None,
    };
    report(args, name, plain, held, pushes, softphones, throughput);
    Ok(())
}

fn round(site: &Site, scenario: &CallScenario, calls: u32, rate: u32) -> lab::Result<CallReport> {
    let (round, to) = site.calls(scenario);
    round.times(calls, rate).hold(400).place(to)
}

fn times(report: &CallReport) -> Vec<f64> {
    report.calls.iter().filter_map(|c| c.answered).map(|t| t.as_secs_f64() * 1e3).collect()
}

/// Answer → the second of both clients has its message, in ms, of every call that was paired.
fn pushes(site: &mut Site) -> Vec<f64> {
    let sidecall = site.sidecall();
    wait_until(Duration::from_secs(5), || sidecall.calls().iter().all(|c| c["phase"] == "ended"));
    sidecall.calls().iter().filter_map(push).collect()
}

/// Answer → the later one of its hosted client and its webhook has the message, in ms.
fn push(call: &serde_json::Value) -> Option<f64> {
    let answered = call["answered"].as_i64()?;
    let peers = call["deliveries"].as_array()?.iter().filter(|d| d["message"] == "peer" && d["form"] != "sip");
    let delivered: Vec<i64> = peers.filter_map(|d| d["delivered"].as_i64()).collect();
    (delivered.len() == 2).then(|| delivered.into_iter().max()).flatten().map(|last| (last - answered) as f64)
}

/// In the same calls, one after the other: answer → what clients have their message, in ms.
struct Beside {
    /// The later one of the two softphones.
    softphones: Vec<f64>,
    /// The later one of the hosted client and the webhook.
    others: Vec<f64>,
}

fn softphones(site: &mut Site, scenario: &CallScenario, calls: u32) -> lab::Result<Beside> {
    let phones = [Phone::listen(ports::local(), &Habit::Wait)?, Phone::listen(ports::local(), &Habit::Wait)?];
    for (person, phone) in [scenario.caller, scenario.called].into_iter().zip(&phones) {
        let number = site.number(person);
        site.sidecall().bind(&number, &phone.address());
    }
    round(site, scenario, calls, 2)?;
    let sidecall = site.sidecall();
    wait_until(Duration::from_secs(5), || sidecall.calls().iter().all(|c| c["phase"] == "ended"));
    let first_at = |phone: &Phone, call: &str| {
        let copies = phone.received("MESSAGE");
        let copy = copies.iter().find(|copy| copy.is_peer() && copy.value("call") == Some(call))?;
        Some(copy.at.as_secs_f64() * 1e3)
    };
    let mut beside = Beside { softphones: Vec::new(), others: Vec::new() };
    for call in sidecall.calls() {
        let (Some(id), Some(answered)) = (call["call"].as_str(), call["answered"].as_f64()) else { continue };
        let [Some(one), Some(other)] = [first_at(&phones[0], id), first_at(&phones[1], id)] else { continue };
        beside.softphones.push(one.max(other) - answered);
        beside.others.extend(push(&call));
    }
    Ok(beside)
}

/// Calls that were answered per second while more were offered.
fn saturated(site: &Site, scenario: &CallScenario, rate: u32) -> lab::Result<f64> {
    let (calls, to) = site.calls(scenario);
    let report = calls.times(rate * 5, rate).hold(10).place(to)?;
    let first = report.messages.first().map_or(Duration::ZERO, |m| m.at);
    let last = report.messages.iter().filter(|m| m.status() == Some(200)).map(|m| m.at).max().unwrap_or(first);
    Ok(report.answered() as f64 / (last - first).as_secs_f64().max(1e-3))
}

fn percentile(values: &mut [f64], p: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
    values[(last as f64 * p).round() as usize]
}

fn report(
    args: &Args,
    name: &str,
    mut plain: Vec<f64>,
    mut held: Vec<f64>,
    mut pushes: Vec<f64>,
    mut beside: Beside,
    throughput: Option<f64>,
) {
    let both = |values: &mut [f64]| (percentile(values, 0.5), percentile(values, 0.99));
    let (without, with) = (both(&mut plain), both(&mut held));
    let push = both(&mut pushes);
    let most = |values: &mut [f64]| (percentile(values, 0.5), percentile(values, 0.9));
    let (softphone, other) = (most(&mut beside.softphones), most(&mut beside.others));
    if args.json {
        let line = json!({
            "mode": name, "calls": held.len(), "paired": pushes.len(),
            "without_p50_ms": without.0, "without_p99_ms": without.1, "with_p50_ms": with.0, "with_p99_ms": with.1,
            "added_p50_ms": with.0 - without.0, "push_p50_ms": push.0, "push_p99_ms": push.1,
            "softphones": beside.softphones.len(), "softphone_p50_ms": softphone.0, "softphone_p90_ms": softphone.1,
            "beside_p50_ms": other.0, "beside_p90_ms": other.1, "throughput": throughput,
        });
        println!("{line}");
        return;
    }
    let pair = |(p50, p99): (f64, f64)| format!("{p50:.1} / {p99:.1}");
    println!(
        "{name:20} {:>15} {:>15} {:>+9.1} {:>11.1} {:>15} {:>15} {:>15}  {}",
        pair(without),
        pair(with),
        with.0 - without.0,
        with.1 - with.0,
        pair(push),
        pair(softphone),
        pair(other),
        throughput.map_or("–".to_owned(), |t| format!("{t:.3}")),
    );
}
