//! `install.sh` on copies of the vanilla configurations, in a scratch root: nothing starts, nothing of
//! this machine is touched.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

#[path = "install_script/hands.rs"]
mod hands;
#[path = "install_script/interrupted.rs"]
mod interrupted;
#[path = "install_script/options.rs"]
mod options;
#[path = "install_script/routing.rs"]
mod routing;
#[path = "install_script/secrets.rs"]
mod secrets;
#[path = "install_script/upgrade.rs"]
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
fn secrets_are_generated_private_and_not_shown() {
    use std::os::unix::fs::PermissionsExt;
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

#[test]
fn what_the_administrator_edits_is_kept() {
    on_each("edited", |scratch| {
        scratch.install(INSTALL);
        let (snippet, edited) = match scratch.kind {
            "freeswitch" => ("dialplan/sidecall.xml", "dialplan/default.xml"),
            _ => ("sidecall.conf", "extensions.conf"),
        };
        let mine = scratch.read(snippet).replace("500", "300");
        std::fs::write(scratch.file(snippet), &mine).unwrap();
        let hand = if scratch.kind == "freeswitch" { "<!-- by hand -->\n" } else { "; by hand\n" };
        let with_hand = scratch.read(edited) + hand;
        std::fs::write(scratch.file(edited), with_hand).unwrap();

        let said = scratch.install(INSTALL);
        assert!(said.contains("kept as you edited it"), "{said}");
        assert_eq!(scratch.read(snippet), mine);

        scratch.install(&["--uninstall", "--yes"]);
        let before = std::fs::read_to_string(scratch.dir.join("before").join(scratch.conf).join(edited)).unwrap();
        assert_eq!(scratch.read(edited), before + hand);
        assert!(!scratch.file(snippet).exists());
    });
}

#[test]
fn uninstall_refuses_while_calls_still_lead_there() {
    on_each("refuse", |scratch| {
        if scratch.kind != "asterisk" {
            return;
        }
        scratch.install(INSTALL);
        let with_call = scratch.read("extensions.conf") + "[mine]\nexten => _X.,1,Gosub(sidecall-originating,s,1)\n";
        std::fs::write(scratch.file("extensions.conf"), with_call).unwrap();
        scratch.keep("after");
        let refused = scratch.try_install(&["--uninstall", "--yes"]);
        assert!(!refused.status.success());
        assert!(text(&refused).contains("Gosub(sidecall-originating"), "{}", text(&refused));
        assert_eq!(scratch.difference("after"), "");
    });
}

#[test]
fn an_edited_snippet_finds_its_new_version_beside_it() {
    on_each("newer", |scratch| {
        scratch.install(INSTALL);
        let snippet = if scratch.kind == "freeswitch" { "dialplan/sidecall.xml" } else { "sidecall.conf" };
        let mine = scratch.read(snippet).replace("500", "300");
        std::fs::write(scratch.file(snippet), &mine).unwrap();
        scratch.install(INSTALL);
        let beside = format!("{snippet}.sidecall-new");
        assert!(!scratch.file(&beside).exists());
        // With other options it is another file, as it is with another version.
        let said = scratch.install(&[INSTALL, &["--main", "+12125552000|2000"]].concat());
        assert!(said.contains("sidecall-new"), "{said}");
        assert_eq!(scratch.read(snippet), mine);
        assert!(scratch.read(&beside).contains("[+]12125552000|2000"), "{}", scratch.read(&beside));
        scratch.keep("after");
        assert!(scratch.install(INSTALL).contains("Nothing to do"));
        assert_eq!(scratch.difference("after"), "");
        scratch.install(&["--uninstall", "--yes"]);
        assert!(!scratch.file(&beside).exists());
    });
}

/// A snippet of the version that dialled the packet trunk on the first line, with an edit.
#[test]
fn an_edited_snippet_of_an_earlier_version_is_named() {
    on_each("older", |scratch| {
        scratch.install(INSTALL);
        let (snippet, new) = match scratch.kind {
            "freeswitch" => ("dialplan/sidecall.xml", "sidecall_emergency="),
            _ => ("sidecall.conf", "[sidecall-out]"),
        };
        let old = scratch.read(snippet).replace(new, "gone").replace("500", "300");
        std::fs::write(scratch.file(snippet), old).unwrap();
        let said = scratch.install(INSTALL);
        assert!(said.contains("is of an earlier version"), "{said}");
        assert!(!said.contains("Gosub(sidecall-out,s,1(60"), "{said}");
    });
}

#[test]
fn attendants_trunks_and_pbxs_behind_are_set_and_taken_back() {
    on_each("attendants", |scratch| {
        let asked = [
            ["--attendant", "public"],
            ["--attendant", "default"],
            ["--main", "+12125552000|(+1212555)?30[01]0"],
            ["--trunk", "192.0.2.10"],
            ["--trunk", "carrier=198.51.100.7:5080"],
            ["--behind", "inner"],
            ["--behind", "other"],
        ];
        let said = scratch.install(&[INSTALL, &asked.concat()].concat());
        let main = "[+]12125552000|([+]1212555)?30[01]0";
        match scratch.kind {
            "asterisk" => {
                let snippet = scratch.read("sidecall.conf");
                for line in [
                    format!("\nSIDECALL_MAIN={main} "),
                    "\nSIDECALL_TRUNK=sidecall ".to_owned(),
                    "\nSIDECALL_TRUSTED=sidecall|carrier ".to_owned(),
                    "\nSIDECALL_BEHIND=inner|other ".to_owned(),
                ] {
                    assert!(snippet.contains(&line), "{line}");
                }
                let entry = scratch.read("sidecall-entry.conf");
                for name in ["public", "default"] {
                    assert!(entry.contains(&format!("[sidecall-attendant-{name}]\neswitch => ")), "{entry}");
                }
                let trunks = scratch.read("sidecall-trunk.conf");
                for line in
                    ["[carrier]\ntype=endpoint", "aors=carrier\n", "contact=sip:198.51.100.7:5080", "match=192.0.2.10"]
                {
                    assert!(trunks.contains(line), "{line}: {trunks}");
                }
                assert!(said.contains("sidecall-attendant-public") && said.contains("sidecall-pass"), "{said}");
            }
            _ => {
                let snippet = scratch.read("dialplan/sidecall.xml");
                for setting in [
                    format!("sidecall_main={main}"),
                    "sidecall_trunk=sidecall".to_owned(),
                    "sidecall_trusted=192.0.2.10/32,198.51.100.7/32".to_owned(),
                    "sidecall_behind=yes".to_owned(),
                ] {
                    assert!(snippet.contains(&format!("data=\"{setting}\"")), "{setting}");
                }
                assert!(scratch.read("dialplan/default.xml").contains("sidecall/attendant.xml"));
                let carrier = scratch.read("sip_profiles/external/carrier.xml");
                assert!(carrier.contains("name=\"carrier\"") && carrier.contains("198.51.100.7:5080"), "{carrier}");
                assert!(said.contains("{${sidecall_pass}}sofia/gateway/inner"), "{said}");
            }
        }
        let config = std::fs::read_to_string(scratch.root().join("etc/sidecall/sidecall.toml")).unwrap();
        assert!(config.contains("\ntrunk = \"sidecall\""), "{config}");
        scratch.keep("after");
        assert!(scratch.install(INSTALL).contains("Nothing to do"));
        assert_eq!(scratch.difference("after"), "");
        scratch.install(&["--uninstall", "--yes"]);
        assert_eq!(scratch.difference("before"), "");
    });
}

#[test]
fn a_trunk_by_another_name_is_the_one_that_calls_take() {
    on_each("named", |scratch| {
        scratch.install(&[INSTALL, &["--trunk", "b.example=192.0.2.10:5070"]].concat());
        let (snippet, setting) = match scratch.kind {
            "freeswitch" => ("dialplan/sidecall.xml", "sidecall_trunk=b.example\""),
            _ => ("sidecall.conf", "\nSIDECALL_TRUNK=b.example "),
        };
        assert!(scratch.read(snippet).contains(setting));
        let config = sidecall::config::Config::load(&scratch.root().join("etc/sidecall/sidecall.toml")).unwrap();
        assert_eq!(config.node.routing.trunk(&config.pbx[0].name).unwrap().as_str(), "b.example");
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

#[test]
fn a_manager_that_was_off_begins_on_loopback() {
    let off = "[general]\nenabled = no\nport = 5039\nbindaddr = 0.0.0.0";
    let files = [("extensions.conf", "[default]\n"), ("manager.conf", off)];
    let scratch = made_of("off", "asterisk", &files);
    scratch.install(INSTALL);
    let user = scratch.read("sidecall-manager.conf");
    assert!(user.contains("\nenabled=yes\nbindaddr=127.0.0.1\n"), "{user}");
    let manager = scratch.read("manager.conf");
    assert!(
        manager.starts_with(&format!("{off}\n; sidecall: begin\n#include \"sidecall-manager.conf\"\n")),
        "{manager}"
    );
    // Without a [globals] above it Asterisk wouldn't read the snippet.
    let globals = "\n; sidecall: begin\n[globals]\n#include \"sidecall.conf\"\n";
    assert!(scratch.read("extensions.conf").contains(globals));
    let config = std::fs::read_to_string(scratch.root().join("etc/sidecall/sidecall.toml")).unwrap();
    assert!(config.contains("address = \"127.0.0.1:5039\"") && !config.contains("freeswitch.password"), "{config}");
    scratch.install(&["--uninstall", "--yes"]);
    assert_eq!(scratch.difference("before"), "");
}

#[test]
fn a_manager_on_an_address_of_its_own_is_reached_there() {
    let files = [
        ("extensions.conf", "#include \"more.conf\"\n;#include \"sidecall.conf\"\n"),
        ("more.conf", "[globals]\nX=1\n"),
        ("manager.conf", "[general]\nenabled = yes\nbindaddr = 192.0.2.5\n"),
    ];
    let scratch = made_of("bound", "asterisk", &files);
    scratch.install(INSTALL);
    assert!(scratch.read("sidecall-manager.conf").contains("\npermit=192.0.2.5/255.255.255.255\n"));
    let config = std::fs::read_to_string(scratch.root().join("etc/sidecall/sidecall.toml")).unwrap();
    assert!(config.contains("address = \"192.0.2.5:5038\""), "{config}");
    // An include that is commented out is none, and [globals] is in another file.
    let plan = scratch.read("extensions.conf");
    assert!(plan.ends_with("; sidecall: begin\n#include \"sidecall.conf\"\n; sidecall: end\n"), "{plan}");
}

#[test]
fn what_freepbx_writes_anew_is_left_alone() {
    let written = "; generated\n";
    let scratch = made_of(
        "freepbx",
        "asterisk",
        &[
            ("extensions.conf", written),
            ("extensions_additional.conf", written),
            ("extensions_custom.conf", "[from-internal-custom]\n"),
            ("manager.conf", "[general]\nenabled = yes\nbindaddr = 127.0.0.1\n"),
            ("pjsip.conf", written),
        ],
    );
    let said = scratch.install(&[INSTALL, &["--trunks", "from-pstn", "--trunk", "192.0.2.10"]].concat());
    assert!(said.contains("[from-internal-custom]"), "{said}");
    assert_eq!(scratch.read("extensions.conf"), written);
    assert_eq!(scratch.read("pjsip.conf"), written);
    assert!(!scratch.read("manager.conf").contains("sidecall"));
    assert!(scratch.read("extensions_custom.conf").contains("#include \"sidecall.conf\""));
    assert!(scratch.read("manager_custom.conf").contains("#include \"sidecall-manager.conf\""));
    assert!(scratch.read("pjsip.endpoint_custom.conf").contains("#include \"sidecall-trunk.conf\""));
    assert!(scratch.read("sidecall-trunk.conf").contains("context=sidecall-trunks"));
    scratch.install(&["--uninstall", "--yes"]);
    assert_eq!(scratch.difference("before"), "");
}

#[test]
fn a_context_is_only_edited_where_it_begins() {
    let socket = "<param name=\"listen-ip\" value=\"127.0.0.1\"/>\n<param name=\"password\" value=\"f00d4cafe\"/>\n";
    let default = "<include>\n<!-- once:\n  <context name=\"default\">\n-->\n  <context name=\"default\">\n\
                   <!-- ours comes first -->\n  </context>\n</include>\n";
    let public = "<include><context name=\"public\"></context></include>\n";
    let files = [
        ("autoload_configs/event_socket.conf.xml", socket),
        ("dialplan/default.xml", default),
        ("dialplan/public.xml", public),
        ("freeswitch.xml", ""),
    ];
    let scratch = made_of("context", "freeswitch", &files);
    let said = scratch.install(INSTALL);
    let line = "    <X-PRE-PROCESS cmd=\"include\" data=\"sidecall/originating.xml\"/>\n";
    assert_eq!(scratch.read("dialplan/default.xml"), default.replace("<!-- ours", &format!("{line}<!-- ours")));
    // On one line with what is in it: said, and not done.
    assert_eq!(scratch.read("dialplan/public.xml"), public);
    assert!(said.contains("<context name=\"public\">"), "{said}");
    scratch.install(&["--uninstall", "--yes"]);
    assert_eq!(scratch.difference("before"), "");
}

#[test]
fn fusionpbx_is_told_what_to_paste() {
    let socket = "<param name=\"listen-ip\" value=\"127.0.0.1\"/>\n<param name=\"listen-port\" value=\"8021\"/>\n\
                  <!-- <param name=\"password\" value=\"ClueCon\"/> -->\n<param name=\"password\" value=\"f00d4cafe\"/>\n";
    let files = [
        ("autoload_configs/event_socket.conf.xml", socket),
        ("dialplan/default.xml", "<include>\n<context name=\"default\">\n</context>\n</include>\n"),
        ("freeswitch.xml", ""),
    ];
    let scratch = made_of("fusion", "freeswitch", &files);
    std::fs::create_dir_all(scratch.root().join("etc/fusionpbx")).unwrap();
    let said = scratch.install(INSTALL);
    assert!(said.contains("FusionPBX") && said.contains("Dialplan Manager"), "{said}");
    assert!(said.contains("context sidecall ") && said.contains("switch.event_socket.password"), "{said}");
    assert!(!scratch.read("dialplan/default.xml").contains("sidecall"));
    // A password of the administrator's own stays.
    assert_eq!(scratch.read("autoload_configs/event_socket.conf.xml"), socket);
    assert_eq!(scratch.secrets()[2], "f00d4cafe");
}

#[test]
fn wrong_options_are_named() {
    let root = std::env::temp_dir();
    for (args, what) in [
        (&["--pbx", "yate"][..], "yate"),
        (&["--trunk", "a;b"], "a;b"),
        (&["--trunk", "a b=192.0.2.1"], "a b"),
        (&["--trunk", "192.0.2.1", "--trunk", "sidecall=192.0.2.2"], "two trunks"),
        (&["--trunk", "192.0.2.1", "--existing-trunk", "sidecall"], "two trunks"),
        (&["--trunk", "300.0.2.1"], "300.0.2.1"),
        (&["--trunk", "192.0.2.1:70000"], "70000"),
        (&["--trunk", "2001:db8::1"], "brackets"),
        (&["--trunk", "[2001:db8::1::2]"], "brackets"),
        (&["--trunk", "[2001:db8::1]5060"], "brackets"),
        (&["--trunk", "sip..example"], "sip..example"),
        (&["--trunk", "$(id)"], "$(id)"),
        (&["--existing-trunk", "a b"], "a b"),
        (&["--phones", "a", "--phones", "a"], "named twice"),
        (&["--trunks", "a b"], "--trunks a b"),
        (&["--main", "x"], "--main x"),
        (&["--attendant", "a/b"], "--attendant"),
        (&["--context", "x y"], "x y"),
        (&["--frobnicate"], "--frobnicate"),
        (&["--prefix"], "--prefix"),
    ] {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"));
        let done = command.args(args).arg("--dry-run").env("SIDECALL_ROOT", &root).output().unwrap();
        let said = text(&done);
        assert!(!done.status.success() && said.contains(what), "{args:?}: {said}");
    }
}
