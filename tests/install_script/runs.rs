//! A run, a second one, and the way back: nothing more changes than is said.

use super::{INSTALL, on_each};

#[test]
fn a_dry_run_shows_everything_and_changes_nothing() {
    on_each("dry", |scratch| {
        let shown = scratch.install(&["--dry-run", "--trunk", "192.0.2.10"]);
        assert_eq!(scratch.difference("before"), "");
        for what in ["sidecall.toml", "agent.token", "sidecall.service", "backup", "nothing was changed"] {
            assert!(shown.contains(what), "{what}: {shown}");
        }
    });
}

#[test]
fn a_second_run_changes_nothing_and_says_so() {
    on_each("twice", |scratch| {
        scratch.install(&[INSTALL, &["--trunk", "192.0.2.10", "--context", "pbx.a.example"]].concat());
        scratch.keep("after");
        // What was asked for the first time still holds.
        let said = scratch.install(INSTALL);
        assert!(said.contains("Nothing to do"), "{said}");
        assert_eq!(scratch.difference("after"), "");
    });
}

#[test]
fn uninstall_restores_every_byte() {
    on_each("restore", |scratch| {
        scratch.install(&[INSTALL, &["--phones", "default", "--trunks", "public", "--trunk", "192.0.2.10"]].concat());
        assert_ne!(scratch.difference("before"), "");
        // Files of ours that are renewed leave nothing behind either.
        assert!(scratch.install(&[INSTALL, &["--main", "+12125552000"]].concat()).contains("renew "));
        scratch.install(&["--uninstall", "--yes"]);
        assert_eq!(scratch.difference("before"), "");
    });
}

#[test]
fn what_is_installed_is_a_configuration_and_a_purge_leaves_none() {
    on_each("purge", |scratch| {
        scratch.install(&[INSTALL, &["--trunk", "192.0.2.10"]].concat());
        let config = sidecall::config::Config::load(&scratch.root().join("etc/sidecall/sidecall.toml")).unwrap();
        assert_eq!((config.pbx.len(), config.pbx[0].name.as_str()), (1, scratch.kind));
        assert!(config.tokens.admin.is_some() && config.node.routing.trunk.is_some());
        scratch.keep("after");
        scratch.install(&["--uninstall", "--purge", "--dry-run"]);
        assert_eq!(scratch.difference("after"), "");
        let data = scratch.root().join("var/lib/sidecall");
        std::fs::create_dir_all(&data).unwrap();
        let mine = scratch.root().join("etc/sidecall/sidecall.toml");
        std::fs::write(&mine, std::fs::read_to_string(&mine).unwrap() + "# mine\n").unwrap();
        scratch.install(&["--uninstall", "--purge", "--yes"]);
        assert!(!data.exists() && !mine.exists());
    });
}

#[test]
fn what_an_earlier_version_remembered_still_holds() {
    on_each("older", |scratch| {
        scratch.install(&[INSTALL, &["--trunk", "192.0.2.10"]].concat());
        // That version had one trunk, without a name.
        let manifest = scratch.root().join("etc/sidecall/installed");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(&manifest, text.replace("sidecall=192.0.2.10:5060", "192.0.2.10:5060")).unwrap();
        assert!(scratch.install(INSTALL).contains("Nothing to do"));
        scratch.install(&["--uninstall", "--yes"]);
        assert_eq!(scratch.difference("before"), "");
    });
}
