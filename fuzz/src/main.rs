//! All fuzz targets in one binary; `fuzz/run` builds and starts it.
//!
//! `FUZZ_TARGET` names the target. With `FUZZ_SEEDS=DIR` it writes the seeds of that target to a directory and
//! ends; without a target it prints the names.

#![no_main]

mod targets;

use std::sync::OnceLock;

static RUN: OnceLock<fn(&[u8])> = OnceLock::new();

fn start() {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some(target) = targets::ALL.iter().find(|target| target.name == name) else {
        targets::ALL.iter().for_each(|target| println!("{}", target.name));
        std::process::exit(i32::from(!name.is_empty()));
    };
    if let Some(dir) = std::env::var_os("FUZZ_SEEDS") {
        for (n, seed) in targets::seeds(target).iter().enumerate() {
            let path = std::path::Path::new(&dir).join(format!("seed-{n:05}"));
            if let Err(error) = std::fs::write(&path, seed) {
                eprintln!("{}: {error}", path.display());
                std::process::exit(1);
            }
        }
        std::process::exit(0);
    }
    RUN.get_or_init(|| target.run);
}

libfuzzer_sys::fuzz_target!(init: start(), |data: &[u8]| {
    if let Some(run) = RUN.get() {
        run(data);
    }
});
