//! The dialplan snippets on real PBXs, with a stand-in for the agent: what an administrator installs
//! does what it says, and a voice call stays what it was.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod agent_double;

use std::time::Duration;

use agent_double::{AgentDouble, Reply};
use lab::{Answer, CallReport, Calls, Kind, PACKET, PSTN, Pbx, PbxConfig, SippPhone};

const NUMBER: &str = "+12125550100";
const UUI: &str = "68747470733a2f2f6e6f64652f612f54";

/// Runs a behaviour on a PBX.
fn on_one(kind: Kind, test: impl Fn(&Pbx)) {
    on(kind, PbxConfig::default(), test);
}

/// Where it matters what the agent says, and not when.
fn on_one_that_waits(kind: Kind, test: impl Fn(&Pbx)) {
    on(kind, PbxConfig::patient(), test);
}

fn on(kind: Kind, config: PbxConfig, test: impl Fn(&Pbx)) {
    if let Some(pbx) = lab::or_skip(kind, Pbx::start_with(kind, config)) {
        test(&pbx);
    }
}

fn millis(report: &CallReport) -> u128 {
    report.calls[0].answered.unwrap().as_millis()
}

/// Makes these calls at once. The PBX may not answer all of them, since they aren't quite SIP: each has a few seconds.
fn try_calls(calls: &[(Calls, std::net::SocketAddr)]) {
    let callers: Vec<_> = calls.iter().map(|(calls, pbx)| calls.start(*pbx).unwrap()).collect();
    let until = std::time::Instant::now() + Duration::from_secs(4);
    for caller in callers {
        let _ = caller.finish(until.saturating_duration_since(std::time::Instant::now()));
    }
}

fn call(pbx: &Pbx) -> CallReport {
    Calls::new("1000", NUMBER).place(pbx.sip()).unwrap()
}

fn without_an_agent_nothing_happens(kind: Kind) {
    on_one(kind, |pbx| {
        let far = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
        let spy = AgentDouble::start(pbx, Reply::Silence);
        pbx.attach("");
        let report = Calls::new("1000", NUMBER).header("User-to-User: 6162;encoding=hex").place(pbx.sip()).unwrap();
        assert_eq!(report.statuses(), [Some(200)]);
        assert!(millis(&report) < 250, "{} ms", millis(&report));
        assert_eq!(far.invites().len(), 1);
        assert_eq!(spy.announcements().len(), 0);
    });
}

fn a_silent_agent_costs_the_hold_and_no_more(kind: Kind) {
    on_one(kind, |pbx| {
        let far = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
        let plain = millis(&call(pbx));
        let agent = AgentDouble::start(pbx, Reply::Silence);
        let held: Vec<u128> = (0..5).map(|_| millis(&call(pbx))).collect();
        eprintln!("{}: plain {plain} ms, held 500 ms: {held:?}", pbx.kind());
        assert!(held.iter().all(|ms| (490..800).contains(ms)), "{held:?}");
        assert_eq!(agent.announcements().len(), 5);
        assert_eq!(far.invites().len(), 6);
    });
}

/// The dialplan goes on from one number to another, which is announced as well.
fn a_silent_agent_costs_a_call_one_hold_however_many_numbers_it_has(kind: Kind) {
    on_one(kind, |pbx| {
        let second = "+12125550199";
        match pbx.kind() {
            Kind::Asterisk => {
                let file = pbx.dir().join("etc/extensions.conf");
                let more = format!(
                    "\n[from-internal](+)\nexten => {second},1,Gosub(sidecall-originating,s,1)\n same => n,Goto({NUMBER},1)\n"
                );
                lab::pbx::conf::write(&file, &(lab::pbx::conf::read(&file).unwrap() + &more)).unwrap();
                let _ = pbx.console("dialplan reload");
            }
            Kind::FreeSwitch => {
                let file = pbx.dir().join("conf/dialplan/default/00_0_second.xml");
                let text = format!(
                    "<include>\n<extension name=\"second\"><condition field=\"destination_number\" expression=\"^\\{second}$\">\
                     <action application=\"transfer\" data=\"{NUMBER} XML default\"/></condition></extension>\n</include>"
                );
                lab::pbx::conf::write(&file, &text).unwrap();
                let _ = pbx.console("reloadxml");
            }
        }
        let _far = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
        let agent = AgentDouble::start(pbx, Reply::Silence);
        let report = Calls::new("1000", second).place(pbx.sip()).unwrap();
        assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
        let seen: Vec<_> = agent
            .wait_for_announcements(2)
            .iter()
            .map(|seen| (seen.get("called").to_owned(), seen.get("hold").to_owned()))
            .collect();
        let expected = [(second, "500"), (NUMBER, "0")].map(|(called, hold)| (called.to_owned(), hold.to_owned()));
        assert_eq!(seen, expected);
        assert!((490..800).contains(&millis(&report)), "{} ms", millis(&report));
        // That was this call's hold. The next call waits again.
        assert!(millis(&call(pbx)) >= 490);
        // Who answers is waited for.
        agent.forget();
        agent.reply(Reply::Route("pstn"));
        assert_eq!(Calls::new("1000", second).place(pbx.sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!(
            agent.announcements().iter().map(|seen| seen.get("hold").to_owned()).collect::<Vec<_>>(),
            ["500"; 2]
        );
    });
}

fn the_announcement_says_who_calls_whom(kind: Kind) {
    on_one(kind, |pbx| {
        let _far = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
        let agent = AgentDouble::start(pbx, Reply::Route("pstn"));
        assert_eq!(call(pbx).statuses(), [Some(200)]);
        let seen = agent.announcements();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].get("agent"), "lab");
        assert_eq!(seen[0].get("side"), "originating");
        assert_eq!(seen[0].get("calling"), "1000");
        assert_eq!(seen[0].get("called"), NUMBER);
        assert_eq!(seen[0].get("hold"), "500");
        assert_eq!(seen[0].get("received"), "");
    });
}

fn an_answer_releases_the_call_quickly(kind: Kind) {
    on_one(kind, |pbx| {
        let _far = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
        let calls = Calls::new("1000", NUMBER).times(60, 20);
        let plain = calls.place(pbx.sip()).unwrap();
        let _agent = AgentDouble::start(pbx, Reply::Route("pstn"));
        let held = calls.place(pbx.sip()).unwrap();
        let ms = |report: &CallReport, p| report.answer_time(p).unwrap().as_secs_f64() * 1000.0;
        eprintln!(
            "{}: plain p50 {:.1} p99 {:.1}, held p50 {:.1} p99 {:.1} ms",
            pbx.kind(),
            ms(&plain, 50.0),
            ms(&plain, 99.0),
            ms(&held, 50.0),
            ms(&held, 99.0)
        );
        assert_eq!((plain.answered(), held.answered()), (60, 60));
        assert!(ms(&held, 50.0) - ms(&plain, 50.0) < 60.0);
    });
}

fn the_packet_route_carries_the_address_and_the_caller_id(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let packet = SippPhone::start(pbx.config().packet, &Answer::at_once()).unwrap();
        let pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
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

fn call_info_is_added_on_the_trunks_that_are_named(kind: Kind) {
    let config = PbxConfig { call_info: "other|sidecall", ..PbxConfig::patient() };
    let Some(pbx) = lab::or_skip(kind, Pbx::start_with(kind, config)) else { return };
    let packet = SippPhone::start(pbx.config().packet, &Answer::at_once()).unwrap();
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
    let _pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
    agent.reply(Reply::Route("pstn"));
    let trunk =
        Calls::new("+13015550199", NUMBER).via(PACKET).header("Call-Info: <https://b.example/a/X>;purpose=impp");
    assert_eq!(trunk.place(pbx.trunk_sip()).unwrap().statuses(), [Some(200)]);
    assert_eq!(agent.announcements()[4].get("received"), "<https://b.example/a/X>;purpose=impp");
}

fn a_trunk_that_fails_gives_way_to_the_pstn(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
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
            let packet = SippPhone::start(pbx.config().packet, &Answer::refuse(status)).unwrap();
            let before = pstn.invites().len();
            let report = call(pbx);
            assert_eq!(report.statuses(), [Some(200)], "{status}: {}", pbx.log());
            assert_eq!(packet.invites().len(), 1);
            assert_eq!(pstn.invites().len(), before + 1);
            assert_eq!(pstn.invites()[before].header("User-to-User"), None);
        }
    });
}

/// As the example trunk has it, the PBX asks it for a sign of life. Without that the call would wait for SIP's timer B.
fn a_trunk_that_is_gone_gives_way_to_the_pstn(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
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

fn what_the_called_person_does_is_not_tried_again(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let pstn = SippPhone::start(pbx.config().pstn, &Answer::refuse("486 Busy Here")).unwrap();
        let plain = call(pbx);
        assert_eq!(plain.statuses(), [Some(486)]);
        let _agent = AgentDouble::start(pbx, Reply::Packet);
        for (status, expected) in [("486 Busy Here", 486), ("480 Temporarily Unavailable", 480), ("603 Decline", 603)] {
            let packet = SippPhone::start(pbx.config().packet, &Answer::refuse(status)).unwrap();
            let report = call(pbx);
            eprintln!("{}: {status} → {:?} {:?}", pbx.kind(), report.statuses(), report.calls[0].reason);
            assert_eq!((packet.invites().len(), pstn.invites().len()), (1, 1));
            if expected != 603 {
                assert_eq!(report.statuses(), [Some(expected)]);
            }
        }
        // The caller gives up while it rings.
        let packet = SippPhone::start(pbx.config().packet, &Answer::after(20_000)).unwrap();
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

fn a_caller_may_give_up_during_the_hold(kind: Kind) {
    on_one(kind, |pbx| {
        let pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
        let _agent = AgentDouble::start(pbx, Reply::Silence);
        let mut calls = Calls::new("1000", NUMBER);
        calls.cancel_ms = Some(150);
        assert_eq!(calls.place(pbx.sip()).unwrap().statuses(), [Some(487)]);
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(pstn.invites().len(), 0);
    });
}

fn what_a_phone_claims_goes_no_further(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
        let packet = SippPhone::start(pbx.config().packet, &Answer::at_once()).unwrap();
        let agent = AgentDouble::start(pbx, Reply::Route("pstn"));
        let calls = Calls::new("1000", NUMBER)
            .header("User-to-User: 6576696c;encoding=hex")
            .header("Call-Info: <https://evil.example>;purpose=impp");
        assert_eq!(calls.place(pbx.sip()).unwrap().statuses(), [Some(200)]);
        agent.reply(Reply::Packet);
        assert_eq!(calls.place(pbx.sip()).unwrap().statuses(), [Some(200)]);
        assert_eq!(agent.announcements()[0].get("received"), "");
        assert_eq!(pstn.invites()[0].header("User-to-User"), None);
        assert_eq!(pstn.invites()[0].header("Call-Info"), None);
        assert_eq!(packet.invites()[0].header("User-to-User"), Some(format!("{UUI};encoding=hex").as_str()));
        assert_eq!(packet.invites()[0].header("Call-Info"), None);
        assert_eq!(packet.invites()[0].headers.iter().filter(|(name, _)| name == "User-to-User").count(), 1);
    });
}

fn a_received_address_is_believed_from_the_trusted_trunk_only(kind: Kind) {
    on_one(kind, |pbx| {
        let phone = SippPhone::register(pbx.sip(), "1001", &Answer::at_once()).unwrap();
        let agent = AgentDouble::start(pbx, Reply::Route("local"));
        for via in [PACKET, PSTN] {
            let calls = Calls::new("+13015550199", "+12125551001").via(via).header("User-to-User: 6162;encoding=hex");
            assert_eq!(calls.place(pbx.trunk_sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
        }
        let seen = agent.announcements();
        assert_eq!(seen.len(), 2);
        assert_eq!((seen[0].get("side"), seen[0].get("received")), ("terminating", "6162;encoding=hex"));
        assert_eq!((seen[0].get("calling"), seen[0].get("called")), ("+13015550199", "+12125551001"));
        assert_eq!(seen[1].get("received"), "");
        assert!(phone.invites().iter().all(|invite| invite.header("User-to-User").is_none()));
    });
}

fn a_call_that_passes_two_contexts_is_announced_once(kind: Kind) {
    on_one(kind, |pbx| {
        let phone = SippPhone::register(pbx.sip(), "1001", &Answer::at_once()).unwrap();
        let agent = AgentDouble::start(pbx, Reply::Route("local"));
        // Vanilla FreeSWITCH sends an extension from `public` on to `default`.
        let calls = Calls::new("+13015550199", "1001").via(PACKET);
        assert_eq!(calls.place(pbx.trunk_sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!(agent.announcements().len(), 1);
        assert_eq!(phone.invites().len(), 1);
    });
}

fn early_media_comes_through_as_it_did(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let early = Answer { ring: Some("183 Session Progress"), delay_ms: 200, ..Answer::at_once() };
        let _packet = SippPhone::start(pbx.config().packet, &early).unwrap();
        let _pstn = SippPhone::start(pbx.config().pstn, &early).unwrap();
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

fn what_a_caller_can_write_is_never_obeyed(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
        // Without a far end each call would wait for the packet trunk first, half a minute on an Asterisk.
        let packet = SippPhone::start(pbx.config().packet, &Answer::at_once()).unwrap();
        let agent = AgentDouble::start(pbx, Reply::Packet);
        let file = std::env::temp_dir().join(format!("sidecall-pwned-{}", std::process::id()));
        let system = format!("${{system(touch {})}}", file.display());
        let shell = format!("${{SHELL(touch {})}}", file.display());
        let mut calls = Vec::new();
        for from in [
            "1000,sidecall_called=666",
            "1000%0ACalled%3A%20666",
            "1000%2CCalled%3A%20666",
            "1000;x=1",
            "1000\\,Called: 666",
            "'1000'",
            "1000)",
            "1000}",
            &system.replace(' ', "%20"),
            &shell.replace(' ', "%20"),
        ] {
            calls.push((Calls::new(from, NUMBER), pbx.sip()));
        }
        for header in [
            format!("User-to-User: {}", system),
            format!("User-to-User: {}", shell),
            "User-to-User: 61,sidecall_called=666,Called: 666".to_owned(),
        ] {
            for via in [PACKET, PSTN] {
                calls.push((Calls::new("+13015550199", NUMBER).via(via).header(&header), pbx.trunk_sip()));
            }
        }
        for to in [
            "+1212555%2C0100",
            "+12125550100%0ASide%3A%20x",
            "+12125550100$%7BEXTEN%7D",
            "+12125550100)",
            "+12125550100%22",
        ] {
            calls.push((Calls::new("1000", to), pbx.sip()));
        }
        try_calls(&calls);
        let mut named = Calls::new("1000", NUMBER);
        named.display = format!("\"{system}, Called: 666; {shell}\" ");
        assert_eq!(named.place(pbx.sip()).unwrap().statuses(), [Some(200)]);
        for seen in agent.announcements() {
            eprintln!("{}: announced {seen:?}", pbx.kind());
            assert_eq!(seen.get("called"), NUMBER);
            assert!(seen.get("calling").chars().all(|c| c.is_ascii_digit() || c == '+'), "{seen:?}");
            assert!(!seen.get("received").contains(['$', '{', ',']), "{seen:?}");
        }
        let reached = [&pstn, &packet].map(|end| end.invites().len());
        assert!(reached[1] > 0, "no call took the packet trunk");
        eprintln!("{}: {reached:?} calls reached the PSTN and the packet trunk", pbx.kind());
        assert!(!file.exists(), "a caller ran a command");
    });
}

fn the_call_carries_what_a_snapshot_needs(kind: Kind) {
    on_one(kind, |pbx| {
        let _far = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
        let agent = AgentDouble::start(pbx, Reply::Route("pstn"));
        let caller = Calls::new("1000", NUMBER).hold(4_000).start(pbx.sip()).unwrap();
        assert!(lab::wait_until(Duration::from_secs(3), || caller.report().answered() == 1));
        let (a, b) = agent.legs(pbx);
        eprintln!("{}: A-leg {a:?}\nB-leg {b:?}", pbx.kind());
        for (name, value) in [("call", "c-1"), ("calling", "1000"), ("called", NUMBER), ("side", "originating")] {
            assert_eq!(a.get(name), value, "{name}");
        }
        assert_eq!((a.get("mark"), b.get("mark")), ("on", "on"));
    });
}

/// On Asterisk by an `h` extension, which may do the accounts.
#[test]
fn what_an_administrator_runs_at_hang_up_still_runs() {
    let Some(pbx) = lab::or_skip(Kind::Asterisk, Pbx::start(Kind::Asterisk)) else { return };
    let plan = pbx.dir().join("etc/extensions.conf");
    let mut text = std::fs::read_to_string(&plan).unwrap();
    text += "\n[from-internal](+)\nexten => h,1,Set(GLOBAL(LAB_HUNG_UP)=${GLOBAL(LAB_HUNG_UP)}x)\n";
    std::fs::write(&plan, text).unwrap();
    let _ = pbx.console("dialplan reload");
    let ran = |times: usize| {
        let said = format!("LAB_HUNG_UP={}\n", "x".repeat(times));
        lab::wait_until(Duration::from_secs(2), || pbx.console("dialplan show globals").contains(&said))
    };
    let _packet = SippPhone::start(pbx.config().packet, &Answer::at_once()).unwrap();
    let _pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
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

fn emergency_calls_never_wait(kind: Kind) {
    on_one(kind, |pbx| {
        let far = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
        let agent = AgentDouble::start(pbx, Reply::Silence);
        let report = Calls::new("1000", "911").place(pbx.sip()).unwrap();
        assert_eq!(report.statuses(), [Some(200)]);
        assert!(millis(&report) < 250);
        assert_eq!((agent.announcements().len(), far.invites().len()), (0, 1));
    });
}

/// Who upgrades may have kept a `sidecall.xml` that has no list.
#[lab::needs_freeswitch]
#[test]
fn without_a_list_of_emergency_numbers_freeswitch_announces_nothing() {
    on_one(Kind::FreeSwitch, |pbx| {
        let far = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
        let agent = AgentDouble::start(pbx, Reply::Silence);
        for (list, called, announced) in [
            ("", "9911", false),
            ("", "+1911", false),
            ("", NUMBER, false),
            // Not a regular expression.
            ("112|(911", "9911", false),
            ("112|911", "9911", false),
            ("112|911", NUMBER, true),
        ] {
            pbx.set("sidecall_emergency", list);
            agent.forget();
            let report = Calls::new("1000", called).place(pbx.sip()).unwrap();
            assert_eq!(report.statuses(), [Some(200)], "{list}: {called}");
            assert_eq!(agent.announcements().len(), usize::from(announced), "{list}: {called}");
            assert_eq!(millis(&report) >= 490, announced, "{list}: {called} took {} ms", millis(&report));
        }
        assert_eq!(far.invites().len(), 6);
    });
}

#[lab::needs_freeswitch]
#[test]
fn direct_mode_goes_on_at_once_if_nobody_listens() {
    let agent = lab::net::ports::local();
    let pbx = Pbx::start_with(Kind::FreeSwitch, PbxConfig { direct: Some(agent), ..PbxConfig::default() }).unwrap();
    let far = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
    pbx.attach("lab");
    let report = call(&pbx);
    assert_eq!(report.statuses(), [Some(200)]);
    assert!(millis(&report) < 250, "{} ms", millis(&report));
    assert_eq!(far.invites().len(), 1);

    let packet = SippPhone::start(pbx.config().packet, &Answer::at_once()).unwrap();
    let _listener = agent_double::listen_directly(agent);
    let report = call(&pbx);
    eprintln!("direct: {} ms", millis(&report));
    assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
    assert_eq!(packet.invites()[0].header("User-to-User"), Some(format!("{UUI};encoding=hex").as_str()));
}

lab::on_both_pbxs! {
    without_an_agent_nothing_happens,
    a_silent_agent_costs_the_hold_and_no_more,
    a_silent_agent_costs_a_call_one_hold_however_many_numbers_it_has,
    the_announcement_says_who_calls_whom,
    an_answer_releases_the_call_quickly,
    the_packet_route_carries_the_address_and_the_caller_id,
    a_trunk_that_fails_gives_way_to_the_pstn,
    a_trunk_that_is_gone_gives_way_to_the_pstn,
    what_the_called_person_does_is_not_tried_again,
    a_caller_may_give_up_during_the_hold,
    what_a_phone_claims_goes_no_further,
    a_received_address_is_believed_from_the_trusted_trunk_only,
    a_call_that_passes_two_contexts_is_announced_once,
    early_media_comes_through_as_it_did,
    what_a_caller_can_write_is_never_obeyed,
    the_call_carries_what_a_snapshot_needs,
    emergency_calls_never_wait,
    call_info_is_added_on_the_trunks_that_are_named,
}
