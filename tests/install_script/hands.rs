//! What somebody else writes between, during and after runs of `install.sh` is never lost.

use std::path::PathBuf;

use super::{INSTALL, Scratch, made_of, text};

const CONFIG: &[(&str, &str)] = &[("extensions.conf", "[globals]\n"), ("manager.conf", "[general]\nenabled = no\n")];

fn scratch(test: &str) -> Scratch {
    made_of(test, "asterisk", CONFIG)
}

fn backups(scratch: &Scratch, name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(scratch.root().join(scratch.conf)).unwrap().map(|entry| entry.unwrap().path());
    let begin = format!("{name}.sidecall-backup-");
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&begin)).collect()
}

fn append(scratch: &Scratch, name: &str, line: &str) {
    std::fs::write(scratch.file(name), scratch.read(name) + line).unwrap();
}

/// A run is killed before it closes the journal, or after.
fn interrupted(scratch: &Scratch, closed: bool) {
    let killer = scratch.dir.join("bin");
    std::fs::create_dir_all(&killer).unwrap();
    let close = if closed { "/bin/mv \"$@\";" } else { "" };
    let stop = format!(
        "#!/bin/sh\ncase \"$*\" in *journal.done*) {close} kill -KILL $PPID; exit 1;; esac\nexec /bin/mv \"$@\"\n"
    );
    std::fs::write(killer.join("mv"), stop).unwrap();
    assert!(super::run("chmod", &["755", killer.join("mv").to_str().unwrap()]).status.success());
    let mut command = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"));
    let path = format!("{}:{}", killer.display(), std::env::var("PATH").unwrap());
    command.args(INSTALL).env("SIDECALL_ROOT", scratch.root()).env("PATH", path).env("TMPDIR", &scratch.dir);
    let done = command.env_remove("ASTERISK").output().unwrap();
    let journal = if closed { "etc/sidecall/journal.done" } else { "etc/sidecall/journal" };
    assert!(!done.status.success() && scratch.root().join(journal).exists(), "{}", text(&done));
}

#[test]
fn an_undo_keeps_what_was_written_after_the_run_was_killed() {
    let scratch = scratch("after-kill");
    interrupted(&scratch, false);
    append(&scratch, "extensions.conf", "; mine\n");
    append(&scratch, "sidecall.conf", "; mine too\n");
    let said = scratch.install(INSTALL);
    for name in ["extensions.conf", "sidecall.conf"] {
        let kept = backups(&scratch, name);
        let mine = kept.iter().filter(|path| std::fs::read_to_string(path).unwrap().contains("; mine"));
        let names: Vec<_> = mine.map(|path| path.to_string_lossy().into_owned()).collect();
        assert!(names.len() == 1 && said.contains(&names[0]), "{name} {kept:?}: {said}");
    }
}

#[test]
fn a_created_file_that_was_extended_stays_after_uninstall() {
    let scratch = scratch("extended");
    std::fs::write(scratch.file("extensions_additional.conf"), "").unwrap();
    scratch.install(INSTALL);
    append(&scratch, "extensions_custom.conf", "[mine]\n");
    // Another include is added to the file.
    scratch.install(&[INSTALL, &["--phones", "mine"]].concat());
    assert!(scratch.read("extensions_custom.conf").contains("sidecall-entry.conf"));
    scratch.install(&["--uninstall", "--yes"]);
    let left = scratch.read("extensions_custom.conf");
    assert!(left.contains("[mine]\n") && !left.contains("sidecall"), "{left}");
}

#[test]
fn a_block_without_its_end_takes_nothing_else_along() {
    let scratch = scratch("no-end");
    scratch.install(INSTALL);
    let torn = scratch.read("extensions.conf").replace("; sidecall: end\n", "[mine]\nexten => 1,1,NoOp()\n");
    std::fs::write(scratch.file("extensions.conf"), &torn).unwrap();
    scratch.install(&["--uninstall", "--yes"]);
    assert_eq!(scratch.read("extensions.conf"), "[globals]\n[mine]\nexten => 1,1,NoOp()\n");
    assert!(backups(&scratch, "extensions.conf").iter().any(|path| std::fs::read_to_string(path).unwrap() == torn));
}

#[test]
fn a_line_that_is_no_line_of_the_manifest_is_skipped() {
    let scratch = scratch("manifest");
    scratch.install(INSTALL);
    let manifest = scratch.root().join("etc/sidecall/installed");
    std::fs::write(&manifest, std::fs::read_to_string(&manifest).unwrap() + "\nnonsense\n").unwrap();
    assert!(scratch.install(INSTALL).contains("nonsense"));
    scratch.install(&["--uninstall", "--yes"]);
}

#[test]
fn paths_that_break_a_line_or_a_pattern_are_refused() {
    let scratch = scratch("paths");
    for prefix in ["opt", "/a|b", "/a&b", "/a\\b", "/a\tb", "/a\nb"] {
        let refused = scratch.try_install(&["--dry-run", "--prefix", prefix]);
        assert!(!refused.status.success() && text(&refused).contains("absolute path"), "{prefix}: {}", text(&refused));
    }
}

#[test]
fn other_secrets_in_a_shown_difference_are_masked() {
    let scratch = scratch("masked");
    let theirs = "[general]\nenabled = yes\n[theirs]\nsecret = hunter2\nmd5secret=>hunter3\n";
    std::fs::write(scratch.file("manager.conf"), theirs).unwrap();
    let said = scratch.install(&["--dry-run"]);
    assert!(said.contains("secret = (secret)") && !said.contains("hunter"), "{said}");
}

#[test]
fn a_purge_needs_no_manifest() {
    let scratch = scratch("purge-later");
    scratch.install(INSTALL);
    let data = scratch.root().join("var/lib/sidecall");
    std::fs::create_dir_all(&data).unwrap();
    scratch.install(&["--uninstall", "--yes"]);
    scratch.install(&["--uninstall", "--purge", "--yes"]);
    assert!(!data.exists());
}

#[test]
fn a_second_run_at_the_same_time_is_refused() {
    let scratch = scratch("twice");
    std::fs::create_dir_all(scratch.root().join("etc")).unwrap();
    let lock = std::fs::File::open(scratch.root().join("etc")).unwrap();
    lock.lock().unwrap();
    let refused = scratch.try_install(INSTALL);
    assert!(
        !refused.status.success() && text(&refused).contains("another install.sh is running"),
        "{}",
        text(&refused)
    );
    drop(lock);
    scratch.install(INSTALL);
}

#[test]
fn messages_that_cannot_be_written_fail_nothing() {
    let scratch = scratch("mute");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"));
    command.args(INSTALL).env("SIDECALL_ROOT", scratch.root()).env_remove("ASTERISK").stderr(full);
    assert!(command.status().unwrap().success());
    assert!(scratch.install(INSTALL).contains("Nothing to do"));
}

#[test]
fn a_file_that_changes_while_the_plan_is_read_stops_the_run() {
    let scratch = scratch("meanwhile");
    // The administrator saves the file when the plan has been shown: the journal is about to begin.
    let bin = scratch.dir.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let file = scratch.file("extensions.conf");
    let save = format!(
        "#!/bin/sh\ncase \"$*\" in *journal.sidecall-tmp*) echo '; mine' >>'{}';; esac\nexec /bin/mv \"$@\"\n",
        file.display()
    );
    std::fs::write(bin.join("mv"), save).unwrap();
    assert!(super::run("chmod", &["755", bin.join("mv").to_str().unwrap()]).status.success());
    let mut command = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"));
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    command.args(INSTALL).env("SIDECALL_ROOT", scratch.root()).env("PATH", path).env_remove("ASTERISK");
    let done = command.output().unwrap();
    assert!(!done.status.success() && text(&done).contains("changed meanwhile"), "{}", text(&done));
    assert_eq!(scratch.read("extensions.conf"), "[globals]\n; mine\n");
    assert!(!scratch.root().join("etc/sidecall").exists());
}

#[test]
fn the_pbx_is_told_after_a_kill_that_came_before() {
    let scratch = scratch("told");
    interrupted(&scratch, true);
    let (asterisk, log) = (scratch.dir.join("asterisk"), scratch.dir.join("asked"));
    std::fs::write(&asterisk, format!("#!/bin/sh\necho \"$*\" >>'{}'\n", log.display())).unwrap();
    assert!(super::run("chmod", &["755", asterisk.to_str().unwrap()]).status.success());
    let mut command = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"));
    command.args(INSTALL).env("SIDECALL_ROOT", scratch.root()).env("ASTERISK", &asterisk);
    let done = command.env("TMPDIR", &scratch.dir).output().unwrap();
    assert!(done.status.success() && text(&done).contains("Nothing to do"), "{}", text(&done));
    assert!(std::fs::read_to_string(log).unwrap().contains("dialplan reload"), "{}", text(&done));
    // The folder of the run that was killed had secrets.
    let left = std::fs::read_dir(&scratch.dir).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with("sidecall-install.")));
}
