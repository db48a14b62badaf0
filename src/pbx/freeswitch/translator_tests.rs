//! FreeSWITCH's events, recorded and malformed, in our words.

use super::*;
use crate::esl::{EslEvent, EslFrame, fuzz::decode};
use bytes::Bytes;
use std::time::Duration;

const CALL: &[u8] = include_bytes!("../../../fixtures/esl/hold-call-plain.recv");
const ANNOUNCED: &[u8] = include_bytes!("../../../fixtures/esl/announced-call.recv");

fn plain(text: &str) -> EslEvent {
    EslEvent::new(Bytes::from(text.to_owned()))
}

fn replayed(recording: &[u8]) -> Vec<PbxEvent> {
    let (frames, error) = decode(recording, &[]);
    assert!(error.is_none());
    let mut translator = FreeswitchTranslator::default();
    frames.into_iter().filter_map(EslFrame::into_event).flat_map(|event| translator.read(&event)).collect()
}

#[test]
fn a_recorded_call_in_our_words() {
    let words: Vec<_> = replayed(CALL)
        .iter()
        .map(|event| match event {
            PbxEvent::Dialled { .. } => "dialled",
            PbxEvent::Answered { .. } => "answered",
            PbxEvent::Bridged { .. } => "bridged",
            PbxEvent::Unbridged { .. } => "unbridged",
            PbxEvent::HungUp { cause, .. } => {
                assert_eq!(cause.as_deref(), Some("NORMAL_CLEARING"));
                "hung up"
            }
            other => panic!("{other:?}"),
        })
        .collect();
    // The recorded announcement has no tags, for it is older than the snippet.
    assert_eq!(words, ["dialled", "answered", "answered", "bridged", "unbridged", "hung up", "hung up"]);
}

#[test]
fn a_call_that_our_snippet_announced() {
    let story = replayed(ANNOUNCED);
    let [PbxEvent::Announced(announced), rest @ ..] = &story[..] else { panic!("{story:?}") };
    assert_eq!(announced.leg.as_str(), "d4c74237-6115-446d-ba46-0af0abdd78b0");
    assert_eq!(announced.agent, "01a203596ac4768ca3bb4d27179b9d52");
    assert_eq!(announced.hold, Duration::from_millis(500));
    assert_eq!(announced.sent, Some(1_795_352_523_112_757));
    assert_eq!(announced.release, Release::Break);
    assert_eq!(announced.tags, CallTags::originating("1000", "+12125550100"));
    let (a, b) = (announced.leg.clone(), "c49e5dfd-4d74-4d96-86a2-1e254b1d293e".parse::<LegId>().unwrap());
    let cause = Some("NORMAL_CLEARING".to_owned());
    let called = Device::named("+12125550100");
    assert_eq!(
        rest,
        [
            PbxEvent::Dialled { leg: b.clone(), by: a.clone(), device: called.clone(), trunk: "pstn".parse().ok() },
            PbxEvent::Answered { leg: b.clone() },
            PbxEvent::Answered { leg: a.clone() },
            PbxEvent::Bridged { legs: [a.clone(), b.clone()], devices: [Device::named("1000"), called] },
            // The bridge's end comes after the leg's: it is known by then.
            PbxEvent::Unbridged { legs: [b.clone(), a.clone()] },
            PbxEvent::HungUp { leg: b, cause: cause.clone() },
            PbxEvent::HungUp { leg: a, cause },
        ]
    );
}

const SETUP: &str = "Event-Name: CUSTOM\nEvent-Subclass: sidecall%3A%3Asetup\nUnique-ID: a5cb0e39\n\
    Event-Date-Timestamp: 1795344967885937\nsidecall_agent: me\nsidecall_hold: 500\n\
    variable_sidecall_side: originating\nvariable_sidecall_calling: 1001\n\
    variable_sidecall_called: %2B12125550100\n";

#[test]
fn a_caller_cannot_write_fields() {
    let evil = SETUP.replace("1001", "%0AUnique-ID%3A%20evil%0Asidecall_agent%3A%20evil");
    let [PbxEvent::Announced(announced)] = &FreeswitchTranslator::default().read(&plain(&evil))[..] else { panic!() };
    assert_eq!((announced.leg.as_str(), announced.agent.as_str()), ("a5cb0e39", "me"));
}

#[test]
fn an_announcement_without_a_field_is_none() {
    for field in ["Unique-ID", "sidecall_hold", "variable_sidecall_side", "variable_sidecall_called"] {
        let cut: String = SETUP.lines().filter(|l| !l.starts_with(field)).map(|l| format!("{l}\n")).collect();
        assert_eq!(FreeswitchTranslator::default().read(&plain(&cut)), [], "{field}");
    }
}

#[test]
fn another_core_is_a_gap_and_the_sequence_says_nothing() {
    let beat = |core: &str, n: u64| plain(&format!("Event-Name: HEARTBEAT\nCore-UUID: {core}\nEvent-Sequence: {n}\n"));
    let mut translator = FreeswitchTranslator::default();
    for n in [10, 500, 499, 501] {
        assert_eq!(translator.read(&beat("a", n)), [], "{n}");
    }
    assert!(matches!(translator.read(&beat("b", 1))[..], [PbxEvent::Gap { .. }]));
    assert_eq!(translator.read(&beat("b", 2)), []);
}

/// One leg of FreeSWITCH as its events show it.
struct Leg {
    id: &'static str,
    direction: &'static str,
    /// Who called in, or who is dialled.
    number: &'static str,
    answered: bool,
}

const A: Leg = Leg { id: "a", direction: "inbound", number: "1000", answered: true };
const B: Leg = Leg { id: "b", direction: "outbound", number: "1001", answered: true };
/// Whoever picks up: its leg has no tags, and called `**1001`.
const P: Leg = Leg { id: "p", direction: "inbound", number: "1002", answered: true };

fn state(leg: &Leg) -> &'static str {
    if leg.answered { "answered" } else { "early" }
}

fn bridge(name: &str, own: &Leg, other: &Leg) -> EslEvent {
    let (id, direction, number) = (own.id, own.direction, own.number);
    let (with, towards, their) = (other.id, other.direction, other.number);
    plain(&format!(
        "Event-Name: {name}\nCall-Direction: {direction}\nAnswer-State: {}\nUnique-ID: {id}\nCaller-ANI: {number}\n\
         Caller-Destination-Number: {number}\nOther-Leg-Direction: {towards}\nOther-Leg-Caller-ID-Number: Unknown\n\
         Other-Leg-ANI: {their}\nOther-Leg-Destination-Number: {their}\nOther-Leg-Unique-ID: {with}\n\
         Other-Leg-Channel-Answered-Time: {}\nBridge-A-Unique-ID: {id}\nBridge-B-Unique-ID: {with}\n",
        state(own),
        u8::from(other.answered),
    ))
}

fn answer(leg: &Leg, by: Option<&Leg>) -> EslEvent {
    let other = by.map(|by| format!("Other-Type: originator\nOther-Leg-Unique-ID: {}\n", by.id)).unwrap_or_default();
    plain(&format!(
        "Event-Name: CHANNEL_ANSWER\nUnique-ID: {}\nCall-Direction: {}\nCaller-ANI: 1000\nvariable_dialed_user: {}\n{other}",
        leg.id, leg.direction, leg.number,
    ))
}

fn hang_up(leg: &Leg) -> EslEvent {
    plain(&format!("Event-Name: CHANNEL_HANGUP_COMPLETE\nUnique-ID: {}\nHangup-Cause: NORMAL_CLEARING\n", leg.id))
}

fn together(a: &Leg, b: &Leg) -> PbxEvent {
    let devices = [Device::named(a.number), Device::named(b.number)];
    PbxEvent::Bridged { legs: [a.id.parse().unwrap(), b.id.parse().unwrap()], devices }
}

fn apart(a: &Leg, b: &Leg) -> PbxEvent {
    PbxEvent::Unbridged { legs: [a.id.parse().unwrap(), b.id.parse().unwrap()] }
}

#[test]
fn an_intercept_brings_a_leg_that_nobody_announced() {
    let mut translator = FreeswitchTranslator::default();
    assert_eq!(translator.read(&bridge("CHANNEL_BRIDGE", &P, &A)), [together(&P, &A)]);
    assert_eq!(translator.read(&bridge("CHANNEL_UNBRIDGE", &P, &A)), [apart(&P, &A)]);
    assert_eq!(translator.topology, Topology::default());
}

#[test]
fn early_media_is_no_talk() {
    let (a, b) = (Leg { answered: false, ..A }, Leg { answered: false, ..B });
    let mut translator = FreeswitchTranslator::default();
    assert_eq!(translator.read(&bridge("CHANNEL_BRIDGE", &a, &b)), []);
    let said = translator.read(&answer(&B, Some(&A)));
    assert!(!said.iter().any(|event| matches!(event, PbxEvent::Bridged { .. })), "{said:?}");
    assert_eq!(said.len(), 2, "dialled and answered");
    assert_eq!(translator.read(&answer(&A, None)).last(), Some(&together(&A, &B)));
    // Who gives up before the answer has talked to nobody.
    let mut translator = FreeswitchTranslator::default();
    translator.read(&bridge("CHANNEL_BRIDGE", &A, &b));
    assert_eq!(translator.read(&hang_up(&B)).len(), 1);
    assert!(translator.early.is_empty());
}

#[test]
fn what_no_event_told_to_be_over_is_forgotten_with_a_snapshot() {
    let mut translator = FreeswitchTranslator::default();
    translator.read(&bridge("CHANNEL_BRIDGE", &A, &Leg { answered: false, ..B }));
    translator.read(&plain("Event-Name: CHANNEL_ANSWER\nChannel-Name: loopback/1002-a\nUnique-ID: l\n"));
    assert_eq!((translator.early.len(), translator.halves.len()), (1, 1));
    translator.restart(&Snapshot::default());
    assert_eq!((translator.early.len(), translator.halves.len()), (0, 0));
}

#[test]
fn a_new_bridge_ends_the_old_one_even_if_nobody_said_so() {
    let mut translator = FreeswitchTranslator::default();
    translator.read(&bridge("CHANNEL_BRIDGE", &A, &B));
    assert_eq!(translator.read(&bridge("CHANNEL_BRIDGE", &P, &A)), [apart(&A, &B), together(&P, &A)]);
}

#[test]
fn a_conference() {
    let member = |action: &str, leg: &Leg, ghost: bool| {
        plain(&format!(
            "Event-Name: CUSTOM\nEvent-Subclass: conference%3A%3Amaintenance\nAction: {action}\nMember-Ghost: {ghost}\n\
             Conference-Unique-ID: room\nUnique-ID: {}\nCall-Direction: inbound\nCaller-ANI: {}\n",
            leg.id, leg.number
        ))
    };
    let mut translator = FreeswitchTranslator::default();
    assert_eq!(translator.read(&member("add-member", &A, false)), []);
    assert_eq!(translator.read(&member("add-member", &B, true)), [], "a ghost");
    assert_eq!(translator.read(&member("add-member", &P, false)), [together(&A, &P)]);
    assert_eq!(translator.read(&member("start-talking", &P, false)), []);
    assert_eq!(translator.read(&member("del-member", &A, false)), [apart(&A, &P)]);
}

#[test]
fn two_people_hear_each_other_through_a_loopback() {
    let intermediate = |id: &str, other: &str, which: &str| {
        plain(&format!(
            "Event-Name: CHANNEL_ANSWER\nChannel-Name: loopback/1002-x\nUnique-ID: {id}\n\
             variable_other_loopback_leg_uuid: {other}\nvariable_loopback_leg: {which}\n"
        ))
    };
    let (one, two) = (Leg { id: "l", ..B }, Leg { id: "m", ..P });
    let mut translator = FreeswitchTranslator::default();
    assert_eq!(translator.read(&intermediate("l", "m", "A")).len(), 1, "it is dialled for nobody");
    translator.read(&intermediate("m", "l", "B"));
    assert_eq!(translator.read(&bridge("CHANNEL_BRIDGE", &A, &one)), []);
    assert_eq!(translator.read(&bridge("CHANNEL_BRIDGE", &B, &two)), [together(&B, &A)]);
}

#[test]
fn a_phone_and_whose_it_is() {
    let device = |direction: &str, fields: &str| {
        member(&plain(&format!("Unique-ID: a\nCall-Direction: {direction}\n{fields}"))).unwrap().device
    };
    let of = |number: &str, tenant: &str| Device::Named { number: number.into(), tenant: Some(tenant.into()) };
    let user = "variable_dialed_user: 1002\nvariable_dialed_domain: beta.example\nCaller-Destination-Number: 1001\n";
    assert_eq!(device("outbound", user), of("1002", "beta.example"));
    assert_eq!(device("outbound", &user.replace("1002", "alice")), Device::Unreadable);
    assert_eq!(device("outbound", "Caller-Destination-Number: +12125550100\n"), Device::named("+12125550100"));
    assert_eq!(device("outbound", "Caller-Destination-Number: gw+x\n"), Device::Unnamed);

    let ani = "Caller-ANI: 1001\nvariable_domain_name: beta.example\n";
    assert_eq!(device("inbound", ani), of("1001", "beta.example"));
    assert_eq!(device("inbound", &format!("{ani}Caller-Privacy-Hide-Number: true\n")), Device::Unnamed);
    let tagged = format!("{ani}variable_sidecall_side: terminating\n");
    assert_eq!(device("inbound", &tagged), Device::Unnamed, "withheld");
    let tagged = format!("{tagged}variable_sidecall_calling: 1003\nvariable_sidecall_tenant: acme\n");
    assert_eq!(device("inbound", &tagged), of("1003", "acme"));
}

#[test]
fn who_is_withheld_stays_so_in_a_bridge() {
    let mut translator = FreeswitchTranslator::default();
    translator.read(&plain(
        "Event-Name: CHANNEL_ANSWER\nUnique-ID: p\nCall-Direction: inbound\nCaller-ANI: 1002\n\
         variable_sidecall_side: terminating\n",
    ));
    let told = translator.read(&bridge("CHANNEL_BRIDGE", &A, &P));
    assert!(
        matches!(&told[..], [PbxEvent::Bridged { devices, .. }] if *devices == [Device::named("1000"), Device::Unnamed]),
        "{told:?}"
    );
}
