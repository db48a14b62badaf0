//! Recorded calls as templates: what a real PBX said of one call, for any other call.

use crate::pbx::Call;

const FREESWITCH: &str = include_str!("../../../fixtures/esl/announced-call.recv");
const ASTERISK: &str = include_str!("../../../fixtures/ami/announced-call.recv");

/// What is particular to the call that was recorded on FreeSWITCH, and what stands there instead.
const FREESWITCH_CALL: &[(&str, &str)] = &[
    ("d4c74237-6115-446d-ba46-0af0abdd78b0", "{{calling_leg}}"),
    ("c49e5dfd-4d74-4d96-86a2-1e254b1d293e", "{{called_leg}}"),
    ("01a203596ac4768ca3bb4d27179b9d52", "{{agent}}"),
    ("01a20359-719c-7125-9f19-99cf20007f5b", "{{id}}"),
    ("Event-Date-Timestamp: 1795352523112757", "Event-Date-Timestamp: {{sent}}"),
    ("sidecall_hold: 500", "sidecall_hold: {{hold}}"),
    // The called one was outside; here it is a phone.
    ("variable_sip_gateway_name: pstn", "variable_dialed_user: {{called}}"),
    ("%2B12125550100", "{{called}}"),
    (": 1000\n", ": {{calling}}\n"),
    ("1000%40", "{{calling}}%40"),
];

/// The same of the one that was recorded on Asterisk.
const ASTERISK_CALL: &[(&str, &str)] = &[
    ("PJSIP/phones-00000000", "{{calling_channel}}"),
    ("PJSIP/pstn-00000001", "{{called_channel}}"),
    ("PJSIP/phones", "PJSIP/{{calling}}"),
    ("PJSIP/pstn", "PJSIP/{{called}}"),
    ("1795352509.833041", "{{sent}}"),
    ("1795352509.2", "{{calling_leg}}"),
    ("1795352509.3", "{{called_leg}}"),
    ("082a41a1-686f-48b6-afff-7dc118ad1479", "{{bridge}}"),
    ("01a2035936ec7697bfb6e0ab11862f2c", "{{agent}}"),
    ("01a20359-3d8c-7322-ae1c-79c8dd9a1abc", "{{id}}"),
    // The snippet says more since then.
    ("Hold: 500\r\n", "Hold: {{hold}}\r\nAnswer: 1\r\n"),
    ("+12125550100@pstn", "{{called}}"),
    ("+12125550100", "{{called}}"),
    (": 1000\r\n", ": {{calling}}\r\n"),
    ("=1000\r\n", "={{calling}}\r\n"),
];

/// What an Asterisk's list says of the two channels of a call that is up. The agent takes no entry that lacks a channel's fields.
const STATUS: [&str; 2] = [
    "Event: Status\r\nPrivilege: Call\r\nChannel: {{calling_channel}}\r\nChannelState: 6\r\nChannelStateDesc: Up\r\n\
     CallerIDNum: {{calling}}\r\nCallerIDName: <unknown>\r\nConnectedLineNum: {{called}}\r\nConnectedLineName: <unknown>\r\n\
     Language: en\r\nAccountCode: \r\nContext: phones\r\nExten: {{called}}\r\nPriority: 1\r\nUniqueid: {{calling_leg}}\r\n\
     Linkedid: {{calling_leg}}\r\nType: PJSIP\r\nDNID: {{called}}\r\nEffectiveConnectedLineNum: {{called}}\r\n\
     EffectiveConnectedLineName: <unknown>\r\nTimeToHangup: 0\r\nBridgeID: {{bridge}}\r\nApplication: Dial\r\n\
     Data: PJSIP/phone\r\nNativeformats: (ulaw)\r\nVariable: SIDECALL=on\r\n\
     Variable: SIDECALL_SIDE=originating\r\nVariable: SIDECALL_CALLING={{calling}}\r\nVariable: SIDECALL_CALLED={{called}}\r\n\
     Variable: SIDECALL_ANSWER={{id}}|\r\n",
    "Event: Status\r\nPrivilege: Call\r\nChannel: {{called_channel}}\r\nChannelState: 6\r\nChannelStateDesc: Up\r\n\
     CallerIDNum: {{called}}\r\nCallerIDName: <unknown>\r\nConnectedLineNum: {{calling}}\r\nConnectedLineName: <unknown>\r\n\
     Language: en\r\nAccountCode: \r\nContext: phones\r\nExten: \r\nPriority: 1\r\nUniqueid: {{called_leg}}\r\n\
     Linkedid: {{calling_leg}}\r\nType: PJSIP\r\nDNID: {{called}}\r\nEffectiveConnectedLineNum: {{calling}}\r\n\
     EffectiveConnectedLineName: <unknown>\r\nTimeToHangup: 0\r\nBridgeID: {{bridge}}\r\nApplication: Dial\r\n\
     Data: PJSIP/phone\r\nNativeformats: (ulaw)\r\nVariable: SIDECALL=on\r\n",
];

/// A call from its announcement to its end.
#[derive(Debug)]
pub struct Recording {
    /// The events up to the announcement.
    pub announced: Vec<Template>,
    /// Then, until both hear each other.
    pub answered: Vec<Template>,
    /// Then, until both channels are gone.
    pub over: Vec<Template>,
    /// What a list says of the calling channel while it is held.
    pub held: Template,
    /// What it says of both while they talk.
    pub talking: [Template; 2],
}

impl Recording {
    pub fn freeswitch() -> Recording {
        let events = bodies(FREESWITCH).into_iter().map(|body| replaced(body, FREESWITCH_CALL)).collect();
        let [announced, answered, over] = phases(events, "sidecall%3A%3Asetup", "Event-Name: CHANNEL_BRIDGE");
        // The channel's data is what its latest event has, and with whom it is bridged.
        let [called, .., calling] = &answered[..] else { panic!("the recording has two answers and a bridge") };
        let talking = [("{{called_leg}}", calling), ("{{calling_leg}}", called)];
        Recording {
            held: Template::new(&announced[0]),
            talking: talking.map(|(other, event)| Template::new(&format!("variable_bridge_to: {other}\n{event}"))),
            announced: templates(&announced),
            answered: templates(&answered),
            over: templates(&over),
        }
    }

    pub fn asterisk() -> Recording {
        let events = ASTERISK.split_inclusive("\r\n\r\n").filter(|event| event.starts_with("Event: "));
        let events = events.map(|event| replaced(event, ASTERISK_CALL)).collect();
        let phases = phases(events, "UserEvent: SidecallSetup", "Event: BridgeEnter");
        let [announced, answered, over] = phases.map(|events| templates(&events));
        let held = STATUS[0].replace("ChannelState: 6", "ChannelState: 4").replace("{{bridge}}", "");
        Recording { held: Template::new(&held), talking: STATUS.map(Template::new), announced, answered, over }
    }
}

/// The events of an event socket's recording: the bodies of its frames.
fn bodies(recorded: &str) -> Vec<&str> {
    let (mut rest, mut found) = (recorded, Vec::new());
    while let Some((head, behind)) = rest.split_once("\n\n") {
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
        let (body, next) = behind.split_at(length.unwrap_or(0));
        found.extend(Some(body).filter(|body| !body.is_empty()));
        rest = next;
    }
    found
}

fn replaced(event: &str, call: &[(&str, &str)]) -> String {
    call.iter().fold(event.to_owned(), |event, (recorded, slot)| event.replace(recorded, slot))
}

/// Divides events behind the first with one text and the last with the other.
fn phases(mut events: Vec<String>, announcement: &str, bridge: &str) -> [Vec<String>; 3] {
    let bridged = events.iter().rposition(|event| event.contains(bridge)).expect("a bridge in the recording");
    let over = events.split_off(bridged + 1);
    let announced = events.iter().position(|event| event.contains(announcement)).expect("an announcement");
    let answered = events.split_off(announced + 1);
    [events, answered, over]
}

fn templates(events: &[String]) -> Vec<Template> {
    events.iter().map(|event| Template::new(event)).collect()
}

/// A text with slots: each piece, and the name of the slot behind it.
#[derive(Debug)]
pub struct Template(Vec<(String, Option<String>)>);

impl Template {
    fn new(text: &str) -> Template {
        let pieces = text.split("}}").map(|piece| match piece.split_once("{{") {
            Some((text, slot)) => (text.to_owned(), Some(slot.to_owned())),
            None => (piece.to_owned(), None),
        });
        Template(pieces.collect())
    }

    /// The text for one call.
    pub fn fill(&self, call: &Call) -> String {
        let mut filled = String::new();
        for (text, slot) in &self.0 {
            filled.push_str(text);
            filled.push_str(slot.as_deref().map_or("", |slot| call.value(slot)));
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Asterisk 22 says of two channels that talk.
    const RECORDED: &str = include_str!("../../../fixtures/ami/status.recv");

    #[test]
    fn a_channel_has_the_fields_that_asterisk_gives_it() {
        let keys = |text: &str| -> Vec<String> {
            let keys = text.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned()));
            keys.take_while(|key| key != "Readformat" && key != "Variable").collect()
        };
        let recorded = RECORDED.find("Event: Status").map(|at| keys(&RECORDED[at..])).unwrap();
        assert!(recorded.ends_with(&["Nativeformats".to_owned()]), "{recorded:?}");
        for status in STATUS {
            assert_eq!(keys(status), recorded);
        }
    }

    fn call() -> Call {
        let two = |text: &str| [format!("{text}-A"), format!("{text}-B")];
        let (legs, channels) = (two("leg"), two("channel"));
        let one = str::to_owned;
        let (bridge, agent, hold, sent, id) = (one("bridge"), one("agent"), one("hold"), one("sent"), one("id"));
        Call {
            numbers: ["+12120000001", "+12120000002"].map(str::to_owned),
            legs,
            channels,
            bridge,
            agent,
            hold,
            sent,
            id,
        }
    }

    fn filled(templates: &[Template]) -> String {
        templates.iter().map(|template| template.fill(&call())).collect()
    }

    #[test]
    fn nothing_is_left_of_the_call_that_was_recorded() {
        for recording in [Recording::freeswitch(), Recording::asterisk()] {
            let [announced, answered, over] =
                [&recording.announced, &recording.answered, &recording.over].map(|t| filled(t));
            let listed = filled(&recording.talking) + &recording.held.fill(&call());
            let all = [announced.clone(), answered, over, listed].concat();
            for left in ["d4c74237", "c49e5dfd", "01a20359", "12125550100", ": 1000\n", ": 1000\r", "{{", "}}"] {
                assert!(!all.contains(left), "{left}: {all}");
            }
            for there in ["leg-A", "agent", "hold", "sent", "+12120000001", "+12120000002"] {
                assert!(announced.contains(there), "{there}: {announced}");
            }
        }
    }

    #[test]
    fn a_freeswitch_call_has_seven_events_and_an_asterisk_call_its_two_bridge_entries() {
        let Recording { announced, answered, over, .. } = Recording::freeswitch();
        assert_eq!([announced.len(), answered.len(), over.len()], [1, 3, 3]);
        let Recording { answered, over, .. } = Recording::asterisk();
        assert_eq!(filled(&answered).matches("Event: BridgeEnter").count(), 2);
        assert_eq!(filled(&over).matches("Event: Hangup\r\n").count(), 2);
    }
}
