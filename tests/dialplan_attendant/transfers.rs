//! Transfers: who calls, and what is set for the call.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use lab::{Calls, Habit, Kind, PACKET, Pbx, Phone, wait_until};

use crate::agent_double::{AgentDouble, Reply};
use crate::{OUTSIDE, RECEIVED, SENT, on_one, phone, pstn, start, told};

/// The channels that are up: name or id, and whether the PBX called there.
fn channels(pbx: &Pbx) -> Vec<(String, bool)> {
    match pbx.kind() {
        Kind::FreeSwitch => pbx
            .console("show channels as delim |")
            .lines()
            .filter_map(|line| line.split_once('|'))
            .filter(|(uuid, _)| uuid.len() == 36)
            .map(|(uuid, rest)| (uuid.to_owned(), rest.starts_with("outbound")))
            .collect(),
        Kind::Asterisk => pbx
            .console("core show channels concise")
            .lines()
            .filter_map(|line| line.split_once('!'))
            .map(|(name, rest)| (name.to_owned(), rest.contains("!AppDial!")))
            .collect(),
    }
}

/// One of two people who talk is sent to an extension by the other.
fn transfer(pbx: &Pbx, the_called_one: bool, to: &str) {
    assert!(wait_until(Duration::from_secs(3), || channels(pbx).len() == 2), "{:?}", channels(pbx));
    let all = channels(pbx);
    let find = |called| all.iter().find(|(_, out)| *out == called).unwrap().0.clone();
    match pbx.kind() {
        Kind::FreeSwitch => {
            let leg = if the_called_one { "-bleg " } else { "" };
            let done = pbx.console(&format!("uuid_transfer {} {leg}{to} XML default", find(false)));
            assert!(done.contains("+OK"), "{done}");
        }
        Kind::Asterisk => {
            let mut manager = TcpStream::connect(pbx.event_addr()).unwrap();
            let actions = format!(
                "Action: Login\r\nUsername: {}\r\nSecret: {}\r\nEvents: off\r\n\r\nAction: BlindTransfer\r\n\
                 Channel: {}\r\nContext: from-internal\r\nExten: {to}\r\n\r\nAction: Logoff\r\n\r\n",
                pbx.event_user().unwrap(),
                pbx.event_secret(),
                find(!the_called_one),
            );
            manager.write_all(actions.as_bytes()).unwrap();
            let mut said = String::new();
            manager.read_to_string(&mut said).unwrap();
            assert!(said.contains("Transfer succeeded"), "{said}");
        }
    }
}

/// Hangs up whatever is left of a call whose phones wait for the other side.
fn hang_up(pbx: &Pbx) {
    let gone = wait_until(Duration::from_secs(6), || {
        for (name, _) in channels(pbx) {
            let _ = match pbx.kind() {
                Kind::FreeSwitch => pbx.console(&format!("uuid_kill {name}")),
                Kind::Asterisk => pbx.console(&format!("channel request hangup {name}")),
            };
        }
        channels(pbx).is_empty()
    });
    assert!(gone, "{:?}", channels(pbx));
}

pub(super) fn who_is_transferred_calls_with_their_own_number(kind: Kind) {
    on_one(kind, |pbx| {
        let _phone = phone(pbx, "1001");
        let _target = phone(pbx, "1002");
        let _pstn = pstn(pbx);
        let agent = AgentDouble::start(pbx, Reply::Route("local"));
        for (from, to, the_called_one, expected) in [
            ("1000", "1001", false, ["originating", "1000", "1002", "", ""]),
            ("1000", "1001", true, ["originating", "1001", "1002", "", ""]),
            (OUTSIDE, "+12125551001", false, ["terminating", OUTSIDE, "1002", RECEIVED, ""]),
            // The phone behind the number: its caller's address is not its own.
            (OUTSIDE, "+12125551001", true, ["originating", "1001", "1002", "", ""]),
            ("1000", "+13015550100", true, ["terminating", "+13015550100", "1002", "", ""]),
        ] {
            let mut calls = Calls::new(from, to).hold(1_500);
            let mut sip = pbx.sip();
            if from == OUTSIDE {
                (calls, sip) = (calls.via(PACKET).header(SENT), pbx.trunk_sip());
            }
            let before = told(&agent).len();
            let caller = calls.start(sip).unwrap();
            assert!(wait_until(Duration::from_secs(3), || caller.report().answered() == 1), "{}", pbx.log());
            transfer(pbx, the_called_one, "1002");
            assert!(wait_until(Duration::from_secs(3), || told(&agent).len() > before + 1), "{}", pbx.log());
            let _ = caller.finish(Duration::from_secs(6));
            hang_up(pbx);
            assert_eq!(told(&agent)[before + 1..], [expected], "{from} {to} {the_called_one}");
        }
    });
}

/// What a call over the packet trunk needs to be set on FreeSWITCH is set for that call alone.
#[lab::needs_freeswitch]
#[test]
fn who_is_transferred_from_the_packet_trunk_has_the_settings_from_before_on_freeswitch() {
    let Some(pbx) = start(Kind::FreeSwitch) else { return };
    let _packet = Phone::listen(pbx.config().packet, &Habit::at_once()).unwrap();
    let pstn = pstn(&pbx);
    let agent = AgentDouble::start(&pbx, Reply::Packet);
    let caller = Calls::new("1000", "+13015550100").hold(4_000).start(pbx.sip()).unwrap();
    assert!(wait_until(Duration::from_secs(3), || caller.report().answered() == 1), "{}", pbx.log());
    assert!(wait_until(Duration::from_secs(3), || channels(&pbx).len() == 2), "{:?}", channels(&pbx));
    let who = channels(&pbx).into_iter().find(|(_, called)| !called).unwrap().0;
    let settings = || {
        ["continue_on_fail", "hangup_after_bridge"]
            .map(|name| pbx.console(&format!("uuid_getvar {who} {name}")).trim().to_owned())
    };
    assert!(settings()[0].contains("GATEWAY_DOWN"), "{:?}", settings());
    agent.reply(Reply::Route("pstn"));
    transfer(&pbx, false, "+13015550101");
    assert!(wait_until(Duration::from_secs(3), || pstn.invites().len() == 1), "{}", pbx.log());
    assert_eq!(settings(), ["_undef_", "_undef_"]);
    let _ = caller.finish(Duration::from_secs(6));
    hang_up(&pbx);
}
