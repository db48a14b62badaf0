//! The packet trunk and what comes after it: what the call carries, and when it falls back to the PSTN.

use std::time::Duration;

use lab::{Calls, Habit, Kind, PACKET, Pbx, PbxConfig, Phone};

use crate::agent_double::{AgentDouble, Reply};
use crate::{NUMBER, UUI, add_extensions, call, millis, on_one_that_waits, packet, pstn};

pub(super) fn the_packet_route_carries_the_address_and_the_caller_id(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let packet = packet(pbx);
        let pstn = pstn(pbx);
        let before = call(pbx);
        let _agent = AgentDouble::start(pbx, Reply::Packet);
        let report = call(pbx);
        assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
        let there = packet.invites();
        assert_eq!((there.len(), pstn.invites().len()), (1, 1));
        assert_eq!(there[0].header("User-to-User"), Some(format!("{UUI};encoding=hex").as_str()));
        assert_eq!(there[0].header("Call-Info"), None);
        assert_eq!(there[0].called(), NUMBER);
        assert_eq!(there[0].calling(), pstn.invites()[0].calling());
        assert_eq!(report.calls[0].provisional, before.calls[0].provisional);
    });
}

pub(super) fn call_info_is_added_on_the_trunks_that_are_named(kind: Kind) {
    let config = PbxConfig { call_info: "other|sidecall", ..PbxConfig::patient() };
    let Some(pbx) = lab::or_skip(kind, Pbx::start_with(kind, config)) else { return };
    let packet = packet(&pbx);
    let agent = AgentDouble::start(&pbx, Reply::Packet);
    assert_eq!(call(&pbx).statuses(), [Some(200)], "{}", pbx.log());
    let uui = format!("{UUI};encoding=hex");
    let carried = |n: usize| {
        let invite = &packet.invites()[n];
        assert_eq!(invite.header("User-to-User"), Some(uui.as_str()));
        invite.header("Call-Info").map(str::to_owned)
    };
    assert_eq!(carried(0).as_deref(), Some("<https://node.example/a/T-1>;purpose=impp"));
    // Not on others, nor on one of which only a part is named.
    for (n, named) in ["other", "side", ""].into_iter().enumerate() {
        pbx.set("sidecall_call_info", named);
        assert_eq!(call(&pbx).statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!(carried(n + 1), None, "{named}");
    }
    // And it is read on the way in, from the trusted trunk.
    let _pstn = pstn(&pbx);
    agent.reply(Reply::Route("pstn"));
    let trunk =
        Calls::new("+13015550199", NUMBER).via(PACKET).header("Call-Info: <https://b.example/a/X>;purpose=impp");
    assert_eq!(trunk.place(pbx.trunk_sip()).unwrap().statuses(), [Some(200)]);
    assert_eq!(agent.announcements()[4].get("received"), "<https://b.example/a/X>;purpose=impp");
}

pub(super) fn a_call_whose_trunk_fails_falls_back_to_the_pstn(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let pstn = pstn(pbx);
        let _agent = AgentDouble::start(pbx, Reply::Packet);
        for status in
            // It refuses us, the number, or this one call.
            [
                "503 Service Unavailable",
                "500 Server Internal Error",
                "404 Not Found",
                "488 Not Acceptable Here",
                "403 Forbidden",
            ]
        {
            let packet = Phone::listen(pbx.config().packet, &Habit::Refuse(status)).unwrap();
            let before = pstn.invites().len();
            let report = call(pbx);
            assert_eq!(report.statuses(), [Some(200)], "{status}: {}", pbx.log());
            assert_eq!(packet.invites().len(), 1);
            assert_eq!(pstn.invites().len(), before + 1);
            assert_eq!(pstn.invites()[before].header("User-to-User"), None);
        }
    });
}

/// It answers in several variables, and may do so beside a snippet of this version while somebody upgrades.
#[test]
fn asterisk_takes_the_answer_of_an_agent_of_an_earlier_version() {
    on_one_that_waits(Kind::Asterisk, |pbx| {
        let packet = packet(pbx);
        let pstn = pstn(pbx);
        let agent = AgentDouble::start(pbx, Reply::Packet);
        agent.answers_as_before();
        assert_eq!(call(pbx).statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!(packet.invites()[0].header("User-to-User"), Some(format!("{UUI};encoding=hex").as_str()));
        agent.reply(Reply::PacketBetween("+12125551000", "+13015550100"));
        assert_eq!(call(pbx).statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!((packet.invites()[1].calling(), packet.invites()[1].called()), ("+12125551000", "+13015550100"));
        agent.reply(Reply::Route("pstn"));
        assert_eq!(call(pbx).statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!((packet.invites().len(), pstn.invites().len()), (2, 1));
        // The next answer is one variable again, and nothing of the others counts any more.
        drop(agent);
        let _agent = AgentDouble::start(pbx, Reply::Packet);
        assert_eq!(call(pbx).statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!((packet.invites().len(), pstn.invites().len()), (3, 1));
    });
}

/// As the example trunk has it, the PBX asks it for a sign of life. Without that the call would wait for SIP's timer B.
pub(super) fn a_call_whose_trunk_is_gone_falls_back_to_the_pstn(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let pstn = pstn(pbx);
        let contact = format!("contact=sip:{}", pbx.config().packet);
        let (file, from, to, state, dead) = match pbx.kind() {
            Kind::Asterisk => {
                let asks = format!("{contact}\nqualify_frequency=1\nqualify_timeout=0.5");
                ("etc/pjsip.conf", contact.as_str(), asks, "pjsip show contacts", "Unavail")
            }
            Kind::FreeSwitch => {
                let (file, asks) = ("conf/sip_profiles/external/sidecall.xml", "<param name=\"ping\" value=\"5\"/>");
                let more = format!("{asks}<param name=\"ping-max\" value=\"1\"/></gateway>");
                (file, "</gateway>", more, "sofia status gateway sidecall", "DOWN")
            }
        };
        lab::pbx::conf::replace(&pbx.dir().join(file), from, &to).unwrap();
        if pbx.kind() == Kind::FreeSwitch {
            let _ = pbx.console("sofia profile external killgw sidecall");
            let _ = pbx.console("reloadxml");
        }
        let gone = || {
            let reload =
                if pbx.kind() == Kind::Asterisk { "pjsip qualify sidecall" } else { "sofia profile external rescan" };
            let _ = pbx.console(reload);
            pbx.console(state).contains(dead)
        };
        let _ = if pbx.kind() == Kind::Asterisk { pbx.console("pjsip reload") } else { String::new() };
        assert!(lab::wait_until(Duration::from_secs(60), gone), "{}", pbx.console(state));
        let _agent = AgentDouble::start(pbx, Reply::Packet);
        let report = call(pbx);
        eprintln!("{}: trunk unreachable, answered after {} ms", pbx.kind(), millis(&report));
        assert_eq!(report.statuses(), [Some(200)]);
        assert_eq!(pstn.invites().len(), 1);
    });
}

pub(super) fn what_the_called_person_does_is_not_tried_again(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let pstn = Phone::listen(pbx.config().pstn, &Habit::Refuse("486 Busy Here")).unwrap();
        let plain = call(pbx);
        assert_eq!(plain.statuses(), [Some(486)]);
        let _agent = AgentDouble::start(pbx, Reply::Packet);
        for (status, expected) in [("486 Busy Here", 486), ("480 Temporarily Unavailable", 480), ("603 Decline", 603)] {
            let packet = Phone::listen(pbx.config().packet, &Habit::Refuse(status)).unwrap();
            let report = call(pbx);
            eprintln!("{}: {status} → {:?} {:?}", pbx.kind(), report.statuses(), report.calls[0].reason);
            assert_eq!((packet.invites().len(), pstn.invites().len()), (1, 1));
            if expected != 603 {
                assert_eq!(report.statuses(), [Some(expected)]);
            }
        }
        // The caller gives up while it rings.
        let packet = Phone::listen(pbx.config().packet, &Habit::after(20_000)).unwrap();
        let mut calls = Calls::new("1000", NUMBER);
        calls.cancel_ms = Some(700);
        let report = calls.place(pbx.sip()).unwrap();
        assert_eq!(
            report.statuses(),
            [Some(487)],
            "{:?}",
            report.messages.iter().map(|m| (m.at, m.received, &m.start_line)).collect::<Vec<_>>()
        );
        assert_eq!(packet.wait_for("CANCEL", 1, Duration::from_secs(2)).len(), 1);
        assert_eq!(pstn.invites().len(), 1);
    });
}

pub(super) fn early_media_comes_through_as_it_did(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let early = Habit::Early { ms: 200 };
        let _packet = Phone::listen(pbx.config().packet, &early).unwrap();
        let _pstn = Phone::listen(pbx.config().pstn, &early).unwrap();
        let plain = call(pbx);
        let agent = AgentDouble::start(pbx, Reply::Packet);
        let packet = call(pbx);
        agent.reply(Reply::Route("pstn"));
        let pstn = call(pbx);
        for report in [&packet, &pstn] {
            assert_eq!(report.calls[0].provisional, plain.calls[0].provisional);
        }
        eprintln!("{}: early {:?}", pbx.kind(), plain.calls[0].provisional);
    });
}

/// On Asterisk by an `h` extension, which may do the accounts.
#[test]
fn what_an_administrator_runs_at_hang_up_still_runs() {
    let Some(pbx) = lab::or_skip(Kind::Asterisk, Pbx::start(Kind::Asterisk)) else { return };
    let more = "\n[from-internal](+)\nexten => h,1,Set(GLOBAL(LAB_HUNG_UP)=${GLOBAL(LAB_HUNG_UP)}x)\n";
    add_extensions(&pbx, more);
    let ran = |times: usize| {
        let said = format!("LAB_HUNG_UP={}\n", "x".repeat(times));
        lab::wait_until(Duration::from_secs(2), || pbx.console("dialplan show globals").contains(&said))
    };
    let _packet = packet(&pbx);
    let _pstn = pstn(&pbx);
    let agent = AgentDouble::start(&pbx, Reply::Route("pstn"));
    assert_eq!(call(&pbx).statuses(), [Some(200)]);
    assert!(ran(1), "on a route of the administrator's: {}", pbx.console("dialplan show globals"));
    agent.reply(Reply::Packet);
    assert_eq!(call(&pbx).statuses(), [Some(200)]);
    assert!(ran(2), "on the packet trunk: {}", pbx.console("dialplan show globals"));
    agent.reply(Reply::Silence);
    let mut calls = Calls::new("1000", NUMBER);
    calls.cancel_ms = Some(150);
    assert_eq!(calls.place(pbx.sip()).unwrap().statuses(), [Some(487)]);
    assert!(ran(3), "during the hold: {}", pbx.console("dialplan show globals"));
}
