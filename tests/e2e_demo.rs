//! The demonstration as a person or a script runs it: its lines of JSON, and what its exit status says.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

#[path = "../examples/demo/bill.rs"]
#[allow(dead_code)] // the rest is for those who run it
mod bill;
#[path = "../examples/demo/trouble.rs"]
#[allow(dead_code)]
mod trouble;

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use bill::{BEHAVIOURS, Bill, Place, Wish};
use lab::scenario::between::DOMAIN_SCENARIOS;
use lab::scenario::desks::DESK_SCENARIOS;
use lab::{Browser, Kind};
use serde_json::{Value, json};
use trouble::{Trouble, Venue};

/// The program of `./install.sh --demo`, which is built with the tests.
fn program() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let program = here.parent().and_then(Path::parent).unwrap().join("examples/demo");
    assert!(program.is_file(), "{} is missing: cargo build --example demo", program.display());
    program
}

fn demo(args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(args).env("SIDECALL_BINARY", env!("CARGO_BIN_EXE_sidecall"));
    command
}

/// Standard output, which has nothing but lines of JSON.
fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(read).collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn has_asterisk() -> bool {
    lab::or_skip(Kind::Asterisk, Kind::Asterisk.find()).is_some()
}

/// How many plays there are of a behaviour between two organisations.
fn played(behaviour: &str) -> usize {
    DOMAIN_SCENARIOS.iter().filter(|scenario| scenario.behaviour == behaviour).count()
}

/// What nobody who runs it must see.
fn assert_plain(texts: &[&str]) {
    for text in texts {
        for technical in ["panicked", "backtrace", ".rs:", "unwrap"] {
            assert!(!text.contains(technical), "{technical:?} in {text}");
        }
    }
}

/// Whether each line went well.
fn went_well(plays: &[Value]) -> Vec<bool> {
    plays.iter().map(|play| play["ok"] == true).collect()
}

/// On every machine each behaviour is played at least once, and where both PBXs are here, on each.
#[test]
fn every_behaviour_is_played_on_every_machine() {
    for here in [&[Kind::Asterisk][..], &[Kind::FreeSwitch], &[Kind::Asterisk, Kind::FreeSwitch]] {
        let bill = Bill::new(here, &Wish::default()).unwrap();
        for behaviour in BEHAVIOURS {
            for kind in here {
                let on = |place: &Place| match place {
                    Place::On(at) => at == kind,
                    Place::Between(near, far) => near == kind || far == kind,
                };
                let played = bill.lines().iter().any(|(of, place)| *of == behaviour && on(place));
                assert!(played, "{behaviour} has no line on {kind} where there is {here:?}");
            }
        }
    }
}

#[test]
fn organisations_are_of_both_kinds_unless_others_are_asked_for() {
    use Kind::{Asterisk, FreeSwitch};
    let pairs = |here: &[Kind], wish: Wish| Bill::new(here, &wish).map(|bill| bill.pairs());
    let both = [Asterisk, FreeSwitch];
    let mixed = vec![(Asterisk, FreeSwitch), (FreeSwitch, Asterisk)];
    assert_eq!(pairs(&both, Wish::default()), Some(mixed));
    assert_eq!(pairs(&[Asterisk], Wish::default()), Some(vec![(Asterisk, Asterisk)]));
    assert_eq!(pairs(&both, Wish { all_pairs: true, ..Wish::default() }).unwrap().len(), 4);
    let far = Wish { remote: Some(Asterisk), ..Wish::default() };
    assert_eq!(pairs(&both, far), Some(vec![(Asterisk, Asterisk), (FreeSwitch, Asterisk)]));
    let alike = Wish { near: Some(FreeSwitch), remote: Some(FreeSwitch), ..Wish::default() };
    assert_eq!(pairs(&both, alike.clone()), Some(vec![(FreeSwitch, FreeSwitch)]));
    assert_eq!(pairs(&[Asterisk], alike), None);
}

/// They need a browser, and belong to B7.
#[test]
fn the_last_plays_have_browsers() {
    let here = [Kind::Asterisk, Kind::FreeSwitch];
    let lines = |wish: Wish| Bill::new(&here, &wish).unwrap().lines();
    let (with, without) = (lines(Wish { browser: true, ..Wish::default() }), lines(Wish::default()));
    assert_eq!(with, [without, vec![("B7", Place::On(Kind::Asterisk)); 2]].concat());
    let other = lines(Wish { browser: true, behaviours: vec!["B1"], ..Wish::default() });
    assert!(other.iter().all(|(behaviour, _)| *behaviour == "B1"), "{other:?}");
}

/// A play that panics is one that went wrong, and the next one begins anew.
#[test]
fn what_is_played_after_a_panic_begins_anew() {
    let opened = Cell::new(0_usize);
    let open = || {
        opened.set(opened.get() + 1);
        Ok(opened.get())
    };
    let mut venue = Venue::new();
    assert_eq!(venue.run(open, |n| Ok(*n), |_| true), Ok(1));
    assert_eq!(venue.run(open, |n| Ok(*n), |_| true), Ok(1), "what went well stays open");
    let broke = venue.run(open, |n| if *n == 1 { panic!("on purpose") } else { Ok(*n) }, |_| true);
    assert!(matches!(&broke, Err(Trouble::Broke(why)) if why.starts_with("this broke off")), "{broke:?}");
    assert_eq!(venue.run(open, |n| Ok(*n), |_| false), Ok(2));
    assert_eq!(venue.run(open, |n| Ok(*n), |_| true), Ok(3), "what went wrong is closed");
    let broke = venue.run(open, |_| Err::<(), _>(Trouble::from("a; log: b\nc".to_owned())), |()| true);
    assert!(matches!(&broke, Err(Trouble::Broke(why)) if why.starts_with("a (the details are in ")), "{broke:?}");
    // What could not be opened twice is not tried again: each try takes long.
    let tried = Cell::new(0);
    for _ in 0..4 {
        let fails = || {
            tried.set(tried.get() + 1);
            Err(Trouble::Broke("it does not start".into()))
        };
        assert!(venue.run(fails, |n: &mut usize| Ok(*n), |_| true).is_err());
    }
    assert_eq!(tried.get(), 2);
}

/// An Asterisk is killed while it is played on: that play goes wrong, and the next one begins anew.
#[test]
fn a_pbx_that_dies_costs_one_play() {
    if !has_asterisk() {
        return;
    }
    let mut demo =
        demo(&["--json", "--pbx", "asterisk", "--far", "asterisk", "--behaviour", "b6", "--behaviour", "B10"]);
    let mut demo = demo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut plays: Vec<Value> = Vec::new();
    for line in BufReader::new(demo.stdout.take().unwrap()).lines() {
        plays.push(serde_json::from_str(&line.unwrap()).unwrap());
        // The first between two organisations is over.
        if plays.len() == 2 {
            kill_an_asterisk_of(demo.id());
        }
    }
    let output = demo.wait_with_output().unwrap();
    let errors = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let behaviours: Vec<&Value> = plays.iter().map(|play| &play["behaviour"]).collect();
    assert_eq!(behaviours, ["B10", "B6", "B6", "B10"], "{plays:#?}");
    assert_eq!(went_well(&plays), [true, true, false, true], "{plays:#?}\n{errors}");
    for play in &plays {
        let (near, ok) = (&play["near"], play["ok"] == true);
        assert!(near == "asterisk" && play["title"].is_string() && play["problems"].is_null() == ok, "{play:#}");
    }
    assert!(plays[0]["far"].is_null() && plays[1]["far"] == "asterisk", "{plays:#?}");
    // What comes, how far it is, and the table at the end are for people.
    for text in ["4 plays, in about", "4 of 4  B10  Asterisk → Asterisk  ok", "3 of 4 plays went as they must"] {
        assert!(errors.contains(text), "no {text:?} in {errors}");
    }
    assert_plain(&[&errors, &format!("{plays:?}")]);
}

fn kill_an_asterisk_of(parent: u32) {
    let is_one = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let (name, rest) = stat.rsplit_once(')').unwrap_or_default();
        name.ends_with("(asterisk") && rest.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let pid = all.into_iter().find(is_one).expect("an Asterisk of the demonstration");
    assert!(Command::new("kill").args(["-s", "KILL", &pid.to_string()]).status().unwrap().success());
}

/// The lab looks for the node's database where it isn't, and panics.
#[test]
fn a_panic_is_one_sentence_and_the_rest_is_played() {
    if !has_asterisk() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut demo = demo(&["--pbx", "asterisk", "--far", "asterisk", "--behaviour", "B7"]);
    let output = demo.env("SIDECALL_NODE__DATABASE", "elsewhere.db").env("TMPDIR", folder.path()).output().unwrap();
    let (story, errors) = (String::from_utf8_lossy(&output.stdout).into_owned(), errors(&output));
    assert_eq!(output.status.code(), Some(1), "{story}\n{errors}");
    let plays = played("B7") + if Browser::find().is_ok() { DESK_SCENARIOS.len() } else { 0 };
    assert!(story.contains(&format!("{} of {plays} plays went as they must", plays - 1)), "{story}");
    assert_plain(&[&story, &errors]);
    let log = story.split_whitespace().find(|word| word.contains("sidecall-demo-")).expect("the file is named");
    let kept = fs::read_to_string(log.trim_end_matches([':', ',', '.', ';'])).unwrap();
    assert!(kept.contains("calls in the database") && kept.contains("panicked"), "{kept}");
}

/// A sidecall that is set up wrong: its calls are sent to a trunk that the PBX doesn't have.
#[test]
fn a_play_that_fails_is_told_by_the_exit_status() {
    if !has_asterisk() {
        return;
    }
    let mut demo = demo(&["--json", "--pbx", "asterisk", "--far", "asterisk", "--behaviour", "B1"]);
    let output = demo.env("SIDECALL_NODE__ROUTING__TRUNK", "nowhere").output().unwrap();
    let plays = lines(&output);
    assert_eq!((output.status.code(), plays.len()), (Some(1), 1), "{plays:#?}\n{}", errors(&output));
    let told = ["behaviour", "near", "far", "ok"].map(|key| &plays[0][key]);
    assert_eq!(told, [&json!("B1"), &json!("asterisk"), &Value::Null, &json!(false)], "{}", plays[0]);
    let problems = plays[0]["problems"].to_string();
    assert!(problems.contains("no call arrived at Packet"), "{problems}");
}

#[test]
fn what_is_missing_here_is_said_and_does_not_pass() {
    // Without the DNS server, wherever Debian has put it.
    let hidden = "for knotd in $(PATH=$PATH:/usr/sbin command -v knotd); do mount --bind /dev/null \"$knotd\"; done";
    let mut tried = Command::new("unshare");
    tried.args(["-m", "sh", "-ec", &format!("{hidden}; ! test -f /usr/sbin/knotd")]);
    if !tried.output().is_ok_and(|tried| tried.status.success()) {
        assert!(!lab::in_ci(), "CI hides a program from another one: that takes root");
        return eprintln!("skipped: a program can't be hidden from another one here");
    }
    if !has_asterisk() {
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", &format!("{hidden}; exec \"$@\""), "sh"]).arg(program());
    command.args(["--json", "--pbx", "asterisk", "--far", "asterisk", "--behaviour", "B5"]);
    let output = command.output().unwrap();
    let plays = lines(&output);
    assert_eq!((output.status.code(), plays.len()), (Some(1), played("B5")), "{plays:#?}\n{}", errors(&output));
    for play in &plays {
        assert_eq!((&play["behaviour"], &play["ok"]), (&json!("B5"), &json!(false)));
        assert!(play["skipped"].as_str().is_some_and(|why| why.contains("knotd")), "{play}");
    }
}

/// A demonstration that stays up until it is interrupted, as it is when this is dropped.
struct Kept(Child);

impl Kept {
    fn interrupt(&mut self) -> ExitStatus {
        if self.0.try_wait().unwrap().is_none() {
            Command::new("kill").args(["-s", "INT", &self.0.id().to_string()]).status().unwrap();
        }
        self.0.wait().unwrap()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.interrupt();
    }
}

#[test]
fn enter_makes_and_ends_calls_between_two_people_with_links() {
    if !has_asterisk() {
        return;
    }
    let mut demo = demo(&["--keep", "--json", "--pbx", "asterisk", "--far", "asterisk", "--behaviour", "B4"]);
    let demo = demo.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut kept = Kept(demo);
    let mut enter = kept.0.stdin.take().unwrap();
    let mut lines = BufReader::new(kept.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut line = |text: &str| lines.find(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text:?}"));
    let codes = ["  Alice ", "  Bob "].map(|name| line(name).split_once("/client/#enrol=").unwrap().1.to_owned());
    assert_ne!(codes[0], codes[1]);
    line("until you press Ctrl-C");
    for _ in 0..2 {
        for told in ["They talk", "Alice has hung up"] {
            enter.write_all(b"\n").unwrap();
            line(told);
        }
    }
    drop(enter);
    assert!(lab::never(|| kept.0.try_wait().unwrap().is_some()), "it does not stay up without standard input");
    assert!(kept.interrupt().success());
}

#[test]
fn a_wrong_option_is_one_clear_error() {
    for (wrong, text) in [
        (["--behaviour", "B14"], "the behaviours are B1 to B13"),
        (["--pbx", "teapot"], "possible values: freeswitch, asterisk"),
        (["--behavior", "B1"], "--behaviour"),
    ] {
        let output = demo(&wrong).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{wrong:?}: {output:?}");
        let errors = errors(&output);
        assert!(errors.starts_with("error: ") && errors.contains(text), "{wrong:?}: {errors}");
    }
    let help = demo(&["--help"]).output().unwrap();
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(["behaviour", "near, far", "skipped"].iter().all(|word| text.contains(word)), "{text}");
}
