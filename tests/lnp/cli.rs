//! `sidecall number lookup` and `sidecall doctor`, as an administrator runs them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{ALICE, BOB, alice_ported};
use lab::net::knot::{Knot, ZONE};

fn sidecall(config: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidecall"));
    for name in ["SIDECALL_TOKEN", "SIDECALL_NODE", "SIDECALL_LOG", "SIDECALL_LOG_FORMAT"] {
        command.env_remove(name);
    }
    command.env("SIDECALL_CONFIG", config).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn number_lookup_shows_what_each_source_says_and_doctor_whether_it_answers() {
    let Some(mut knot) = Knot::or_skip(&alice_ported(), 60) else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("sidecall.toml");
    let toml = format!(
        "[[node.lnp.source]]\nname = \"dns\"\nkind = \"enum\"\nsuffix = \"{ZONE}\"\nservers = [\"{}\"]\n\
         [[node.lnp.source]]\nname = \"nobody\"\nkind = \"http\"\nurl = \"http://127.0.0.1:9/{{number}}\"\n\
         [[node.lnp.route]]\nrn_prefix = \"+1303\"\npeer = \"b\"\n\
         [[peer]]\nname = \"b\"\nurl = \"https://node.b.example\"\nprefixes = [\"+1303\"]\ntrunk = \"to-b\"\n\
         token_file = \"b.token\"\naccept_token_file = \"b.token\"\n",
        knot.address()
    );
    std::fs::write(&config, toml).unwrap();
    std::fs::write(dir.path().join("b.token"), "token-of-the-peer-b").unwrap();
    let shown = sidecall(&config, &["number", "lookup", ALICE]);
    let out = text(&shown.stdout);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    for expected in ["ported, rn=+13035559999", "(no connection)", "is served by the peer b, by the trunk to-b"] {
        assert!(out.contains(expected), "{out}");
    }
    let shown = sidecall(&config, &["number", "lookup", ALICE, "--json"]);
    let json: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(json["sources"][0]["said"]["rn"], "+13035559999");
    assert_eq!((&json["verdict"]["trunk"], &json["verdict"]["served_by"]["peer"]), (&"to-b".into(), &"b".into()));
    assert_eq!(json["sources"][1]["error"], "no connection");
    let unknown = text(&sidecall(&config, &["number", "lookup", BOB]).stdout);
    assert!(unknown.contains("nothing is known"), "{unknown}");
    assert!(!sidecall(&config, &["number", "lookup", "1001;phone-context=a.example"]).status.success());

    let findings = |args: &[&str]| -> Value {
        let shown = sidecall(&config, args);
        serde_json::from_slice(&shown.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&shown.stdout)))
    };
    let verdict = |report: &Value, about: &str| {
        let all = report["findings"].as_array().unwrap().clone();
        all.into_iter().find(|finding| finding["about"] == about).map(|finding| finding["verdict"].clone())
    };
    let report = findings(&["doctor", "--json"]);
    assert_eq!(verdict(&report, "portability dns"), Some("ok".into()), "{report}");
    assert_eq!(verdict(&report, "portability nobody"), Some("problem".into()), "{report}");
    knot.stop();
    assert_eq!(verdict(&findings(&["doctor", "--json"]), "portability dns"), Some("problem".into()));
}
