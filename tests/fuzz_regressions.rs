//! Every seed of the fuzzer and everything that it ever found, through the same bodies.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that can't go on says where

#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use targets::{ALL, Target, files, seeds};

/// The inputs that the body doesn't stand.
fn failing(target: &Target, inputs: &[Vec<u8>]) -> Vec<String> {
    let failing = inputs.iter().filter(|input| catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err());
    failing.map(|input| format!("{}: {}", target.name, input.escape_ascii())).collect()
}

#[test]
fn what_a_fuzzer_found_is_not_found_again() {
    let dir = Path::new("fuzz/regressions");
    let failing: Vec<_> = ALL.iter().flat_map(|target| failing(target, &files(&dir.join(target.name)))).collect();
    assert!(failing.is_empty(), "{}", failing.join("\n"));
}

/// So the bodies are run where there is no fuzzer, too.
#[test]
fn every_seed_passes() {
    for target in ALL {
        let seeds = seeds(target);
        assert!(seeds.len() > 1, "{} has no seeds", target.name);
        let failing = failing(target, &seeds);
        assert!(failing.is_empty(), "{}", failing.join("\n"));
    }
}

/// A directory of a name that no target has would never be replayed.
#[test]
fn kept_inputs_belong_to_targets() {
    for dir in ["fuzz/seeds", "fuzz/regressions"] {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let name = entry.unwrap().file_name();
            assert!(ALL.iter().any(|target| name == target.name), "{dir}/{}", name.display());
        }
    }
}
