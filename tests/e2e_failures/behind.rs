//! What the node itself needs fails: the portability source, the database.

use std::time::Duration;

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use super::{RATE, no_call_lost_none_held_too_long, site, told};
use lab::scenario::calls::{ALICE, BOB, CALL_SCENARIOS, DAVE, ERIN, FRANK, Person};
use lab::scenario::portability::{asking, moved, route};
use lab::scenario::site::Site;
use lab::{Calls, Kind, Knot, Sidecall, SidecallConfig, wait_until};

/// What the DNS says of whom, why they are called as they are then, and why without a word of it.
const PORTED: [(Person, &str, &str, &str); 3] = [
    (DAVE, "+1-303-555-9999", "ported-out", "called-has-client"),
    (ERIN, "+44-20-7946-0000", "ported-out", "called-has-no-client"),
    (FRANK, "+1-212-444-0000", "ported-in", "called-not-served"),
];
/// How long a call waits for the DNS.
const DEADLINE: Duration = Duration::from_millis(150);
/// What a busy machine may add to that in the node alone.
const STALL: Duration = Duration::from_millis(300);

/// On one site, since each needs little of it.
pub(super) fn portability_and_then_the_database_fail_under_load(kind: Kind) {
    // Known for a second, so that the server is needed all the time.
    let records = moved(PORTED.map(|(person, rn, ..)| (person.dialled, rn)), 1);
    let Some(mut knot) = Knot::or_skip(&records, 1) else { return };
    let Some(mut site) = site(kind) else { return };
    let lines = format!("own_routing_numbers = [\"+1212444\"]\ndeadline_ms = {}\n", DEADLINE.as_millis());
    let more = asking(&knot, &lines) + &route("+1303");
    site.start_sidecall(&SidecallConfig { more, ..SidecallConfig::default() }).unwrap();
    the_source_hangs_dies_and_comes_back(&mut site, &mut knot);
    the_database_is_locked(&mut site);
}

/// The decisions that a node has logged: the number, the reason, and how long each took.
fn decisions(log: &str) -> Vec<(String, String, Duration)> {
    let field = |line: &str, name: &str| {
        let rest = line.split_once(&format!(" {name}="))?.1;
        Some(rest.split(' ').next()?.trim_matches('"').to_owned())
    };
    let read = |line: &str| {
        let ms: f64 = field(line, "ms")?.parse().ok()?;
        Some((field(line, "called")?, field(line, "reason")?, Duration::from_secs_f64(ms / 1e3)))
    };
    log.lines().filter(|line| line.contains("INFO decided ")).filter_map(read).collect()
}

fn the_source_hangs_dies_and_comes_back(site: &mut Site, knot: &mut Knot) {
    let to = site.pbx.sip();
    let loads =
        PORTED.map(|(person, ..)| Calls::new(ALICE.dialled, person.dialled).times(60, RATE / 3).start(to).unwrap());
    let said = |sidecall: &Sidecall, before: usize, at: usize| {
        let all = decisions(&sidecall.log());
        let of = |(person, ..): &(Person, _, _, _)| {
            all[before..].iter().rfind(|(called, ..)| called == person.dialled).cloned()
        };
        let reasons =
            PORTED.iter().map(|person| of(person).is_some_and(|(_, reason, _)| reason == [person.2, person.3][at]));
        reasons.filter(|is| *is).count() == PORTED.len()
    };
    let all_say = |sidecall: &Sidecall, before: usize, at: usize| {
        let so = wait_until(Duration::from_secs(4), || said(sidecall, before, at));
        assert!(so, "{:#?}\n{}", decisions(&sidecall.log()), sidecall.log());
        decisions(&sidecall.log()).len()
    };
    let sidecall = site.sidecall();
    let alive = all_say(sidecall, 0, 0);
    knot.hang();
    let hung = all_say(sidecall, alive, 1);
    // The breaker is open by now, and a server that is gone is no better than one that says nothing.
    std::thread::sleep(Duration::from_millis(1_200));
    knot.stop();
    std::thread::sleep(Duration::from_millis(800));
    let dead = decisions(&sidecall.log()).len();
    knot.restart().unwrap();
    all_say(sidecall, dead, 0);
    let log = sidecall.log();
    for load in loads {
        no_call_lost_none_held_too_long(&load.finish(Duration::from_secs(30)).unwrap(), 60, &log);
    }
    let all = decisions(&log);
    let longest = all.iter().map(|(.., took)| *took).max().unwrap();
    assert!(longest <= DEADLINE + STALL, "a decision took {longest:?}\n{log}");
    assert!(log.contains("the portability source failed several times in a row"), "the breaker did not open\n{log}");
    // With the breaker open none waits but the trials, one in two seconds.
    let waited = all[hung..dead].iter().filter(|(.., took)| *took >= DEADLINE - Duration::from_millis(20)).count();
    assert!(dead - hung >= 20 && waited <= (dead - hung) / 5, "{waited} of {} waited\n{log}", dead - hung);
}

/// What the agent says of calls that the node can't write down: refused, and then not even asked for a while.
const UNDECIDED: [&str; 2] = ["node-error", "node-unreachable"];

fn the_database_is_locked(site: &mut Site) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let file = site.sidecall().dir().join("sidecall.db");
    let mut other = runtime.block_on(SqliteConnectOptions::new().filename(file).connect()).unwrap();
    let scenario = CALL_SCENARIOS.iter().find(|s| s.caller == ALICE && s.called == BOB).unwrap();
    let (calls, to) = site.calls(scenario);
    let before = site.sidecall().log().len();
    let load = calls.clone().times(90, RATE).hold(200).start(to).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    runtime.block_on(other.execute("BEGIN EXCLUSIVE")).unwrap();
    let sidecall = site.sidecall();
    assert!(
        wait_until(Duration::from_secs(4), || sidecall.log()[before..].contains("writes fail")),
        "{}",
        sidecall.log()
    );
    // These begin when nothing can be written, and are up when it can.
    let long = calls.times(3, RATE).hold(8_000).start(to).unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    let dark = site.sidecall().log();
    runtime.block_on(other.execute("ROLLBACK")).unwrap();
    let sidecall = site.sidecall();
    let found = || {
        let calls = sidecall.calls();
        let undecided = |call: &Value| UNDECIDED.iter().any(|reason| call["reason"] == *reason);
        calls.iter().filter(|c| c["phase"] == "talking" && undecided(c) && told(c) >= 2).count()
    };
    assert!(wait_until(Duration::from_secs(6), || found() >= 3), "{:#?}\n{}", sidecall.calls(), sidecall.log());
    let log = site.sidecall().log();
    no_call_lost_none_held_too_long(&load.finish(Duration::from_secs(30)).unwrap(), 90, &log);
    no_call_lost_none_held_too_long(&long.finish(Duration::from_secs(30)).unwrap(), 3, &log);
    // Once that is known, nobody waits for it: the dialplan goes on at once.
    let undecided = |line: &&str| UNDECIDED.iter().any(|reason| line.contains(reason));
    let refused: Vec<&str> =
        dark[before..].lines().filter(|line| line.contains("call decided")).filter(undecided).collect();
    let took = |line: &&str| line.split_once(" ms=").and_then(|(_, rest)| rest.split(' ').next()?.parse::<f64>().ok());
    let slow = refused.iter().filter_map(took).filter(|ms| *ms > 100.0).count();
    assert!(refused.len() >= 10 && slow <= 2, "{slow} of {}: {refused:#?}", refused.len());
}
