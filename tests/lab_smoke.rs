//! The lab itself: real PBXs come up, and a call without sidecall is an ordinary call.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod lab;

use std::time::Duration;

use lab::{Answer, Calls, FarEnd, Kind, Pbx};

/// The PBX, if this machine has it; else one line says that the test was skipped.
fn start(kind: Kind) -> Option<Pbx> {
    lab::or_skip(kind, Pbx::start(kind))
}

fn a_call_without_an_agent_is_an_ordinary_call(kind: Kind) {
    let Some(pbx) = start(kind) else { return };
    let far = FarEnd::start(pbx.config().pstn, &Answer::at_once()).unwrap();
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
    let phone = FarEnd::register(pbx.sip(), "1001", &Answer::at_once()).unwrap();
    let report = Calls::new("1000", "1001").place(pbx.sip()).unwrap();
    assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
    assert_eq!(phone.invites().len(), 1);
}

#[test]
fn asterisk_without_an_agent() {
    a_call_without_an_agent_is_an_ordinary_call(Kind::Asterisk);
}

#[test]
fn freeswitch_without_an_agent() {
    a_call_without_an_agent_is_an_ordinary_call(Kind::FreeSwitch);
}

#[test]
fn asterisk_rings_a_phone() {
    a_phone_registers_and_is_called(Kind::Asterisk);
}

#[test]
fn freeswitch_rings_a_phone() {
    a_phone_registers_and_is_called(Kind::FreeSwitch);
}
