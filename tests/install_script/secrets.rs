//! Secrets of any characters reach the configuration as they are, and no command line shows one.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{INSTALL, Scratch, on_each, text};
use lab::pbx::machine::{NASTY, Recorders, xml};

impl Scratch {
    /// Runs the script with every command on record. Answers what was said, and all command lines.
    fn recorded(&self, args: &[&str]) -> (String, String) {
        let recorders = Recorders::in_folder(&self.dir.join("recorders"));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh");
        let mut command = Command::new("/bin/bash");
        let command = command.arg(script).args(args).env("PATH", &recorders.bin).env("SIDECALL_ROOT", self.root());
        let done = command.env_remove("ASTERISK").output().unwrap();
        assert!(done.status.success(), "{} {args:?}: {}", self.kind, text(&done));
        (text(&done), recorders.command_lines())
    }
}

/// The secrets that the script reads or writes are the nasty one; what it made of it.
fn with_nasty_secret(test: &str, prepare: impl Fn(&Scratch), check: impl Fn(&Scratch)) {
    on_each(test, |scratch| {
        prepare(scratch);
        scratch.keep("nasty");
        let install = &["--yes", "--binary", "/bin/true"];
        let (said, commands) = scratch.recorded(install);
        assert!(commands.contains("/awk ") && commands.contains("/mv "), "{commands}");
        let secrets = [scratch.secrets(), vec![NASTY.to_owned(), xml(NASTY), NASTY.replace(';', "\\;")]].concat();
        for secret in &secrets {
            assert!(!commands.contains(secret.as_str()), "{secret}: {commands}");
            assert!(!said.contains(secret.as_str()), "{secret}: {said}");
        }
        check(scratch);
        let (said, _) = scratch.recorded(install);
        assert!(said.contains("Nothing to do"), "{said}");
        let (said, commands) = scratch.recorded(&["--uninstall", "--yes"]);
        assert!(secrets.iter().all(|secret| !commands.contains(secret.as_str()) && !said.contains(secret.as_str())));
        let etc = scratch.root().join("etc/sidecall");
        if etc.exists() {
            // What was there before the script is not its own.
            std::fs::remove_dir_all(&etc).unwrap();
            let _ = std::fs::remove_dir_all(scratch.dir.join("nasty/etc/sidecall"));
        }
        assert_eq!(scratch.difference("nasty"), "");
    });
}

#[test]
fn a_secret_of_any_characters_is_taken_over() {
    with_nasty_secret(
        "taken-over",
        |scratch| match scratch.kind {
            "freeswitch" => {
                let file = "autoload_configs/event_socket.conf.xml";
                let text = scratch.read(file).replace("value=\"ClueCon\"", &format!("value=\"{}\"", xml(NASTY)));
                assert!(text.contains("&amp;"), "{text}");
                std::fs::write(scratch.file(file), text).unwrap();
            }
            _ => {
                let user = format!("[sidecall]\nsecret = {} ; ours\n", NASTY.replace(';', "\\;"));
                std::fs::create_dir_all(scratch.file("manager.d")).unwrap();
                std::fs::write(scratch.file("manager.d/mine.conf"), user).unwrap();
            }
        },
        |scratch| assert_eq!(scratch.secrets()[2], NASTY),
    );
}

#[test]
fn a_secret_of_any_characters_is_written() {
    with_nasty_secret(
        "written",
        |scratch| {
            let etc = scratch.root().join("etc/sidecall");
            std::fs::create_dir_all(&etc).unwrap();
            std::fs::write(etc.join(format!("{}.password", scratch.kind)), format!("{NASTY}\n")).unwrap();
        },
        |scratch| {
            let (file, line) = match scratch.kind {
                "freeswitch" => (
                    "autoload_configs/event_socket.conf.xml",
                    format!("<param name=\"password\" value=\"{}\"/>\n", xml(NASTY)),
                ),
                _ => ("manager.d/sidecall.conf", format!("\nsecret={}\n", NASTY.replace(';', "\\;"))),
            };
            assert!(scratch.read(file).contains(&line), "{}", scratch.read(file));
            assert_eq!(scratch.secrets()[2], NASTY);
        },
    );
}

#[test]
fn secrets_are_generated_private_and_not_shown() {
    on_each("secrets", |scratch| {
        let said = scratch.install(INSTALL);
        for secret in scratch.secrets() {
            assert_eq!(secret.len(), 48, "{secret}");
            assert!(!said.contains(&secret), "{said}");
        }
        for name in ["admin.token", "agent.token"] {
            let file = scratch.root().join("etc/sidecall").join(name);
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let (file, password) = match scratch.kind {
            "freeswitch" => ("autoload_configs/event_socket.conf.xml", scratch.secrets()[2].clone()),
            _ => ("manager.d/sidecall.conf", scratch.secrets()[2].clone()),
        };
        assert!(scratch.read(file).contains(&password));
        assert!(!scratch.read(file).contains("ClueCon") && !scratch.read(file).contains("CHANGE-ME"));
    });
}
