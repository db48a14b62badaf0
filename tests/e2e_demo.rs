//! The demonstration as a person or a script runs it: its lines of JSON, and what its exit status says.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

mod lab;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lab::Kind;
use lab::plays::PLAYS;
use serde_json::{Value, json};

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
    Kind::Asterisk.find().inspect_err(|error| eprintln!("skipped: {error}")).is_ok()
}

/// How many plays there are of a behaviour between two organisations.
fn played(behaviour: &str) -> usize {
    PLAYS.iter().filter(|play| play.behaviour == behaviour).count()
}

#[test]
fn each_play_is_a_line_of_json() {
    if !has_asterisk() {
        return;
    }
    let output = demo(&["--json", "--pbx", "asterisk", "--far", "asterisk", "--behaviour", "b6"]).output().unwrap();
    let (plays, errors) = (lines(&output), errors(&output));
    assert!(output.status.success(), "{plays:#?}\n{errors}");
    let all = played("B6");
    assert_eq!(plays.len(), all, "{plays:#?}");
    for play in &plays {
        let told = ["behaviour", "near", "far", "ok"].map(|key| &play[key]);
        assert_eq!(told, [&json!("B6"), &json!("asterisk"), &json!("asterisk"), &json!(true)], "{play:#}");
        assert!(play["title"].is_string() && play["problems"].is_null(), "{play:#}");
    }
    // What comes, how far it is, and the table at the end are for people.
    let last = format!("{all} of {all}  B6  Asterisk → Asterisk  ok");
    for text in [format!("{all} plays, in about"), last, format!("{all} of {all} plays went as they must")] {
        assert!(errors.contains(&text), "no {text:?} in {errors}");
    }
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
