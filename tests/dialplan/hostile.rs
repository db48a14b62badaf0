//! What a caller can write into a line of the dialplan: nothing that is obeyed.

use lab::{Calls, Kind};

use crate::{on_one, pstn};

/// `set` expands its value twice, and FreeSWITCH's guard against `${` in a number overlooks `$\'{`. Such a route is the
/// administrator's.
#[lab::needs_freeswitch]
#[test]
fn freeswitch_runs_nothing_of_a_dialled_number_in_front_of_a_bridge() {
    on_one(Kind::FreeSwitch, |pbx| {
        let route = "<include>\n<extension name=\"abroad\"><condition field=\"destination_number\" expression=\"^(00.+)$\">\n\
                     <X-PRE-PROCESS cmd=\"include\" data=\"$${conf_dir}/dialplan/sidecall/out.xml\"/>\n\
                     <action application=\"bridge\" data=\"sofia/gateway/pstn/004420\"/>\n\
                     </condition></extension>\n</include>";
        lab::pbx::conf::write(&pbx.dir().join("conf/dialplan/default/00_0_abroad.xml"), route).unwrap();
        let _ = pbx.console("reloadxml");
        let pstn = pstn(pbx);
        let file = std::path::Path::new("/tmp").join(format!("sidecall-dialled-{}", std::process::id()));
        let dialled = format!("0044$%5C'%7Bsystem%20touch%20{}%7D", file.display().to_string().replace('/', "%2F"));
        assert_eq!(Calls::new("1000", &dialled).place(pbx.sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!(pstn.invites().len(), 1, "the route was not taken");
        assert!(!file.exists(), "a caller ran a command: {}", pbx.log());
    });
}
