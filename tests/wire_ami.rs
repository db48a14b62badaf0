//! The manager interface's parser: real traffic replayed whole and at every split point, and
//! properties that hold for any bytes.

use proptest::prelude::*;
use sidecall::ami::fuzz::{self, decode};
use sidecall::ami::{AmiEvent, AmiFrame, AmiFrameKind};

const CALL: &[u8] = include_bytes!("../fixtures/ami/hold-call.recv");
const HELLO: &str = "Asterisk Call Manager/11.0.0\r\n";

fn whole(recording: &[u8]) -> Vec<AmiFrame> {
    let (frames, error) = decode(recording, &[]);
    assert!(error.is_none(), "{error:?}");
    frames
}

#[test]
fn a_recorded_call_is_read_frame_by_frame() {
    let frames = whole(CALL);
    assert_eq!(frames[0].kind(), AmiFrameKind::Greeting);
    assert_eq!(frames[0].as_bytes(), "Asterisk Call Manager/11.0.0");
    let replies: Vec<_> = frames
        .iter()
        .filter_map(|frame| frame.clone().into_reply())
        .map(|reply| reply.message().into_owned())
        .collect();
    assert_eq!(replies, ["Authentication accepted", "Variable Set", "Redirect successful", "Channels will follow"]);
    let events: Vec<_> = frames.into_iter().filter_map(AmiFrame::into_event).collect();
    let setup = events.iter().find(|event| event.name() == "UserEvent");
    assert_eq!(
        setup.map(|event| event.fields(["UserEvent", "Called", "Uniqueid"])),
        Some([Some("SidecallSetup".into()), Some("35551234".into()), Some("1795345005.1600".into())])
    );
    let dialplan = events.iter().find(|event| event.name() == "Newexten");
    assert_eq!(
        dialplan.and_then(|event| event.get("AppData")).as_deref(),
        Some("SidecallSetup,Caller: sipp,Called: 35551234")
    );
}

#[test]
fn recorded_fields_are_those_of_a_naive_reading() {
    let names = ["Linkedid", "Channel", "Event", "Uniqueid", "CallerIDNum", "ChanVariable", "Context"];
    for event in whole(CALL).into_iter().filter_map(AmiFrame::into_event) {
        let text = std::str::from_utf8(event.as_bytes()).unwrap();
        let naive = names.map(|name| text.split("\r\n").find_map(|line| line.strip_prefix(&*format!("{name}: "))));
        assert_eq!(event.fields(names).each_ref().map(Option::as_deref), naive);
    }
}

#[test]
fn nothing_is_left_between_frames() {
    let sizes = whole(CALL).into_iter().map(|frame| match frame.kind() {
        AmiFrameKind::Greeting => frame.as_bytes().len() + 2,
        _ => frame.as_bytes().len() + 4,
    });
    assert_eq!(sizes.sum::<usize>(), CALL.len());
}

#[test]
fn the_recording_reads_the_same_at_every_split_point() {
    let expected = whole(CALL);
    // Every point up to 8 kB, and one in 251 of the rest; byte by byte has them all at once.
    let points = (0..8192).chain((8192..CALL.len()).step_by(251));
    for at in points {
        let (frames, error) = decode(CALL, &[at, usize::MAX]);
        assert!(error.is_none(), "split at {at}: {error:?}");
        assert!(frames == expected, "split at {at}");
    }
    for size in [1, 2, 3, 7, 1448, 4096] {
        let (frames, error) = decode(CALL, &[size]);
        assert!(error.is_none() && frames == expected, "chunks of {size}");
    }
}

#[test]
fn a_message_of_a_megabyte_is_whole() {
    let value = "ü".repeat(500_000);
    let text = format!("{HELLO}Event: X\r\nV: {value}\r\n\r\n");
    let (frames, _) = decode(text.as_bytes(), &[1448]);
    let event = frames[1].clone().into_event().unwrap();
    assert_eq!(event.get("V").as_deref(), Some(&*value));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(data: Vec<u8>, chunks in prop::collection::vec(1usize..40, 1..8)) {
        fuzz::stream(&data, &chunks);
        fuzz::stream(&[HELLO.as_bytes(), &data].concat(), &chunks);
    }

    #[test]
    fn no_text_like_a_message_makes_it_panic(
        lines in prop::collection::vec(
            "(Event: |Response: (Follows|Success|Error)|[ab: ]{0,9})\r?\n(\r\n)?",
            0..12,
        ),
        chunks in prop::collection::vec(1usize..40, 1..8),
    ) {
        fuzz::stream(format!("{HELLO}{}", lines.concat()).as_bytes(), &chunks);
    }

    #[test]
    fn a_clipped_or_spoilt_recording_does_not_make_it_panic(
        at in 0..4096usize,
        byte: u8,
        chunks in prop::collection::vec(1usize..900, 1..8),
    ) {
        let mut spoilt = CALL[..4096].to_vec();
        spoilt[at] = byte;
        fuzz::stream(&spoilt, &chunks);
        fuzz::stream(&CALL[..at], &chunks);
    }

    #[test]
    fn no_field_makes_two_actions(text in "(.|\r|\n|\0|;|\\$\\{){0,20}") {
        fuzz::command(&text);
    }

    #[test]
    fn any_line_comes_back(value in "[^\r\n]{0,40}", before in "[A-K]{1,8}") {
        let text = format!("Event: X\r\n{before}: x\r\nName: {value}\r\nLast: y");
        let event = AmiEvent::new(text.into());
        let [name, last] = event.fields(["name", "Last"]);
        prop_assert_eq!(name.as_deref(), Some(&*value));
        prop_assert_eq!(last.as_deref(), Some("y"));
    }
}
