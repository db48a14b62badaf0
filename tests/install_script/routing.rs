//! The packet trunk in `sidecall.toml`, where that file is there already.

use std::path::PathBuf;

use super::{INSTALL, Scratch, on_each};

fn config(scratch: &Scratch) -> PathBuf {
    scratch.root().join("etc/sidecall/sidecall.toml")
}

fn read(scratch: &Scratch) -> String {
    std::fs::read_to_string(config(scratch)).unwrap()
}

fn write(scratch: &Scratch, text: &str) {
    std::fs::write(config(scratch), text).unwrap();
}

/// The trunk that the program reads in the file.
fn trunk(scratch: &Scratch) -> Option<String> {
    let config = sidecall::config::Config::load(&config(scratch)).unwrap();
    config.node.routing.trunk(&config.pbx[0].name).map(|trunk| trunk.as_str().to_owned())
}

fn install(scratch: &Scratch, options: &[&str]) -> String {
    scratch.install(&[INSTALL, options].concat())
}

#[test]
fn a_trunk_that_a_later_run_names_is_in_force() {
    on_each("later-trunk", |scratch| {
        install(scratch, &[]);
        let before = read(scratch);
        assert_eq!(trunk(scratch), None);
        let shown = scratch.install(&["--dry-run", "--trunk", "192.0.2.10"]);
        assert!(shown.contains("+trunk = \"sidecall\""), "{shown}");
        assert_eq!(read(scratch), before, "a dry run changes nothing");
        let said = install(scratch, &["--trunk", "192.0.2.10"]);
        assert_eq!(trunk(scratch).as_deref(), Some("sidecall"), "{said}");
        assert_eq!(read(scratch), before.replace("#trunk = \"sidecall\"", "trunk = \"sidecall\""));
        assert!(install(scratch, &["--trunk", "192.0.2.10"]).contains("Nothing to do"));
        // Another one takes its place: the value is the script's own.
        install(scratch, &["--trunk", "other=192.0.2.11"]);
        assert_eq!(trunk(scratch).as_deref(), Some("other"));
        // The administrator takes the trunk out of use. Only a run that names one puts it back.
        write(scratch, &read(scratch).replace("trunk = \"other\"\n", ""));
        install(scratch, &[]);
        assert_eq!(trunk(scratch), None);
        install(scratch, &["--trunk", "other=192.0.2.11"]);
        assert_eq!(trunk(scratch).as_deref(), Some("other"));
    });
}

#[test]
fn a_trunk_of_the_administrators_own_stays_and_is_named() {
    on_each("own-trunk", |scratch| {
        install(scratch, &[]);
        for own in ["trunk = \"mine\"", "  trunk='mine' # the carrier"] {
            write(scratch, &read(scratch).replace("#trunk = \"sidecall\"", own));
            let before = read(scratch);
            let said = install(scratch, &["--trunk", "192.0.2.10"]);
            assert_eq!(read(scratch), before);
            let named =
                format!("WARNING: {}: trunk in [node.routing] is `mine`, not `sidecall`", config(scratch).display());
            assert!(said.contains(&named), "{said}");
            write(scratch, &before.replace(own, "#trunk = \"sidecall\""));
        }
        // Written as the script can't.
        let table = format!("[node]\nrouting = {{ trunk = \"mine\" }}\n{}", pbx_table(&read(scratch)));
        write(scratch, &table);
        assert_eq!(trunk(scratch).as_deref(), Some("mine"));
        let said = install(scratch, &["--trunk", "192.0.2.10"]);
        assert_eq!(read(scratch), table);
        assert!(said.contains("set it yourself: trunk = \"sidecall\""), "{said}");
        assert!(!install(scratch, &[]).contains("[node.routing]"), "nobody has asked for a trunk");
    });
}

/// The part of a file from its `[[pbx]]` on.
fn pbx_table(text: &str) -> &str {
    &text[text.find("\n[[pbx]]").unwrap()..]
}

#[test]
fn a_file_without_the_sample_lines_gets_the_trunk_too() {
    on_each("bare", |scratch| {
        install(scratch, &[]);
        let pbx = pbx_table(&read(scratch)).to_owned();
        for (node, expected) in [
            ("[node]\n", format!("[node]\n{pbx}\n[node.routing]\ntrunk = \"sidecall\"\n")),
            ("[ node . routing ] # ours\n", format!("[ node . routing ] # ours\ntrunk = \"sidecall\"\n{pbx}")),
            (
                "[node.routing]\n[node.lnp.trunks]\n\"x\" = { trunk = \"mine\" }\n",
                format!(
                    "[node.routing]\ntrunk = \"sidecall\"\n[node.lnp.trunks]\n\"x\" = {{ trunk = \"mine\" }}\n{pbx}"
                ),
            ),
        ] {
            write(scratch, &format!("{node}{pbx}"));
            install(scratch, &["--trunk", "192.0.2.10"]);
            assert_eq!(read(scratch), expected);
        }
    });
}
