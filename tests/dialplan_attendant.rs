//! The dialplan snippets where a call does more than come in and ring: attendants, transfers, Local
//! channels, a PBX behind this one, tenants, withheld callers. On real PBXs, with a stand-in for the agent.

#![allow(clippy::print_stderr, clippy::unwrap_used)]

mod agent_double;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use agent_double::{AgentDouble, Reply};
use lab::{Answer, Calls, Kind, PACKET, PSTN, Pbx, PbxConfig, SippPhone, wait_until};

const UUI: &str = "68747470733a2f2f6e6f64652f612f54";
const SENT: &str = "User-to-User: 6162;encoding=hex";
const RECEIVED: &str = "6162;encoding=hex";
const OUTSIDE: &str = "+13015550199";
const MAIN: &str = "+12125552000";

/// The agent's answers are what counts here, not how fast they are: the hold is a long one.
fn start(kind: Kind) -> Option<Pbx> {
    let config = PbxConfig { hold_ms: 2_000, call_info: "sidecall", ..PbxConfig::default() };
    lab::or_skip(kind, Pbx::start_with(kind, config))
}

/// Runs a behaviour on a PBX.
fn on_one(kind: Kind, test: impl Fn(&Pbx)) {
    if let Some(pbx) = start(kind) {
        test(&pbx);
    }
}

/// Adds to a file of the PBX's configuration.
fn append(pbx: &Pbx, file: &str, text: &str) {
    let file = pbx.etc().join(file);
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    std::fs::write(file, before + text).unwrap();
}

/// How long a caller of the lab's menu says nothing and is sent to the operator, and some more, in ms.
const MENU: u32 = 5_000;

/// A call from a trunk, which is answered.
fn from_trunk(pbx: &Pbx, via: std::net::IpAddr, to: &str) {
    let calls = Calls::new(OUTSIDE, to).via(via).header(SENT).hold(if to == MAIN { MENU } else { 1_000 });
    assert_eq!(calls.place(pbx.trunk_sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
}

/// Side, calling, called, received, refused: of each announcement.
fn told(agent: &AgentDouble) -> Vec<[String; 5]> {
    let fields = ["side", "calling", "called", "received", "refused"];
    agent.announcements().iter().map(|seen| fields.map(|field| seen.get(field).to_owned())).collect()
}

fn the_node_is_never_asked_about_a_main_number(kind: Kind) {
    on_one(kind, |pbx| {
        let _phone = SippPhone::register(pbx.sip(), "1001", &Answer::at_once()).unwrap();
        pbx.set("sidecall_main", "5000|[+]12125552000");
        let agent = AgentDouble::start(pbx, Reply::Route("local"));
        from_trunk(pbx, PACKET, MAIN);
        assert_eq!(told(&agent), [["terminating", OUTSIDE, "1001", RECEIVED, ""]]);
        from_trunk(pbx, PSTN, MAIN);
        assert_eq!(told(&agent)[1..], [["terminating", OUTSIDE, "1001", "", "yes"]]);
        // From inside, the menu's extension.
        assert_eq!(Calls::new("1000", "5000").hold(MENU).place(pbx.sip()).unwrap().statuses(), [Some(200)]);
        assert_eq!(told(&agent)[2..], [["originating", "1000", "1001", "", ""]]);
        // Other numbers of that trunk are announced as ever.
        from_trunk(pbx, PACKET, "+12125551001");
        assert_eq!(told(&agent)[3..], [["terminating", OUTSIDE, "+12125551001", RECEIVED, ""]]);
    });
}

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

fn who_is_transferred_calls_with_their_own_number(kind: Kind) {
    on_one(kind, |pbx| {
        let _phone = SippPhone::register(pbx.sip(), "1001", &Answer::at_once()).unwrap();
        let _target = SippPhone::register(pbx.sip(), "1002", &Answer::at_once()).unwrap();
        let _pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
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
    let _packet = SippPhone::start(pbx.config().packet, &Answer::at_once()).unwrap();
    let pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
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

fn an_attendant_may_have_a_context_of_its_own(kind: Kind) {
    on_one(kind, |pbx| {
        let _phone = SippPhone::register(pbx.sip(), "1001", &Answer::at_once()).unwrap();
        match pbx.kind() {
            Kind::Asterisk => {
                append(
                    pbx,
                    "extensions.conf",
                    "\n[from-trunk](+)\nexten => _+1212555300X,1,Goto(ivr,${EXTEN:-1},1)\n[ivr]\n\
                     exten => 0,1,Gosub(sidecall-attendant,s,1)\n same => n,Answer()\n same => n,Wait(0.3)\n \
                     same => n,Goto(from-internal,1001,1)\n\
                     ; A menu that rings the phone itself.\n\
                     exten => 1,1,Gosub(sidecall-attendant,s,1)\n same => n,Answer()\n same => n,Wait(0.3)\n \
                     same => n,Gosub(sidecall-originating,s,1(1001))\n same => n,Dial(PJSIP/1001)\n",
                );
                let _ = pbx.console("dialplan reload");
            }
            Kind::FreeSwitch => {
                append(
                    pbx,
                    "dialplan/public/00_0_more.xml",
                    "<include>\n<extension name=\"b\"><condition field=\"destination_number\" expression=\"^\\+1212555300(\\d)$\">\n\
                     <action application=\"transfer\" data=\"$1 XML ivr\"/></condition></extension>\n</include>\n",
                );
                append(
                    pbx,
                    "dialplan/ivr.xml",
                    "<include>\n<context name=\"ivr\">\n<X-PRE-PROCESS cmd=\"include\" data=\"sidecall/attendant.xml\"/>\n\
                     <extension name=\"menu\"><condition field=\"destination_number\" expression=\"^\\d$\">\n\
                     <action application=\"answer\"/><action application=\"sleep\" data=\"300\"/>\n\
                     <action application=\"transfer\" data=\"1001 XML default\"/></condition></extension></context>\n</include>\n",
                );
                // Where the trunk's calls come in nothing is included.
                let public = pbx.dir().join("conf/dialplan/public.xml");
                let text = std::fs::read_to_string(&public).unwrap();
                std::fs::write(public, text.replace("sidecall/terminating.xml", "sidecall/none.xml")).unwrap();
                let _ = pbx.console("reloadxml");
            }
        }
        let agent = AgentDouble::start(pbx, Reply::Route("local"));
        for number in ["+12125553000", "+12125553001"] {
            from_trunk(pbx, PACKET, number);
            assert_eq!(told(&agent).len(), 1, "{:?} {}", told(&agent), pbx.log());
            assert_eq!(told(&agent)[0], ["terminating", OUTSIDE, "1001", RECEIVED, ""]);
            agent.forget();
        }
        // Nobody attached: nothing happens.
        pbx.attach("");
        from_trunk(pbx, PACKET, "+12125553000");
        assert_eq!(told(&agent).len(), 0);
    });
}

/// A PBX behind this one, on the trunk `inner`, has the numbers 3xxx.
fn inner_pbx(pbx: &Pbx) -> SippPhone {
    let addr = SocketAddr::new(PSTN, lab::net::ports::free());
    match pbx.kind() {
        Kind::Asterisk => {
            append(
                pbx,
                "pjsip.conf",
                &format!(
                    "\n[inner]\ntype=endpoint\naors=inner\ndisallow=all\nallow=ulaw\n\n[inner]\ntype=aor\ncontact=sip:{addr}\n"
                ),
            );
            append(
                pbx,
                "extensions.conf",
                "\n[from-trunk](+)\nexten => _3XXX,1,Gosub(sidecall-terminating,s,1)\n \
                 same => n,Dial(PJSIP/${EXTEN}@inner,30,b(sidecall-pass^s^1))\n",
            );
            let _ = pbx.console("pjsip reload");
            let _ = pbx.console("dialplan reload");
        }
        Kind::FreeSwitch => {
            append(
                pbx,
                "sip_profiles/external/inner.xml",
                &format!(
                    "<include>\n<gateway name=\"inner\"><param name=\"proxy\" value=\"{addr}\"/>\n\
                     <param name=\"register\" value=\"false\"/><param name=\"username\" value=\"x\"/>\n\
                     <param name=\"password\" value=\"x\"/></gateway>\n</include>\n"
                ),
            );
            append(
                pbx,
                "dialplan/public/00_0_more.xml",
                "<include>\n<extension name=\"inner\"><condition field=\"destination_number\" expression=\"^(3\\d{3})$\">\n\
                 <action application=\"bridge\" data=\"{${sidecall_pass}}sofia/gateway/inner/$1\"/></condition></extension>\n</include>\n",
            );
            let _ = pbx.console("reloadxml");
            let _ = pbx.console("sofia profile external rescan");
            wait_until(Duration::from_secs(5), || pbx.console("sofia status gateway inner").contains("Proxy"));
        }
    }
    SippPhone::start(addr, &Answer::at_once()).unwrap()
}

fn the_address_crosses_to_a_pbx_behind_this_one(kind: Kind) {
    on_one(kind, |pbx| {
        let inner = inner_pbx(pbx);
        let behind = if pbx.kind() == Kind::Asterisk { "other|inner" } else { "yes" };
        let agent = AgentDouble::start(pbx, Reply::Route("pstn"));
        let passed = || {
            let last = inner.invites().pop().unwrap();
            (last.header("User-to-User").map(str::to_owned), last.header("Call-Info").map(str::to_owned))
        };
        // Not before the administrator says so.
        from_trunk(pbx, PACKET, "3001");
        assert_eq!(passed(), (None, None));
        pbx.set("sidecall_behind", behind);
        from_trunk(pbx, PACKET, "3001");
        assert_eq!(passed(), (Some(RECEIVED.to_owned()), None));
        from_trunk(pbx, PSTN, "3001");
        assert_eq!(passed(), (None, None));
        assert_eq!(told(&agent).last().unwrap(), &["terminating", OUTSIDE, "3001", "", "yes"]);
        let info = "<https://b.example/a/X>;purpose=impp";
        let call_info = |via| {
            let calls = Calls::new(OUTSIDE, "3001").via(via).header(&format!("Call-Info: {info}"));
            assert_eq!(calls.place(pbx.trunk_sip()).unwrap().statuses(), [Some(200)]);
        };
        call_info(PACKET);
        assert_eq!(passed(), (None, Some(info.to_owned())));
        call_info(PSTN);
        assert_eq!(passed(), (None, None));
        assert_eq!(told(&agent).last().unwrap(), &["terminating", OUTSIDE, "3001", "", "yes"]);
        // A call server that has no agent itself hands it on all the same.
        agent.forget();
        pbx.attach("");
        from_trunk(pbx, PACKET, "3001");
        assert_eq!((passed().0.as_deref(), told(&agent).len()), (Some(RECEIVED), 0));
        call_info(PACKET);
        assert_eq!((passed().1.as_deref(), told(&agent).len()), (Some(info), 0));
        assert_eq!(inner.invites().len(), 7);
    });
}

fn a_withheld_caller_is_announced_without_a_number(kind: Kind) {
    on_one(kind, |pbx| {
        let _phone = SippPhone::register(pbx.sip(), "1001", &Answer::at_once()).unwrap();
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
fn a_number_that_leads_to_its_extension_is_announced_once(kind: Kind) {
    on_one(kind, |pbx| {
        let _phone = SippPhone::register(pbx.sip(), "1002", &Answer::at_once()).unwrap();
        let agent = AgentDouble::start(pbx, Reply::Route("local"));
        from_trunk(pbx, PACKET, "+12125551002");
        assert_eq!(told(&agent), [["terminating", OUTSIDE, "+12125551002", RECEIVED, ""]]);
    });
}

fn what_a_phone_claims_is_dropped_and_said(kind: Kind) {
    on_one(kind, |pbx| {
        let _pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
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

fn the_tenant_is_announced(kind: Kind) {
    on_one(kind, |pbx| {
        let _pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
        let expected = match pbx.kind() {
            Kind::Asterisk => {
                append(pbx, "pjsip.conf", "\n[phones](+)\nset_var=SIDECALL_TENANT=a.example\n");
                let _ = pbx.console("pjsip reload");
                "a.example".to_owned()
            }
            Kind::FreeSwitch => pbx.console("global_getvar domain_name"),
        };
        let agent = AgentDouble::start(pbx, Reply::Route("pstn"));
        assert_eq!(Calls::new("1000", "+13015550100").place(pbx.sip()).unwrap().statuses(), [Some(200)]);
        assert_eq!((agent.announcements()[0].get("tenant"), expected.is_empty()), (expected.as_str(), false));
    });
}

fn the_agent_may_write_the_numbers_for_the_trunk(kind: Kind) {
    on_one(kind, |pbx| {
        let packet = SippPhone::start(pbx.config().packet, &Answer::at_once()).unwrap();
        let _agent = AgentDouble::start(pbx, Reply::PacketBetween("+12125551000", "+13015550100"));
        let calls = Calls::new("1000", "913015550100");
        assert_eq!(calls.place(pbx.sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!((packet.invites()[0].calling(), packet.invites()[0].called()), ("+12125551000", "+13015550100"));
        // On the route that the call takes today, both are as ever.
        drop(packet);
        let _down = SippPhone::start(pbx.config().packet, &Answer::refuse("503 Service Unavailable")).unwrap();
        let pstn = SippPhone::start(pbx.config().pstn, &Answer::at_once()).unwrap();
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
    let _phone = SippPhone::register(pbx.sip(), "1001", &Answer::at_once()).unwrap();
    let agent = AgentDouble::start(&pbx, Reply::Route("local"));
    from_trunk(&pbx, PACKET, "4000");
    let both = [["terminating", OUTSIDE, "4000", RECEIVED, ""], ["terminating", OUTSIDE, "1001", RECEIVED, ""]];
    assert_eq!(told(&agent), both, "{}", pbx.log());
    // The same number is announced once.
    agent.forget();
    from_trunk(&pbx, PACKET, "1001");
    assert_eq!(told(&agent), [["terminating", OUTSIDE, "1001", RECEIVED, ""]], "{}", pbx.log());
}

lab::on_both_pbxs! {
    the_node_is_never_asked_about_a_main_number,
    who_is_transferred_calls_with_their_own_number,
    an_attendant_may_have_a_context_of_its_own,
    the_address_crosses_to_a_pbx_behind_this_one,
    a_withheld_caller_is_announced_without_a_number,
    a_number_that_leads_to_its_extension_is_announced_once,
    what_a_phone_claims_is_dropped_and_said,
    the_tenant_is_announced,
    the_agent_may_write_the_numbers_for_the_trunk,
}
