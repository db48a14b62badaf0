use super::*;
use crate::core::route::Side;
use crate::esl::{Event, Format, Frame, fuzz::decode};
use bytes::Bytes;
use std::time::Duration;

const PLAIN: &[u8] = include_bytes!("../../../fixtures/esl/hold-call-plain.recv");
const JSON: &[u8] = include_bytes!("../../../fixtures/esl/hold-call-json.recv");
const ANNOUNCED: &[u8] = include_bytes!("../../../fixtures/esl/announced-call.recv");

fn plain(text: &str) -> Event {
    Event::new(Format::Plain, Bytes::from(text.to_owned()))
}

fn story(recording: &[u8]) -> Vec<Happened> {
    let (frames, error) = decode(recording, &[]);
    assert!(error.is_none());
    let mut dictionary = Dictionary::default();
    frames.into_iter().filter_map(Frame::into_event).flat_map(|event| dictionary.read(&event)).collect()
}

#[test]
fn a_recorded_call_in_our_words_the_same_in_both_formats() {
    for recording in [PLAIN, JSON] {
        let words: Vec<_> = story(recording)
            .iter()
            .map(|happened| match happened {
                Happened::Dialled { .. } => "dialled",
                Happened::Answered { .. } => "answered",
                Happened::Bridged { .. } => "bridged",
                Happened::Unbridged { .. } => "unbridged",
                Happened::HungUp { cause, .. } => {
                    assert_eq!(cause.as_deref(), Some("NORMAL_CLEARING"));
                    "hung up"
                }
                other => panic!("{other:?}"),
            })
            .collect();
        // The recorded announcement has no mark, for it is older than the snippet.
        assert_eq!(words, ["dialled", "answered", "answered", "bridged", "unbridged", "hung up", "hung up"]);
    }
}

#[test]
fn a_call_that_our_snippet_announced() {
    let story = story(ANNOUNCED);
    let [Happened::Announced(announced), rest @ ..] = &story[..] else { panic!("{story:?}") };
    assert_eq!(announced.leg.as_str(), "d4c74237-6115-446d-ba46-0af0abdd78b0");
    assert_eq!(announced.agent, "01a203596ac4768ca3bb4d27179b9d52");
    assert_eq!(announced.hold, Duration::from_millis(500));
    assert_eq!(announced.sent, Some(1_795_352_523_112_757));
    assert_eq!(announced.release, Release::Break);
    let mark = Mark {
        side: Side::Originating,
        calling: "1000".to_owned(),
        called: "+12125550100".to_owned(),
        received: None,
        tenant: None,
        refused: false,
        call: None,
    };
    assert_eq!(announced.mark, mark);
    let (a, b) = (announced.leg.clone(), "c49e5dfd-4d74-4d96-86a2-1e254b1d293e".parse::<LegId>().unwrap());
    let cause = Some("NORMAL_CLEARING".to_owned());
    let called = Some("+12125550100".to_owned());
    assert_eq!(
        rest,
        [
            Happened::Dialled { leg: b.clone(), by: a.clone(), device: called.clone() },
            Happened::Answered { leg: b.clone() },
            Happened::Answered { leg: a.clone() },
            Happened::Bridged { legs: [a.clone(), b.clone()], devices: [Some("1000".to_owned()), called] },
            // The bridge's end comes after the leg's: it is known by then.
            Happened::Unbridged { legs: [b.clone(), a.clone()] },
            Happened::HungUp { leg: b, cause: cause.clone() },
            Happened::HungUp { leg: a, cause },
        ]
    );
}

const SETUP: &str = "Event-Name: CUSTOM\nEvent-Subclass: sidecall%3A%3Asetup\nUnique-ID: a5cb0e39\n\
    Event-Date-Timestamp: 1795344967885937\nsidecall_agent: me\nsidecall_hold: 500\n\
    variable_sidecall_side: originating\nvariable_sidecall_calling: 1001\n\
    variable_sidecall_called: %2B12125550100\n";

#[test]
fn an_announcement() {
    let [Happened::Announced(announced)] = &Dictionary::default().read(&plain(SETUP))[..] else { panic!() };
    assert_eq!(announced.leg.as_str(), "a5cb0e39");
    assert_eq!(announced.agent, "me");
    assert_eq!(announced.hold, Duration::from_millis(500));
    assert_eq!(announced.sent, Some(1_795_344_967_885_937));
    assert_eq!(announced.mark.side, Side::Originating);
    assert_eq!(announced.mark.called, "+12125550100");
}

#[test]
fn a_caller_cannot_write_fields() {
    let evil = SETUP.replace("1001", "%0AUnique-ID%3A%20evil%0Asidecall_agent%3A%20evil");
    let [Happened::Announced(announced)] = &Dictionary::default().read(&plain(&evil))[..] else { panic!() };
    assert_eq!((announced.leg.as_str(), announced.agent.as_str()), ("a5cb0e39", "me"));
}

#[test]
fn an_announcement_without_a_field_is_none() {
    for (field, _) in
        [("Unique-ID", 0), ("sidecall_hold", 0), ("variable_sidecall_side", 0), ("variable_sidecall_called", 0)]
    {
        let cut: String = SETUP.lines().filter(|l| !l.starts_with(field)).map(|l| format!("{l}\n")).collect();
        assert_eq!(Dictionary::default().read(&plain(&cut)), [], "{field}");
    }
}

#[test]
fn another_core_is_a_gap_and_the_sequence_says_nothing() {
    let beat = |core: &str, n: u64| plain(&format!("Event-Name: HEARTBEAT\nCore-UUID: {core}\nEvent-Sequence: {n}\n"));
    let mut dictionary = Dictionary::default();
    for n in [10, 500, 499, 501] {
        assert_eq!(dictionary.read(&beat("a", n)), [], "{n}");
    }
    assert!(matches!(dictionary.read(&beat("b", 1))[..], [Happened::Gap { .. }]));
    assert_eq!(dictionary.read(&beat("b", 2)), []);
}
