//! Codes that phones dial: what is announced, and what the phone hears.

use std::time::{Duration, Instant};

use lab::{Calls, Changes, Kind, PACKET, PbxConfig, Phone};

use crate::agent_double::{AgentDouble, Reply};
use crate::{on, set_in_front};

const CODE: &str = "*7433012345";
const LIMIT: Duration = Duration::from_secs(10);

/// Phones log in with their password. On Asterisk the endpoint of 1000 has a caller ID.
fn config(kind: Kind, config: PbxConfig) -> PbxConfig {
    let changes = match kind {
        Kind::Asterisk => Changes::default().edit("pjsip.conf", "\nauth=1000", "\nauth=1000\ncallerid=Alice <1000>"),
        Kind::FreeSwitch => Changes::default(),
    };
    PbxConfig { passwords: true, changes, ..config }
}

/// What a phone hears, and how long it takes until it is answered.
#[derive(Debug, PartialEq)]
enum Heard {
    /// Three short tones.
    Yes(Duration),
    /// The fast busy tone, which goes on for three seconds.
    No(Duration),
}

/// Dials the code, as a phone that would like to be 1001.
fn dial(phone: &Phone) -> Heard {
    let begun = Instant::now();
    let call = phone.call_as(
        CODE,
        "Bob",
        &["P-Asserted-Identity: <sip:1001@127.0.0.1>", "Remote-Party-ID: <sip:1001@127.0.0.1>"],
    );
    assert!(call.wait_answered(LIMIT), "{:?}", call.status());
    let (waited, answered) = (begun.elapsed(), Instant::now());
    assert!(call.wait_sound(10, LIMIT) && call.wait_ended(LIMIT) && call.ended_there());
    if answered.elapsed() < Duration::from_millis(2_500) { Heard::Yes(waited) } else { Heard::No(waited) }
}

fn codes(agent: &AgentDouble) -> usize {
    agent.announcements().iter().filter(|seen| !seen.get("digits").is_empty()).count()
}

pub(super) fn a_phone_that_dials_a_code_hears_whether_it_was_right(kind: Kind) {
    on(kind, config(kind, PbxConfig::patient()), |pbx| {
        let phone = Phone::register(pbx.sip(), "1000").unwrap();
        let agent = AgentDouble::start(pbx, Reply::Enrolled("yes"));
        for said in ["yes", "no"] {
            agent.forget();
            agent.reply(Reply::Enrolled(said));
            let heard = dial(&phone);
            let (Heard::Yes(waited) | Heard::No(waited)) = heard;
            assert!(waited < Duration::from_millis(1_500), "{said}: it waited {waited:?}");
            assert_eq!(matches!(heard, Heard::Yes(_)), said == "yes", "{heard:?}");
            let seen = agent.announcements();
            assert_eq!(seen.len(), 1, "{}", pbx.log());
            let seen: Vec<_> = ["agent", "calling", "digits"].iter().map(|name| seen[0].get(name)).collect();
            assert_eq!(seen, ["lab", "1000", "012345"], "{}", pbx.log());
        }
    });
}

pub(super) fn a_code_is_refused_after_the_hold_or_without_an_agent(kind: Kind) {
    on(kind, config(kind, PbxConfig::default()), |pbx| {
        let phone = Phone::register(pbx.sip(), "1000").unwrap();
        let agent = AgentDouble::start(pbx, Reply::Silence);
        let heard = dial(&phone);
        let Heard::No(waited) = heard else { panic!("{heard:?}") };
        let hold = Duration::from_millis(490)..Duration::from_millis(1_000);
        assert!(hold.contains(&waited), "{waited:?}");
        agent.forget();
        pbx.attach("");
        let heard = dial(&phone);
        let Heard::No(waited) = heard else { panic!("{heard:?}") };
        assert!(waited < Duration::from_millis(400), "{waited:?}");
        assert_eq!(agent.announcements().len(), 0);
    });
}

/// FreeSWITCH takes a negative time for one of 49 days.
#[lab::needs_freeswitch]
#[test]
fn a_code_is_refused_at_once_if_freeswitch_can_not_wait_the_hold() {
    on(Kind::FreeSwitch, config(Kind::FreeSwitch, PbxConfig::default()), |pbx| {
        let phone = Phone::register(pbx.sip(), "1000").unwrap();
        let agent = AgentDouble::start(pbx, Reply::Silence);
        for hold in ["30", "0", ""] {
            pbx.set("sidecall_hold", hold);
            let heard = dial(&phone);
            let Heard::No(waited) = heard else { panic!("{hold}: {heard:?}") };
            assert!(waited < Duration::from_millis(400), "{hold}: {waited:?}");
        }
        assert_eq!(agent.announcements().len(), 0);
        pbx.set("sidecall_hold", "500");
        set_in_front(pbx, "sidecall_hold=0");
        let heard = dial(&phone);
        let Heard::No(waited) = heard else { panic!("{heard:?}") };
        assert!((Duration::from_millis(490)..Duration::from_millis(1_000)).contains(&waited), "{waited:?}");
    });
}

/// The called person transfers the caller to a code of their own.
pub(super) fn a_phone_that_is_sent_to_a_code_enrols_nobody(kind: Kind) {
    on(kind, config(kind, PbxConfig::patient()), |pbx| {
        let [alice, bob] = ["1000", "1001"].map(|number| Phone::register(pbx.sip(), number).unwrap());
        let agent = AgentDouble::start(pbx, Reply::Route("local"));
        let call = alice.call("1001");
        let there = bob.answer_next(LIMIT).unwrap();
        assert!(call.wait_answered(LIMIT) && call.wait_hears(&bob, LIMIT));
        agent.reply(Reply::Enrolled("yes"));
        assert_eq!(there.refer_to(CODE), Some(202));
        assert!(call.wait_ended(LIMIT), "it hears that it did not work");
        assert_eq!(codes(&agent), 0, "{}", pbx.log());
    });
}

/// Who is believed by address says themselves who they are: a trunk, and a phone without a password.
pub(super) fn a_trunk_or_a_phone_without_a_password_enrols_nobody(kind: Kind) {
    on(kind, config(kind, PbxConfig::patient()), |pbx| {
        let agent = AgentDouble::start(pbx, Reply::Enrolled("yes"));
        let calls = Calls::new("1000", CODE).hold(10_000);
        for (calls, to) in [(calls.clone(), pbx.sip()), (calls.via(PACKET), pbx.trunk_sip())] {
            let _ = calls.place(to).unwrap();
            assert_eq!(codes(&agent), 0, "{}", pbx.log());
        }
    });
}
