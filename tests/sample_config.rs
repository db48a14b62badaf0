//! `etc/sidecall.toml`, as shipped: it loads, and it shows every key that there is.

#![allow(clippy::unwrap_used)] // a test that can't go on says where

use std::path::{Path, PathBuf};

use sidecall::config::Config;

fn sample() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/sidecall.toml");
    std::fs::read_to_string(file).unwrap()
}

/// Writes a configuration beside the secrets that it names and loads it.
fn load(text: &str) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "admin.token",
        "agent.token",
        "freeswitch.password",
        "asterisk.password",
        "lnp.token",
        "our.token",
        "branch.token",
        "their.token",
        "turn.secret",
    ] {
        std::fs::write(dir.path().join(name), "6f1d0c7a9b0d4e2f\n").unwrap();
    }
    let file: PathBuf = dir.path().join("sidecall.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(&file).map_err(|error| error.to_string())
}

/// Lines such as `#key = value` and `#[table]` set too. Prose has a space behind its `#`. Of keys that exclude each other, the
/// optional ones are set.
fn with_optional_keys() -> String {
    let optional = |line: &str| line.starts_with('#') && line.len() > 1 && !line.starts_with("# ");
    let line = |line: &str| if optional(line) { line[1..].to_owned() } else { line.to_owned() };
    let excluded = |line: &String| line.starts_with("tls") || line.starts_with("node = ");
    sample().lines().map(line).filter(|line| !excluded(line)).fold(String::new(), |text, l| text + &l + "\n")
}

#[test]
fn the_sample_loads_as_shipped() {
    let config = load(&sample()).unwrap();
    assert_eq!(config.pbx.len(), 2);
}

#[test]
fn the_sample_loads_with_every_optional_key_set() {
    let config = load(&with_optional_keys()).unwrap();
    assert!(config.node.lnp.source.len() == 2 && config.node.lnp.source[1].token.is_some());
    assert!(config.pbx[0].direct.is_some() && config.pbx[1].message_endpoint.is_some());
    assert!(config.pbx[0].plan().has("acme") && config.pbx[1].map.len() == 1);
    assert_eq!(config.node.peers[0].prefixes.len(), 1);
    assert!(config.node.agent[0].token.is_some() && config.node.connections.max.is_some());
    assert_eq!(config.node.origins.len(), 1);
    assert_eq!(config.agent.urls().len(), 2);
    assert!(config.node.ice.urls.len() == 3 && config.node.ice.secret.is_some());
}

#[test]
fn the_sample_shows_every_key() {
    // A wrong key is answered with those that would be right.
    for (table, before) in [
        ("node", "[node]\n"),
        ("node.agent", "[[node.agent]]\n"),
        ("node.connections", "[node.connections]\n"),
        ("node.ice", "[node.ice]\n"),
        ("node.storage", "[node.storage]\n"),
        ("node.keep_calls", "[node.keep_calls]\n"),
        ("node.clients", "[node.clients]\n"),
        ("node.routing", "[node.routing]\n"),
        ("node.lnp", "[node.lnp]\n"),
        ("node.lnp.source", "[[node.lnp.source]]\n"),
        ("node.lnp.route", "[[node.lnp.route]]\n"),
        ("agent", "[agent]\n"),
        ("pbx", "[[pbx]]\n"),
        ("pbx.map", "[[pbx]]\n[[pbx.map]]\n"),
        ("pbx.tenant", "[[pbx]]\n[[pbx.tenant]]\n"),
        ("peer", "[[peer]]\n"),
    ] {
        let said = load(&format!("{before}no_such_key = 1\n")).unwrap_err();
        let expected = said.split("expected").nth(1).unwrap_or_else(|| panic!("{table}: {said}"));
        // ``expected `one of `a`, `b```: what is left are names of keys.
        let words = expected.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        let keys: Vec<&str> = words.filter(|word| !matches!(*word, "" | "one" | "of" | "or")).collect();
        assert!(!keys.is_empty(), "{table}: {said}");
        for key in keys {
            // The secrets themselves are accepted, and files with them are what is shown.
            let secret = matches!(key, "token" | "accept_token" | "password" | "secret");
            let shown = |line: &str| {
                let line = line.trim_start_matches('#');
                line.starts_with(&format!("{key} = "))
                    || line.trim_start_matches('[').starts_with(&format!("{table}.{key}"))
            };
            assert!(secret || sample().lines().any(shown), "{table}.{key} is not in etc/sidecall.toml");
        }
    }
}
