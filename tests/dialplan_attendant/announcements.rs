//! What is announced of withheld callers, tenants, phones and Local channels, and how the numbers go out.

use lab::{Calls, Habit, Kind, PACKET, Phone};

use crate::agent_double::{AgentDouble, Reply};
use crate::{MAIN, MENU, OUTSIDE, RECEIVED, SENT, append, from_trunk, on_one, phone, pstn, start, told};

pub(super) fn a_withheld_caller_is_announced_without_a_number(kind: Kind) {
    on_one(kind, |pbx| {
        let _phone = phone(pbx, "1001");
        pbx.set("sidecall_main", "[+]12125552000");
        let agent = AgentDouble::start(pbx, Reply::Route("local"));
        let call = |from: &str, to: &str, header: &str| {
            let calls = Calls::new(from, to).via(PACKET).header(SENT).header(header);
            let calls = calls.hold(if to == MAIN { MENU } else { 800 });
            assert_eq!(calls.place(pbx.trunk_sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
            let seen = told(&agent);
            agent.forget();
            seen
        };
        for (from, header) in [
            ("anonymous", "Privacy: id"),
            ("anonymous", "Subject: none"),
            ("Restricted", "Subject: none"),
            (OUTSIDE, "Privacy: id"),
        ] {
            let did = call(from, "+12125551001", header);
            assert_eq!(did, [["terminating", "", "+12125551001", RECEIVED, ""]], "{from} {header}");
        }
        // Behind an attendant as well.
        assert_eq!(call(OUTSIDE, MAIN, "Privacy: id"), [["terminating", "", "1001", RECEIVED, ""]]);
        // A phone's number is announced all the same, and with it that nobody else is to be told.
        for (header, withheld) in [("Privacy: id", "yes"), ("Subject: none", "")] {
            let calls = Calls::new("1000", "1001").header(header);
            assert_eq!(calls.place(pbx.sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
            let seen = &agent.announcements()[0];
            let said = ["side", "calling", "withheld"].map(|field| seen.get(field));
            assert_eq!(said, ["originating", "1000", withheld], "{header}");
            agent.forget();
        }
        // A phone always has a number.
        assert_eq!(Calls::new("anonymous", "1001").place(pbx.sip()).unwrap().statuses(), [Some(200)]);
        assert_eq!(told(&agent).len(), 0);
    });
}

/// A direct number leads to its extension's context, where the snippet stands as well.
pub(super) fn a_number_that_leads_to_its_extension_is_announced_once(kind: Kind) {
    on_one(kind, |pbx| {
        let _phone = phone(pbx, "1002");
        let agent = AgentDouble::start(pbx, Reply::Route("local"));
        from_trunk(pbx, PACKET, "+12125551002");
        assert_eq!(told(&agent), [["terminating", OUTSIDE, "+12125551002", RECEIVED, ""]]);
    });
}

pub(super) fn what_a_phone_claims_is_dropped_and_said(kind: Kind) {
    on_one(kind, |pbx| {
        let _pstn = pstn(pbx);
        let agent = AgentDouble::start(pbx, Reply::Route("pstn"));
        let call = |header: &str| {
            let calls = Calls::new("1000", "+13015550100").header(header);
            assert_eq!(calls.place(pbx.sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
            let seen = agent.announcements().pop().unwrap();
            (seen.get("received").to_owned(), seen.get("refused").to_owned())
        };
        assert_eq!(call("Subject: none"), (String::new(), String::new()));
        assert_eq!(call(SENT), (String::new(), "yes".to_owned()));
        assert_eq!(call("Call-Info: <https://a.example/icon.png>;purpose=icon"), (String::new(), String::new()));
        let claim = "Call-Info: <https://evil.example>;purpose=impp";
        assert_eq!(call(claim), (String::new(), "yes".to_owned()));
    });
}

pub(super) fn the_tenant_is_announced(kind: Kind) {
    on_one(kind, |pbx| {
        let _pstn = pstn(pbx);
        let expected = match pbx.kind() {
            Kind::Asterisk => {
                append(pbx, "pjsip.conf", "\n[phones](+)\nset_var=SIDECALL_TENANT=a-b.example\n");
                let _ = pbx.console("pjsip reload");
                "a-b.example".to_owned()
            }
            Kind::FreeSwitch => pbx.console("global_getvar domain_name"),
        };
        let agent = AgentDouble::start(pbx, Reply::Route("pstn"));
        assert_eq!(Calls::new("1000", "+13015550100").place(pbx.sip()).unwrap().statuses(), [Some(200)]);
        assert_eq!((agent.announcements()[0].get("tenant"), expected.is_empty()), (expected.as_str(), false));
    });
}

pub(super) fn the_agent_may_write_the_numbers_for_the_trunk(kind: Kind) {
    on_one(kind, |pbx| {
        let packet = Phone::listen(pbx.config().packet, &Habit::at_once()).unwrap();
        let _agent = AgentDouble::start(pbx, Reply::PacketBetween("+12125551000", "+13015550100"));
        let calls = Calls::new("1000", "913015550100");
        assert_eq!(calls.place(pbx.sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!((packet.invites()[0].calling(), packet.invites()[0].called()), ("+12125551000", "+13015550100"));
        // On the route that the call takes today, both are as ever.
        drop(packet);
        let _down = Phone::listen(pbx.config().packet, &Habit::Refuse("503 Service Unavailable")).unwrap();
        let pstn = pstn(pbx);
        assert_eq!(calls.place(pbx.sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!((pstn.invites()[0].calling(), pstn.invites()[0].called()), ("1000", "913015550100"));
    });
}

/// Forwarding, queues and ring groups dial Local channels: each goes on for the leg it was made for.
#[test]
fn a_local_channel_goes_on_for_its_caller() {
    let Some(pbx) = start(Kind::Asterisk) else { return };
    append(
        &pbx,
        "extensions.conf",
        "\n[from-trunk](+)\nexten => _4XXX,1,Gosub(sidecall-terminating,s,1)\n same => n,Dial(Local/1001@from-internal,30)\n\
         exten => 1001,1,Gosub(sidecall-terminating,s,1)\n same => n,Dial(Local/1001@from-internal,30)\n",
    );
    let _ = pbx.console("dialplan reload");
    let _phone = phone(&pbx, "1001");
    let agent = AgentDouble::start(&pbx, Reply::Route("local"));
    from_trunk(&pbx, PACKET, "4000");
    let both = [["terminating", OUTSIDE, "4000", RECEIVED, ""], ["terminating", OUTSIDE, "1001", RECEIVED, ""]];
    assert_eq!(told(&agent), both, "{}", pbx.log());
    // The same number is announced once.
    agent.forget();
    from_trunk(&pbx, PACKET, "1001");
    assert_eq!(told(&agent), [["terminating", OUTSIDE, "1001", RECEIVED, ""]], "{}", pbx.log());
}
