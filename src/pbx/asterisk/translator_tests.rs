//! Asterisk's events, recorded and malformed, in our words.

use super::*;
use crate::ami::{AmiFrame, fuzz::decode};
use crate::core::routing::route::Side;
use crate::pbx::asterisk::fuzz::printed as event;
use std::time::Duration;

const RECORDED: &[u8] = include_bytes!("../../../fixtures/ami/hold-call.recv");
const ANNOUNCED: &[u8] = include_bytes!("../../../fixtures/ami/announced-call.recv");

fn leg(text: &str) -> LegId {
    text.parse().unwrap()
}

#[test]
fn a_recorded_call_in_our_words() {
    let (frames, error) = decode(RECORDED, &[]);
    assert!(error.is_none());
    let mut translator = AsteriskTranslator::default();
    let story = frames.into_iter().filter_map(AmiFrame::into_event).flat_map(|event| translator.read(&event));
    let (a, b) = (leg("1795345005.1600"), leg("1795345005.1601"));
    let story: Vec<_> = story.collect();
    assert_eq!(story[0], PbxEvent::Dialled { leg: b.clone(), by: a.clone(), device: Device::Unnamed, trunk: None });
    assert!(story.contains(&PbxEvent::Answered { leg: b.clone() }));
    assert!(story.contains(&PbxEvent::Answered { leg: a.clone() }));
    let bridged = |h: &PbxEvent| matches!(h, PbxEvent::Bridged { legs, .. } if *legs == [b.clone(), a.clone()]);
    assert!(story.iter().any(bridged));
    let unbridged = story.iter().filter(|h| matches!(h, PbxEvent::Unbridged { .. })).count();
    assert_eq!(unbridged, 1);
    let Some(PbxEvent::HungUp { cause, .. }) = story.last() else { panic!("{story:?}") };
    assert_eq!(cause.as_deref(), Some("Normal Clearing"));
}

#[test]
fn a_call_that_our_snippet_announced() {
    let (frames, error) = decode(ANNOUNCED, &[]);
    assert!(error.is_none());
    let mut translator = AsteriskTranslator::default();
    let story: Vec<_> = frames.into_iter().filter_map(AmiFrame::into_event).flat_map(|e| translator.read(&e)).collect();
    let [PbxEvent::Announced(announced), rest @ ..] = &story[..] else { panic!("{story:?}") };
    let (a, b) = (leg("1795352509.2"), leg("1795352509.3"));
    assert_eq!(announced.leg, a);
    assert_eq!(announced.agent, "01a2035936ec7697bfb6e0ab11862f2c");
    assert_eq!(announced.hold, Duration::from_millis(500));
    assert_eq!(announced.sent, Some(1_795_352_509_833_041));
    let release = Release::Redirect {
        channel: "PJSIP/phones-00000000".to_owned(),
        context: "sidecall".to_owned(),
        exten: "s".to_owned(),
        joined: false,
    };
    assert_eq!(announced.release, release);
    assert_eq!(announced.tags, CallTags::originating("1000", "+12125550100"));
    let words: Vec<_> = rest
        .iter()
        .map(|event| match event {
            PbxEvent::Dialled { leg, by, device, .. } if (leg, by) == (&b, &a) => {
                assert_eq!(device.number(), Some("+12125550100"), "the trunk has no number of its own");
                "dialled"
            }
            PbxEvent::Answered { leg } if *leg == a => "a answered",
            PbxEvent::Answered { leg } if *leg == b => "b answered",
            PbxEvent::Bridged { .. } => "bridged",
            PbxEvent::Unbridged { .. } => "unbridged",
            PbxEvent::HungUp { leg, .. } if *leg == a => "a hung up",
            PbxEvent::HungUp { leg, .. } if *leg == b => "b hung up",
            other => panic!("{other:?}"),
        })
        .collect();
    let told = ["dialled", "b answered", "a answered", "bridged", "unbridged", "a hung up", "b hung up"];
    assert_eq!(words, told);
    assert_eq!(translator.topology, Topology::default(), "a bridge that is over is forgotten");
}

#[test]
fn one_who_takes_anothers_place_does_not_hear_them() {
    let enter = |who: &str, swap: &str| {
        event(&format!("Event: BridgeEnter\nBridgeUniqueid: b\nUniqueid: {who}\nSwapUniqueid: {swap}\n"))
    };
    let leave = |who: &str| event(&format!("Event: BridgeLeave\nBridgeUniqueid: b\nUniqueid: {who}\n"));
    let mut translator = AsteriskTranslator::default();
    translator.read(&enter("1", ""));
    translator.read(&enter("2", ""));
    let swapped = translator.read(&enter("3", "2"));
    let unbridged = PbxEvent::Unbridged { legs: [leg("2"), leg("1")] };
    assert_eq!(
        swapped,
        [unbridged, PbxEvent::Bridged { legs: [leg("1"), leg("3")], devices: [Device::Unnamed, Device::Unnamed] }]
    );
    assert_eq!(translator.read(&leave("2")), []);
}

#[test]
fn a_call_to_a_main_number_is_marked_and_not_held() {
    let said = "Event: UserEvent\nUniqueid: 1.1\nUserEvent: SidecallAttended\nAgent: me\nSide: originating\nCalling: 1001\n\
        Withheld: yes\nTenant: \nReceived: \nRefused: \n";
    let [PbxEvent::MainNumber { leg: caller, tags, agent }] = &AsteriskTranslator::default().read(&event(said))[..]
    else {
        panic!()
    };
    assert_eq!(agent, "me");
    assert_eq!((caller, tags.calling.as_str(), tags.called.as_str(), tags.withheld), (&leg("1.1"), "1001", "", true));
    let other = said.replace("SidecallAttended", "SidecallSetup");
    assert_eq!(AsteriskTranslator::default().read(&event(&other)), []);
}

const SETUP: &str = "Event: UserEvent\nChannel: PJSIP/101-00000001\nCallerIDName: Agent: x\nContext: sidecall\n\
    Exten: s\nUniqueid: 1795345005.1600\nUserEvent: SidecallSetup\nAgent: me\nSide: terminating\nCalling: 1001\n\
    Called: 1002\nHold: 500\nSent: 1795345005.160012\nReceived: 04aa\n";

#[test]
fn an_announcement() {
    let [PbxEvent::Announced(announced)] = &AsteriskTranslator::default().read(&event(SETUP))[..] else { panic!() };
    assert_eq!(announced.leg, leg("1795345005.1600"));
    assert_eq!(announced.agent, "me");
    assert_eq!(announced.hold, Duration::from_millis(500));
    assert_eq!(announced.sent, Some(1_795_345_005_160_012));
    assert_eq!(announced.tags.side, Side::Terminating);
    assert_eq!(announced.tags.received.as_deref(), Some("04aa"));
    let Release::Redirect { channel, context, exten, joined } = &announced.release else { panic!() };
    assert_eq!((channel.as_str(), context.as_str(), exten.as_str()), ("PJSIP/101-00000001", "sidecall", "s"));
    assert!(!joined, "a snippet of an earlier version");
}

#[test]
fn a_snippet_says_that_it_takes_the_answer_in_one_variable() {
    for (said, expected) in [("Answer: 1\n", true), ("Answer: 2\n", false), ("Answer: \n", false)] {
        let event = event(&format!("{SETUP}{said}"));
        let [PbxEvent::Announced(announced)] = &AsteriskTranslator::default().read(&event)[..] else { panic!() };
        let Release::Redirect { joined, .. } = &announced.release else { panic!() };
        assert_eq!(*joined, expected, "{said}");
    }
}

#[test]
fn other_user_events_are_not_ours() {
    let other = event(&SETUP.replace("SidecallSetup", "SidecallSetup2"));
    assert_eq!(AsteriskTranslator::default().read(&other), []);
}

#[test]
fn everyone_in_a_bridge_hears_everyone() {
    let enter = |who: &str| event(&format!("Event: BridgeEnter\nBridgeUniqueid: b\nUniqueid: {who}\n"));
    let leave = |who: &str| event(&format!("Event: BridgeLeave\nBridgeUniqueid: b\nUniqueid: {who}\n"));
    let mut translator = AsteriskTranslator::default();
    assert_eq!(translator.read(&enter("1")).len(), 0);
    assert_eq!(translator.read(&enter("2")).len(), 1);
    assert_eq!(translator.read(&enter("3")).len(), 2);
    assert_eq!(translator.read(&enter("3")).len(), 0, "repeated");
    assert_eq!(translator.read(&leave("1")).len(), 2);
    let hangup = event("Event: Hangup\nUniqueid: 2\nCause-txt: Normal Clearing\n");
    assert_eq!(translator.read(&hangup).len(), 2, "a hang-up leaves its bridge too");
}

/// The events that would have said it may have lines of a caller.
#[test]
fn nobody_hears_anybody_in_a_bridge_that_is_gone() {
    let enter = |who: &str| event(&format!("Event: BridgeEnter\nBridgeUniqueid: b\nUniqueid: {who}\n"));
    let mut translator = AsteriskTranslator::default();
    translator.read(&enter("1"));
    translator.read(&enter("2"));
    let told = translator.read(&event("Event: BridgeDestroy\nBridgeUniqueid: b\n"));
    assert!(matches!(&told[..], [PbxEvent::Unbridged { .. }]), "{told:?}");
}

#[test]
fn the_names_of_channels() {
    assert_eq!(kind("PJSIP/1001-00000001"), ChannelKind::Real);
    assert_eq!(kind("Local/1002@default-00000000;2"), ChannelKind::Intermediate("1002@default-00000000".into(), 1));
    for name in ["CBAnn/room-00000000;1", "CBRec/conf-room-uid-1", "Snoop/1.1-00000000", "Announcer/ARI-00000000;2"] {
        assert_eq!(kind(name), ChannelKind::Nobody, "{name}");
    }
    // What somebody calls a phone is not what makes a channel a half.
    assert_eq!(kind("PJSIP/Local;1"), ChannelKind::Real);
}

/// Recorded at the end of an attended transfer by feature code; A is 1000, Q 1003.
#[test]
fn a_local_channel_that_is_taken_out_parts_nobody() {
    let mut translator = AsteriskTranslator::default();
    let halves = "LocalOneChannel: Local/1003@c-0;1\nLocalTwoChannel: Local/1003@c-0;2\n";
    let mut read = |what: &str, bridge: &str, channel: &str, leg: &str, swap: &str| {
        translator.read(&event(&format!(
            "Event: {what}\nChannel: {channel}\nUniqueid: {leg}\nBridgeUniqueid: {bridge}\nSwapUniqueid: {swap}\n{halves}"
        )))
    };
    let (one, two) = ("Local/1003@c-0;1", "Local/1003@c-0;2");
    read("BridgeEnter", "x", "PJSIP/1003-2", "Q", "");
    read("BridgeEnter", "x", two, "L2", "");
    read("BridgeEnter", "y", "PJSIP/1000-0", "A", "");
    let together =
        PbxEvent::Bridged { legs: [leg("A"), leg("Q")], devices: [Device::named("1000"), Device::named("1003")] };
    assert_eq!(read("BridgeEnter", "y", one, "L1", ""), std::slice::from_ref(&together));
    assert_eq!(read("LocalOptimizationBegin", "", "", "", ""), []);
    assert_eq!(read("BridgeLeave", "y", "PJSIP/1000-0", "A", ""), []);
    assert_eq!(read("BridgeLeave", "x", two, "L2", ""), []);
    // Said once more, which changes nothing for those who hear each other.
    read("BridgeEnter", "x", "PJSIP/1000-0", "A", "L2");
    read("BridgeLeave", "y", one, "L1", "");
    assert_eq!(read("LocalOptimizationEnd", "", "", "", ""), []);
    let apart = PbxEvent::Unbridged { legs: [leg("A"), leg("Q")] };
    assert_eq!(read("BridgeLeave", "x", "PJSIP/1000-0", "A", ""), std::slice::from_ref(&apart));

    // Whoever hangs up in the midst of it is apart when it is done.
    read("BridgeEnter", "x", two, "L2", "");
    read("BridgeEnter", "y", one, "L1", "");
    read("BridgeEnter", "y", "PJSIP/1000-0", "A", "");
    read("LocalOptimizationBegin", "", "", "", "");
    assert_eq!(read("BridgeLeave", "y", "PJSIP/1000-0", "A", ""), []);
    let told = read("Hangup", "", one, "L1", "");
    assert_eq!(told[0], apart);
}

#[test]
fn time_stamps() {
    assert_eq!(micros("1.5"), Some(1_500_000));
    assert_eq!(micros("1.000012"), Some(1_000_012));
    assert_eq!(micros("1"), Some(1_000_000));
    assert_eq!(micros("1.0000129"), Some(1_000_012));
    for bad in ["", ".", "x", "1.x", "99999999999999999999"] {
        assert_eq!(micros(bad), None, "{bad:?}");
    }
}

/// The phone that is dialled for a call to 1002.
fn dialled(endpoints: &Endpoints, dest: &str, string: &str, caller: &str, more: &str) -> Device {
    let begin = event(&format!(
        "Event: DialBegin\nChannel: PJSIP/1001-1\nUniqueid: a\nExten: 1002\nDestChannel: {dest}\n\
         DestUniqueid: b\nDestCallerIDNum: {caller}\n{more}DialString: {string}\n"
    ));
    match AsteriskTranslator::new(endpoints.clone()).read(&begin).remove(0) {
        PbxEvent::Dialled { device, .. } => device,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_phone_that_is_dialled() {
    let dialled = |dest: &str, string: &str, more: &str| dialled(&Endpoints::default(), dest, string, "1002", more);
    assert_eq!(dialled("PJSIP/1002-2", "1002", ""), Device::named("1002"));
    let beta = Device::Named { number: "1002".to_owned(), tenant: Some("beta".to_owned()) };
    assert_eq!(dialled("PJSIP/1002-2", "1002", "DestChanVariable: SIDECALL_TENANT=beta\n"), beta);
    assert_eq!(dialled("PJSIP/sidecall-2", "+12125550100@sidecall", ""), Device::named("+12125550100"));
    assert_eq!(dialled("PJSIP/sidecall-2", "sidecall/sip:+12125550100@x", ""), Device::named("+12125550100"));
    assert_eq!(dialled("PJSIP/sidecall-2", "sidecall", ""), Device::Unnamed);
    assert_eq!(dialled("PJSIP/sidecall-2", "alice@sidecall", ""), Device::Unreadable);
}

#[test]
fn a_phone_is_known_by_its_endpoints_name() {
    let tenant = |name: &str| Some(name.parse().unwrap());
    let rules = [("acme-XXXX", tenant("acme")), ("0004f2a1b2c3 = 1002", tenant("beta"))];
    let endpoints: Endpoints = rules.into_iter().map(|(rule, tenant)| (rule.parse().unwrap(), tenant)).collect();
    let of = |number: &str, tenant: &str| Device::Named { number: number.into(), tenant: Some(tenant.into()) };
    let dialled = |dest: &str, string: &str, more: &str| dialled(&endpoints, dest, string, "1009", more);
    assert_eq!(dialled("PJSIP/acme-1001-00000002", "acme-1001", ""), of("1001", "acme"));
    assert_eq!(dialled("PJSIP/acme-1001-00000002", "PJSIP/acme-1001", ""), of("1001", "acme"), "from a queue");
    let contact = "acme-1001/sip:9999@192.0.2.7";
    assert_eq!(dialled("PJSIP/acme-1001-00000002", contact, ""), of("1001", "acme"), "whatever its contact is called");
    let other = "DestChanVariable: SIDECALL_TENANT=beta\n";
    assert_eq!(dialled("PJSIP/acme-1001-00000002", "acme-1001", other), of("1001", "acme"), "as without channelvars");
    assert_eq!(dialled("PJSIP/acme-1001-00000002", "acme-2000@acme-1001", ""), Device::Unreadable, "a trunk's number");
    assert_eq!(dialled("PJSIP/acme-sales-00000002", "acme-sales", ""), Device::named("1009"), "by its caller ID");

    let member = |channel: &str, caller: &str| {
        let entry = format!("Event: BridgeEnter\nChannel: {channel}\nUniqueid: a\nCallerIDNum: {caller}\n");
        member(&event(&entry), &endpoints).unwrap().device
    };
    assert_eq!(member("PJSIP/acme-1001-0000000a", "1002"), of("1001", "acme"));
    assert_eq!(member("PJSIP/0004f2a1b2c3-0000000a", ""), of("1002", "beta"));
    for other in ["PJSIP/acme-100x-1", "PJSIP/acme-1001", "Local/acme-1001@x-1;1", "PJSIP/anonymous-1", "acme-1001"] {
        assert_eq!(member(other, "acme-1001"), Device::Unnamed, "{other}");
    }
}

#[test]
fn who_joins_is_who_the_snippet_says() {
    let joins = |channel: &str, caller: &str, tags: &str| {
        let entry = format!("Event: BridgeEnter\nChannel: {channel}\nUniqueid: a\nCallerIDNum: {caller}\n{tags}");
        member(&event(&entry), &Endpoints::default()).unwrap().device
    };
    let side = "ChanVariable: SIDECALL_SIDE=terminating\n";
    assert_eq!(joins("PJSIP/trunk-1", "+12125550100", ""), Device::Unnamed, "who may be withheld");
    assert_eq!(joins("PJSIP/trunk-1", "+12125550100", side), Device::Unnamed, "withheld");
    let calling = format!("{side}ChanVariable: SIDECALL_CALLING=+12125550199\n");
    assert_eq!(joins("PJSIP/trunk-1", "2000", &calling), Device::named("+12125550199"), "at an attendant");
    assert_eq!(joins("PJSIP/1001-1", "2000", ""), Device::named("1001"));
}

#[test]
fn a_local_channel_that_is_gone_is_forgotten_with_a_snapshot() {
    let mut translator = AsteriskTranslator::default();
    for common in ["1002@c-0", "1003@c-1"] {
        translator.read(&event(&format!(
            "Event: DialBegin\nChannel: PJSIP/1001-1\nUniqueid: 1.1\nDestChannel: Local/{common};1\nDestUniqueid: 1.2\n"
        )));
    }
    let locals = HashSet::from(["1003@c-1".to_owned()]);
    translator.restart(&Snapshot { locals, ..Snapshot::default() });
    assert_eq!(translator.locals.keys().collect::<Vec<_>>(), ["1003@c-1"]);
}
