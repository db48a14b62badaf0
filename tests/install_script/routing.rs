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

/// Adds a PBX of the other kind, and what it has in `[node.routing]`.
fn with_second_pbx(scratch: &Scratch, routing: &str) {
    let other = if scratch.kind == "asterisk" { "freeswitch" } else { "asterisk" };
    let sample = include_str!("../../etc/sidecall.toml");
    let (_, block) = sample.split_once(&format!("# --- begin {other}\n")).unwrap();
    let (block, _) = block.split_once(&format!("# --- end {other}\n")).unwrap();
    std::fs::write(config(scratch).with_file_name(format!("{other}.password")), "0123456789abcdef").unwrap();
    let text = read(scratch).replace("#trunk = \"sidecall\"", routing);
    write(scratch, &format!("{text}\n{}", block.replace("pbx.example", "other.example")));
}

/// The trunks that the program reads for both PBXs: the one of `scratch` first.
fn trunks(scratch: &Scratch) -> Vec<String> {
    let config = sidecall::config::Config::load(&config(scratch)).unwrap();
    let trunk = |name| config.node.routing.trunk(name).map_or("none", |trunk| trunk.as_str()).to_owned();
    config.pbx.iter().map(|pbx| trunk(&pbx.name)).collect()
}

#[test]
fn a_trunk_of_one_pbx_is_not_given_to_another() {
    on_each("two-pbxs", |scratch| {
        install(scratch, &[]);
        let single = read(scratch);
        for (routing, theirs) in [("#trunk = \"sidecall\"", "none"), ("trunk = \"theirs\"", "theirs")] {
            write(scratch, &single);
            with_second_pbx(scratch, routing);
            let before = read(scratch);
            let said = install(scratch, &["--trunk", "192.0.2.10"]);
            assert_eq!(trunks(scratch), ["sidecall", theirs], "{said}");
            let table = format!("\n[node.routing.pbx.{}]\ntrunk = ", scratch.kind);
            assert_eq!(read(scratch), format!("{before}{table}\"sidecall\"\n"));
            assert!(install(scratch, &["--trunk", "192.0.2.10"]).contains("Nothing to do"));
            install(scratch, &["--trunk", "other=192.0.2.11"]);
            assert_eq!(read(scratch), format!("{before}{table}\"other\"\n"));
        }
        // Both may have the same one, and a name with a dot needs quotes.
        write(scratch, &single);
        with_second_pbx(scratch, "trunk = \"sidecall\"");
        let before = read(scratch);
        install(scratch, &["--trunk", "192.0.2.10"]);
        assert_eq!(read(scratch), before);
        let dotted = before.replace(&format!("name = \"{}\"", scratch.kind), "name = \"main.office\"");
        write(scratch, &dotted);
        install(scratch, &["--trunk", "other=192.0.2.11"]);
        assert_eq!(trunks(scratch), ["other", "sidecall"]);
        assert!(install(scratch, &["--trunk", "other=192.0.2.11"]).contains("Nothing to do"));
    });
}

#[test]
fn a_trunk_of_this_pbx_that_wins_is_named() {
    on_each("override", |scratch| {
        install(scratch, &[]);
        let before = read(scratch);
        let table = format!("[node.routing.pbx.{}]", scratch.kind);
        write(scratch, &format!("{before}\n{table}\ntrunk = \"mine\"\n"));
        let own = read(scratch);
        let said = install(scratch, &["--trunk", "192.0.2.10"]);
        assert_eq!(read(scratch), own);
        assert!(said.contains(&format!("trunk in {table} is `mine`, not `sidecall`")), "{said}");
        // Written as the script can't.
        let dotted = format!("pbx.{}.trunk = \"mine\"", scratch.kind);
        write(scratch, &before.replace("#trunk = \"sidecall\"", &dotted));
        let own = read(scratch);
        assert_eq!(trunks(scratch), ["mine"]);
        let said = install(scratch, &["--trunk", "192.0.2.10"]);
        assert_eq!(read(scratch), own);
        assert!(said.contains(&format!("set it yourself: trunk = \"sidecall\" in {table}")), "{said}");
        // Two of a kind: only the administrator knows which one this is.
        let second = pbx_table(&before).replace(&format!("name = \"{}\"", scratch.kind), "name = \"second\"");
        write(scratch, &format!("{before}{second}"));
        let own = read(scratch);
        let said = install(scratch, &["--trunk", "192.0.2.10"]);
        assert_eq!(read(scratch), own);
        assert!(said.contains("[node.routing.pbx.NAME]"), "{said}");
    });
}
