//! `doctor` and `record` beside real PBXs.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use lab::net::ports;
use lab::pbx::installed;
use lab::sidecall::{PBX, Sidecall, SidecallConfig, binary};
use lab::{Calls, Installed, Kind, Pbx, PbxConfig, Phone};
use serde_json::Value;

fn start(kind: Kind, config: PbxConfig) -> Option<Pbx> {
    lab::or_skip(kind, Pbx::start_with(kind, config))
}

fn run(dir: &Path, args: &[&str]) -> Output {
    Command::new(binary()).arg("--config").arg(dir.join("sidecall.toml")).args(args).output().unwrap()
}

/// The lab leaves its secrets readable: here that would be a finding.
fn close(dir: &Path) {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).unwrap();
}

struct Doctor {
    fine: bool,
    report: Value,
}

impl Doctor {
    fn asked(dir: &Path) -> Doctor {
        Doctor::of(dir, &[])
    }

    fn of(dir: &Path, what: &[&str]) -> Doctor {
        let output = run(dir, &[&["doctor", "--json"], what].concat());
        let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Doctor { fine: output.status.success(), report }
    }

    #[track_caller]
    fn says(&self, verdict: &str, text: &str) {
        let findings = self.report["findings"].as_array().unwrap();
        let found = findings.iter().any(|f| f["verdict"] == verdict && f["found"].as_str().unwrap().contains(text));
        assert!(found, "no {verdict} with {text:?} in {:#}", self.report);
    }
}

fn doctor_finds_what_is_wrong(kind: Kind) {
    let Some(mut pbx) = start(kind, PbxConfig::default()) else { return };
    let sidecall = Sidecall::start(&pbx).unwrap();
    let dir = sidecall.dir().to_path_buf();
    close(&dir);

    let well = Doctor::asked(&dir);
    assert!(well.fine, "{:#}", well.report);
    eprintln!("{}", String::from_utf8_lossy(&run(&dir, &["doctor"]).stdout));
    for text in [
        "lets us in",
        "from phones are announced in",
        "from trunks are announced in",
        "packet trunk sidecall",
        "may take the packet trunk where",
        "phones enrol browsers by dialling, in",
        "is attached and reports",
        "clock and ours agree",
    ] {
        let findings = well.report["findings"].as_array().unwrap();
        assert!(findings.iter().any(|f| f["found"].as_str().unwrap().contains(text)), "{text:?}: {:#}", well.report);
    }

    let config = std::fs::read_to_string(dir.join("sidecall.toml")).unwrap();
    let write = |text: String| std::fs::write(dir.join("sidecall.toml"), text).unwrap();
    write(config.replacen("[node]\n", "[node]\nfeature_code = \"*8\"\n", 1));
    Doctor::asked(&dir).says("warning", "browsers show *8, and the snippet enrols for *7433");
    write(config.clone());

    let (files, line, reload) = match kind {
        Kind::Asterisk => (&["etc/extensions.conf"][..], "Gosub(sidecall-out,s,1(60))", "dialplan reload"),
        Kind::FreeSwitch => (
            &["conf/dialplan/default/00_a_lab.xml", "conf/dialplan/public/00_a_lab.xml"][..],
            "<X-PRE-PROCESS cmd=\"include\" data=\"$${conf_dir}/dialplan/sidecall/out.xml\"/>",
            "reloadxml",
        ),
    };
    for file in files {
        lab::pbx::conf::replace(&pbx.dir().join(file), line, if kind == Kind::Asterisk { "NoOp()" } else { "" })
            .unwrap();
    }
    if kind == Kind::Asterisk {
        lab::pbx::conf::replace(&pbx.dir().join(files[0]), "include => sidecall-enrol", "").unwrap();
    }
    let _ = pbx.console(reload);
    let less = Doctor::asked(&dir);
    less.says("warning", "no route of the dialplan tries it");
    if kind == Kind::Asterisk {
        less.says("warning", "no context lets phones enrol browsers by dialling");
    }

    write(config.replace("trunk = \"sidecall\"", "trunk = \"no-such-trunk\""));
    Doctor::asked(&dir).says("problem", "no-such-trunk");

    std::fs::write(dir.join("pbx.password"), "not-the-password").unwrap();
    let refused = Doctor::asked(&dir);
    assert!(!refused.fine);
    refused.says("problem", &pbx.event_addr().to_string());
    std::fs::write(dir.join("pbx.password"), pbx.event_secret()).unwrap();

    write(config);
    drop(sidecall);
    // Its folder is gone with it: another configuration, with nobody attached.
    let silent = Sidecall::launch(&pbx, &SidecallConfig::default(), "node").unwrap();
    close(silent.dir());
    let alone = Doctor::asked(silent.dir());
    assert!(!alone.fine);
    pbx.kill();
    let dead = Doctor::asked(silent.dir());
    assert!(!dead.fine);
    dead.says("problem", &pbx.event_addr().to_string());
}

/// With the README's commands for one PBX, which has no packet trunk.
fn doctor_is_content_with_what_install_sh_makes(kind: Kind) {
    let Some(pbx) = start(kind, PbxConfig { snippets: false, ..PbxConfig::default() }) else { return };
    installed::without_packet_trunk(&pbx).unwrap();
    let contexts: &[&str] = match kind {
        Kind::Asterisk => &["--phones", "from-internal", "--trunks", "from-trunk"],
        Kind::FreeSwitch => &[],
    };
    let made = Installed::beside(&pbx, contexts).unwrap();
    if kind == Kind::Asterisk {
        let in_front = [("from-internal", "sidecall-phones"), ("from-trunk", "sidecall-trunks")];
        installed::lead_calls(&pbx, &in_front).unwrap();
    }
    installed::reload(&pbx);
    let sidecall = made.start(ports::local()).unwrap();
    close(sidecall.dir());
    let doctor = Doctor::asked(sidecall.dir());
    assert!(doctor.fine, "{:#}", doctor.report);
    for text in ["from phones are announced in", "from trunks are announced in", "enrol browsers by dialling, in"] {
        doctor.says("ok", text);
    }
    doctor.says("ok", "there is no packet trunk");
}

fn doctor_misses_the_snippet(kind: Kind) {
    let Some(pbx) = start(kind, PbxConfig { snippets: false, ..PbxConfig::default() }) else { return };
    let node = Sidecall::launch(&pbx, &SidecallConfig::default(), "node").unwrap();
    close(node.dir());
    let found = Doctor::asked(node.dir());
    assert!(!found.fine);
    found.says("problem", "snippet is not loaded");
    found.says("problem", "no agent is attached");
}

fn doctor_knows_main_numbers_and_older_snippets(kind: Kind) {
    let Some(pbx) = start(kind, PbxConfig::default()) else { return };
    if kind == Kind::Asterisk {
        // The lab's own main number has an entry of the attendant's, which is enough for doctor.
        let file = pbx.dir().join("etc/extensions.conf");
        let without = std::fs::read_to_string(&file).unwrap().replace("sidecall-attendant", "sidecall-terminating");
        std::fs::write(&file, without).unwrap();
        let _ = pbx.console("dialplan reload");
    }
    let node = Sidecall::launch(&pbx, &SidecallConfig::default(), "node").unwrap();
    close(node.dir());
    // Another one than the lab's own, which its dialplan knows.
    let main = run(node.dir(), &["number", "put", "+12125552999", "--kind", "main"]);
    assert!(main.status.success(), "{}", String::from_utf8_lossy(&main.stderr));
    let asked = || Doctor::of(node.dir(), &["--number", "+12125552999"]);
    let knows = |doctor: &Doctor| !doctor.report.to_string().contains("setting of main numbers knows it");
    let unnamed = asked();
    assert!(!knows(&unnamed), "{:#}", unnamed.report);
    assert!(!unnamed.report.to_string().contains("an older copy"), "{:#}", unnamed.report);
    let setting = |value: &str| match kind {
        Kind::Asterisk => pbx.console(&format!("dialplan set global SIDECALL_MAIN \"{value}\"")),
        Kind::FreeSwitch => pbx.console(&format!("global_setvar sidecall_main={value}")),
    };
    setting("2000|[+]12125552998");
    assert!(!knows(&asked()));
    setting("2000|[+]?12125552999");
    let named = asked();
    assert!(knows(&named), "{:#}", named.report);

    let (file, from, reload) = match kind {
        Kind::Asterisk => ("etc/sidecall.conf", "[sidecall-pass]", "dialplan reload"),
        Kind::FreeSwitch => ("conf/dialplan/sidecall.xml", "${sidecall_place}", "reloadxml"),
    };
    let file = pbx.dir().join(file);
    let older = std::fs::read_to_string(&file).unwrap().replace(from, "[another]");
    std::fs::write(&file, older).unwrap();
    let _ = pbx.console(reload);
    asked().says("warning", "an older copy");
    if kind == Kind::Asterisk {
        lab::pbx::conf::replace(&file, ",Answer: 1)", ")").unwrap();
        let _ = pbx.console(reload);
        asked().says("warning", "answer in one variable");
        lab::pbx::conf::replace(&file, "n(late),", "n,").unwrap();
        lab::pbx::conf::replace(&file, "Goto(late)", "Return()").unwrap();
        let _ = pbx.console(reload);
        asked().says("warning", "way back after a late answer");
    }
}

fn doctor_compares_emergency_numbers(kind: Kind) {
    let Some(pbx) = start(kind, PbxConfig::default()) else { return };
    let config = SidecallConfig { pbx_lines: "outside_prefix = \"8\"\n".to_owned(), ..SidecallConfig::default() };
    let node = Sidecall::launch(&pbx, &config, "node").unwrap();
    close(node.dir());
    let asked = || Doctor::asked(node.dir());
    let shipped = asked();
    shipped.says("ok", "112, 911, 933, 988, 1911 (also behind 0, 00, 8, 9");
    shipped.says("warning", "behind the outside prefix 8");
    let silent = |doctor: &Doctor, text: &str| {
        assert!(!doctor.report.to_string().contains(text), "{text:?} in {:#}", doctor.report);
    };
    silent(&shipped, "announces calls to emergency numbers");
    silent(&shipped, "look like emergency numbers");

    let domain = lab::sidecall::domain(&pbx);
    node.number(&format!("9110;phone-context={domain}"), "Swallowed by the snippet", true);
    node.number(&format!("8911;phone-context={domain}"), "Swallowed by the agent", true);
    node.number(&format!("1000;phone-context={domain}"), "Fine", true);
    asked().says("warning", "left alone: 8911, 9110");

    pbx.set("sidecall_emergency", "112|933");
    pbx.set("sidecall_outside", "8");
    let shorter = asked();
    shorter.says("warning", "announces calls to emergency numbers");
    shorter.says("warning", "1911, 911, 988");
    shorter.says("warning", "left alone: 8911");
    silent(&shorter, "outside prefix 8");
    pbx.set("sidecall_emergency", "");
    asked().says("warning", "no list of emergency numbers");
}

fn a_recording_touches_nothing(kind: Kind) {
    let Some(pbx) = start(kind, PbxConfig::default()) else { return };
    let sidecall = Sidecall::start(&pbx).unwrap();
    let dir = sidecall.dir().to_path_buf();
    let _far = Phone::listen(pbx.config().pstn, &lab::Habit::at_once()).unwrap();
    let prefix = dir.join("story").display().to_string();
    let recording = std::thread::spawn({
        let (dir, prefix) = (dir.clone(), prefix.clone());
        move || run(&dir, &["record", "--pbx", PBX, "--out", &prefix, "--for", "4"])
    });
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let report = Calls::new("1000", "+12125550100").place(pbx.sip()).unwrap();
    assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
    let output = recording.join().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let read =
        |ending: &str| String::from_utf8_lossy(&std::fs::read(format!("{prefix}.{ending}")).unwrap()).into_owned();
    let (received, sent) = (read("recv"), read("sent"));
    assert!(!sent.contains(pbx.event_secret()) && sent.contains("***"), "{sent}");
    assert!(!sent.to_lowercase().contains("setvar"), "{sent}");
    let announced = match kind {
        Kind::Asterisk => "SidecallSetup",
        Kind::FreeSwitch => "sidecall%3A%3Asetup",
    };
    assert!(received.contains(announced), "{received}");
    // The agent is still in charge.
    assert_eq!(sidecall.get("/v1/status")["pbxs"][0]["link"], "up");

    let again = run(&dir, &["record", "--out", &prefix, "--for", "1"]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("never overwritten"));
}

#[test]
fn asterisk_doctor() {
    doctor_finds_what_is_wrong(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_doctor() {
    doctor_finds_what_is_wrong(Kind::FreeSwitch);
}

#[test]
fn asterisk_installed() {
    doctor_is_content_with_what_install_sh_makes(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_installed() {
    doctor_is_content_with_what_install_sh_makes(Kind::FreeSwitch);
}

#[test]
fn asterisk_without_the_snippet() {
    doctor_misses_the_snippet(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_without_the_snippet() {
    doctor_misses_the_snippet(Kind::FreeSwitch);
}

#[test]
fn asterisk_main_numbers() {
    doctor_knows_main_numbers_and_older_snippets(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_main_numbers() {
    doctor_knows_main_numbers_and_older_snippets(Kind::FreeSwitch);
}

#[test]
fn asterisk_emergency_numbers() {
    doctor_compares_emergency_numbers(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_emergency_numbers() {
    doctor_compares_emergency_numbers(Kind::FreeSwitch);
}

#[test]
fn asterisk_recorded() {
    a_recording_touches_nothing(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_recorded() {
    a_recording_touches_nothing(Kind::FreeSwitch);
}
