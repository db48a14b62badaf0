//! The lab itself: real PBXs come up, and a call without sidecall is an ordinary call.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use lab::{Calls, Habit, Kind, Pbx, Phone};

/// The PBX, if this machine has it; else one line says that the test was skipped.
fn start(kind: Kind) -> Option<Pbx> {
    lab::or_skip(kind, Pbx::start(kind))
}

/// Tests on a FreeSWITCH are marked when they are compiled; it may have come, or gone, since.
#[test]
fn the_tests_were_compiled_with_the_pbxs_that_are_here() {
    let (had, has) = (lab::had_freeswitch!(), Kind::FreeSwitch.find().is_ok());
    assert_eq!(had, has, "a FreeSWITCH was installed or removed: touch lab/marks/build.rs and compile again");
}

/// Two processes that look for ports at the same time each have blocks of their own, and go through them in turn.
#[test]
fn no_port_is_given_to_two_processes() {
    let new = || lab::net::ports::Blocks::new(10_000, 5, 4, 2);
    let [mut one, mut other] = [new(), new()];
    let (mut ones, mut others) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..30 {
        ones.insert(one.take(1));
        others.insert(other.take(1));
    }
    assert!(ones.is_disjoint(&others), "{ones:?} {others:?}");
    assert!(ones.len() <= 10 && others.len() <= 10, "{ones:?} {others:?}");
    // A process that ends leaves its blocks.
    drop(one);
    let third = new().take(1);
    assert!(ones.contains(&third), "{third} is none of {ones:?}");
}

fn a_call_without_an_agent_is_an_ordinary_call(kind: Kind) {
    let Some(pbx) = start(kind) else { return };
    let far = Phone::listen(pbx.config().pstn, &Habit::at_once()).unwrap();
    let report = Calls::new("1000", "+12125550100").place(pbx.sip()).unwrap();
    assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
    assert!(report.calls[0].answered.unwrap() < Duration::from_millis(400), "held: {report:?}");

    let invites = far.invites();
    assert_eq!(invites.len(), 1);
    assert_eq!(invites[0].called(), "+12125550100");
    assert_eq!(invites[0].calling(), "1000");
    assert_eq!(invites[0].header("User-to-User"), None);
}

fn a_phone_registers_and_is_called(kind: Kind) {
    let Some(pbx) = start(kind) else { return };
    let phone = Phone::register_plain(pbx.sip(), "1001", &Habit::at_once()).unwrap();
    let report = Calls::new("1000", "1001").place(pbx.sip()).unwrap();
    assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
    assert_eq!(phone.invites().len(), 1);
}

const SOON: Duration = Duration::from_secs(10);

fn two_phones_talk(kind: Kind) {
    let Some(pbx) = start(kind) else { return };
    let alice = Phone::register(pbx.sip(), "1000").unwrap();
    let bob = Phone::register(pbx.sip(), "1001").unwrap();
    let call = alice.call_as("1001", "Alice A.", &["X-Lab: 1"]);
    let there = bob.next_call(SOON).unwrap();
    there.ring();
    assert!(call.wait_ringing(SOON));
    there.answer();
    assert!(call.wait_answered(SOON), "{:#?}", alice.messages());
    assert_eq!(there.calling(), "1000");
    assert!(call.wait_hears(&bob, SOON) && there.wait_hears(&alice, SOON), "{}", pbx.log());
    assert!(call.hold());
    assert!(there.wait_deaf_to(&alice, SOON));
    assert!(call.resume());
    assert!(call.wait_hears(&bob, SOON) && there.wait_hears(&alice, SOON));
    there.hang_up();
    assert!(call.wait_ended(SOON) && call.ended_there());
}

fn a_phone_refuses_cancels_and_hangs_up_by_itself(kind: Kind) {
    let Some(pbx) = start(kind) else { return };
    let alice = Phone::register(pbx.sip(), "1000").unwrap();
    let bob = Phone::register(pbx.sip(), "1001").unwrap();
    bob.habit(Habit::Refuse("486 Busy Here"));
    // Vanilla FreeSWITCH has a voice mailbox for whoever is refused.
    let mailbox = kind == Kind::FreeSwitch;
    let call = alice.call("1001");
    assert_eq!(call.wait_status(SOON), Some(if mailbox { 200 } else { 486 }));
    assert_eq!(bob.next_call(SOON).unwrap().status(), Some(486));
    call.hang_up();
    bob.habit(Habit::Ring);
    let call = alice.call("1001");
    assert!(call.wait_ringing(SOON));
    call.hang_up();
    assert_eq!(call.wait_status(SOON), Some(487));
    bob.habit(Habit::Answer { ring_ms: 100, talk_ms: Some(300) });
    let call = alice.call("1001");
    assert!(call.wait_answered(SOON));
    assert!(call.wait_ended(SOON) && call.ended_there());
    assert!(bob.wait_idle(SOON));
}

#[test]
fn asterisk_two_phones() {
    two_phones_talk(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_two_phones() {
    two_phones_talk(Kind::FreeSwitch);
}

#[test]
fn asterisk_a_phone_by_itself() {
    a_phone_refuses_cancels_and_hangs_up_by_itself(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_a_phone_by_itself() {
    a_phone_refuses_cancels_and_hangs_up_by_itself(Kind::FreeSwitch);
}

#[test]
fn asterisk_without_an_agent() {
    a_call_without_an_agent_is_an_ordinary_call(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_without_an_agent() {
    a_call_without_an_agent_is_an_ordinary_call(Kind::FreeSwitch);
}

#[test]
fn asterisk_rings_a_phone() {
    a_phone_registers_and_is_called(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_rings_a_phone() {
    a_phone_registers_and_is_called(Kind::FreeSwitch);
}
