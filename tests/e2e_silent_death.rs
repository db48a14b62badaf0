//! The clock jumps, the disk is full, the database is another: with real calls on each PBX. No call waits longer than
//! the hold, `/readyz` says what is wrong, and who talks is paired in the end.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab::scenario::calls::{ALICE, DAVE};
use lab::scenario::site::Site;
use lab::sidecall::surroundings::{on_disk, step};
use lab::{Call, Kind, PbxConfig, Phone, Sidecall, SidecallConfig, Surroundings, wait_until};
use serde_json::Value;

/// The hold of the snippets, and what a busy machine may add to a set-up.
const LONGEST: Duration = Duration::from_millis(500 + 700);
const DAY: i64 = 86_400;
/// Housekeeping of clients and of calls that nobody follows: once a minute.
const TIDY: Duration = Duration::from_secs(62);

fn site(kind: Kind, surroundings: Surroundings) -> Option<Site> {
    let mut site = lab::or_skip(kind, Site::start(kind, PbxConfig::default()))?;
    site.start_sidecall(&SidecallConfig { surroundings, ..SidecallConfig::default() }).unwrap();
    Some(site)
}

/// Alice calls Dave, who answers at once; not later than the hold allows.
fn call(site: &Site) -> (Phone, Call) {
    let phone = Phone::connect(site.pbx.sip(), ALICE.dialled).unwrap();
    let begun = std::time::Instant::now();
    let call = phone.call(DAVE.dialled);
    assert!(call.wait_answered(Duration::from_secs(5)), "no answer");
    assert!(begun.elapsed() < LONGEST, "{:?}", begun.elapsed());
    (phone, call)
}

/// How many clients of a call were told so and have it.
fn told(call: &Value, what: &str) -> usize {
    let all = call["deliveries"].as_array().into_iter().flatten();
    all.filter(|d| d["message"] == what && d["state"] == "delivered").count()
}

/// Calls that are up, and whose two clients have each other's address.
fn paired(sidecall: &Sidecall) -> usize {
    sidecall.calls().iter().filter(|c| c["phase"] == "talking" && told(c, "peer") >= 2).count()
}

fn until(sidecall: &Sidecall, what: &str, test: impl Fn(&Sidecall) -> bool) {
    let so = wait_until(Duration::from_secs(10), || test(sidecall));
    assert!(so, "not {what}: {:#?}\n{:?}\n{}", sidecall.calls(), sidecall.readiness(), sidecall.log());
}

fn is_ready(sidecall: &Sidecall) -> bool {
    sidecall.readiness().0 == 200
}

/// `/readyz` fails with these words within two seconds.
fn says(sidecall: &Sidecall, words: &str) {
    let so = wait_until(Duration::from_secs(2), || {
        let (status, text) = sidecall.readiness();
        status == 503 && text.contains(words)
    });
    assert!(so, "{:?}\n{}", sidecall.readiness(), sidecall.log());
}

fn clients(sidecall: &Sidecall) -> usize {
    sidecall.get("/v1/clients")["clients"].as_array().map_or(0, Vec::len)
}

/// A day of the wall clock, as log lines begin.
fn day(offset: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    time::OffsetDateTime::from_unix_timestamp(now + offset).unwrap().date().to_string()
}

/// The wall clock of sidecall jumps; that of the PBX doesn't.
fn the_wall_clock_jumps(kind: Kind) {
    let Some(mut site) = site(kind, Surroundings { clock: true, ..Surroundings::default() }) else { return };
    let (_phone, first) = call(&site);
    until(site.sidecall(), "paired", |sidecall| paired(sidecall) == 1);
    let bound = clients(site.sidecall());
    assert_eq!(bound, 3);
    for (jump, up) in [(DAY, 1), (-DAY, 2)] {
        step(site.sidecall().dir(), jump);
        // It is read anew each second, and two sweeps have seen it then; the slowest housekeeping is the same on both.
        let tidy = kind == Kind::Asterisk && jump > 0;
        std::thread::sleep(if tidy { TIDY } else { Duration::from_millis(3_500) });
        let (_phone, second) = call(&site);
        let sidecall = site.sidecall();
        until(sidecall, "paired", |sidecall| paired(sidecall) == 2);
        assert_eq!(clients(sidecall), bound, "a client is gone\n{}", sidecall.log());
        let decided = sidecall.log().lines().rfind(|line| line.contains("INFO decided ")).unwrap().to_owned();
        assert!(decided.contains(&day(jump)), "the clock has not jumped: {decided}");
        assert!(decided.contains("called-has-client"), "{decided}");
        assert!(is_ready(sidecall), "{:?}", sidecall.readiness());
        second.hang_up();
        // The clients of the second call are told of its end, and those of the first one of nothing.
        let over = |c: &Value| c["phase"] == "ended" && told(c, "ended") == 2;
        until(sidecall, "over", |sidecall| sidecall.calls().iter().filter(|c| over(c)).count() == up);
        assert_eq!(paired(sidecall), 1, "{:#?}", sidecall.calls());
    }
    // Each jump is one line.
    let lines = site.sidecall().log().lines().filter(|line| line.contains("the wall clock was stepped")).count();
    assert_eq!(lines, 2, "{}", site.sidecall().log());
    first.hang_up();
    until(site.sidecall(), "over", |sidecall| {
        sidecall.calls().iter().all(|c| c["phase"] == "ended" && told(c, "ended") == 2)
    });
}

fn the_disk_is_full_and_then_not(kind: Kind) {
    let Some(mut site) = site(kind, Surroundings { disk_kb: Some(4_096), ..Surroundings::default() }) else { return };
    let (_phone, before) = call(&site);
    until(site.sidecall(), "paired", |sidecall| paired(sidecall) == 1);
    let dir = site.sidecall().dir().to_owned();
    let ballast = on_disk(site.sidecall().child().pid(), &dir, "ballast");
    // To the last byte: what is free inside the write-ahead log goes with the calls below.
    let _ = Command::new("dd").args(["if=/dev/zero", "bs=1k"]).arg(format!("of={}", ballast.display())).output();
    let mut calls = Vec::new();
    while is_ready(site.sidecall()) && calls.len() < 40 {
        calls.push(call(&site));
    }
    says(site.sidecall(), "full");
    // The dialplan's own route, without waiting for us.
    let (_phone, dark) = call(&site);
    fs::remove_file(ballast).unwrap();
    until(site.sidecall(), "ready", is_ready);
    let (_phone, after) = call(&site);
    let up = calls.len() + 3;
    until(site.sidecall(), "all paired", |sidecall| paired(sidecall) == up);
    [before, dark, after].iter().chain(calls.iter().map(|(_, call)| call)).for_each(Call::hang_up);
    until(site.sidecall(), "over", |sidecall| sidecall.calls().iter().all(|c| c["phase"] == "ended"));
}

/// A backup is put back while sidecall runs.
fn the_database_is_replaced(kind: Kind) {
    let Some(mut site) = site(kind, Surroundings::default()) else { return };
    let file = site.sidecall().dir().join("sidecall.db");
    let backup = site.sidecall().dir().join("backup.db");
    let copied = Command::new("sqlite3").arg(&file).arg(format!(".backup {}", backup.display())).status();
    assert!(copied.unwrap().success());
    let (_phone, talks) = call(&site);
    until(site.sidecall(), "paired", |sidecall| paired(sidecall) == 1);
    let known = site.sidecall().calls()[0]["call"].clone();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", file.display()));
    }
    fs::rename(&backup, &file).unwrap();
    let ended = site.sidecall().child().wait(Duration::from_secs(8));
    let log = site.sidecall().log();
    assert!(ended.is_some_and(|status| status.code() == Some(1)), "{ended:?}\n{log}");
    assert!(log.contains("sidecall: database has ended: its file was replaced while it was in use"), "{log}");
    // Nobody waits for a process that isn't there: it said goodbye.
    let (_phone, dark) = call(&site);
    site.sidecall().restart().unwrap();
    site.sidecall().wait_until_attached().unwrap();
    // The call of before is found; the one that nobody announced is none of ours.
    until(site.sidecall(), "paired", |sidecall| paired(sidecall) == 1);
    let (_phone, after) = call(&site);
    until(site.sidecall(), "paired", |sidecall| paired(sidecall) == 2);
    // What the other file lacks was kept.
    let dir = site.sidecall().dir().to_owned();
    let name = |file: &fs::DirEntry| file.file_name().into_string().unwrap();
    let kept = fs::read_dir(dir).unwrap().flatten().find(|file| name(file).contains(".kept-")).expect("a copy");
    let asked = Command::new("sqlite3").arg(kept.path()).arg("SELECT id FROM calls").output().unwrap();
    assert!(String::from_utf8_lossy(&asked.stdout).contains(known.as_str().unwrap()), "{asked:?}");
    [talks, dark, after].iter().for_each(Call::hang_up);
    until(site.sidecall(), "over", |sidecall| sidecall.calls().iter().all(|c| c["phase"] == "ended"));
}

lab::on_both_pbxs! {
    the_wall_clock_jumps,
    the_disk_is_full_and_then_not,
    the_database_is_replaced,
}
