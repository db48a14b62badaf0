//! A PBX behind this one, to which the address crosses.

use std::net::SocketAddr;
use std::time::Duration;

use lab::{Calls, Habit, Kind, PACKET, PSTN, Pbx, Phone, wait_until};

use crate::agent_double::{AgentDouble, Reply};
use crate::{OUTSIDE, RECEIVED, append, from_trunk, on_one, told};

/// A PBX behind this one, on the trunk `inner`, has the numbers 3xxx.
fn inner_pbx(pbx: &Pbx) -> Phone {
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
    Phone::listen(addr, &Habit::at_once()).unwrap()
}

pub(super) fn the_address_crosses_to_a_pbx_behind_this_one(kind: Kind) {
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
