//! Looks for a FreeSWITCH where the lab does. Cargo runs this again when one of these variables changes; after an
//! installation `tests/run` touches this file, and a test of `lab_smoke` fails where that was not done.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SIDECALL_FREESWITCH");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rustc-check-cfg=cfg(freeswitch)");
    let named = env::var_os("SIDECALL_FREESWITCH").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|dir| dir.join("freeswitch"));
    let usual = ["/usr/local/freeswitch/bin/freeswitch", "/usr/bin/freeswitch"].map(PathBuf::from);
    if named.into_iter().chain(on_path).chain(usual).any(|file| file.is_file()) {
        println!("cargo::rustc-cfg=freeswitch");
    }
}
