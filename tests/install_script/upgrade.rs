//! Upgrades, and the way back: programs and databases.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use super::{Scratch, made_of, text};
use lab::pbx::machine::Machine;

const CONFIG: &[(&str, &str)] = &[("extensions.conf", "[globals]\n"), ("manager.conf", "[general]\nenabled = no\n")];

/// Without a service: programs are texts, and so are databases.
fn scratch(test: &str) -> Scratch {
    let scratch = made_of(test, "asterisk", CONFIG);
    std::fs::create_dir_all(scratch.root().join("var/lib/sidecall")).unwrap();
    scratch
}

impl Scratch {
    fn at(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn upgrade(&self, version: &str) -> String {
        let program = self.dir.join(version);
        std::fs::write(&program, format!("#!/bin/sh\necho sidecall {version}\n")).unwrap();
        let _ = super::run("chmod", &["755", program.to_str().unwrap()]);
        self.install(&["--yes", "--binary", program.to_str().unwrap()])
    }

    fn write_database(&self, database: &str, log: Option<&str>) {
        std::fs::write(self.at("var/lib/sidecall/sidecall.db"), database).unwrap();
        match log {
            Some(log) => std::fs::write(self.at("var/lib/sidecall/sidecall.db-wal"), log).unwrap(),
            None => drop(std::fs::remove_file(self.at("var/lib/sidecall/sidecall.db-wal"))),
        }
    }

    fn state(&self) -> [String; 3] {
        let read = |name: &str| std::fs::read_to_string(self.at(name)).unwrap_or_default();
        let program = read("usr/local/bin/sidecall");
        let version = program.lines().last().unwrap_or_default().rsplit(' ').next().unwrap().to_owned();
        [version, read("var/lib/sidecall/sidecall.db"), read("var/lib/sidecall/sidecall.db-wal")]
    }
}

#[test]
fn the_last_three_versions_are_kept_and_each_rollback_goes_one_further() {
    let scratch = scratch("versions");
    for version in 1..=5 {
        let said = scratch.upgrade(&version.to_string());
        assert_eq!(said.contains("saved for --rollback"), version > 1, "{said}");
        scratch.write_database(&format!("database {version}"), (version % 2 == 0).then_some("log"));
    }
    assert_eq!(scratch.state(), ["5", "database 5", ""]);
    scratch.keep("five");
    let said = scratch.install(&["--rollback", "--dry-run"]);
    assert!(said.contains("sidecall 4, as it was on") && said.contains("nothing was changed"), "{said}");
    assert_eq!(scratch.difference("five"), "");
    for version in (2..5).rev() {
        let said = scratch.install(&["--rollback", "--yes"]);
        assert!(said.contains("What was written since is lost"), "{said}");
        let log = if version % 2 == 0 { "log" } else { "" };
        assert_eq!(scratch.state(), [version.to_string(), format!("database {version}"), log.to_owned()]);
        let undone = std::fs::read_to_string(scratch.at("var/backups/sidecall/undone/database")).unwrap();
        assert_eq!(undone, format!("database {}", version + 1));
    }
    let none = scratch.try_install(&["--rollback", "--yes"]);
    assert!(!none.status.success() && text(&none).contains("no earlier version"), "{}", text(&none));
    assert_eq!(scratch.state(), ["2", "database 2", "log"]);
    // The program that is there is still install.sh's own.
    scratch.upgrade("6");
    scratch.install(&["--uninstall", "--purge", "--yes"]);
    assert!(!scratch.at("var/backups/sidecall").exists() && !scratch.at("usr/local/bin/sidecall").exists());
}

#[test]
fn a_rollback_leaves_the_dialplan_and_edited_files_alone() {
    let scratch = scratch("leaves");
    scratch.upgrade("1");
    let unit = scratch.at("etc/systemd/system/sidecall.service");
    let first = std::fs::read_to_string(&unit).unwrap();
    let sum = || text(&super::run("sha256sum", &[unit.to_str().unwrap()]))[..64].to_owned();
    let of_first = sum();
    // As an earlier version had it.
    let earlier = format!("{first}# earlier\n");
    std::fs::write(&unit, &earlier).unwrap();
    let manifest = scratch.at("etc/sidecall/installed");
    let lines = std::fs::read_to_string(&manifest).unwrap().replace(&of_first, &sum());
    std::fs::write(&manifest, lines).unwrap();

    scratch.upgrade("2");
    assert_eq!(std::fs::read_to_string(&unit).unwrap(), first);
    let mine = scratch.read("extensions.conf") + "; mine\n";
    std::fs::write(scratch.file("extensions.conf"), &mine).unwrap();
    scratch.install(&["--rollback", "--yes"]);
    assert_eq!(std::fs::read_to_string(&unit).unwrap(), earlier, "the unit goes with its program");
    assert_eq!(scratch.read("extensions.conf"), mine);
    scratch.upgrade("2");
    std::fs::write(&unit, "[Unit]\n# mine\n").unwrap();
    scratch.install(&["--rollback", "--yes"]);
    assert_eq!(std::fs::read_to_string(&unit).unwrap(), "[Unit]\n# mine\n");
}

/// The service may be told of its database by a variable alone.
#[test]
fn a_database_that_only_the_units_environment_names_is_saved_and_put_back() {
    let name = "SIDECALL_NODE__DATABASE";
    for (n, (drop_in, file)) in [
        (format!("[Service]\nEnvironment=A=b {name}=/srv/own.db\n"), String::new()),
        (format!("[Service]\nEnvironment=\"A=b c\" \"{name}=/srv/own.db\"\n"), String::new()),
        (
            format!("[Service]\nEnvironment={name}=/srv/other.db\nEnvironmentFile=-/etc/default/sidecall\n"),
            format!("# Ours\nOTHER_{name}=/srv/other.db\n{name}='/srv/own.db'\n"),
        ),
        ("[Service]\nEnvironmentFile=/etc/default/sidecall".to_owned(), format!("{name}=/srv/own.db")),
        ("[Service]\nEnvironmentFile=/etc/default/side*\n".to_owned(), format!("{name}=/srv/own.db\n")),
        (
            format!(
                "[Service]\nEnvironment={name}=/srv/other.db\nEnvironment=\nEnvironment=A=1 \\\n  {name}=/srv/own.db\n"
            ),
            String::new(),
        ),
        (
            "[Service]\nEnvironmentFile=/etc/no\nEnvironmentFile=\nEnvironmentFile=/etc/default/sidecall\n".to_owned(),
            format!("# {name}=/srv/other.db \\\n{name}=/srv/own.db  \n"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let scratch = scratch(&format!("environment-{n}"));
        for folder in ["srv", "etc/default", "etc/systemd/system/sidecall.service.d"] {
            std::fs::create_dir_all(scratch.at(folder)).unwrap();
        }
        std::fs::write(scratch.at("etc/systemd/system/sidecall.service.d/database.conf"), drop_in).unwrap();
        std::fs::write(scratch.at("etc/default/sidecall"), file).unwrap();
        std::fs::write(scratch.at("srv/other.db"), "other").unwrap();
        for version in ["1", "2"] {
            scratch.upgrade(version);
            std::fs::write(scratch.at("srv/own.db"), format!("database {version}")).unwrap();
        }
        let said = scratch.install(&["--rollback", "--yes"]);
        let read = |name: &str| std::fs::read_to_string(scratch.at(name)).unwrap();
        assert_eq!(
            (read("srv/own.db").as_str(), read("srv/other.db").as_str()),
            ("database 1", "other"),
            "{n}: {said}"
        );
    }
}

/// Its URL may have a password in it.
#[test]
fn a_database_on_a_server_is_left_alone_and_its_url_is_not_printed() {
    let url = "postgres://u:hidden%20one@db.example/sidecall";
    for by_variable in [false, true] {
        let scratch = scratch(&format!("server-{by_variable}"));
        scratch.upgrade("1");
        if by_variable {
            for folder in ["etc/default", "etc/systemd/system/sidecall.service.d"] {
                std::fs::create_dir_all(scratch.at(folder)).unwrap();
            }
            let drop_in = "[Service]\nEnvironmentFile=/etc/default/sidecall\n";
            std::fs::write(scratch.at("etc/systemd/system/sidecall.service.d/database.conf"), drop_in).unwrap();
            let file = format!("SIDECALL_NODE__DATABASE={url}\n");
            std::fs::write(scratch.at("etc/default/sidecall"), file).unwrap();
        } else {
            let config = scratch.at("etc/sidecall/sidecall.toml");
            let text = std::fs::read_to_string(&config).unwrap();
            let changed = text.replace("\"/var/lib/sidecall/sidecall.db\"", &format!("\"{url}\""));
            assert_ne!(text, changed);
            std::fs::write(config, changed).unwrap();
        }
        // The old file, which the service no longer uses.
        scratch.write_database("database 1", None);
        let said = scratch.upgrade("2") + &scratch.install(&["--rollback", "--yes"]);
        assert_eq!(said.matches("on a PostgreSQL server").count(), 3, "{said}");
        assert!(!said.contains("hidden") && !said.contains("database, in"), "{said}");
        assert_eq!(scratch.state(), ["1", "database 1", ""]);
    }
}

/// Another database than the service's would be saved, and put back over the service's.
#[test]
fn an_upgrade_ends_where_the_units_environment_cant_be_read() {
    let name = "SIDECALL_NODE__DATABASE";
    for (n, (drop_in, file, why)) in [
        (format!("[Service]\nEnvironment={name}=%S/sidecall/own.db\n"), String::new(), "%S/sidecall/own.db"),
        (format!("[Service]\nPassEnvironment={name}\n"), String::new(), "can't read its value"),
        (format!("[Service]\nEnvironment={name}=/srv/no.db\n"), String::new(), "there is no file"),
        ("[Service]\nEnvironmentFile=%E/default/sidecall\n".to_owned(), String::new(), "%E/default/sidecall"),
        (
            "[Service]\nEnvironmentFile=/etc/default/sidecall\n".to_owned(),
            format!("{name}=/my dir/own.db\n"),
            "/my dir/own.db",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let scratch = scratch(&format!("unreadable-{n}"));
        scratch.upgrade("1");
        scratch.write_database("database 1", None);
        for folder in ["my", "etc/default", "etc/systemd/system/sidecall.service.d"] {
            std::fs::create_dir_all(scratch.at(folder)).unwrap();
        }
        std::fs::write(scratch.at("etc/systemd/system/sidecall.service.d/database.conf"), drop_in).unwrap();
        std::fs::write(scratch.at("etc/default/sidecall"), file).unwrap();
        let before = scratch.state();
        std::fs::write(scratch.dir.join("2"), "#!/bin/sh\n").unwrap();
        let refused = scratch.try_install(&["--yes", "--binary", scratch.dir.join("2").to_str().unwrap()]);
        assert!(!refused.status.success() && text(&refused).contains(why), "{n}: {}", text(&refused));
        assert_eq!(scratch.state(), before, "{n}");
    }
}

#[test]
fn nothing_is_copied_while_the_database_is_open() {
    let scratch = scratch("open");
    scratch.upgrade("1");
    scratch.write_database("database 1", None);
    let before = scratch.state();
    let open = std::fs::File::open(scratch.at("var/lib/sidecall/sidecall.db")).unwrap();
    std::fs::write(scratch.dir.join("2"), "#!/bin/sh\n").unwrap();
    let refused = scratch.try_install(&["--yes", "--binary", scratch.dir.join("2").to_str().unwrap()]);
    let process = format!("process {} has ", std::process::id());
    assert!(!refused.status.success() && text(&refused).contains(&process), "{}", text(&refused));
    assert_eq!(scratch.state(), before);
    drop(open);
    scratch.upgrade("2");
}

/// A copy of the real program that is another file.
fn version(machine: &Machine, name: &str) -> String {
    let file = machine.path(name);
    let mut program = std::fs::read(env!("CARGO_BIN_EXE_sidecall")).unwrap();
    program.extend_from_slice(name.as_bytes());
    std::fs::write(&file, program).unwrap();
    file.to_string_lossy().into_owned()
}

/// The numbers that the node knows.
fn numbers(machine: &Machine) -> Vec<u8> {
    let listed = machine.run("sidecall", &["number", "list", "--json"]);
    assert!(listed.status.success(), "{}", text(&listed));
    let found = text(&listed);
    (1..=3).filter(|i| found.contains(&format!("+1212555010{i}"))).collect()
}

fn add(machine: &Machine, i: u8) {
    let put = machine.run("sidecall", &["number", "put", &format!("+1212555010{i}")]);
    assert!(put.status.success(), "{}", text(&put));
}

fn is(machine: &Machine, version: &str) -> bool {
    std::fs::read(machine.path("usr/local/bin/sidecall")).unwrap() == std::fs::read(version).unwrap()
}

#[test]
fn a_running_service_is_upgraded_and_rolled_back_with_its_database() {
    if !super::has_root() {
        return eprintln!("skipped: only root has a machine of its own");
    }
    let machine = Machine::make();
    let pbx = machine.path("pbx");
    std::fs::create_dir(&pbx).unwrap();
    CONFIG.iter().for_each(|(name, content)| std::fs::write(pbx.join(name), content).unwrap());
    let versions = ["v1", "v2", "v3"].map(|name| version(&machine, name));
    let upgrade = |binary: &str| machine.install(&["--pbx", "asterisk", "--binary", binary]);
    let done = |(well, said): (bool, String)| {
        assert!(well, "{said}");
        said
    };
    done(machine.install(&["--pbx", "asterisk", "--pbx-conf", pbx.to_str().unwrap(), "--binary", &versions[0]]));
    let config = machine.path("etc/sidecall/sidecall.toml");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    std::fs::write(&config, std::fs::read_to_string(&config).unwrap().replace("127.0.0.1:8600", &free)).unwrap();
    machine.boot();
    done(upgrade(&versions[0]));
    let up = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        machine.run("sidecall", &["number", "list"]).status.success()
    });
    assert!(up, "{}", std::fs::read_to_string(machine.path("run/stand-in/log")).unwrap());
    add(&machine, 1);

    let said = done(upgrade(&versions[1]));
    assert!(said.contains("saved for --rollback"), "{said}");
    add(&machine, 2);
    done(upgrade(&versions[2]));
    add(&machine, 3);
    assert_eq!(numbers(&machine), [1, 2, 3]);

    // One that spoils the database and never becomes ready goes by itself.
    let broken = machine.path("broken");
    let spoils = "#!/bin/sh\ncd /var/lib/sidecall\nrm sidecall.db-*\necho spoilt >sidecall.db\nexec sleep 1000\n";
    std::fs::write(&broken, spoils).unwrap();
    let (well, said) = upgrade(broken.to_str().unwrap());
    assert!(!well && said.contains("does not become ready") && said.contains("the upgrade is undone"), "{said}");
    assert!(is(&machine, &versions[2]));
    let up = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        machine.run("sidecall", &["number", "list"]).status.success()
    });
    assert!(up && numbers(&machine) == [1, 2, 3], "{said}");

    for (version, expected) in [(&versions[1], &[1, 2][..]), (&versions[0], &[1])] {
        let said = done(machine.install(&["--rollback"]));
        assert!(said.contains("It is ready."), "{said}");
        assert!(is(&machine, version));
        assert_eq!(numbers(&machine), expected);
    }
    let (well, said) = machine.install(&["--rollback"]);
    assert!(!well && said.contains("no earlier version"), "{said}");
    assert_eq!(numbers(&machine), [1]);
}

#[test]
fn a_node_that_stands_by_is_as_good_as_a_ready_one() {
    let is_ready = |status: &str, body: &str| {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\n\r\n{body}");
        let script = ". install/versions.sh && is_ready \"$1\"";
        Command::new("bash").args(["-c", script, "bash", &answer]).status().unwrap().success()
    };
    let problem = |detail: &str| format!("{{\"type\":\"about:blank\",\"status\":503,\"detail\":\"{detail}\"}}");
    assert!(is_ready("200 OK", "ready\n"));
    // An earlier version says it in words alone.
    assert!(is_ready("503 Service Unavailable", &problem("the node stands by: process 7 on b has the database")));
    let says = |state: &str| format!("{{\"status\":503,\"detail\":\"it waits\",\"stand_by\":\"{state}\"}}");
    assert!(is_ready("503 Service Unavailable", &says("waits")));
    for state in ["unable", "takes_over"] {
        assert!(!is_ready("503 Service Unavailable", &says(state)), "{state}");
    }
    // It has no database, or not yet.
    for detail in
        ["the node stands by: it takes over the database", "the database isn't available", "the node is stopping"]
    {
        assert!(!is_ready("503 Service Unavailable", &problem(detail)), "{detail}");
    }
}

/// It may stand by only until the lease of the one before has lapsed, and then fail.
#[test]
fn a_node_that_stands_by_is_checked_for_a_while() {
    let checks = |answers: &[&str]| {
        let script = ". install/versions.sh; answers=(\"$@\") checks=0; sleep() { :; }
            ready() { is_ready \"${answers[$((checks++))]}\"; }
            wait_ready && echo $checks";
        let output = Command::new("bash").args(["-c", script, "bash"]).args(answers).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse::<usize>().ok()
    };
    let (ready, gone) = ("HTTP/1.1 200 OK\r\n\r\nready\n", "");
    let waits = "HTTP/1.1 503 Service Unavailable\r\n\r\n{\"stand_by\":\"waits\"}";
    assert_eq!(checks(&[ready]), Some(1));
    assert_eq!(checks(&[gone, waits, waits, ready]), Some(4));
    assert_eq!(checks(&[waits; 8]), Some(8));
    assert_eq!(checks(&[&[waits; 7][..], &[gone], &[waits; 8]].concat()), Some(16));
    assert_eq!(checks(&[waits; 7]), None);
}
