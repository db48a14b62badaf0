//! Two nodes on one PostgreSQL, an agent that knows both, and both real PBXs. While the PBXs get 20 calls a second, faults are
//! made at random. No call is lost or waits beyond the hold, and two people who talk are paired, once, and with nobody else.
//!
//! `SIDECALL_CHAOS_SEED` chooses the faults; without it they are always the same. `SIDECALL_CHAOS_SECONDS` is the time for which
//! calls are made.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where, and reports its faults

use std::path::Path;
use std::time::Duration;

use lab::Kind;
use lab::scenario::chaos::check::{Limits, Violation, proof, violations};
use lab::scenario::chaos::evidence::Evidence;
use lab::scenario::chaos::plan::{SEED, plan};
use lab::scenario::chaos::{CALLS_PER_SECOND, Chaos, ROUND};

const SECONDS: u64 = 60;
/// Each is the guarantee, and the delay that a busy machine may add: both PBXs, both nodes and all phones are on it.
const LIMITS: Limits = Limits {
    // The dialplan's clock runs from a little after the INVITE.
    hold: Duration::from_millis(450),
    // The hold of the snippets.
    held: Duration::from_millis(500 + 700),
    held_when_calm: Duration::from_millis(250),
    // An answer comes within the hold, or is not given. A busy Asterisk may take it later.
    dialled_again: Duration::from_millis(500 + 1_000 + 700),
    // The guarantee of two nodes, and the time for which an agent leaves a node alone (`breaker_rest_ms`).
    decided: Duration::from_millis(2_000 + 2_000 + 1_000),
    paired: Duration::from_millis(5_000 + 1_000),
};

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}")))
}

/// The rounds that make up this number of seconds.
fn rounds(seconds: u64) -> impl Iterator<Item = (u64, Duration)> {
    let starts = (0..seconds).step_by(ROUND.as_secs() as usize);
    let lengths = starts.map(move |start| Duration::from_secs(seconds - start).min(ROUND));
    (0..).zip(lengths)
}

/// The rules that a round broke, and its faults.
fn report(evidence: &Evidence, violations: &[Violation]) -> String {
    let faults: Vec<String> = evidence.faults.iter().map(|fault| format!("{fault:?}\n")).collect();
    let exits: Vec<String> = evidence.exits.iter().map(|exit| format!("{exit:?}\n")).collect();
    let shown: Vec<String> = violations.iter().take(40).map(|violation| format!("{violation:?}\n")).collect();
    format!("{} violations:\n{}faults:\n{}{}", violations.len(), shown.concat(), faults.concat(), exits.concat())
}

/// Returns the reason if a round broke a rule, or proves nothing.
fn judge(evidence: &Evidence, faults: usize, length: Duration) -> Result<(), String> {
    let broken = violations(evidence, &LIMITS);
    if !broken.is_empty() {
        return Err(report(evidence, &broken));
    }
    if evidence.faults.len() != faults {
        return Err(format!("{} of {faults} faults were made", evidence.faults.len()));
    }
    let calls = length.as_secs() as usize * CALLS_PER_SECOND as usize;
    for pbx in [Kind::Asterisk, Kind::FreeSwitch] {
        let proof = proof(evidence, &LIMITS, pbx);
        eprintln!("{pbx}: {proof:?}");
        // A quarter of the calls is long enough to be paired, and it is calm for a quarter of the time.
        if proof.made != calls || proof.decided < calls / 20 || proof.paired < calls / 20 {
            return Err(format!("{pbx}: the round proves nothing: {proof:?} of {calls} calls"));
        }
    }
    Ok(())
}

#[lab::needs_freeswitch]
#[test]
fn asterisk_and_freeswitch_lose_no_call_and_pair_each_long_one_whatever_breaks() {
    let seed = setting("SIDECALL_CHAOS_SEED").unwrap_or(SEED);
    let seconds = setting("SIDECALL_CHAOS_SECONDS").unwrap_or(SECONDS);
    assert!(seconds > 0, "SIDECALL_CHAOS_SECONDS is 0");
    eprintln!("SIDECALL_CHAOS_SEED={seed} SIDECALL_CHAOS_SECONDS={seconds}");
    let Some(mut chaos) = lab::or_skip(Kind::Asterisk, Chaos::start()) else { return };
    for (round, length) in rounds(seconds) {
        let plan = plan(seed, round, length, chaos.has_small_disk());
        eprintln!("round {round}: {plan:#?}");
        let evidence = chaos.round((seed, round), length, &plan).map_err(|error| error.to_string());
        let judged = evidence.and_then(|evidence| judge(&evidence, plan.len(), length));
        if let Err(reason) = judged.and_then(|()| chaos.wait_until_listed().map_err(|error| error.to_string())) {
            let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}"));
            chaos.keep_logs(&logs).unwrap();
            panic!("seed {seed}, round {round}: logs are in {}\n{reason}", logs.display());
        }
    }
}
