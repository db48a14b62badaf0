//! B12 on exactly what `install.sh` makes: calls between phones, over a trunk, to numbers that nobody has, transfers,
//! pick-ups and parked calls are as they are without sidecall.
//!
//! The PBX gets its configuration from the real `install.sh`. Each call is made twice, once with sidecall and once
//! after `install.sh --uninstall`. What every phone gets, in order, and what the PBX writes down is compared.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

mod lab;

use std::net::SocketAddr;
use std::time::Duration;

use lab::compare::{Compared, Table, compare, none_but_listed};
use lab::office::on_one;
use lab::sidecall::{PBX, domain};
use lab::staff::{Setting, Staff, Step, expect};
use lab::transfers::TRANSFERS;
use lab::voice::{Seen, Watch, records};
use lab::{
    Answer, Call, Calls, FarEnd, Habit, Installed, Kind, PSTN, Pbx, PbxConfig, Phone, SipMessage, conf, installed,
    ports,
};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);

/// Nobody has it.
const UNKNOWN: &str = "8999";

/// The ways in which a call comes to somebody else that are played here too: all that look up a number in the phones'
/// context, or a call that rings there.
const TRANSFERRED: [&str; 11] = [
    "IVR menu",
    "blind, by the called",
    "blind, by the caller",
    "attended, by the called",
    "attended, by the caller",
    "attended, by feature code",
    "directed pick-up",
    "group pick-up",
    "forwarded by the dialplan",
    "ring group",
    "parked and taken back",
];

/// What an administrator of an Asterisk may have in the context of phones besides numbers: what a wrong number in a
/// menu leads to, what nothing at all leads to, what runs when somebody hangs up, and a menu that stays in the context.
/// 1001 and its hint are looked up there by others.
const ASTERISK_CONTEXT: &str = "
[from-internal](+)
exten => i,1,Goto(1003,1)
exten => t,1,Goto(1002,1)
exten => h,1,Set(GLOBAL(LAB_H_${UNIQUEID})=ran)
exten => 6500,1,Answer()
 same => n,WaitExten(3)
exten => 1001,hint,PJSIP/1001
exten => *60,1,Goto(1002,1)
";

/// The PBX, its far end, and the four at their phones.
struct House {
    staff: Staff,
    pstn: FarEnd,
    pbx: Pbx,
    /// On an Asterisk, the context of the phones' endpoints.
    context: &'static str,
}

/// Calls that are up at the end of a play, and what a caller that is no phone has seen.
#[derive(Default)]
struct Up {
    calls: Vec<Call>,
    caller: Vec<SipMessage>,
}

impl From<Vec<Call>> for Up {
    fn from(calls: Vec<Call>) -> Up {
        Up { calls, caller: Vec::new() }
    }
}

/// Makes the calls of a play.
type Makes = dyn Fn(&House) -> Step<Up>;

/// One way in which a call goes.
struct Play {
    name: &'static str,
    only: Option<Kind>,
    play: Box<Makes>,
}

impl Play {
    fn new(name: &'static str, play: fn(&House) -> Step<Up>) -> Play {
        Play { name, only: None, play: Box::new(play) }
    }

    /// With what only [`ASTERISK_CONTEXT`] has.
    fn on_asterisk(name: &'static str, play: fn(&House) -> Step<Up>) -> Play {
        Play { only: Some(Kind::Asterisk), ..Play::new(name, play) }
    }
}

fn plays(kind: Kind) -> Vec<Play> {
    let chosen = TRANSFERS.iter().filter(|transfer| TRANSFERRED.contains(&transfer.name));
    let chosen = chosen.filter(|transfer| transfer.left_out(Setting::OnePbx, kind).is_none());
    let transfers = chosen.map(|transfer| Play {
        name: transfer.name,
        only: None,
        play: Box::new(|house| (transfer.play)(&house.staff).map(Up::from)),
    });
    let own = [
        Play::new("a number outside", outside),
        Play::new("from a trunk", from_trunk),
        Play::new("an unknown number", unknown),
        Play::new("an unknown number, from a trunk", unknown_from_trunk),
        Play::new("transferred to an unknown number", transferred_to_unknown),
        Play::on_asterisk("entered in a menu", entered),
        Play::on_asterisk("an unknown number entered in a menu", entered_unknown),
        Play::on_asterisk("nothing entered in a menu", entered_nothing),
        Play::on_asterisk("a code that is no number", service_code),
        Play::on_asterisk("blind, by feature code", blind_by_feature_code),
        Play::on_asterisk("to an unknown number, by feature code", unknown_by_feature_code),
    ];
    transfers.chain(own).filter(|play| play.only.is_none_or(|only| only == kind)).collect()
}

fn outside(house: &House) -> Step<Up> {
    let call = house.staff.phone(0).call("+442079460000");
    expect(call.wait_answered(SOON), "the outside does not answer")?;
    Ok(vec![call].into())
}

fn unknown(house: &House) -> Step<Up> {
    let call = house.staff.phone(0).call(UNKNOWN);
    expect(call.wait_ended(SOON), "a call to nobody does not end")?;
    // A call that is written down at any rate.
    Ok(vec![house.staff.talk(0, 1)?.0].into())
}

/// A call that comes from the trunk's far end, and hangs up by itself.
fn trunk_calls(house: &House, number: &str) -> Step<lab::sipp::Caller> {
    let calls = Calls::new("+12125550102", number).via(PSTN).hold(600);
    calls.start(house.pbx.trunk_sip()).map_err(|error| error.to_string())
}

fn finished(caller: lab::sipp::Caller) -> Step<Up> {
    let report = caller.finish(SOON).map_err(|error| error.to_string())?;
    Ok(Up { calls: Vec::new(), caller: report.messages })
}

fn from_trunk(house: &House) -> Step<Up> {
    let caller = trunk_calls(house, "+12125551001")?;
    house.staff.answer(1)?;
    finished(caller)
}

fn unknown_from_trunk(house: &House) -> Step<Up> {
    let refused = finished(trunk_calls(house, UNKNOWN)?)?;
    Ok(Up { calls: vec![house.staff.talk(0, 1)?.0], ..refused })
}

fn transferred_to_unknown(house: &House) -> Step<Up> {
    let (call, there) = house.staff.talk(0, 1)?;
    expect(there.refer_to(UNKNOWN) == Some(202), "the transfer is refused at once")?;
    // An Asterisk says with the NOTIFY that it knows no such number, and both talk on.
    if there.wait_transferred(SOON).is_some_and(|status| status >= 300) {
        house.staff.hear((&call, 0), (&there, 1))?;
    } else {
        expect(call.wait_ended(SOON), "a call to nobody does not end")?;
    }
    Ok(vec![call].into())
}

/// The menu in the phones' own context, and what was entered there.
fn enters(house: &House, digits: &str) -> Step<Call> {
    let call = house.staff.phone(0).call("6500");
    expect(call.wait_answered(SOON), "the menu does not answer")?;
    call.dtmf(digits);
    Ok(call)
}

/// Whoever is reached by then answers.
fn reaches(house: &House, call: Call, who: usize) -> Step<Up> {
    let there = house.staff.answer(who)?;
    house.staff.hear((&call, 0), (&there, who))?;
    Ok(vec![call].into())
}

fn entered(house: &House) -> Step<Up> {
    let call = enters(house, "1001")?;
    reaches(house, call, 1)
}

fn entered_unknown(house: &House) -> Step<Up> {
    let call = enters(house, UNKNOWN)?;
    reaches(house, call, 3)
}

fn entered_nothing(house: &House) -> Step<Up> {
    let call = enters(house, "")?;
    reaches(house, call, 2)
}

fn service_code(house: &House) -> Step<Up> {
    let call = house.staff.phone(0).call("*60");
    reaches(house, call, 2)
}

fn blind_by_feature_code(house: &House) -> Step<Up> {
    let (call, there) = house.staff.talk(0, 1)?;
    there.dtmf("##1003");
    reaches(house, call, 3)
}

fn unknown_by_feature_code(house: &House) -> Step<Up> {
    let (call, there) = house.staff.talk(0, 1)?;
    there.dtmf(&format!("##{UNKNOWN}"));
    expect(call.wait_deaf_to(house.staff.phone(1), SOON), "it is not held while a number is entered")?;
    // It asks for the number three times.
    let back = call.wait_hears(house.staff.phone(1), 3 * SOON) && there.wait_hears(house.staff.phone(0), SOON);
    expect(back, "they don't talk on")?;
    Ok(vec![call].into())
}

const PBX_NAME: &str = "the PBX";

/// On an Asterisk the records of these name the endpoint's context, which is ours with sidecall. All else of them is
/// compared. With the endpoints in one context their records are compared too, in `e2e_voice_transfers`.
const SHOW_CONTEXT: [&str; 4] =
    ["blind, by the called", "attended, by the caller", "attended, by feature code", "blind, by feature code"];

/// What didn't go as it should.
const PROBLEMS: &str = "problems";

/// Plays it until everybody has hung up.
fn seen(house: &House, Play { name, play, .. }: &Play) -> Seen {
    let (staff, pbx) = (&house.staff, &house.pbx);
    let phones = || (0..4).map(|n| staff.phone(n));
    let ran_h = || pbx.console("dialplan show globals").lines().filter(|line| line.contains("LAB_H_")).count();
    let before = if pbx.kind() == Kind::Asterisk { ran_h() } else { 0 };
    let watch = Watch::default().phones(phones()).far_ends(vec![&house.pstn]).pbx(PBX_NAME, pbx);
    let (Up { calls, caller }, problem) = match play(house) {
        Ok(up) => (up, None),
        Err(problem) => (Up::default(), Some(problem)),
    };
    // Of two who talk to each other one hangs up.
    for call in &calls {
        calls[0].hang_up();
        assert!(call.wait_ended(SOON), "{name}: a call does not end");
    }
    if problem.is_some() {
        assert!(phones().all(|phone| phone.rest(SOON)), "{name}: a call does not end");
    }
    let mut seen = watch.end();
    seen.add("caller on the trunk", &caller);
    seen.at(PROBLEMS).extend(problem);
    if pbx.kind() == Kind::Asterisk {
        if SHOW_CONTEXT.contains(name) {
            seen.0.retain(|(place, _)| *place != records(PBX_NAME));
        }
        seen.at("how often `h` has run").push((ran_h() - before).to_string());
        for lookup in ["HINT(1001@CONTEXT)", "DIALPLAN_EXISTS(CONTEXT,1001,1)", "DIALPLAN_EXISTS(CONTEXT,8999,1)"] {
            let lookup = lookup.replace("CONTEXT", house.context);
            let found = pbx.console(&format!("dialplan eval function {lookup}"));
            seen.at("looked up").push(found.replace(house.context, ""));
        }
    }
    for phone in phones() {
        phone.habit(Habit::Wait);
        while phone.next_call(Duration::ZERO).is_some() {}
    }
    seen
}

/// The contexts of the endpoints of phones and trunks, as the administrator has them.
const OWN: [&str; 2] = ["from-internal", "from-trunk"];
/// The contexts that `install.sh` puts in front of these.
const IN_FRONT: [&str; 2] = ["sidecall-phones", "sidecall-trunks"];

/// What `install.sh` leaves to the administrator of an Asterisk: the endpoints go from one context to another, and so do
/// the lines that pick up there. Taken back in the same way.
fn lead_calls(pbx: &Pbx, from: [&str; 2], to: [&str; 2]) {
    if pbx.kind() == Kind::Asterisk {
        installed::lead_calls(pbx, [(from[0], to[0]), (from[1], to[1])]).unwrap();
        let pick_up = |context: &str| format!("Pickup(${{EXTEN:2}}@{context})");
        let plan = installed::folder(pbx).join("extensions.conf");
        conf::replace(&plan, &pick_up(from[0]), &pick_up(to[0])).unwrap();
    }
    installed::reload(pbx);
}

/// Plays everything twice: with sidecall as `install.sh` and its last step make it, and after all is taken back.
fn b12_what_install_sh_makes_is_unheard(kind: Kind) {
    let plays = plays(kind);
    let config = PbxConfig { snippets: false, feature_codes: true, ..PbxConfig::default() };
    let Some(pbx) = lab::or_skip(kind, Pbx::start_with(kind, config)) else { return };
    let context = domain(&pbx);
    let mut options = vec!["--main", "+12125552000|5000", "--context", &context];
    if kind == Kind::Asterisk {
        options.extend(["--phones", OWN[0], "--trunks", OWN[1]]);
        let plan = installed::folder(&pbx).join("extensions.conf");
        conf::write(&plan, &(conf::read(&plan).unwrap() + ASTERISK_CONTEXT)).unwrap();
    }
    let made = Installed::beside(&pbx, &options).unwrap();
    // The directory's numbers are on this PBX.
    let own_name = format!("name = \"{}\"", kind.word());
    conf::replace(&made.etc().join("sidecall.toml"), &own_name, &format!("name = \"{PBX}\"")).unwrap();
    lead_calls(&pbx, OWN, IN_FRONT);

    let mut sidecall = made.start(SocketAddr::from(([127, 0, 0, 1], ports::free()))).unwrap();
    let number = |extension: &str| format!("{extension};phone-context={context}");
    let mut staff = on_one(&pbx, &sidecall, number, |extension| Phone::register(pbx.sip(), extension)).unwrap();
    let clients = staff.hand_out_clients();
    let pstn = FarEnd::start(pbx.config().pstn, &Answer::after(300)).unwrap();
    let mut house = House { staff, pstn, pbx, context: IN_FRONT[0] };
    let with: Vec<Seen> = plays.iter().map(|play| seen(&house, play)).collect();
    let announced = sidecall.calls().len();
    assert!(announced >= plays.len(), "{announced} calls were announced");
    drop(clients);
    assert!(sidecall.child().terminate(SOON).is_some(), "sidecall does not end");

    lead_calls(&house.pbx, IN_FRONT, OWN);
    made.take_back();
    installed::reload(&house.pbx);
    let left = conf::read(&installed::folder(&house.pbx).join("extensions.conf")).unwrap_or_default();
    assert!(!left.contains("sidecall-"), "{left}");
    house.context = OWN[0];
    let without = |n: usize| {
        let seen = seen(&house, &plays[n]);
        assert!(seen.lines(PROBLEMS).is_empty(), "{}, without sidecall: {:?}", plays[n].name, seen.lines(PROBLEMS));
        seen
    };
    // The same calls are played elsewhere, where phones are in the administrator's own context.
    let names: Vec<String> = plays.iter().map(|play| format!("installed: {}", play.name)).collect();
    let compared = with.into_iter().enumerate().map(|(n, with)| {
        let without = vec![without(n)];
        Compared { call: &names[n], packet: false, without, with }
    });
    let found = compare(&kind.to_string(), Table::Sidecall, &mut compared.collect::<Vec<_>>(), without);
    none_but_listed(&kind.to_string(), &found);
}

lab::on_both_pbxs! {
    b12_what_install_sh_makes_is_unheard,
}
