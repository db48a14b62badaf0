use super::*;
use crate::core::route::Side;
use crate::esl::{Event, Format, Frame, fuzz::decode};
use bytes::Bytes;
use std::time::Duration;

const PLAIN: &[u8] = include_bytes!("../../../fixtures/esl/hold-call-plain.recv");
const JSON: &[u8] = include_bytes!("../../../fixtures/esl/hold-call-json.recv");

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
        assert_eq!(words, ["dialled", "answered", "answered", "bridged", "hung up", "unbridged", "hung up"]);
    }
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
fn a_sequence_that_goes_back_is_a_gap_and_one_that_leaps_is_not() {
    let beat = |core: &str, n: u64| plain(&format!("Event-Name: HEARTBEAT\nCore-UUID: {core}\nEvent-Sequence: {n}\n"));
    let mut dictionary = Dictionary::default();
    assert_eq!(dictionary.read(&beat("a", 10)), []);
    assert_eq!(dictionary.read(&beat("a", 500)), []);
    assert!(matches!(dictionary.read(&beat("a", 20))[..], [Happened::Gap { .. }]));
    assert_eq!(dictionary.read(&beat("a", 21)), []);
    assert!(matches!(dictionary.read(&beat("b", 22))[..], [Happened::Gap { .. }]));
}
