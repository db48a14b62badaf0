//! The event socket's parser: real traffic replayed whole and at every split point, and properties
//! that hold for any bytes.

use proptest::prelude::*;
use sidecall::esl::fuzz::{self, decode};
use sidecall::esl::{EslEvent, EslFrame, EslFrameKind};

const CALL: &[u8] = include_bytes!("../fixtures/esl/hold-call-plain.recv");
const OUTBOUND: &[u8] = include_bytes!("../fixtures/esl/outbound-socket.recv");
const RECORDINGS: [&[u8]; 2] = [CALL, OUTBOUND];

fn whole(recording: &[u8]) -> Vec<EslFrame> {
    let (frames, error) = decode(recording, &[]);
    assert!(error.is_none(), "{error:?}");
    frames
}

fn events(recording: &[u8]) -> Vec<EslEvent> {
    let frames = whole(recording).into_iter();
    frames.filter_map(EslFrame::into_event).collect()
}

#[test]
fn a_recorded_call_is_read_frame_by_frame() {
    let kinds: Vec<_> = whole(CALL).iter().map(EslFrame::kind).collect();
    assert_eq!(
        kinds[..4],
        [EslFrameKind::AuthRequest, EslFrameKind::CommandReply, EslFrameKind::CommandReply, EslFrameKind::Event]
    );
    assert_eq!(
        kinds[kinds.len() - 3..],
        [EslFrameKind::ApiResponse, EslFrameKind::CommandReply, EslFrameKind::DisconnectNotice]
    );
    let names: Vec<_> = events(CALL).iter().map(|event| event.name().into_owned()).collect();
    assert_eq!(names[..3], ["CUSTOM", "CHANNEL_ANSWER", "CHANNEL_ANSWER"]);
    assert!(names.contains(&"CHANNEL_HANGUP_COMPLETE".to_owned()));
}

#[test]
fn nothing_is_left_between_frames() {
    for recording in RECORDINGS {
        let frames = whole(recording);
        let sizes = frames.iter().map(|f| f.head().len() + 2 + f.body().len());
        assert_eq!(sizes.sum::<usize>(), recording.len());
    }
}

#[test]
fn a_recorded_event_has_its_fields_decoded() {
    let event = events(CALL).remove(0);
    let [subclass, user, array] = event.fields(["Event-Subclass", "variable_sip_to_user", "variable_DP_MATCH"]);
    assert_eq!((subclass.as_deref(), user.as_deref()), (Some("sidecall::setup"), Some("35551234")));
    assert!(array.is_some_and(|value| value.starts_with("ARRAY::")));
}

#[test]
fn recorded_fields_are_those_of_a_naive_reading() {
    // No value of these is url-encoded.
    let names = ["Unique-ID", "Event-Name", "Job-UUID", "Event-Sequence", "variable_uuid", "Answer-State"];
    for event in events(CALL) {
        let text = std::str::from_utf8(event.as_bytes()).unwrap();
        let naive = names.map(|name| text.lines().find_map(|line| line.strip_prefix(&*format!("{name}: "))));
        assert_eq!(event.fields(names).each_ref().map(Option::as_deref), naive);
    }
}

#[test]
fn recordings_read_the_same_at_every_split_point() {
    for recording in RECORDINGS {
        let expected = whole(recording);
        // Every point up to 8 kB, and one in 251 of the rest; the next test has them all at once.
        let points = (0..8192.min(recording.len())).chain((8192..recording.len()).step_by(251));
        for at in points {
            let (frames, error) = decode(recording, &[at, usize::MAX]);
            assert!(error.is_none(), "split at {at}: {error:?}");
            assert!(frames == expected, "split at {at}");
        }
    }
}

#[test]
fn recordings_read_the_same_byte_by_byte_and_in_odd_chunks() {
    for recording in RECORDINGS {
        let expected = whole(recording);
        for size in [1, 2, 3, 7, 1448, 4096] {
            let (frames, error) = decode(recording, &[size]);
            assert!(error.is_none() && frames == expected, "chunks of {size}");
        }
    }
}

#[test]
fn the_reply_to_connect_holds_the_channel_data() {
    let reply = whole(OUTBOUND).remove(0);
    assert_eq!(reply.kind(), EslFrameKind::CommandReply);
    let data = EslEvent::new(reply.head().clone());
    assert_eq!(data.name(), "CHANNEL_DATA");
    assert_eq!(data.get("Caller-ANI").as_deref(), Some("sipp"));
    assert_eq!(data.get("Reply-Text").as_deref(), Some("+OK\n"));
}

#[test]
fn a_body_of_a_megabyte_is_whole() {
    let body = "ü".repeat(500_000);
    let size = body.len();
    let text = format!("Content-Type: api/response\nContent-Length: {size}\n\n{body}");
    let (frames, _) = decode(text.as_bytes(), &[1448]);
    assert_eq!(frames[0].body(), body.as_bytes());
}

#[test]
fn an_event_with_a_body_keeps_it_apart() {
    let inner = "Event-Name: BACKGROUND_JOB\nJob-UUID: j\nContent-Length: 9\n\n+OK\nA: b\n\n";
    let size = inner.len();
    let text = format!("Content-Length: {size}\nContent-Type: text/event-plain\n\n{inner}");
    let event = events(text.as_bytes()).remove(0);
    assert_eq!(event.body(), Some(&b"+OK\nA: b\n\n"[..]));
    assert_eq!(event.get("A"), None);
}

#[test]
fn log_lines_and_notices_are_frames_like_others() {
    let text = "Content-Type: log/data\nContent-Length: 5\nLog-Level: 7\nUser-Data: \n\nhello\
                Content-Type: text/disconnect-notice\nContent-Disposition: linger\n\
                Linger-Time: 10\nContent-Length: 0\n\n\
                Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n";
    let kinds: Vec<_> = whole(text.as_bytes()).iter().map(EslFrame::kind).collect();
    assert_eq!(kinds, [EslFrameKind::Log, EslFrameKind::DisconnectNotice, EslFrameKind::RudeRejection]);
}

/// As `switch_url_encode` does it, but for a value that holds `%41` and the like: FreeSWITCH leaves
/// that as it is, so that such a value can't be told from an encoded one.
fn url_encode(text: &str) -> String {
    let bytes = text.bytes().map(|byte| {
        let plain = (b'!'..=b'~').contains(&byte) && !b"#%&+:;<=>?@[\\]^`{|}\"".contains(&byte);
        match plain {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        }
    });
    bytes.collect()
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(data: Vec<u8>, chunks in prop::collection::vec(1usize..40, 1..8)) {
        fuzz::stream(&data, &chunks);
    }

    #[test]
    fn no_text_like_a_frame_makes_it_panic(
        lines in prop::collection::vec(
            "(Content-Length: -?[0-9]{1,2}|Content-Type: (text/event-plain|api/response)|[ab%0: ]{0,9}|\\{\"a\":\"?)\r?\n{1,2}",
            0..12,
        ),
        chunks in prop::collection::vec(1usize..40, 1..8),
    ) {
        fuzz::stream(lines.concat().as_bytes(), &chunks);
    }

    #[test]
    fn a_clipped_or_spoilt_recording_does_not_make_it_panic(
        at in 0..OUTBOUND.len(),
        byte: u8,
        chunks in prop::collection::vec(1usize..900, 1..8),
    ) {
        let mut spoilt = OUTBOUND.to_vec();
        spoilt[at] = byte;
        fuzz::stream(&spoilt, &chunks);
        fuzz::stream(&OUTBOUND[..at], &chunks);
    }

    #[test]
    fn no_argument_makes_two_commands(text in "(.|\r|\n|\0|;|\\$\\{){0,20}") {
        fuzz::command(&text);
    }

    #[test]
    fn any_text_comes_back_from_an_event(value in "(.|\n){1,40}", before in "[A-K]{1,8}") {
        prop_assume!(!value.contains('\0') && value != "_undef_");
        let encoded = url_encode(&value);
        let event = EslEvent::new(format!("{before}: {encoded}\nName: {encoded}\nLast: y\n\n").into());
        let [name, last] = event.fields(["name", "Last"]);
        prop_assert_eq!(name.as_deref(), Some(&*value));
        prop_assert_eq!(last.as_deref(), Some("y"));
    }
}
