//! Main numbers and the contexts of attendants.

use lab::{Calls, Kind, PACKET, PSTN};

use crate::agent_double::{AgentDouble, Reply};
use crate::{MAIN, MENU, OUTSIDE, RECEIVED, append, from_trunk, on_one, phone, told};

pub(super) fn the_node_is_never_asked_about_a_main_number(kind: Kind) {
    on_one(kind, |pbx| {
        let _phone = phone(pbx, "1001");
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

pub(super) fn an_attendant_may_have_a_context_of_its_own(kind: Kind) {
    on_one(kind, |pbx| {
        let _phone = phone(pbx, "1001");
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
