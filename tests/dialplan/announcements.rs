//! What the announcement says and the channels carry, and what a caller can't put there.

use std::time::Duration;

use lab::{Calls, Habit, Kind, PACKET, PSTN, Phone};

use crate::agent_double::{AgentDouble, Reply};
use crate::{NUMBER, UUI, call, on_one, on_one_that_waits, packet, pstn, set_in_front};

pub(super) fn the_announcement_says_who_calls_whom(kind: Kind) {
    on_one(kind, |pbx| {
        let _pstn = pstn(pbx);
        let agent = AgentDouble::start(pbx, Reply::Route("pstn"));
        assert_eq!(call(pbx).statuses(), [Some(200)]);
        // On a busy machine the double may read it after the hold.
        let seen = agent.wait_for_announcements(1);
        assert_eq!(seen.len(), 1, "{}", pbx.log());
        assert_eq!(seen[0].get("agent"), "lab");
        assert_eq!(seen[0].get("side"), "originating");
        assert_eq!(seen[0].get("calling"), "1000");
        assert_eq!(seen[0].get("called"), NUMBER);
        assert_eq!(seen[0].get("hold"), "500");
        assert_eq!(seen[0].get("received"), "");
    });
}

#[lab::needs_freeswitch]
#[test]
fn a_tenant_that_your_dialplan_names_is_kept_without_a_domain() {
    on_one(Kind::FreeSwitch, |pbx| {
        set_in_front(pbx, "sidecall_tenant=acme.example");
        let _pstn = pstn(pbx);
        let agent = AgentDouble::start(pbx, Reply::Route("pstn"));
        let domain = pbx.console("global_getvar domain_name");
        for (global, tenant) in [("", "acme.example"), (domain.trim(), domain.trim())] {
            pbx.set("domain_name", global);
            agent.forget();
            assert_eq!(call(pbx).statuses(), [Some(200)], "{}", pbx.log());
            assert_eq!(agent.announcements()[0].get("tenant"), tenant, "{}", pbx.log());
        }
        assert!(!pbx.log().contains("No variable name specified"), "{}", pbx.log());
    });
}

pub(super) fn what_a_phone_claims_goes_no_further(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let pstn = pstn(pbx);
        let packet = packet(pbx);
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

pub(super) fn a_received_address_is_believed_from_the_trusted_trunk_only(kind: Kind) {
    on_one(kind, |pbx| {
        let phone = Phone::register_plain(pbx.sip(), "1001", &Habit::at_once()).unwrap();
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

pub(super) fn a_call_that_passes_two_contexts_is_announced_once(kind: Kind) {
    on_one(kind, |pbx| {
        let phone = Phone::register_plain(pbx.sip(), "1001", &Habit::at_once()).unwrap();
        let agent = AgentDouble::start(pbx, Reply::Route("local"));
        // Vanilla FreeSWITCH sends an extension from `public` on to `default`.
        let calls = Calls::new("+13015550199", "1001").via(PACKET);
        assert_eq!(calls.place(pbx.trunk_sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!(agent.announcements().len(), 1);
        assert_eq!(phone.invites().len(), 1);
    });
}

/// Makes these calls at once. The PBX may not answer all of them, since they aren't quite SIP: each has a few seconds.
fn try_calls(calls: &[(Calls, std::net::SocketAddr)]) {
    let callers: Vec<_> = calls.iter().map(|(calls, pbx)| calls.start(*pbx).unwrap()).collect();
    let until = std::time::Instant::now() + Duration::from_secs(4);
    for caller in callers {
        let _ = caller.finish(until.saturating_duration_since(std::time::Instant::now()));
    }
}

pub(super) fn what_a_caller_can_write_is_never_obeyed(kind: Kind) {
    on_one_that_waits(kind, |pbx| {
        let pstn = pstn(pbx);
        // Without a remote side each call would wait for the packet trunk first, half a minute on an Asterisk.
        let packet = packet(pbx);
        let agent = AgentDouble::start(pbx, Reply::Packet);
        // An Asterisk in a root of its own sees the folder that its own is in as /tmp.
        let file = std::path::Path::new("/tmp").join(format!("sidecall-pwned-{}", std::process::id()));
        let beside = pbx.dir().with_file_name(file.file_name().unwrap());
        let system = format!("${{system(touch {})}}", file.display());
        let shell = format!("${{SHELL(touch {})}}", file.display());
        // Asterisk's ExecIf runs what stands behind a colon, if its condition doesn't hold.
        let otherwise = format!("%3ASystem(touch%20{}", file.display());
        let mut calls = Vec::new();
        for from in [format!("x){otherwise}"), format!("1000){otherwise}")] {
            calls.push((Calls::new(&from, NUMBER), pbx.sip()));
            for via in [PACKET, PSTN] {
                calls.push((Calls::new(&from, NUMBER).via(via), pbx.trunk_sip()));
            }
        }
        for from in [
            "1000,sidecall_called=666",
            "1000%0ACalled%3A%20666",
            "1000%2CCalled%3A%20666",
            "1000;x=1",
            "1000\\,Called: 666",
            "'1000'",
            "1000)",
            "1000}",
            // Asterisk ends a function's arguments at a colon behind a parenthesis.
            "1000)%3A0%2CSide%3A%20x%2CCalled%3A%20666",
            &system.replace(' ', "%20"),
            &shell.replace(' ', "%20"),
        ] {
            calls.push((Calls::new(from, NUMBER), pbx.sip()));
        }
        for header in [
            format!("User-to-User: {}", system),
            format!("User-to-User: {}", shell),
            "User-to-User: 61,sidecall_called=666,Called: 666".to_owned(),
            "User-to-User: 61):0,Called: 666".to_owned(),
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
            "+12125550100)%3A0%2CCalled%3A%20666",
        ] {
            calls.push((Calls::new("1000", to), pbx.sip()));
        }
        try_calls(&calls);
        let mut named = Calls::new("1000", NUMBER);
        named.display = format!("\"{system}, Called: 666; {shell}\" ");
        assert_eq!(named.place(pbx.sip()).unwrap().statuses(), [Some(200)]);
        assert!(!file.exists() && !beside.exists(), "a caller ran a command");
        for seen in agent.announcements() {
            eprintln!("{}: announced {seen:?}", pbx.kind());
            assert_eq!(seen.get("called"), NUMBER);
            assert!(matches!(seen.get("side"), "originating" | "terminating"), "{seen:?}");
            assert!(seen.get("calling").chars().all(|c| c.is_ascii_digit() || c == '+'), "{seen:?}");
            assert!(!seen.get("received").contains(['$', '{', ',']), "{seen:?}");
        }
        let reached = [&pstn, &packet].map(|end| end.invites().len());
        assert!(reached[1] > 0, "no call took the packet trunk");
        eprintln!("{}: {reached:?} calls reached the PSTN and the packet trunk", pbx.kind());
    });
}

pub(super) fn the_call_carries_what_a_snapshot_needs(kind: Kind) {
    on_one(kind, |pbx| {
        let _pstn = pstn(pbx);
        let agent = AgentDouble::start(pbx, Reply::Route("pstn"));
        let caller = Calls::new("1000", NUMBER).hold(4_000).start(pbx.sip()).unwrap();
        assert!(lab::wait_until(Duration::from_secs(3), || caller.report().answered() == 1));
        let (a, b) = agent.legs(pbx);
        eprintln!("{}: A-leg {a:?}\nB-leg {b:?}", pbx.kind());
        for (name, value) in [("call", "c-1"), ("calling", "1000"), ("called", NUMBER), ("side", "originating")] {
            assert_eq!(a.get(name), value, "{name}");
        }
        for leg in [a, b] {
            assert_eq!(leg.get("mark").split('|').next(), Some("on"), "{leg:?}");
        }
    });
}
