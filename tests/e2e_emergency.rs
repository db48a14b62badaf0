//! Emergency calls on each real PBX of this machine: sidecall isn't there for them, whatever state it is in.
//!
//! What counts is seen from outside: at the far end of the PSTN trunk, on the PBX's own channels, and by a listener
//! of the test on the PBX's event socket.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

mod agent_double;

use std::time::Duration;

use agent_double::AgentDouble;
use lab::net::ports;
use lab::scenario::calls::{ALICE, FRANK};
use lab::scenario::site::Site;
use lab::scenario::wire::carried;
use lab::{Call, ChaosProxy, Habit, Kind, Pbx, PbxConfig, Phone, SidecallConfig, SipMessage, never, wait_until};

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

/// One call of Alice's that went over a trunk, in which both heard each other.
struct Arrived {
    invite: SipMessage,
    /// INVITE → 200, as her phone saw it.
    took: Duration,
    /// What the PBX's channels had of sidecall meanwhile.
    marks: Vec<String>,
}

/// What the far end sees of who calls whom and how.
type Facts = (String, String, Vec<String>);

impl Arrived {
    fn facts(&self) -> Facts {
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

/// Alice calls, and `end` answers. What she says there comes back to her.
fn call(pbx: &Pbx, end: &Phone, number: &str) -> Arrived {
    calls(pbx, end, &[number]).remove(0)
}

/// Alice makes all these calls at once. Each has the marks of all.
fn calls(pbx: &Pbx, end: &Phone, numbers: &[&str]) -> Vec<Arrived> {
    let before = end.invites().len();
    let alice = Phone::connect(pbx.sip(), ALICE.dialled).unwrap();
    let calls: Vec<_> = numbers.iter().map(|number| alice.call(number)).collect();
    let invites = end.wait_for("INVITE", before + numbers.len(), PATIENCE).split_off(before);
    assert_eq!(invites.len(), numbers.len(), "{invites:#?}\n{}", pbx.log());
    for (number, call) in numbers.iter().zip(&calls) {
        assert!(call.wait_answered(PATIENCE), "{number} was not answered\n{}", pbx.log());
        assert!(call.wait_echo(PATIENCE), "{number}: no sound from there\n{}", pbx.log());
    }
    // FreeSWITCH writes its list of channels with a delay.
    let listed = |channels: usize| {
        let total = format!("\n{channels} total");
        wait_until(PATIENCE, || pbx.kind() == Kind::Asterisk || pbx.console("show channels count").contains(&total))
    };
    assert!(listed(2 * numbers.len()), "{}", pbx.console("show channels"));
    let marks = marks(pbx);
    calls.iter().for_each(Call::hang_up);
    assert!(calls.iter().all(|call| call.wait_ended(PATIENCE)) && listed(0), "a call does not end\n{}", pbx.log());
    // The packet trunk may be told another number than the one that was dialled.
    let of = |number: &&str| match &invites[..] {
        [only] => only.clone(),
        _ => invites.iter().find(|invite| invite.called() == *number).cloned().unwrap_or_else(|| panic!("no {number}")),
    };
    let took = calls.iter().map(|call| call.set_up_time().unwrap());
    let arrived = numbers.iter().zip(took);
    arrived.map(|(number, took)| Arrived { invite: of(number), took, marks: marks.clone() }).collect()
}

/// All emergency numbers as the far end sees them on a PBX without the snippet.
fn without_sidecall(kind: Kind) -> Option<Vec<(Facts, Duration)>> {
    let pbx = lab::or_skip(kind, Pbx::start_with(kind, PbxConfig { snippets: false, ..PbxConfig::default() }))?;
    let pstn = Phone::listen(pbx.config().pstn, &Habit::at_once()).unwrap();
    let arrived = calls(&pbx, &pstn, &EMERGENCY);
    Some(arrived.iter().map(|arrived| (arrived.facts(), arrived.took)).collect())
}

fn each_emergency_call_is_left_alone(site: &Site, plain: &[(Facts, Duration)], state: &str) {
    let (pbx, pstn) = (&site.pbx, site.pstn.as_ref().unwrap());
    let packet = site.packet.as_ref().unwrap();
    let before = (packet.invites().len(), pstn.invites().len());
    for ((number, arrived), (plain, took)) in EMERGENCY.iter().zip(calls(pbx, pstn, &EMERGENCY)).zip(plain) {
        assert_eq!(arrived.facts(), *plain, "{number}, agent {state}");
        assert_eq!(arrived.invite.called(), *number, "agent {state}");
        assert_eq!(arrived.invite.header("User-to-User"), None, "{number}, agent {state}");
        assert_eq!(arrived.marks, Vec::<String>::new(), "{number}, agent {state}");
        // A call that waited for the agent would take its deadline longer at the least.
        assert!(arrived.took < *took + DEADLINE / 2, "{number}: {:?}, not {took:?}, agent {state}", arrived.took);
    }
    let more = || (packet.invites().len(), pstn.invites().len()) != (before.0, before.1 + EMERGENCY.len());
    assert!(never(more), "a number was called over the packet trunk, or twice; agent {state}");
}

/// An ordinary number is announced; nothing but it was.
fn only_the_ordinary_call_was_announced(listener: &AgentDouble, state: &str) {
    let called = || listener.announcements().iter().map(|seen| seen.get("called").to_owned()).collect::<Vec<_>>();
    assert!(wait_until(PATIENCE, || !called().is_empty()), "agent {state}");
    assert_eq!(called(), [FRANK.dialled], "agent {state}");
    listener.forget();
}

/// An ordinary call, which waits for the agent at least so long.
fn an_ordinary_call_is_held(site: &Site, listener: &AgentDouble, at_least: Duration, state: &str) {
    let held = call(&site.pbx, site.pstn.as_ref().unwrap(), FRANK.dialled);
    assert!(held.took >= at_least, "an ordinary call took {:?}, agent {state}", held.took);
    assert!(!held.marks.is_empty(), "agent {state}");
    only_the_ordinary_call_was_announced(listener, state);
}

fn emergency_calls_are_as_without_sidecall_whatever_state_it_is_in(kind: Kind) {
    let Some(plain) = without_sidecall(kind) else { return };
    let http = ports::local();
    let proxy = ChaosProxy::start(http).unwrap();
    let mut site = Site::start(kind, PbxConfig::default()).unwrap();
    let config = SidecallConfig { http: Some(http), nodes: vec![proxy.addr()], ..SidecallConfig::default() };
    site.start_sidecall(&config).unwrap();
    let listener = AgentDouble::listen(&site.pbx);

    each_emergency_call_is_left_alone(&site, &plain, "alive");
    let rerouted = call(&site.pbx, site.packet.as_ref().unwrap(), FRANK.dialled);
    assert!(carried(&rerouted.invite).is_some(), "Alice has no client to offer");
    only_the_ordinary_call_was_announced(&listener, "alive");

    proxy.pause();
    each_emergency_call_is_left_alone(&site, &plain, "slow");
    an_ordinary_call_is_held(&site, &listener, DEADLINE - Duration::from_millis(50), "slow");
    proxy.resume();

    site.sidecall().child().stop();
    each_emergency_call_is_left_alone(&site, &plain, "hung");
    an_ordinary_call_is_held(&site, &listener, HOLD - Duration::from_millis(10), "hung");

    site.sidecall().child().kill();
    each_emergency_call_is_left_alone(&site, &plain, "dead");
    an_ordinary_call_is_held(&site, &listener, HOLD - Duration::from_millis(10), "dead");
}

/// The snippet's list is empty: it is an older copy, or somebody has edited it.
fn an_emergency_call_that_is_announced_is_left_alone(kind: Kind) {
    let Some(mut site) = lab::or_skip(kind, Site::start(kind, PbxConfig::default())) else { return };
    let config = SidecallConfig { pbx_lines: "outside_prefix = \"9\"\n".to_owned(), ..SidecallConfig::default() };
    site.start_sidecall(&config).unwrap();
    site.pbx.set("sidecall_emergency", "none");
    let listener = AgentDouble::listen(&site.pbx);
    for (n, number) in ["+1911", "9911", "0112"].into_iter().enumerate() {
        let arrived = call(&site.pbx, site.pstn.as_ref().unwrap(), number);
        assert_eq!(listener.wait_for_announcements(n + 1)[n].get("called"), number);
        assert_eq!((arrived.invite.called(), arrived.invite.header("User-to-User")), (number, None));
        assert!(arrived.took < HOLD, "{number} was held for {:?}", arrived.took);
        let is_answer = |mark: &str| ["sidecall_reason", "SIDECALL_ANSWER"].iter().any(|name| mark.contains(name));
        let said = |mark: &String| is_answer(mark) && mark.contains("emergency");
        assert!(arrived.marks.iter().any(said), "{number}: {:?}\n{}", arrived.marks, site.sidecall().log());
    }
    assert!(site.packet.as_ref().unwrap().invites().is_empty());
    call(&site.pbx, site.packet.as_ref().unwrap(), FRANK.dialled);
    let called: Vec<_> = site.sidecall().calls().iter().map(|call| call["called"].clone()).collect();
    assert_eq!(called, [FRANK.dialled], "the node was asked");
}

/// `9011442071838750` has sixteen digits.
fn long_dialled_strings_are_announced(kind: Kind) {
    let Some(mut site) = lab::or_skip(kind, Site::start(kind, PbxConfig::default())) else { return };
    let config = SidecallConfig { pbx_lines: "outside_prefix = \"9\"\n".to_owned(), ..SidecallConfig::default() };
    site.start_sidecall(&config).unwrap();
    let listener = AgentDouble::listen(&site.pbx);
    let (sixteen, twenty, longer) = ("9011442071838750", "90114420718387501234", "901144207183875012345");
    let arrived = call(&site.pbx, site.packet.as_ref().unwrap(), sixteen);
    assert_eq!(arrived.invite.called(), "+442071838750", "{}", site.pbx.log());
    assert!(carried(&arrived.invite).is_some());
    // No E.164 number has so many digits behind the international prefix.
    let arrived = call(&site.pbx, site.pstn.as_ref().unwrap(), twenty);
    assert_eq!((arrived.invite.called(), arrived.invite.header("User-to-User")), (twenty, None));
    assert!(arrived.took < HOLD, "{:?}", arrived.took);
    let alice = Phone::connect(site.pbx.sip(), ALICE.dialled).unwrap();
    assert!(alice.call(longer).wait_status(PATIENCE).is_some(), "{}", site.pbx.log());
    let called = || listener.announcements().iter().map(|seen| seen.get("called").to_owned()).collect::<Vec<_>>();
    assert!(never(|| called() != [sixteen, twenty]), "{longer} has 21 digits, and {:?} were announced", called());
    assert!(alice.rest(PATIENCE));
    assert_eq!(site.sidecall().calls().len(), 1);
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
    let direct = ports::local();
    let mut site = Site::start(kind, PbxConfig { direct: Some(direct), ..PbxConfig::default() }).unwrap();
    site.start_sidecall(&SidecallConfig { direct: Some(direct), ..SidecallConfig::default() }).unwrap();
    site.sidecall().child().stop();
    each_emergency_call_is_left_alone(&site, &plain, "hung, direct mode");
    let alice = Phone::connect(site.pbx.sip(), ALICE.dialled).unwrap();
    let ordinary = alice.call(FRANK.dialled);
    std::thread::sleep(3 * HOLD);
    assert_eq!(ordinary.status(), None, "an ordinary call doesn't wait");
    site.sidecall().child().kill();
    assert!(ordinary.wait_answered(Duration::from_secs(20)) && ordinary.wait_echo(PATIENCE));
    assert!(alice.rest(PATIENCE));
}
