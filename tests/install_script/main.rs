//! `install.sh` on copies of the vanilla configurations, in a scratch root: nothing starts, nothing of
//! this machine is touched.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

mod edits;
mod hands;
mod interrupted;
mod layouts;
mod options;
mod routing;
mod runs;
mod secrets;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A scratch root with one PBX's vanilla configuration in it, and a copy of it as it was.
struct Scratch {
    dir: PathBuf,
    kind: &'static str,
    /// The PBX's configuration inside the root.
    conf: &'static str,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn freeswitch_conf() -> Option<PathBuf> {
    let named = std::env::var_os("SIDECALL_FREESWITCH").map(PathBuf::from);
    let beside = named.and_then(|binary| Some(binary.parent()?.parent()?.join("conf")));
    let usual = ["/usr/local/freeswitch/conf", "/usr/local/freeswitch/etc/freeswitch", "/etc/freeswitch"];
    let places = beside.into_iter().chain(usual.map(PathBuf::from));
    places.into_iter().find(|dir| dir.join("dialplan/default.xml").is_file())
}

fn asterisk_conf() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map_or_else(|| "/root".into(), PathBuf::from);
    let cached = home.join(".cache/sidecall/asterisk-22");
    let root = std::env::var_os("SIDECALL_ASTERISK_ROOT").map_or(cached, PathBuf::from);
    [root.join("etc/asterisk"), "/etc/asterisk".into()].into_iter().find(|dir| dir.join("extensions.conf").is_file())
}

fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

impl Scratch {
    fn new(test: &str, kind: &'static str, vanilla: &Path) -> Scratch {
        // In memory, where there is room: the script syncs each file, and nothing here has to survive a power cut.
        let memory = Some(PathBuf::from("/dev/shm")).filter(|dir| dir.is_dir());
        let dir = memory
            .unwrap_or_else(std::env::temp_dir)
            .join(format!("sidecall-install-{}-{test}-{kind}", std::process::id()));
        let conf = if kind == "freeswitch" { "usr/local/freeswitch/conf" } else { "etc/asterisk" };
        let scratch = Scratch { dir, kind, conf };
        let target = scratch.root().join(conf);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        let copied = run("cp", &["-a", vanilla.to_str().unwrap(), target.to_str().unwrap()]);
        assert!(copied.status.success(), "{}", text(&copied));
        scratch.keep("before");
        scratch
    }

    fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root().join(self.conf).join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    /// Copies the root as it is now.
    fn keep(&self, name: &str) {
        let copy = self.dir.join(name);
        assert!(run("cp", &["-a", self.root().to_str().unwrap(), copy.to_str().unwrap()]).status.success());
    }

    /// What differs from such a copy.
    fn difference(&self, name: &str) -> String {
        text(&run("diff", &["-r", self.dir.join(name).to_str().unwrap(), self.root().to_str().unwrap()]))
    }

    fn try_install(&self, args: &[&str]) -> Output {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"));
        command.args(args).env("SIDECALL_ROOT", self.root()).env_remove("ASTERISK");
        command.output().unwrap()
    }

    fn install(&self, args: &[&str]) -> String {
        let done = self.try_install(args);
        assert!(done.status.success(), "{} {args:?}: {}", self.kind, text(&done));
        text(&done)
    }

    fn secrets(&self) -> Vec<String> {
        let etc = self.root().join("etc/sidecall");
        let names = ["admin.token".to_owned(), "agent.token".to_owned(), format!("{}.password", self.kind)];
        names.iter().map(|name| std::fs::read_to_string(etc.join(name)).unwrap().trim().to_owned()).collect()
    }
}

const INSTALL: &[&str] = &["--yes", "--binary", "/bin/true"];

/// Runs a behaviour on the configuration of each PBX that this machine has.
fn on_each(test: &str, behaviour: impl Fn(&Scratch)) {
    for (kind, vanilla) in [("freeswitch", freeswitch_conf()), ("asterisk", asterisk_conf())] {
        match vanilla {
            Some(vanilla) => behaviour(&Scratch::new(test, kind, &vanilla)),
            None => skipped(kind),
        }
    }
}

/// Whether this is root. CI always is: there no test passes without having run.
fn has_root() -> bool {
    let root = lab::pbx::machine::is_root();
    assert!(root || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "CI runs these tests as root");
    root
}

fn skipped(kind: &str) {
    eprintln!("skipped: no vanilla configuration of {kind} on this machine");
}

/// A scratch root with a configuration of these files.
fn made_of(test: &str, kind: &'static str, files: &[(&str, &str)]) -> Scratch {
    let dir = std::env::temp_dir().join(format!("sidecall-made-{}-{test}", std::process::id()));
    for (name, content) in files {
        let file = dir.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
    let scratch = Scratch::new(test, kind, &dir);
    std::fs::remove_dir_all(dir).unwrap();
    scratch
}
