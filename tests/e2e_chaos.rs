//! Two nodes on one PostgreSQL, an agent that knows both, and both real PBXs: at 20 calls a second on each, things break at
//! random, from a seed that is printed. No call is lost or waits beyond the hold, who talks is paired, once, and with nobody
//! else. `SIDECALL_CHAOS_SEED` chooses the faults, and `SIDECALL_CHAOS_SECONDS` for how long calls are made.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where; and what it does

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab::Kind;
use lab::scenario::chaos::check::{Evidence, Limits, Violation, owed_a_peer, violations};
use lab::scenario::chaos::plan::plan;
use lab::scenario::chaos::{Chaos, ROUND};

/// In CI, where a change that has nothing to do with a finding must not fail by it.
const SEED: u64 = 7_849;
const SECONDS: u64 = 60;
/// The hold of the snippets, the five seconds of the guarantee, and what a busy machine may add to each: both PBXs, both nodes
/// and all phones are on it.
const LIMITS: Limits =
    Limits { held: Duration::from_millis(500 + 1_000), paired: Duration::from_millis(5_000 + 1_000) };

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}")))
}

fn seed() -> u64 {
    let random = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    setting("SIDECALL_CHAOS_SEED").unwrap_or_else(|| if lab::in_ci() { SEED } else { random() })
}

/// The rounds that make up so many seconds.
fn rounds(seconds: u64) -> impl Iterator<Item = (u64, Duration)> {
    let starts = (0..seconds).step_by(ROUND.as_secs() as usize);
    let lengths = starts.map(move |start| Duration::from_secs(seconds - start).min(ROUND));
    (0..).zip(lengths)
}

/// What a round was like, and what went wrong in it.
fn report(evidence: &Evidence, violations: &[Violation]) -> String {
    let faults: Vec<String> = evidence.faults.iter().map(|fault| format!("{fault:?}\n")).collect();
    let shown: Vec<String> = violations.iter().take(40).map(|violation| format!("{violation:?}\n")).collect();
    format!("{} violations:\n{}faults:\n{}", violations.len(), shown.concat(), faults.concat())
}

#[lab::needs_freeswitch]
#[test]
fn whatever_breaks_asterisk_and_freeswitch_go_on_and_who_talks_is_paired() {
    let (seed, seconds) = (seed(), setting("SIDECALL_CHAOS_SECONDS").unwrap_or(SECONDS));
    eprintln!("SIDECALL_CHAOS_SEED={seed} SIDECALL_CHAOS_SECONDS={seconds}");
    let Some(mut chaos) = lab::or_skip(Kind::Asterisk, Chaos::start()) else { return };
    for (round, length) in rounds(seconds) {
        let plan = plan(seed, round, length);
        eprintln!("round {round}: {plan:#?}");
        let evidence = chaos.round((seed, round), length, &plan).unwrap();
        let owed = owed_a_peer(&evidence, &LIMITS);
        eprintln!("round {round}: {} calls, of which {owed} had to be paired", evidence.calls.len());
        let broken = violations(&evidence, &LIMITS);
        if !broken.is_empty() {
            let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}"));
            chaos.keep_logs(&logs).unwrap();
            panic!("seed {seed}, round {round}: logs are in {}\n{}", logs.display(), report(&evidence, &broken));
        }
        assert_eq!(evidence.faults.len(), plan.len(), "seed {seed}, round {round}: not every fault was made");
        // A quarter of the calls is long enough, and for most of these nothing breaks for a while.
        assert!(owed >= evidence.calls.len() / 20, "seed {seed}, round {round}: the round proves nothing");
    }
}
