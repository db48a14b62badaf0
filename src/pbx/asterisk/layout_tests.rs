//! Events that Asterisk has printed, and what callers made of them.

use super::*;
use crate::ami::{AmiFrame, fuzz::decode};
use crate::pbx::asterisk::fuzz::printed;
use crate::pbx::asterisk::translator::AsteriskTranslator;
use crate::pbx::event_reader::Translate;
use crate::pbx::{Device, PbxEvent};

const FIXTURES: [&[u8]; 3] = [
    include_bytes!("../../../fixtures/ami/hold-call.recv"),
    include_bytes!("../../../fixtures/ami/announced-call.recv"),
    include_bytes!("../../../fixtures/ami/status.recv"),
];

/// Recorded on Asterisk 22. The user part of the phone's From was `CALLER`.
const ENROL: &str = "Event: UserEvent\nPrivilege: user,all\nChannel: PJSIP/phones-00000002\nChannelState: 4\n\
    ChannelStateDesc: Ring\nCallerIDNum: CALLER\nCallerIDName: Al\nConnectedLineNum: <unknown>\n\
    ConnectedLineName: <unknown>\nLanguage: en\nAccountCode: \nContext: from-internal\nExten: *7433012345\nPriority: 11\n\
    Uniqueid: 1796017948.2\nLinkedid: 1796017948.2\nUserEvent: SidecallEnrol\nAgent: lab\nCalling: 1000\nDigits: 012345\n\
    Tenant: \nHold: 500\nSent: 1796017948.603750\n";

/// The event of a caller whose number is this text.
fn of_caller(text: &str) -> AmiEvent {
    AmiEvent::new(ENROL.replace('\n', "\r\n").replace("CALLER", text).into())
}

fn events(bytes: &[u8]) -> Vec<AmiEvent> {
    decode(bytes, &[]).0.into_iter().filter_map(AmiFrame::into_event).collect()
}

#[test]
fn what_was_recorded_is_genuine() {
    for event in FIXTURES.into_iter().flat_map(events) {
        let prefixes: &[&str] = match &*event.name() {
            "UserEvent" | "Newstate" | "Hangup" | "BridgeEnter" | "BridgeLeave" | "Status" => &[""],
            "DialBegin" => &["", "Dest"],
            "BridgeDestroy" | "BridgeListItem" => &[],
            _ => continue,
        };
        assert!(is_genuine(&event, prefixes), "{}", String::from_utf8_lossy(event.as_bytes()));
    }
}

#[test]
fn a_line_that_a_caller_has_written_is_found_wherever_it_is() {
    assert!(is_genuine(&of_caller("1001"), &[""]));
    for text in [
        "1001\r\nCalling: 1002",
        "1001\r\nSwapUniqueid: 1.1",
        "1001\r\nChanVariable: SIDECALL_TENANT=b",
        "1001\nCalling: 1002",
        "1001\rCalling: 1002",
        "1001\r\nCallerIDName: x",
        "1001\r\nCallerIDName: x\r\nCalling: 1002",
        "1001\r\ncalleridname: x",
        "1001\r\nnothing",
        "1001\r\n",
        "1001\n",
        "\u{fffd}\r\n: x",
    ] {
        assert!(!is_genuine(&of_caller(text), &[""]), "{text:?}");
    }
    for field in CHANNEL.iter().chain(&["UserEvent", "Agent", "Calling", "Digits", "Tenant", "Hold", "Sent"]) {
        assert!(!is_genuine(&of_caller(&format!("1001\r\n{field}: x")), &[""]), "{field}");
        assert!(!is_genuine(&of_caller(&format!("1001\r\nCallerIDName: x\r\n{field}: x")), &[""]), "{field}");
    }
}

/// As long as a number or an extension of PJSIP can be (`AST_CHANNEL_NAME`, `AST_MAX_EXTENSION`).
#[test]
fn what_an_empty_line_cuts_off_is_no_channels_event() {
    for text in [
        "1\r\n\r\nEvent: Hangup\r\nUniqueid: 1796017948.2\r\n\r\nX: ",
        "1\r\n\r\nEvent: BridgeEnter\r\nBridgeUniqueid: b\r\nUniqueid: 1.1\r\n\r\n",
        "1\r\n\r\nEvent: UserEvent\r\nChannel: PJSIP/1-1\r\nCallerIDNum: 1",
    ] {
        assert!(text.len() < 80, "{text:?}");
        let cut = [b"Asterisk Call Manager/11.0.0\r\n", &of_caller(text).as_bytes()[..], b"\r\n"].concat();
        for event in events(&cut) {
            assert!(!is_genuine(&event, &[""]), "{}", String::from_utf8_lossy(event.as_bytes()));
        }
    }
}

#[test]
fn a_field_behind_which_asterisk_prints_nothing_is_the_last() {
    let dial = |string: &str| {
        let more = format!("DialString: {string}\n");
        printed(&format!("Event: DialBegin\nChannel: PJSIP/1-1\nUniqueid: 1.1\nDestChannel: PJSIP/2-2\n{more}"))
    };
    assert!(is_genuine(&dial("1002"), &["", "Dest"]));
    assert!(!is_genuine(&dial("1002\nDestChanVariable: SIDECALL_TENANT=b"), &["", "Dest"]));
}

#[test]
fn a_later_asterisk_may_say_more_of_a_channel_behind_its_block() {
    let is_genuine = |text: String| is_genuine(&AmiEvent::new(text.replace('\n', "\r\n").into()), &[""]);
    assert!(is_genuine(ENROL.replace("UserEvent: ", "Tenantid: \nUserEvent: ")));
    assert!(!is_genuine(ENROL.replace("Context:", "Tenantid: \nContext:")));
    assert!(!is_genuine(ENROL.replace("Linkedid: 1796017948.2\n", "")));
}

/// Such an event needs a channel of one prefix only, and what it says of another one counts, too.
#[test]
fn a_channel_without_the_rest_of_its_block_is_a_callers() {
    let whole = printed("Event: DialBegin\nDestChannel: PJSIP/2-2\nDialString: 1002\n");
    assert!(is_genuine(&whole, &["Dest"]));
    let text = String::from_utf8_lossy(whole.as_bytes()).into_owned();
    let forged = text.replace("DialBegin\r\n", "DialBegin\r\nChannel: PJSIP/1-1\r\nUniqueid: 1.1\r\n");
    assert!(!is_genuine(&AmiEvent::new(forged.into()), &["Dest"]));
}

#[test]
fn a_name_of_the_other_side_brings_no_variable() {
    let [entry, ..] = &events(FIXTURES[2])[..] else { panic!() };
    let told = String::from_utf8_lossy(entry.as_bytes()).into_owned();
    let said = |name: &str| {
        let key = "EffectiveConnectedLineName: ";
        let (before, behind) = told.split_once(key).unwrap();
        let (_, behind) = behind.split_once("\r\n").unwrap();
        AmiEvent::new(format!("{before}{key}{name}\r\n{behind}").into())
    };
    assert!(is_genuine(&said("Al"), &[""]));
    assert!(!is_genuine(&said("Al\r\nVariable: SIDECALL_TENANT=b"), &[""]));
}

#[test]
fn nobody_is_enrolled_for_a_number_that_a_caller_wrote() {
    let said = |text: &str| AsteriskTranslator::default().read(&of_caller(text));
    let [PbxEvent::EnrolmentDialled(held)] = &said("1000")[..] else { panic!() };
    assert_eq!(held.device, Device::named("1000"));
    for text in ["1000\r\nCalling: 1002", "1000\r\nCallerIDName: x\r\nCalling: 1002", "1000\nCalling: 1002"] {
        assert_eq!(said(text), [], "{text:?}");
    }
}
