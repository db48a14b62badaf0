//! B12 on exactly what `install.sh` makes: calls between phones, over the packet trunk and another, to numbers that
//! nobody has, transfers, pick-ups and parked calls are as they are without sidecall.
//!
//! The PBX gets its configuration from the real `install.sh`. Each call is made twice, once with sidecall and once
//! after `install.sh --uninstall`. What every phone gets, in order, and what the PBX writes down is compared. Where a
//! call takes the packet trunk with sidecall, the administrator's own dialplan dials the same trunk without it.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::time::Duration;

use lab::net::ports;
use lab::pbx::conf;
use lab::pbx::installed;
use lab::pbx::installed::PacketTrunk;
use lab::scenario::differences::{Compared, Table, differences, none_but_listed};
use lab::scenario::people::People;
use lab::scenario::transfers::TRANSFERS;
use lab::scenario::voice::{Observation, Watch};
use lab::scenario::{self, Step, expect, sound_both_ways};
use lab::sidecall::{PBX, domain};
use lab::{Call, Habit, Installed, Kind, Pbx, PbxConfig, Phone};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);

/// Nobody has it.
const UNKNOWN: &str = "8999";

/// The ways in which a call comes to somebody else that are compared here too: all that look up a number in the phones'
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
 same => n,Set(TIMEOUT(digit)=2)
 same => n,WaitExten(3)
exten => 1001,hint,PJSIP/1001
exten => *60,1,Goto(1002,1)
";

/// Who is outside, and is called or calls.
const OUTSIDE: &str = "+442079460000";

/// The PBX, the far ends of its two trunks, and the people at their phones.
struct House {
    people: People,
    /// Has no client.
    fifth: Phone,
    packet: Phone,
    pstn: Phone,
    pbx: Pbx,
    /// On an Asterisk, the context of the phones' endpoints.
    context: &'static str,
}

impl House {
    fn phones(&self) -> impl Iterator<Item = &Phone> {
        self.people.phones.iter().chain([&self.fifth])
    }
}

/// Makes the calls of a scenario; those that are up at its end.
type Makes = dyn Fn(&House) -> Step<Vec<Call>>;

/// One way in which a call goes.
struct VoiceScenario {
    name: &'static str,
    only: Option<Kind>,
    /// It takes the packet trunk.
    packet: bool,
    steps: Box<Makes>,
}

impl VoiceScenario {
    fn new(name: &'static str, steps: fn(&House) -> Step<Vec<Call>>) -> VoiceScenario {
        VoiceScenario { name, only: None, packet: false, steps: Box::new(steps) }
    }

    fn packet(name: &'static str, steps: fn(&House) -> Step<Vec<Call>>) -> VoiceScenario {
        VoiceScenario { packet: true, ..VoiceScenario::new(name, steps) }
    }

    /// With what only [`ASTERISK_CONTEXT`] has.
    fn on_asterisk(name: &'static str, steps: fn(&House) -> Step<Vec<Call>>) -> VoiceScenario {
        VoiceScenario { only: Some(Kind::Asterisk), ..VoiceScenario::new(name, steps) }
    }
}

fn scenarios(kind: Kind) -> Vec<VoiceScenario> {
    let chosen = TRANSFERS.iter().filter(|transfer| TRANSFERRED.contains(&transfer.name));
    let chosen = chosen.filter(|transfer| transfer.left_out(false, kind).is_none());
    let transfers = chosen.map(|transfer| VoiceScenario {
        name: transfer.name,
        only: None,
        packet: false,
        steps: Box::new(|house| (transfer.steps)(&house.people)),
    });
    let own = [
        VoiceScenario::new("a number outside", outside),
        VoiceScenario::new("from a trunk", from_trunk),
        VoiceScenario::packet("over the packet trunk", over_packet_trunk),
        VoiceScenario::packet("over the packet trunk, the far end hangs up", called_hangs_up),
        VoiceScenario::packet("over the packet trunk, busy", busy_over_packet_trunk),
        VoiceScenario::packet("over the packet trunk, then transferred", transferred_over_packet_trunk),
        VoiceScenario::new("from the packet trunk", from_packet_trunk),
        VoiceScenario::new("an unknown number", unknown),
        VoiceScenario::new("an unknown number, from a trunk", unknown_from_trunk),
        VoiceScenario::new("transferred to an unknown number", transferred_to_unknown),
        VoiceScenario::on_asterisk("entered in a menu", entered),
        VoiceScenario::on_asterisk("an unknown number entered in a menu", entered_unknown),
        VoiceScenario::on_asterisk("nothing entered in a menu", entered_nothing),
        VoiceScenario::on_asterisk("a code that is no number", service_code),
        VoiceScenario::on_asterisk("blind, by feature code", blind_by_feature_code),
        VoiceScenario::on_asterisk("to an unknown number, by feature code", unknown_by_feature_code),
    ];
    transfers.chain(own).filter(|scenario| scenario.only.is_none_or(|only| only == kind)).collect()
}

/// `from` calls `number`; `to` rings and answers, and they talk.
fn talk(from: &Phone, number: &str, to: &Phone) -> Step<(Call, Call)> {
    scenario::talk(from.call(number), from, to, SOON)
}

fn outside(house: &House) -> Step<Vec<Call>> {
    Ok(vec![talk(&house.fifth, OUTSIDE, &house.pstn)?.0])
}

fn over_packet_trunk(house: &House) -> Step<Vec<Call>> {
    Ok(vec![talk(&house.people.phones[0], OUTSIDE, &house.packet)?.0])
}

fn called_hangs_up(house: &House) -> Step<Vec<Call>> {
    let (call, there) = talk(&house.people.phones[0], OUTSIDE, &house.packet)?;
    Ok(vec![there, call])
}

fn busy_over_packet_trunk(house: &House) -> Step<Vec<Call>> {
    let call = house.people.phones[0].call(OUTSIDE);
    let there = house.packet.next_call(SOON).ok_or("the far end isn't called")?;
    there.refuse("486 Busy Here");
    let refused = call.wait_status(SOON).is_some_and(|status| status >= 400);
    expect(refused && call.wait_ended(SOON), "a call to somebody who is busy does not end")?;
    Ok(Vec::new())
}

fn transferred_over_packet_trunk(house: &House) -> Step<Vec<Call>> {
    let (call, there) = talk(&house.people.phones[0], OUTSIDE, &house.packet)?;
    expect(call.refer_to("1003") == Some(202), "the transfer is refused")?;
    let third = house.people.answer(3)?;
    expect(there.wait_answered(SOON), "it is not answered")?;
    sound_both_ways((&there, &house.packet), (&third, &house.people.phones[3]), SOON)?;
    expect(call.wait_ended(SOON), "who transferred is still there")?;
    Ok(vec![there])
}

fn from_packet_trunk(house: &House) -> Step<Vec<Call>> {
    Ok(vec![talk(&house.packet, "+12125551001", &house.people.phones[1])?.0])
}

fn unknown(house: &House) -> Step<Vec<Call>> {
    let call = house.people.phones[0].call(UNKNOWN);
    expect(call.wait_ended(SOON), "a call to nobody does not end")?;
    // A call that is written down at any rate.
    Ok(vec![house.people.talk(0, 1)?.0])
}

fn from_trunk(house: &House) -> Step<Vec<Call>> {
    Ok(vec![talk(&house.pstn, "+12125551001", &house.people.phones[1])?.0])
}

fn unknown_from_trunk(house: &House) -> Step<Vec<Call>> {
    let call = house.pstn.call(UNKNOWN);
    expect(call.wait_ended(SOON), "a call to nobody does not end")?;
    Ok(vec![house.people.talk(0, 1)?.0])
}

fn transferred_to_unknown(house: &House) -> Step<Vec<Call>> {
    let (call, there) = house.people.talk(0, 1)?;
    expect(there.refer_to(UNKNOWN) == Some(202), "the transfer is refused at once")?;
    // An Asterisk says with the NOTIFY that it knows no such number, and both talk on.
    if there.wait_transferred(SOON).is_some_and(|status| status >= 300) {
        house.people.sound_both_ways((&call, 0), (&there, 1))?;
    } else {
        expect(call.wait_ended(SOON), "a call to nobody does not end")?;
    }
    Ok(vec![call])
}

/// The menu in the phones' own context, and what was entered there.
fn enters(house: &House, digits: &str) -> Step<Call> {
    let call = house.people.phones[0].call("6500");
    expect(call.wait_answered(SOON), "the menu does not answer")?;
    call.dtmf(digits);
    Ok(call)
}

fn entered(house: &House) -> Step<Vec<Call>> {
    let call = enters(house, "1001")?;
    house.people.comes_to(call, 1)
}

fn entered_unknown(house: &House) -> Step<Vec<Call>> {
    let call = enters(house, UNKNOWN)?;
    house.people.comes_to(call, 3)
}

fn entered_nothing(house: &House) -> Step<Vec<Call>> {
    let call = enters(house, "")?;
    house.people.comes_to(call, 2)
}

fn service_code(house: &House) -> Step<Vec<Call>> {
    let call = house.people.phones[0].call("*60");
    house.people.comes_to(call, 2)
}

fn blind_by_feature_code(house: &House) -> Step<Vec<Call>> {
    let (call, there) = house.people.talk(0, 1)?;
    there.dtmf("##1003");
    house.people.comes_to(call, 3)
}

fn unknown_by_feature_code(house: &House) -> Step<Vec<Call>> {
    let (call, there) = house.people.talk(0, 1)?;
    there.dtmf(&format!("##{UNKNOWN}"));
    expect(call.wait_deaf_to(&house.people.phones[1], SOON), "it is not held while a number is entered")?;
    let back = call.wait_hears(&house.people.phones[1], SOON) && there.wait_hears(&house.people.phones[0], SOON);
    expect(back, "they don't talk on")?;
    Ok(vec![call])
}

const PBX_NAME: &str = "the PBX";

/// What didn't go as it should.
const PROBLEMS: &str = "problems";

/// Makes its calls until everybody has hung up.
fn observe(house: &House, VoiceScenario { name, steps, .. }: &VoiceScenario) -> Observation {
    let pbx = &house.pbx;
    let everybody = || house.phones().chain([&house.packet, &house.pstn]);
    let ran_h = || pbx.console("dialplan show globals").lines().filter(|line| line.contains("LAB_H_")).count();
    let before = if pbx.kind() == Kind::Asterisk { ran_h() } else { 0 };
    let watch = Watch::default().phones(house.phones()).trunk_phones([&house.packet, &house.pstn]).pbx(PBX_NAME, pbx);
    let (calls, problem) = match steps(house) {
        Ok(calls) => (calls, None),
        Err(problem) => (Vec::new(), Some(problem)),
    };
    pbx.wait_joined(Duration::from_secs(2));
    // Of two who talk to each other one hangs up.
    for call in &calls {
        calls[0].hang_up();
        assert!(call.wait_ended(SOON), "{name}: a call does not end");
    }
    if problem.is_some() {
        assert!(everybody().all(|phone| phone.rest(SOON)), "{name}: a call does not end");
    }
    let mut observed = watch.end();
    observed.at(PROBLEMS).extend(problem);
    if pbx.kind() == Kind::Asterisk {
        observed.at("how often `h` has run").push((ran_h() - before).to_string());
        for lookup in ["HINT(1001@CONTEXT)", "DIALPLAN_EXISTS(CONTEXT,1001,1)", "DIALPLAN_EXISTS(CONTEXT,8999,1)"] {
            let lookup = lookup.replace("CONTEXT", house.context);
            let found = pbx.console(&format!("dialplan eval function {lookup}"));
            observed.at("looked up").push(found.replace(house.context, ""));
        }
    }
    for phone in everybody() {
        phone.habit(Habit::Wait);
        while phone.next_call(Duration::ZERO).is_some() {}
    }
    observed
}

/// The contexts of the endpoints of phones and trunks, as the administrator has them.
const OWN: [&str; 2] = ["from-internal", "from-trunk"];
/// The contexts that `install.sh` puts in front of these.
const IN_FRONT: [&str; 2] = ["sidecall-phones", "sidecall-trunks"];

/// What `install.sh` leaves to the administrator of an Asterisk: the endpoints go from one context to another, and so do
/// the lines that pick up there. Taken back in the same way.
fn lead_calls(pbx: &Pbx, from: [&str; 2], to: [&str; 2]) {
    if pbx.kind() == Kind::Asterisk {
        installed::lead_calls(pbx, &[(from[0], to[0]), (from[1], to[1])]).unwrap();
        let pick_up = |context: &str| format!("Pickup(${{EXTEN:2}}@{context})");
        let plan = pbx.etc().join("extensions.conf");
        conf::replace(&plan, &pick_up(from[0]), &pick_up(to[0])).unwrap();
    }
    installed::reload(pbx);
}

/// Makes every call twice: with sidecall as `install.sh` and its last step make it, and after all is taken back.
fn b12_what_install_sh_makes_is_unheard(kind: Kind) {
    let scenarios = scenarios(kind);
    let config = PbxConfig { snippets: false, feature_codes: true, ..PbxConfig::default() };
    let Some(pbx) = lab::or_skip(kind, Pbx::start_with(kind, config)) else { return };
    let context = domain(&pbx);
    let far = pbx.config().packet.to_string();
    let mut options = vec!["--main", "+12125552000|5000", "--context", &context, "--trunk", &far];
    if kind == Kind::Asterisk {
        options.extend(["--phones", OWN[0], "--trunks", OWN[1]]);
        let plan = pbx.etc().join("extensions.conf");
        conf::write(&plan, &(conf::read(&plan).unwrap() + ASTERISK_CONTEXT)).unwrap();
    }
    installed::without_packet_trunk(&pbx).unwrap();
    let made = Installed::beside(&pbx, &options).unwrap();
    let trunk = PacketTrunk::read(&pbx).unwrap();
    // The directory's numbers are on this PBX.
    let own_name = format!("name = \"{}\"", kind.word());
    conf::replace(&made.etc().join("sidecall.toml"), &own_name, &format!("name = \"{PBX}\"")).unwrap();
    installed::let_calls_out(&pbx).unwrap();
    let trunk_end = |number, at| Phone::trunk_end(pbx.trunk_sip(), number, at).unwrap();
    let packet = trunk_end("+12125550102", pbx.config().packet);
    let pstn = trunk_end("+12125550103", pbx.config().pstn);
    lead_calls(&pbx, OWN, IN_FRONT);

    let mut sidecall = made.start(ports::local()).unwrap();
    let number = |extension: &str| format!("{extension};phone-context={context}");
    let mut people =
        People::on_one(&pbx, &sidecall, number, |extension| Phone::register(pbx.sip(), extension)).unwrap();
    let clients = std::mem::take(&mut people.clients);
    let fifth = Phone::register(pbx.sip(), "1004").unwrap();
    let mut house = House { people, fifth, packet, pstn, pbx, context: IN_FRONT[0] };
    let with: Vec<Observation> = scenarios.iter().map(|scenario| observe(&house, scenario)).collect();
    let calls = sidecall.calls();
    assert!(calls.len() >= scenarios.len(), "{} calls were announced", calls.len());
    let over_packet_trunk = calls.iter().filter(|call| call["route"] == "packet").count();
    assert_eq!(over_packet_trunk, scenarios.iter().filter(|scenario| scenario.packet).count(), "{calls:#?}");
    drop(clients);
    assert!(sidecall.child().terminate(SOON).is_some(), "sidecall does not end");

    lead_calls(&house.pbx, IN_FRONT, OWN);
    installed::let_no_calls_out(&house.pbx).unwrap();
    made.take_back();
    let left = conf::read(&house.pbx.etc().join("extensions.conf")).unwrap_or_default();
    assert!(!left.contains("sidecall-"), "{left}");
    trunk.keep(&house.pbx, OWN[1]).unwrap();
    installed::reload(&house.pbx);
    house.context = OWN[0];
    let without = |n: usize| {
        house.pbx.call_out_over(if scenarios[n].packet { "sidecall" } else { "pstn" });
        let observed = observe(&house, &scenarios[n]);
        assert!(
            observed.lines(PROBLEMS).is_empty(),
            "{}, without sidecall: {:?}",
            scenarios[n].name,
            observed.lines(PROBLEMS)
        );
        observed
    };
    // The same calls are played elsewhere, where phones are in the administrator's own context.
    let names: Vec<String> = scenarios.iter().map(|scenario| format!("installed: {}", scenario.name)).collect();
    let compared = with.into_iter().enumerate().map(|(n, with)| {
        let without = vec![without(n)];
        Compared { call: &names[n], packet: scenarios[n].packet, without, with }
    });
    let found = differences(&kind.to_string(), Table::Sidecall, &mut compared.collect::<Vec<_>>(), without);
    none_but_listed(&kind.to_string(), &found);
}

lab::on_both_pbxs! {
    b12_what_install_sh_makes_is_unheard,
}
