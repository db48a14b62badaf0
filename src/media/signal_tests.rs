//! Signals of other devices are hostile until they are parsed: the cases of `web/test/unit/messages.test.ts`, and any JSON.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const FROM: &str = "0123456789abcdef";

fn parse(mut content: Value) -> Option<ReceivedSignal> {
    let fields = content.as_object_mut().unwrap();
    if !fields.contains_key("from") {
        fields.insert("from".to_owned(), FROM.into());
    }
    parse_signal(fields)
}

/// An object with these fields on top of others.
fn with(mut content: Value, changes: Value) -> Value {
    content.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    content
}

fn invite() -> Value {
    json!({
        "type": "invite", "invitation": "i", "session": "s", "kind": "files", "role": "first",
        "commit": "0".repeat(64), "files": {"count": 2, "bytes": 10, "name": "../a\u{202e}b"},
    })
}

fn offer() -> Value {
    json!({"type": "sdp", "session": "s", "kind": "offer", "sdp": "v=0"})
}

#[test]
fn what_clients_say_is_read() {
    let ReceivedSignal { from, reply, signal } = parse(invite()).unwrap();
    assert_eq!((from.to_string().as_str(), reply), (FROM, None));
    let Signal::Invite(invite) = signal else { panic!("{signal:?}") };
    assert_eq!(invite.files, FileBundle { count: 2, bytes: 10, name: "__ab".to_owned() });
    assert_eq!(invite.role, Role::First);
    let full = with(offer(), json!({"nonce": "a".repeat(32), "offer": 3, "round": 1_795_345_005_000_u64}));
    let Some(Signal::Offer(offer)) = parse(full).map(|it| it.signal) else { panic!() };
    assert_eq!((offer.number, offer.round, offer.nonce.is_some()), (Some(3), 1_795_345_005_000, true));
    for other in [json!({"type": "restart", "session": "s"}), json!({"type": "bye", "invitation": "i"})] {
        assert!(parse(other.clone()).is_some(), "{other}");
    }
}

#[test]
fn an_answer_goes_to_an_address_that_is_posted_to() {
    let reply = |address: &str| parse(with(offer(), json!({"reply": address}))).unwrap().reply.map(String::from);
    assert_eq!(reply("https://node.example/a/x").as_deref(), Some("https://node.example/a/x"));
    for bad in ["sip:a@b.example", "javascript:0", "https://u:p@a.example/", "http://node.example/a/x", "//a", ""] {
        assert_eq!(reply(bad), None, "{bad}");
    }
}

#[test]
fn what_does_not_keep_to_the_limits_is_ignored() {
    let files = |files: Value| with(invite(), json!({"files": files}));
    for bad in [
        with(invite(), json!({"session": "../x"})),
        with(invite(), json!({"kind": "keyboard"})),
        with(invite(), json!({"commit": "0".repeat(63)})),
        with(invite(), json!({"commit": "A".repeat(64)})),
        with(invite(), json!({"files": null})),
        files(json!({"count": 0, "bytes": 1, "name": "a"})),
        files(json!({"count": 10_001, "bytes": 1, "name": "a"})),
        files(json!({"count": 1, "bytes": -1, "name": "a"})),
        files(json!({"count": 1, "bytes": 1_u64 << 60, "name": "a"})),
        files(json!({"count": 1.5, "bytes": 1, "name": "a"})),
        with(offer(), json!({"sdp": "v".repeat(1_000_000)})),
        with(offer(), json!({"kind": "answer"})),
        json!({"type": "ice", "session": "s", "candidates": Value::from(vec![json!({"candidate": ""}); 33])}),
        json!({"type": "bye"}),
        json!({"type": "keyboard"}),
        json!({"type": 7}),
        json!({}),
    ] {
        assert_eq!(parse(bad.clone()), None, "{}", &bad.to_string()[..bad.to_string().len().min(90)]);
    }
    for from in [json!("short"), json!("x".repeat(44)), json!("0123456789abcde/"), json!(7)] {
        assert_eq!(parse(with(offer(), json!({"from": from}))), None, "{from}");
    }
}

#[test]
fn a_candidate_cannot_smuggle_lines() {
    let all =
        json!([{"candidate": "a\r\nb"}, {"candidate": ""}, {"candidate": "ok"}, 7, {"candidate": "x".repeat(1025)}]);
    let ice = parse(json!({"type": "ice", "session": "s", "candidates": all})).unwrap();
    let expected = Signal::Candidates { session: "s".parse().unwrap(), round: 0, candidates: vec!["ok".to_owned()] };
    assert_eq!(ice.signal, expected);
}

#[test]
fn an_answer_says_what_browsers_read() {
    let session: SessionId = "s".parse().unwrap();
    let described =
        |number| OwnSignal::Description { session: session.clone(), round: 5, number, sdp: "v=0".to_owned() }.content();
    let expected = json!({
        "type": "sdp", "kind": "answer", "session": "s", "round": 5, "sdp": "v=0", "tracks": {}, "ephemeral": true,
    });
    assert_eq!(described(None), expected);
    assert_eq!(described(Some(2)), with(expected, json!({"offer": 2})));
    assert_eq!(OwnSignal::Bye(session).content(), json!({"type": "bye", "session": "s"}));
}

/// Any value where a signal has one, and the fields that a signal has.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,70}".prop_map(Value::from),
        "[0-9a-f]{32}|[0-9a-f]{64}|files|offer|first|s|candidate:1".prop_map(Value::from),
        vec(Just(json!({"candidate": "c"})), 0..40).prop_map(Value::from),
        (any::<u64>(), any::<u64>()).prop_map(|(count, bytes)| json!({"count": count, "bytes": bytes, "name": "n"})),
    ]
}

proptest! {
    #[test]
    fn any_signal_that_parses_keeps_to_the_limits(
        kind in "invite|sdp|ice|restart|bye",
        fields in proptest::collection::hash_map(
            "from|invitation|session|kind|role|commit|files|sdp|candidates|round|offer|nonce|reply", any_value(), 0..13,
        ),
        from in "[A-Za-z0-9_-]{14,45}",
    ) {
        let mut content: Fields = fields.into_iter().collect();
        content.insert("type".to_owned(), kind.into());
        content.entry("from").or_insert(from.into());
        match parse_signal(&content).map(|received| received.signal) {
            Some(Signal::Invite(invite)) => {
                prop_assert!((1..=FILES_MAX).contains(&invite.files.count) && invite.files.bytes <= BYTES_MAX);
            }
            Some(Signal::Offer(offer)) => prop_assert!(offer.sdp.len() <= 4 * SDP_MAX && offer.round <= INTEGER_MAX),
            Some(Signal::Candidates { candidates, .. }) => prop_assert!(candidates.len() <= CANDIDATES_MAX),
            Some(Signal::Bye { session, invitation }) => prop_assert!(session.is_some() || invitation.is_some()),
            Some(Signal::Restart { round, .. }) => prop_assert!(round <= INTEGER_MAX),
            None => {}
        }
    }
}
