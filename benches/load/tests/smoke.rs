//! The load generator itself, with few calls: every one is decided, and every pair is told.

use std::process::Command;

use serde_json::Value;

#[test]
fn two_pbxs_have_every_call_decided_and_every_pair_told() {
    let report = load(&[]);
    let step = &report["steps"][0];
    assert_eq!(step["database"], Value::Null, "{report}");
}

#[test]
fn two_nodes_on_postgresql_have_every_call_decided_and_every_pair_told() {
    if lab::Postgres::or_skip().is_none() {
        return;
    }
    let report = load(&["--postgres", "--nodes", "2"]);
    let step = &report["steps"][0];
    assert!(step["database"]["cpu_ms"].as_f64().is_some_and(|cpu| cpu > 0.0), "{report}");
    for process in ["stand_bys", "database"] {
        assert!(step[process]["memory_mb"].as_f64().is_some_and(|memory| memory > 1.0), "{process}: {report}");
    }
}

/// Makes a few calls, none of which may be lost. Returns the report.
fn load(more: &[&str]) -> Value {
    let sidecall = lab::sidecall::binary();
    let mut load = Command::new(env!("CARGO_BIN_EXE_sidecall-load"));
    load.args(["--pbxs", "2", "--numbers", "100", "--clients", "20", "--rate", "10", "--to", "10"]);
    // Other tests compile and call beside it: this is not about speed.
    load.args(["--step", "2", "--duration", "2", "--talk", "200", "--hold", "10000", "--limit", "10000", "--json"]);
    let output = load.args(more).arg("--sidecall").arg(sidecall).output().expect("the load generator");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let step = &report["steps"][0];
    assert!(step["calls"].as_u64().is_some_and(|calls| calls >= 5), "{report}");
    for count in ["undecided", "unpaired", "unmade", "strangers", "streams_ended"] {
        assert_eq!(step[count], 0, "{count}: {report}");
    }
    assert_eq!((&report["broke"], &report["held"]), (&Value::Null, &10.0.into()), "{report}");
    assert!(step["node"]["memory_mb"].as_f64().is_some_and(|memory| memory > 1.0), "{report}");
    let per_call = |name: &str| step["store"][name].as_f64().unwrap_or(-1.0);
    // Housekeeping has queries of its own.
    assert!((0.0..1.0).contains(&per_call("reads_per_call")), "{report}");
    assert!(per_call("writes_per_call") > 0.0 && per_call("commits_per_call") > 0.0, "{report}");
    report
}
