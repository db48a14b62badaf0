//! Formatting and parsing of SIP MESSAGE texts.

use super::*;
use proptest::prelude::*;

fn peer_message(name: Option<String>) -> Message {
    Message {
        id: "0199".to_owned(),
        call: "0198-7".parse().unwrap(),
        body: MessageBody::Peer {
            role: Role::Second,
            peer: PeerClient {
                number: Some("1001;phone-context=pbx.example".parse().unwrap()),
                name,
                address: "https://node.example/a/x-_1?y=1".parse().unwrap(),
                capabilities: vec!["text".to_owned().try_into().unwrap(), "video".to_owned().try_into().unwrap()],
            },
            own: None,
            reply: None,
        },
    }
}

fn harmless(text: &str) -> bool {
    text.chars().all(|c| (' '..='~').contains(&c) && !"|'\"\\${}<>".contains(c))
}

#[test]
fn a_person_and_a_program_can_read_it() {
    let text = SipText(peer_message(Some("Bob".to_owned()))).to_string();
    assert_eq!(
        text,
        "Call with Bob (1001;phone-context=pbx.example): reach their client at https://node.example/a/x-_1?y=1 \
         sidecall:peer id=0199 call=0198-7 role=second number=1001;phone-context=pbx.example name=Bob \
         address=https://node.example/a/x-_1?y=1 caps=text,video"
    );
    assert!(harmless(&text));
}

#[test]
fn who_withholds_their_number_has_none() {
    let mut message = peer_message(None);
    if let MessageBody::Peer { peer, .. } = &mut message.body {
        peer.number = None;
    }
    let text = SipText(message.clone()).to_string();
    assert!(text.starts_with("Call with a withheld number: reach"), "{text}");
    assert_eq!(text.parse::<SipText>().unwrap().0, message);
    let ended = Message { body: MessageBody::Ended { number: None }, ..message };
    let text = SipText(ended.clone()).to_string();
    assert_eq!(text, "Call with a withheld number has ended sidecall:ended id=0199 call=0198-7");
    assert_eq!(text.parse::<SipText>(), Ok(SipText(ended)));
}

#[test]
fn a_missed_call_is_one_sentence() {
    let missed = |role, number: Option<&str>, name: Option<&str>| Message {
        id: "0199".to_owned(),
        call: "0198-7".parse().unwrap(),
        body: MessageBody::Missed {
            role,
            peer: PeerIdentity { number: number.map(|text| text.parse().unwrap()), name: name.map(str::to_owned) },
            at: UnixMillis(1_795_345_005_000),
        },
    };
    for (message, text) in [
        (
            missed(Role::Second, Some("+12125550100"), Some("Alice A")),
            "Missed call from Alice A (+12125550100) sidecall:missed id=0199 call=0198-7 role=second \
             number=+12125550100 name=Alice%20A at=1795345005000",
        ),
        (
            missed(Role::Second, None, None),
            "Missed call from a withheld number sidecall:missed id=0199 call=0198-7 role=second at=1795345005000",
        ),
        (
            missed(Role::First, Some("+12125550101"), None),
            "+12125550101 did not answer sidecall:missed id=0199 call=0198-7 role=first number=+12125550101 \
             at=1795345005000",
        ),
    ] {
        assert_eq!(SipText(message.clone()).to_string(), text);
        assert!(harmless(text));
        assert_eq!(text.parse::<SipText>(), Ok(SipText(message)));
    }
}

#[test]
fn what_is_not_ours_is_refused() {
    for bad in [
        "",
        "hello",
        "a sidecall:",
        "a sidecall:peer id=1",
        "a sidecall:nothing id=1 call=1",
        "a sidecall:ended id=% call=1 number=+1",
        "a sidecall:ended id=1 call=1 number=x",
        "a sidecall:missed id=1 call=1 role=second",
        "a sidecall:missed id=1 call=1 role=second at=noon",
    ] {
        assert!(bad.parse::<SipText>().is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn names_round_trip_and_do_no_harm(name in proptest::option::of("\\PC{0,40}|[|'\\\\${} \\r\\n]{0,9}sidecall:peer id=2")) {
        let message = peer_message(name);
        let text = SipText(message.clone()).to_string();
        prop_assert!(harmless(&text), "{}", text);
        prop_assert_eq!(text.parse::<SipText>().unwrap().0, message);
    }

    #[test]
    fn contents_round_trip(text in "\\PC{0,60}") {
        let content = serde_json::json!({"text": text}).as_object().cloned().unwrap();
        let body = MessageBody::Message { content, guest: None, sender: None };
        let message = Message { id: "1 2".to_owned(), call: "1".parse().unwrap(), body };
        let text = SipText(message.clone()).to_string();
        prop_assert!(harmless(&text), "{}", text);
        prop_assert_eq!(text.parse::<SipText>().unwrap().0, message);
    }

    #[test]
    fn never_panics(text in "(\\PC{0,20} sidecall:(peer|ended|missed|message) )?\\PC{0,80}") {
        let _ = text.parse::<SipText>();
    }
}
