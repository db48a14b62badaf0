//! The systemd unit: what protects the PBX from sidecall is there, and systemd understands all of it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that can't go on says where")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

fn unit() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/sidecall.service")).unwrap()
}

/// Each setting with the comment right above it or above those before it.
fn settings(unit: &str) -> BTreeMap<&str, (&str, String)> {
    let (mut found, mut comment, mut fresh) = (BTreeMap::new(), String::new(), true);
    for line in unit.lines() {
        match line.strip_prefix('#') {
            Some(text) => {
                if !fresh {
                    comment.clear();
                }
                (comment, fresh) = (comment + text, true);
            }
            None if line.trim().is_empty() => comment.clear(),
            None => {
                fresh = false;
                if let Some((key, value)) = line.split_once('=') {
                    found.insert(key, (value, comment.clone()));
                }
            }
        }
    }
    found
}

fn megabytes(value: &str) -> u64 {
    let (number, unit) = value.split_at(value.len() - 1);
    number.parse::<u64>().unwrap() * if unit == "G" { 1024 } else { 1 }
}

#[test]
fn the_pbx_is_protected_and_each_limit_has_its_reason() {
    let unit = unit();
    let settings = settings(&unit);
    let value = |key: &str| {
        let (value, reason) = settings.get(key).unwrap_or_else(|| panic!("the unit lacks {key}"));
        assert!(reason.split_whitespace().count() > 8, "{key} has no reason: {reason:?}");
        *value
    };
    // The kernel takes it before a PBX, which has 0 or less.
    assert!((500..=1000).contains(&value("OOMScoreAdjust").parse::<i32>().unwrap()));
    // 50,000 clients of 10 kB, and it never pushes the PBX into swap.
    let (high, max) = (megabytes(value("MemoryHigh")), megabytes(value("MemoryMax")));
    assert!(500 < high && high < max && max <= 2048, "{high} {max}");
    assert_eq!(value("MemorySwapMax"), "0");
    // Tokio's threads for files are 512 at most.
    assert!((600..=4096).contains(&value("TasksMax").parse::<u32>().unwrap()));
    for weight in ["CPUWeight", "IOWeight"] {
        assert!(value(weight).parse::<u32>().unwrap() < 100, "{weight}");
    }
    assert_eq!(value("WatchdogSec"), "2");
}

#[test]
fn systemd_understands_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "systemd-analyze is missing");
        return eprintln!("skipped: no systemd-analyze here");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sidecall.service");
    let verify = |unit: &str| {
        fs::write(&file, unit).unwrap();
        let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
    };
    let unit = unit().replace("/usr/local/bin/sidecall", "/bin/true");
    let said = verify(&unit);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("sidecall.service")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
    // It would have said so.
    let wrong = verify(&unit.replace("TasksMax=", "TasksMost="));
    assert!(wrong.contains("TasksMost"), "{wrong}");
}

#[test]
fn a_database_server_on_the_same_machine_stops_after_sidecall() {
    let unit = unit();
    let (after, _) = &settings(&unit)["After"];
    assert!(after.split(' ').any(|unit| unit == "postgresql.service"), "{after}");
}
