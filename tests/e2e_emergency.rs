//! Emergency calls on each real PBX of this machine: sidecall isn't there for them, whatever state it is in.
//!
//! What counts is seen from outside: at the far end of the PSTN trunk, on the PBX's own channels, and by a listener
//! of the test on the PBX's event socket.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

mod agent_double;
mod lab;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use agent_double::AgentDouble;
use lab::cast::{ALICE, FRANK};
use lab::stage::{Stage, carried};
use lab::{Answer, Calls, ChaosProxy, FarEnd, Kind, Pbx, PbxConfig, SidecallConfig, SipMessage, ports, wait_until};

/// What the stand-in's packet route would carry. Here it only listens.
const UUI: &str = "";
/// As people dial for help.
const EMERGENCY: [&str; 7] = ["911", "9911", "112", "0112", "110", "999", "+1911"];
/// The hold of the snippets.
const HOLD: Duration = Duration::from_millis(500);
/// The agent's deadline for a decision.
const DEADLINE: Duration = Duration::from_millis(400);
/// How long a call may take to get to where it goes.
const PATIENCE: Duration = Duration::from_secs(5);

/// One call of Alice's that went over the PSTN trunk.
struct Arrived {
    invite: SipMessage,
    /// INVITE → 200, as her phone saw it.
    took: Duration,
    /// What the PBX's channels had of sidecall meanwhile.
    marks: Vec<String>,
}

/// What the far end sees of who calls whom and how.
type Seen = (String, String, Vec<String>);

impl Arrived {
    fn seen(&self) -> Seen {
        let mut names: Vec<String> = self.invite.headers.iter().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        (self.invite.called().to_owned(), self.invite.calling().to_owned(), names)
    }
}

/// Variables of sidecall's on the channels that are up.
fn marks(pbx: &Pbx) -> Vec<String> {
    let dumps: Vec<String> = match pbx.kind() {
        Kind::FreeSwitch => {
            let channels = pbx.console("show channels as delim |");
            let ids = channels.lines().skip(1).filter_map(|line| line.split('|').next()).filter(|id| id.len() == 36);
            ids.map(|id| pbx.console(&format!("uuid_dump {id}"))).collect()
        }
        Kind::Asterisk => {
            let channels = pbx.console("core show channels concise");
            let names = channels.lines().filter_map(|line| line.split_once('!')).map(|(name, _)| name);
            names.map(|name| pbx.console(&format!("core show channel {name}"))).collect()
        }
    };
    assert!(!dumps.is_empty(), "no channel is up");
    let ours = |line: &&str| line.to_lowercase().trim_start_matches("variable_").starts_with("sidecall");
    dumps.iter().flat_map(|dump| dump.lines().filter(ours).map(str::to_owned)).collect()
}

fn call(pbx: &Pbx, pstn: &FarEnd, number: &str) -> Arrived {
    let before = pstn.invites().len();
    let caller = Calls::new(ALICE.dialled, number).hold(1_500).start(pbx.sip()).unwrap();
    let invites = pstn.wait_for("INVITE", before + 1, PATIENCE);
    let invite = invites.get(before).unwrap_or_else(|| panic!("{number} did not arrive\n{}", pbx.log())).clone();
    assert!(wait_until(PATIENCE, || caller.report().answered() == 1), "{number} was not answered\n{}", pbx.log());
    // FreeSWITCH writes its list of channels with a delay.
    let listed = || pbx.kind() == Kind::Asterisk || pbx.console("show channels count").contains("2 total");
    assert!(wait_until(Duration::from_millis(1_200), listed), "{}", pbx.console("show channels"));
    let marks = marks(pbx);
    let report = caller.finish(Duration::from_secs(20)).unwrap();
    assert_eq!(report.statuses(), [Some(200)], "{number}\n{}", pbx.log());
    assert_eq!(pstn.invites().len(), before + 1, "{number} was called twice");
    Arrived { invite, took: report.calls[0].answered.unwrap(), marks }
}

/// All emergency numbers as the far end sees them on a PBX without the snippet.
fn without_sidecall(kind: Kind) -> Option<Vec<(Seen, Duration)>> {
    let pbx = lab::or_skip(kind, Pbx::start_with(kind, PbxConfig { snippets: false, ..PbxConfig::default() }))?;
    let pstn = FarEnd::start(pbx.config().pstn, &Answer::at_once()).unwrap();
    let arrived = EMERGENCY.iter().map(|number| call(&pbx, &pstn, number));
    Some(arrived.map(|arrived| (arrived.seen(), arrived.took)).collect())
}

fn each_emergency_call_is_left_alone(stage: &Stage, plain: &[(Seen, Duration)], state: &str) {
    let (pbx, pstn) = (&stage.pbx, stage.pstn.as_ref().unwrap());
    let packet = stage.packet.as_ref().unwrap();
    let before = packet.invites().len();
    for (number, (plain, took)) in EMERGENCY.iter().zip(plain) {
        let arrived = call(pbx, pstn, number);
        assert_eq!(arrived.seen(), *plain, "{number}, agent {state}");
        assert_eq!(arrived.invite.called(), *number, "agent {state}");
        assert_eq!(arrived.invite.header("User-to-User"), None, "{number}, agent {state}");
        assert_eq!(arrived.marks, Vec::<String>::new(), "{number}, agent {state}");
        // A call that waited for the agent would take its deadline longer at the least.
        assert!(arrived.took < *took + DEADLINE / 2, "{number}: {:?}, not {took:?}, agent {state}", arrived.took);
    }
    assert_eq!(packet.invites().len(), before, "agent {state}");
}

/// An ordinary number is announced; nothing but it was.
fn only_the_ordinary_call_was_announced(listener: &AgentDouble, state: &str) {
    let called = || listener.announcements().iter().map(|seen| seen.get("called").to_owned()).collect::<Vec<_>>();
    assert!(wait_until(PATIENCE, || !called().is_empty()), "agent {state}");
    assert_eq!(called(), [FRANK.dialled], "agent {state}");
    listener.forget();
}

/// An ordinary call, which waits for the agent at least so long.
fn an_ordinary_call_is_held(stage: &Stage, listener: &AgentDouble, at_least: Duration, state: &str) {
    let held = call(&stage.pbx, stage.pstn.as_ref().unwrap(), FRANK.dialled);
    assert!(held.took >= at_least, "an ordinary call took {:?}, agent {state}", held.took);
    assert!(!held.marks.is_empty(), "agent {state}");
    only_the_ordinary_call_was_announced(listener, state);
}

fn emergency_calls_are_as_without_sidecall_whatever_state_it_is_in(kind: Kind) {
    let Some(plain) = without_sidecall(kind) else { return };
    let http = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), ports::free());
    let proxy = ChaosProxy::start(http).unwrap();
    let mut stage = Stage::set(kind, PbxConfig::default()).unwrap();
    let config = SidecallConfig { http: Some(http), node: Some(proxy.addr()), ..SidecallConfig::default() };
    stage.raise(&config).unwrap();
    let listener = AgentDouble::listen(&stage.pbx);

    each_emergency_call_is_left_alone(&stage, &plain, "alive");
    let before = stage.packet.as_ref().unwrap().invites().len();
    let ordinary = Calls::new(ALICE.dialled, FRANK.dialled).place(stage.pbx.sip()).unwrap();
    assert_eq!(ordinary.answered(), 1);
    let rerouted = stage.packet.as_ref().unwrap().invites();
    assert!(rerouted.len() == before + 1 && carried(&rerouted[before]).is_some(), "Alice has no client to offer");
    only_the_ordinary_call_was_announced(&listener, "alive");

    proxy.pause();
    each_emergency_call_is_left_alone(&stage, &plain, "slow");
    an_ordinary_call_is_held(&stage, &listener, DEADLINE - Duration::from_millis(50), "slow");
    proxy.resume();

    stage.sidecall().child().stop();
    each_emergency_call_is_left_alone(&stage, &plain, "hung");
    an_ordinary_call_is_held(&stage, &listener, HOLD - Duration::from_millis(10), "hung");

    stage.sidecall().child().kill();
    each_emergency_call_is_left_alone(&stage, &plain, "dead");
    an_ordinary_call_is_held(&stage, &listener, HOLD - Duration::from_millis(10), "dead");
}

/// The snippet's list is empty: it is an older copy, or somebody has edited it.
fn an_emergency_call_that_is_announced_is_left_alone(kind: Kind) {
    let Some(mut stage) = lab::or_skip(kind, Stage::set(kind, PbxConfig::default())) else { return };
    let config = SidecallConfig { pbx_lines: "outside_prefix = \"9\"\n".to_owned(), ..SidecallConfig::default() };
    stage.raise(&config).unwrap();
    stage.pbx.set("sidecall_emergency", "none");
    let listener = AgentDouble::listen(&stage.pbx);
    for (n, number) in ["+1911", "9911", "0112"].into_iter().enumerate() {
        let arrived = call(&stage.pbx, stage.pstn.as_ref().unwrap(), number);
        assert_eq!(listener.announcements()[n].get("called"), number);
        assert_eq!((arrived.invite.called(), arrived.invite.header("User-to-User")), (number, None));
        assert!(arrived.took < HOLD, "{number} was held for {:?}", arrived.took);
        let said = |mark: &String| mark.to_lowercase().contains("sidecall_reason") && mark.contains("emergency");
        assert!(arrived.marks.iter().any(said), "{number}: {:?}\n{}", arrived.marks, stage.sidecall().log());
    }
    assert!(stage.packet.as_ref().unwrap().invites().is_empty());
    let ordinary = Calls::new(ALICE.dialled, FRANK.dialled).place(stage.pbx.sip()).unwrap();
    assert_eq!((ordinary.answered(), stage.packet.as_ref().unwrap().invites().len()), (1, 1));
    let called: Vec<_> = stage.sidecall().calls().iter().map(|call| call["called"].clone()).collect();
    assert_eq!(called, [FRANK.dialled], "the node was asked");
}

/// `9011442071838750` has sixteen digits.
fn long_dialled_strings_are_announced(kind: Kind) {
    let Some(mut stage) = lab::or_skip(kind, Stage::set(kind, PbxConfig::default())) else { return };
    let config = SidecallConfig { pbx_lines: "outside_prefix = \"9\"\n".to_owned(), ..SidecallConfig::default() };
    stage.raise(&config).unwrap();
    let listener = AgentDouble::listen(&stage.pbx);
    let (sixteen, twenty, longer) = ("9011442071838750", "90114420718387501234", "901144207183875012345");
    let report = Calls::new(ALICE.dialled, sixteen).place(stage.pbx.sip()).unwrap();
    assert_eq!(report.answered(), 1, "{}", stage.pbx.log());
    let there = stage.packet.as_ref().unwrap().invites();
    assert_eq!(there.iter().map(SipMessage::called).collect::<Vec<_>>(), ["+442071838750"], "{}", stage.pbx.log());
    assert!(carried(&there[0]).is_some());
    // No E.164 number has so many digits behind the international prefix.
    let arrived = call(&stage.pbx, stage.pstn.as_ref().unwrap(), twenty);
    assert_eq!((arrived.invite.called(), arrived.invite.header("User-to-User")), (twenty, None));
    assert!(arrived.took < HOLD, "{:?}", arrived.took);
    let _ = Calls::new(ALICE.dialled, longer).start(stage.pbx.sip()).unwrap().finish(Duration::from_millis(1_500));
    let called: Vec<_> = listener.announcements().iter().map(|seen| seen.get("called").to_owned()).collect();
    assert_eq!(called, [sixteen, twenty], "{longer} has 21 digits");
    assert_eq!(stage.sidecall().calls().len(), 1);
}

lab::on_both_pbxs! {
    emergency_calls_are_as_without_sidecall_whatever_state_it_is_in,
    an_emergency_call_that_is_announced_is_left_alone,
    long_dialled_strings_are_announced,
}

/// In `direct` mode an ordinary call waits for a hung agent until that is killed.
#[lab::needs_freeswitch]
#[test]
fn freeswitch_direct_leaves_emergency_calls_alone_while_the_agent_hangs() {
    let kind = Kind::FreeSwitch;
    let Some(plain) = without_sidecall(kind) else { return };
    let direct = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), ports::free());
    let mut stage = Stage::set(kind, PbxConfig { direct: Some(direct), ..PbxConfig::default() }).unwrap();
    stage.raise(&SidecallConfig { direct: Some(direct), ..SidecallConfig::default() }).unwrap();
    stage.sidecall().child().stop();
    each_emergency_call_is_left_alone(&stage, &plain, "hung, direct mode");
    let ordinary = Calls::new(ALICE.dialled, FRANK.dialled).start(stage.pbx.sip()).unwrap();
    std::thread::sleep(3 * HOLD);
    assert_eq!(ordinary.report().answered(), 0, "an ordinary call doesn't wait");
    stage.sidecall().child().kill();
    assert_eq!(ordinary.finish(Duration::from_secs(20)).unwrap().answered(), 1);
}
