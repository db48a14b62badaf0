//! A call that may take the packet trunk obeys the rules that the dialplan has for calls out. Each rule is tried
//! twice with the same phone: without an agent, and with one whose decision is the packet trunk.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lab::Domains;
use lab::pbx::conf::{project_file, read, replace, write};
use lab::scenario::sides::Between;
use lab::{Call, Habit, Hosted, Kind, Pbx, PbxConfig, Phone, Sidecall, SidecallConfig, SipMessage, wait_until};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);
/// After so long nothing more comes.
const QUIET: Duration = Duration::from_millis(700);

/// A PBX with rules, both trunks' far ends, and Alice: a phone, and with [`Rules::start_sidecall`] a client.
struct Rules {
    alice: Phone,
    sidecall: Option<(Hosted, Sidecall)>,
    packet: Phone,
    pstn: Phone,
    pbx: Pbx,
}

/// What became of a call.
#[derive(Debug, PartialEq)]
struct Outcome {
    status: Option<u16>,
    provisional: Vec<u16>,
    ended_there: bool,
    /// Caller and called number of each call that reached the trunk.
    packet: Vec<(String, String)>,
    pstn: Vec<(String, String)>,
}

impl Rules {
    /// The decision is what counts here, not how fast it is: the hold is a long one.
    fn set(kind: Kind, answer: &Habit) -> Option<Rules> {
        let config = PbxConfig { hold_ms: 2_000, ..PbxConfig::default() };
        let pbx = lab::or_skip(kind, Pbx::start_with(kind, config))?;
        install(&pbx);
        let packet = Phone::listen(pbx.config().packet, answer).unwrap();
        let pstn = Phone::listen(pbx.config().pstn, answer).unwrap();
        let alice = Phone::register(pbx.sip(), "1000").unwrap();
        Some(Rules { alice, sidecall: None, packet, pstn, pbx })
    }

    /// Starts agent and node. Alice has a client, and the outside knows her as +12125551000.
    fn start_sidecall(&mut self) {
        let map = "outside_prefix = \"9\"\n[[pbx.map]]\nextension = \"1XXX\"\nnumber = \"+12125551XXX\"\n".to_owned();
        let sidecall =
            Sidecall::start_with(&self.pbx, &SidecallConfig { pbx_lines: map, ..SidecallConfig::default() }).unwrap();
        sidecall.number("+12125551000", "Alice", true);
        self.sidecall = Some((Hosted::start(&sidecall, "+12125551000").unwrap(), sidecall));
    }

    /// Alice calls; `during` is what she does then. She hangs up at last.
    fn call(&self, number: &str, during: impl Fn(&Call)) -> Outcome {
        let before = [&self.packet, &self.pstn].map(|end| end.invites().len());
        let call = self.alice.call(number);
        during(&call);
        let ended_there = call.ended_there();
        call.hang_up();
        assert!(call.wait_ended(SOON), "{}", self.pbx.log());
        std::thread::sleep(QUIET);
        let since = |end: &Phone, before| end.invites().iter().skip(before).map(numbers).collect();
        Outcome {
            status: call.status(),
            provisional: call.provisional(),
            ended_there,
            packet: since(&self.packet, before[0]),
            pstn: since(&self.pstn, before[1]),
        }
    }

    fn point_packet_trunk_at(&self, addr: SocketAddr) {
        let (file, reload) = match self.pbx.kind() {
            Kind::Asterisk => ("etc/pjsip.conf", "pjsip reload"),
            Kind::FreeSwitch => ("conf/sip_profiles/external/sidecall.xml", "sofia profile external killgw sidecall"),
        };
        let before = self.pbx.config().packet.to_string();
        replace(&self.pbx.dir().join(file), &before, &addr.to_string()).unwrap();
        let _ = self.pbx.console(reload);
        if self.pbx.kind() == Kind::FreeSwitch {
            let _ = self.pbx.console("reloadxml");
            let there = || {
                let _ = self.pbx.console("sofia profile external rescan");
                self.pbx.console("sofia status gateway sidecall").contains(&addr.to_string())
            };
            assert!(wait_until(SOON, there), "{}", self.pbx.log());
        }
    }

    /// The same call without sidecall and with it, where the node decided for the packet trunk.
    fn both(&mut self, number: &str, during: impl Fn(&Call)) -> [Outcome; 2] {
        self.sidecall = None;
        let without = self.call(number, &during);
        self.start_sidecall();
        let with = self.call(number, &during);
        let decided = || {
            let calls = self.sidecall.as_ref().unwrap().1.calls();
            calls.iter().find(|call| call["called"] == number).map(|call| call["reason"].clone())
        };
        assert_eq!(decided(), Some("called-not-served".into()), "{}", self.pbx.log());
        [without, with]
    }

    /// A call that the rule lets through is the same with sidecall, but for the trunk.
    fn takes_the_packet_trunk(&mut self, number: &str, shown: &str, during: impl Fn(&Call)) -> [Outcome; 2] {
        let [without, with] = self.both(number, during);
        let log = self.pbx.log();
        assert_eq!(without.pstn.len(), 1, "{without:?} {log}");
        assert_eq!(without.packet, [], "{without:?}");
        assert_eq!(with.packet, [(shown.to_owned(), number.to_owned())], "{with:?} {log}");
        assert_eq!(with.pstn, [], "{with:?} {log}");
        let seen = |outcome: &Outcome| (outcome.status, outcome.provisional.clone(), outcome.ended_there);
        assert_eq!(seen(&with), seen(&without), "{log}");
        [without, with]
    }
}

fn numbers(invite: &SipMessage) -> (String, String) {
    (invite.calling().to_owned(), invite.called().to_owned())
}

/// The files of `lab/dialplan/rules*`, and a phone 1000 that may call inside the country only.
fn install(pbx: &Pbx) {
    match pbx.kind() {
        Kind::Asterisk => {
            let etc = pbx.dir().join("etc");
            let append = |name: &str, text: &str| {
                let file = etc.join(name);
                write(&file, &(read(&file).unwrap() + "\n" + text)).unwrap();
            };
            append("extensions.conf", &project_file("lab/dialplan/rules.conf").unwrap());
            append("pjsip.conf", "[1000](+)\nset_var=TOLL=national\n");
            let _ = pbx.console("pjsip reload");
            let _ = pbx.console("dialplan reload");
        }
        Kind::FreeSwitch => {
            let conf = pbx.dir().join("conf");
            let out = "<X-PRE-PROCESS cmd=\"include\" data=\"$${conf_dir}/dialplan/sidecall/out.xml\"/>";
            let file = |name: &str| project_file(&format!("lab/dialplan/{name}")).unwrap().replace("@OUT@", out);
            write(&conf.join("dialplan/default/00_0_rules.xml"), &file("rules.xml")).unwrap();
            write(&conf.join("dialplan/rules-contexts.xml"), &file("rules-contexts.xml")).unwrap();
            let alice = conf.join("directory/default/1000.xml");
            replace(&alice, "value=\"domestic,international,local\"", "value=\"national\"").unwrap();
            let _ = pbx.console("reloadxml");
        }
    }
}

/// The call is answered, and sound goes both ways: the far end sends back what it gets.
fn talk(call: &Call) {
    assert!(call.wait_answered(SOON));
    assert!(call.wait_echo(SOON), "no sound from the far end");
}

fn a_phone_without_toll_permission_is_refused(kind: Kind) {
    let Some(mut rules) = Rules::set(kind, &Habit::at_once()) else { return };
    let [without, with] = rules.both("+12125550110", |call| _ = call.wait_status(SOON));
    assert!(without.status.is_some_and(|status| status >= 400), "{without:?} {}", rules.pbx.log());
    assert_eq!((&without.packet[..], &without.pstn[..]), (&[][..], &[][..]), "nothing reaches a trunk");
    assert_eq!(with, without, "{}", rules.pbx.log());
    rules.takes_the_packet_trunk("+12125550111", "+12125551000", talk);
}

fn a_pin_is_asked(kind: Kind) {
    let Some(mut rules) = Rules::set(kind, &Habit::at_once()) else { return };
    let wrong = |call: &Call| {
        assert!(call.wait_answered(SOON));
        call.dtmf("1234");
        assert!(call.wait_ended(SOON), "a wrong PIN ends the call");
    };
    let [without, with] = rules.both("+12125550120", wrong);
    assert_eq!((&without.packet[..], &without.pstn[..]), (&[][..], &[][..]), "nothing reaches a trunk");
    assert_eq!(with, without, "{}", rules.pbx.log());
    rules.takes_the_packet_trunk("+12125550120", "+12125551000", |call| {
        assert!(call.wait_answered(SOON));
        call.dtmf("4711");
        assert!(call.wait_echo(SOON), "no sound from the far end");
    });
}

fn a_recording_is_made(kind: Kind) {
    let Some(mut rules) = Rules::set(kind, &Habit::at_once()) else { return };
    let folder = rules.pbx.dir().join(if kind == Kind::Asterisk { "spool/monitor" } else { "recordings" });
    rules.takes_the_packet_trunk("+12125550130", "+12125551000", |call| {
        talk(call);
        std::thread::sleep(Duration::from_millis(1_700));
    });
    // A second of speech is 16 kB.
    let all = || recordings(&folder).into_iter().filter(|(_, size)| *size > 16_000).count();
    assert!(wait_until(SOON, || all() == 2), "{:?} {}", recordings(&folder), rules.pbx.log());
}

fn recordings(folder: &PathBuf) -> Vec<(PathBuf, u64)> {
    let files = std::fs::read_dir(folder).map(|dir| dir.flatten().collect::<Vec<_>>()).unwrap_or_default();
    files.iter().map(|file| (file.path(), file.metadata().map_or(0, |meta| meta.len()))).collect()
}

fn a_call_is_over_at_its_time_limit(kind: Kind) {
    let Some(mut rules) = Rules::set(kind, &Habit::at_once()) else { return };
    let outcomes = rules.takes_the_packet_trunk("+12125550140", "+12125551000", |call| {
        talk(call);
        call.wait_ended(Duration::from_secs(6));
    });
    assert!(outcomes.iter().all(|outcome| outcome.ended_there), "{outcomes:?}");
    // Another route has no such limit.
    let longer = rules.call("+12125550111", |call| {
        talk(call);
        call.wait_ended(Duration::from_secs(4));
    });
    assert!(!longer.ended_there, "{longer:?}");
}

fn the_caller_id_of_the_route_is_shown(kind: Kind) {
    let Some(mut rules) = Rules::set(kind, &Habit::at_once()) else { return };
    let [without, with] = rules.takes_the_packet_trunk("+12125550150", "+12125559999", talk);
    assert_eq!(without.pstn, with.packet);
}

/// And nobody is called a second time. On Asterisk the dialplan goes on behind its own Dial.
fn it_rings_as_long_as_the_route_says(kind: Kind) {
    let Some(mut rules) = Rules::set(kind, &Habit::after(20_000)) else { return };
    rules.takes_the_packet_trunk("+12125550160", "+12125551000", |call| {
        assert!(call.wait_status(Duration::from_secs(8)).is_some());
    });
    if kind == Kind::Asterisk {
        let globals = rules.pbx.console("dialplan show globals");
        assert!(globals.contains("LAB_AFTER=NOANSWER.NOANSWER.\n"), "{globals}");
    }
}

/// The packet trunk is silent: it gets as long as the route lets it ring, and then the call goes its old way.
fn a_silent_trunk_has_as_long_as_the_route_rings(kind: Kind) {
    let Some(mut rules) = Rules::set(kind, &Habit::at_once()) else { return };
    let silent = std::net::UdpSocket::bind("127.0.0.12:0").unwrap();
    rules.point_packet_trunk_at(silent.local_addr().unwrap());
    let [without, with] = rules.both("+12125550160", talk);
    assert_eq!((without.status, without.pstn.len()), (Some(200), 1), "{}", rules.pbx.log());
    assert_eq!(with, without, "{}", rules.pbx.log());
    silent.set_read_timeout(Some(SOON)).unwrap();
    let mut invite = [0; 6];
    let _ = silent.recv(&mut invite);
    assert_eq!(&invite, b"INVITE", "it was tried");
}

fn a_changed_number_takes_no_packet_route(kind: Kind) {
    let Some(mut rules) = Rules::set(kind, &Habit::at_once()) else { return };
    let [without, with] = rules.both("+12125550170", talk);
    assert_eq!(without.pstn, [("1000".to_owned(), "+12125550171".to_owned())], "{}", rules.pbx.log());
    assert_eq!(with, without, "{}", rules.pbx.log());
    rules.takes_the_packet_trunk("+12125550172", "+12125551000", talk);
}

/// A feature code is looked up where the dialplan's own Dial would look, although the packet trunk is dialled elsewhere.
#[test]
fn a_feature_code_transfers_into_the_phones_context_on_asterisk() {
    let Some(mut rules) = Rules::set(Kind::Asterisk, &Habit::at_once()) else { return };
    let bob = Phone::register(rules.pbx.sip(), "1001").unwrap();
    rules.takes_the_packet_trunk("+12125550180", "+12125551000", |call| {
        talk(call);
        call.dtmf("##1001");
        let there = bob.answer_next(SOON).expect("1001 does not ring");
        assert!(there.wait_echo(SOON), "1001 and the far end don't hear each other");
        assert!(bob.rest(SOON));
        assert!(call.wait_ended(SOON));
    });
}

/// The option `F` without a place means the line behind the administrator's own Dial.
#[test]
fn the_called_person_goes_on_behind_the_routes_own_dial_on_asterisk() {
    let Some(mut rules) = Rules::set(Kind::Asterisk, &Habit::at_once()) else { return };
    let [without, with] = rules.both("+12125550185", talk);
    assert_eq!((without.status, without.pstn.len()), (Some(200), 1), "{}", rules.pbx.log());
    assert_eq!(with, without, "{}", rules.pbx.log());
    rules.takes_the_packet_trunk("+12125550186", "+12125551000", talk);
    let globals = rules.pbx.console("dialplan show globals");
    assert!(globals.contains("LAB_WENT_ON=+12125550185.+12125550185.leg.left.leg.left.\n"), "{globals}");
}

/// It is one call in two contexts, and in the second one the packet trunk hasn't been tried yet.
fn a_number_without_its_prefix_is_the_same_call(kind: Kind) {
    let Some(mut rules) = Rules::set(kind, &Habit::at_once()) else { return };
    let without = rules.call("912125550190", talk);
    assert_eq!(without.pstn, [("1000".to_owned(), "12125550190".to_owned())], "{}", rules.pbx.log());
    rules.start_sidecall();
    let with = rules.call("912125550190", talk);
    assert_eq!(with.packet, [("+12125551000".to_owned(), "+12125550190".to_owned())], "{}", rules.pbx.log());
    assert_eq!((with.pstn.len(), with.status), (0, without.status));
    assert_eq!(rules.sidecall.as_ref().unwrap().1.calls().len(), 1);
}

/// The far end transfers the caller, whose leg goes on to another number in a context that announces nothing.
#[lab::needs_freeswitch]
#[test]
fn a_transfer_after_a_packet_call_reaches_the_new_number_on_freeswitch() {
    let Some(mut rules) = Rules::set(Kind::FreeSwitch, &Habit::at_once()) else { return };
    rules.start_sidecall();
    let outcome = rules.call("+12125550172", |call| {
        talk(call);
        let channels = rules.pbx.console("show channels as delim |");
        let callers = channels.lines().find(|line| line.contains("|inbound|")).and_then(|line| line.split('|').next());
        let leg = callers.unwrap_or_else(|| panic!("{channels}"));
        let _ = rules.pbx.console(&format!("uuid_transfer {leg} +12125550173 XML rules-onward"));
        assert_eq!(rules.pstn.wait_for("ACK", 1, SOON).len(), 1, "{}", rules.pbx.log());
        talk(call);
    });
    let called = |calls: &[(String, String)]| calls.iter().map(|(_, called)| called.clone()).collect::<Vec<_>>();
    assert_eq!(called(&outcome.packet), ["+12125550172"], "{}", rules.pbx.log());
    assert_eq!(called(&outcome.pstn), ["+12125550173"], "{}", rules.pbx.log());
}

/// The decision is the packet trunk, and the dialplan has no line that takes it: the address goes from node to node.
fn without_the_line_the_call_takes_its_old_route_and_is_paired(kind: Kind) {
    let Some(mut domains) = lab::or_skip(kind, Domains::start(kind, kind, None)) else { return };
    let (number, first) = (domains.b.number(1), domains.a.number(1));
    let passed = |domains: &Domains| domains.pstn.log().matches(&format!("{number}@network:1")).count();
    take_the_line_out(&domains.a.pbx);
    domains.start_sidecall(Between::TrunkOfPeers, ["", ""]).unwrap();
    let [alice, bob, _] = domains.people().unwrap();
    let call = alice.phone.call(&number);
    let there = bob.phone.answer_next(SOON).unwrap();
    assert!(call.wait_answered(SOON), "{}", domains.log());
    assert!(call.wait_hears(&bob.phone, SOON) && there.wait_hears(&alice.phone, SOON), "{}", domains.log());
    let decided = domains.a.sidecall().calls()[0].clone();
    assert_eq!(decided["reason"], "called-not-served", "{decided}");
    assert_eq!(passed(&domains), 1, "{}", domains.log());
    assert!(bob.client.peer(Some(&first)).is_some(), "{}", domains.log());
    assert!(alice.client.peer(Some(&number)).is_some(), "{}", domains.log());
    call.hang_up();
    assert!(there.wait_ended(SOON));
    // And that is what is told of it.
    let path = format!("/v1/calls/{}", decided["call"].as_str().unwrap());
    let story = domains.a.sidecall().get(&path)["timeline"].clone();
    let routed = story.as_array().unwrap().iter().filter(|step| step["step"] == "routed");
    let trunks: Vec<_> = routed.map(|step| step["trunk"].as_str().unwrap_or_default()).collect();
    assert_eq!(trunks, ["pstn"], "{story:#}");
}

fn take_the_line_out(pbx: &Pbx) {
    match pbx.kind() {
        Kind::Asterisk => {
            replace(&pbx.dir().join("etc/extensions.conf"), "Gosub(sidecall-out,s,1(60))", "NoOp()").unwrap();
            let _ = pbx.console("dialplan reload");
        }
        Kind::FreeSwitch => {
            let file = pbx.dir().join("conf/dialplan/default/00_a_lab.xml");
            let text = read(&file).unwrap();
            let (with, without): (Vec<&str>, Vec<&str>) =
                text.lines().partition(|line| line.contains("sidecall/out.xml"));
            assert_eq!(with.len(), 1, "{text}");
            write(&file, &without.join("\n")).unwrap();
            let _ = pbx.console("reloadxml");
        }
    }
}

lab::on_both_pbxs! {
    a_phone_without_toll_permission_is_refused,
    a_pin_is_asked,
    a_recording_is_made,
    a_call_is_over_at_its_time_limit,
    the_caller_id_of_the_route_is_shown,
    it_rings_as_long_as_the_route_says,
    a_silent_trunk_has_as_long_as_the_route_rings,
    a_changed_number_takes_no_packet_route,
    a_number_without_its_prefix_is_the_same_call,
    without_the_line_the_call_takes_its_old_route_and_is_paired,
}
