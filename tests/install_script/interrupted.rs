//! `install.sh` is killed at each step, or finds the disk full: afterwards the PBX's configuration is as it was, and
//! another run gets to where an undisturbed one does.
//!
//! A step is a command that changes names below the root: what is under a temporary name is nobody's file yet. Stand-ins
//! for these commands count the steps. Before each they copy the root, which is what a kill at that moment leaves, or they
//! do kill the script and all its processes. Both are done, and compared.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{Scratch, asterisk_conf, freeswitch_conf, text};

const STEPS: &[&str] = &["ln", "mv", "rm", "mkdir", "rmdir"];
const STEP: &str = r#"#!/bin/sh
PATH=${PATH#*:}
case "$*" in *"$SIDECALL_ROOT"*)
  read -r n <"$STEP_COUNT"; n=$((n + 1)); echo $n >"$STEP_COUNT"
  if [ $n = "$KILL_AT" ]; then kill -KILL 0; fi
  if [ -n "$COPIES" ]; then cp -a "$SIDECALL_ROOT" "$COPIES/$n"; fi ;;
esac
exec "${0##*/}" "$@"
"#;

/// Everything below a folder: kind, owner, mode, and text or target.
type Tree = BTreeMap<PathBuf, (String, Vec<u8>)>;

fn tree(root: &Path) -> Tree {
    fn walk(root: &Path, dir: &Path, found: &mut Tree) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let what = format!("{:o} {}:{}", meta.mode(), meta.uid(), meta.gid());
            let content = if meta.is_symlink() {
                std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if meta.is_dir() {
                Vec::new()
            } else {
                std::fs::read(&path).unwrap()
            };
            found.insert(path.strip_prefix(root).unwrap().to_owned(), (what, content));
            if meta.is_dir() {
                walk(root, &path, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

/// The names of what differs, and how.
fn difference(a: &Tree, b: &Tree) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
    let differs = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
    let what = |tree: &Tree, name: &PathBuf| {
        tree.get(name).map_or("missing".into(), |(what, text)| format!("{what}, {} bytes", text.len()))
    };
    differs.map(|name| format!("{}: {} / {}", name.display(), what(a, name), what(b, name))).collect()
}

/// The few files that are edited, one behind a link to another folder, one with an owner and mode of its own.
fn small(test: &str, kind: &'static str) -> Option<Scratch> {
    let (vanilla, names, linked): (_, &[&str], _) = match kind {
        "freeswitch" => (
            freeswitch_conf()?,
            &[
                "freeswitch.xml",
                "autoload_configs/event_socket.conf.xml",
                "dialplan/default.xml",
                "dialplan/public.xml",
            ],
            "dialplan/default.xml",
        ),
        _ => (asterisk_conf()?, &["extensions.conf", "manager.conf", "pjsip.conf"], "extensions.conf"),
    };
    let files: Vec<_> = names.iter().map(|name| std::fs::read_to_string(vanilla.join(name)).unwrap()).collect();
    let scratch =
        super::made_of(test, kind, &names.iter().copied().zip(files.iter().map(String::as_str)).collect::<Vec<_>>());
    std::fs::create_dir_all(scratch.root().join("etc")).unwrap();
    let elsewhere = scratch.root().join("srv");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let real = elsewhere.join("linked");
    std::fs::rename(scratch.file(linked), &real).unwrap();
    symlink(&real, scratch.file(linked)).unwrap();
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o604)).unwrap();
    let _ = std::os::unix::fs::chown(&real, Some(1234), Some(2345));
    let bin = scratch.dir.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(scratch.dir.join("tmp")).unwrap();
    let script = |name: &str, text: &str| {
        std::fs::write(bin.join(name), text).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    STEPS.iter().for_each(|name| script(name, STEP));
    // Runs are compared: the same secrets, the same names of backups.
    script("od", "#!/bin/sh\ncat >/dev/null\necho 00112233445566778899aabbccddeeff0011223344556677\n");
    script("date", "#!/bin/sh\necho 20200202-020202\n");
    Some(scratch)
}

impl Scratch {
    fn script(&self, args: &[&str], steps: Steps) -> Output {
        let count = self.dir.join("count");
        std::fs::write(&count, "0\n").unwrap();
        let path = format!("{}:{}", self.dir.join("bin").display(), std::env::var("PATH").unwrap());
        let (kill_at, copies) = match steps {
            Steps::All => (0, PathBuf::new()),
            Steps::KilledAt(step) => (step, PathBuf::new()),
            Steps::Copied => (0, self.dir.join("copies")),
        };
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"));
        command.args(args).arg("--yes").env("SIDECALL_ROOT", self.root()).env_remove("ASTERISK");
        command.env("PATH", path).env("TMPDIR", self.dir.join("tmp"));
        command.env("STEP_COUNT", count).env("KILL_AT", kill_at.to_string()).env("COPIES", copies);
        command.process_group(0).output().unwrap()
    }

    /// Runs the script to its end, and says where that leads.
    fn reach(&self, args: &[&str]) -> Tree {
        let done = self.script(args, Steps::All);
        assert!(done.status.success(), "{args:?}: {}", text(&done));
        tree(&self.root())
    }

    /// Puts a copy in the root's place.
    fn put_back(&self, copy: &str) {
        let _ = std::fs::remove_dir_all(self.root());
        let copied = super::run("cp", &["-a", self.dir.join(copy).to_str().unwrap(), self.root().to_str().unwrap()]);
        assert!(copied.status.success(), "{}", text(&copied));
    }

    /// What a kill before each step leaves, in `copies/1`, `copies/2`, …; how many there are.
    fn states(&self, args: &[&str]) -> u32 {
        self.keep("begin");
        let copies = self.dir.join("copies");
        let _ = std::fs::remove_dir_all(&copies);
        std::fs::create_dir(&copies).unwrap();
        let done = self.script(args, Steps::Copied);
        assert!(done.status.success(), "{args:?}: {}", text(&done));
        let steps = u32::try_from(std::fs::read_dir(&copies).unwrap().count()).unwrap();
        // Copies are what a kill leaves.
        for step in [2, steps / 2, steps - 1] {
            self.put_back("begin");
            let killed = self.script(args, Steps::KilledAt(step));
            assert_eq!(killed.status.signal(), Some(9), "step {step} of {args:?}: {}", text(&killed));
            same(&tree(&copies.join(step.to_string())), &tree(&self.root()), || {
                format!("killed at {step} of {args:?}")
            });
        }
        std::fs::remove_dir_all(self.dir.join("begin")).unwrap();
        steps
    }

    /// From what a kill at a step has left, this run leads there.
    fn resume(&self, step: u32, args: &[&str], there: &Tree) {
        self.put_back(&format!("copies/{step}"));
        let done = self.script(args, Steps::All);
        same(there, &tree(&self.root()), || format!("{args:?} after a kill at step {step}: {}", text(&done)));
    }
}

/// What becomes of the steps of a run.
#[derive(Clone, Copy)]
enum Steps {
    All,
    Copied,
    KilledAt(u32),
}

fn same(expected: &Tree, found: &Tree, what: impl Fn() -> String) {
    let differs = difference(expected, found);
    assert!(differs.is_empty(), "{differs:#?}\n{}", what());
}

const FIRST: &[&str] = &["--binary", "/bin/true", "--trunk", "192.0.2.10"];
const UPGRADE: &[&str] = &["--binary", "/bin/false", "--main", "+12125552000"];
const BACK: &[&str] = &["--uninstall"];

fn a_kill_at_each_step_is_undone(kind: &'static str) {
    let Some(scratch) = small("killed", kind) else { return super::skipped(kind) };
    let before = tree(&scratch.root());
    scratch.keep("before-all");

    let steps = scratch.states(FIRST);
    assert!(steps > 25, "{steps} steps are too few to be all");
    scratch.put_back("before-all");
    let installed = scratch.reach(FIRST);
    scratch.keep("installed");
    for step in 1..=steps {
        // After the last step nothing is left to undo: what was installed is taken back.
        scratch.resume(step, BACK, &before);
        // It begins as the other did, with an undo that has just been seen to be whole, and takes much longer.
        if step % 6 == 0 {
            scratch.resume(step, FIRST, &installed);
        }
    }

    scratch.put_back("installed");
    let steps = scratch.states(UPGRADE);
    assert!(steps > 10, "{steps} steps are too few to be all");
    scratch.put_back("installed");
    let upgraded = scratch.reach(UPGRADE);
    for step in (1..=steps).step_by(2) {
        scratch.resume(step, UPGRADE, &upgraded);
    }

    scratch.put_back("installed");
    let steps = scratch.states(BACK);
    assert!(steps > 12, "{steps} steps are too few to be all");
    for step in 1..=steps {
        scratch.resume(step, BACK, &before);
    }
}

/// Another rollback gets to where an undisturbed one does: with the program and the whole database of before.
#[test]
fn a_rollback_that_is_killed_at_any_step_is_finished_by_the_next() {
    let Some(scratch) = small("rollback", "asterisk") else { return super::skipped("asterisk") };
    let database = scratch.root().join("var/lib/sidecall/sidecall.db");
    std::fs::create_dir_all(database.parent().unwrap()).unwrap();
    let write = |text: &str| {
        std::fs::write(&database, text).unwrap();
        std::fs::write(database.with_extension("db-wal"), format!("log of {text}")).unwrap();
    };
    scratch.reach(FIRST);
    write("before");
    scratch.reach(UPGRADE);
    write("after");
    scratch.keep("upgraded");
    let steps = scratch.states(&["--rollback"]);
    assert!(steps > 15, "{steps} steps are too few to be all");
    scratch.put_back("upgraded");
    let restored = scratch.reach(&["--rollback"]);
    let text = |name: &str| std::fs::read_to_string(database.with_file_name(name)).unwrap();
    assert_eq!([text("sidecall.db"), text("sidecall.db-wal")], ["before", "log of before"]);
    for step in 1..=steps {
        scratch.resume(step, &["--rollback"], &restored);
    }
}

#[test]
fn a_kill_at_each_step_is_undone_freeswitch() {
    a_kill_at_each_step_is_undone("freeswitch");
}

#[test]
fn a_kill_at_each_step_is_undone_asterisk() {
    a_kill_at_each_step_is_undone("asterisk");
}

/// In a mount namespace: a disk with so many free pages below the root, a run, and whether it changed anything.
const FULL: &str = r#"
root=$1 before=$2 pages=$3 && shift 3
mount -t tmpfs -o size=64m,mode=755 sidecall "$root" && cp -a "$before/." "$root" || exit 3
cd / && used=$(df --output=used "$root" | tail -n 1)
mount -o "remount,size=$((used + pages * 4))k" "$root" || exit 3
"$@" && exit 0
listed() { (cd "$1" && find . -mindepth 1 -printf '%P %M %U %G %l\n' | sort); }
diff -r --no-dereference "$before" "$root" && [ "$(listed "$before")" = "$(listed "$root")" ] || exit 4
exit 5
"#;

/// With ever more space, until it suffices.
fn a_full_disk_changes_nothing_in(scratch: &Scratch, args: &[&str]) {
    let _ = std::fs::remove_dir_all(scratch.dir.join("full"));
    scratch.keep("full");
    let (root, before) = (scratch.root(), scratch.dir.join("full"));
    for failed in 0..60 {
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "bash", "-c", FULL, "full"]).arg(&root).arg(&before);
        command.arg((failed * 6).to_string()).arg(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh")).args(args);
        command.arg("--yes").env("SIDECALL_ROOT", &root).env("TMPDIR", scratch.dir.join("tmp"));
        let done = command.output().unwrap();
        match done.status.code() {
            Some(0) => {
                assert!(failed > 1, "{args:?} needs no space?");
                return;
            }
            Some(5) => assert!(text(&done).contains("No space left on device"), "{}", text(&done)),
            _ => panic!("{args:?} with {} free pages: {}", failed * 6, text(&done)),
        }
    }
    panic!("{args:?} never has enough space");
}

fn a_full_disk_changes_nothing(kind: &'static str) {
    if !super::has_root() {
        return eprintln!("skipped: only root can mount a small disk");
    }
    let Some(scratch) = small("full", kind) else { return super::skipped(kind) };
    a_full_disk_changes_nothing_in(&scratch, FIRST);
    scratch.reach(FIRST);
    a_full_disk_changes_nothing_in(&scratch, UPGRADE);
    a_full_disk_changes_nothing_in(&scratch, BACK);
}

#[test]
fn a_full_disk_changes_nothing_freeswitch() {
    a_full_disk_changes_nothing("freeswitch");
}

#[test]
fn a_full_disk_changes_nothing_asterisk() {
    a_full_disk_changes_nothing("asterisk");
}
