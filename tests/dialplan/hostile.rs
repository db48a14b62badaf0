//! What a caller can write into a line of the dialplan: nothing that is obeyed.

use lab::{Calls, Habit, Kind, PSTN, Phone};

use crate::{add_extensions, on_one, pstn};

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

/// The documented lines, in a context whose pattern takes any text behind two digits.
#[test]
fn asterisk_lets_no_caller_write_into_the_documented_dial() {
    on_one(Kind::Asterisk, |pbx| {
        let documentation = lab::pbx::conf::project_file("docs/INSTALL.md").unwrap();
        let dial =
            documentation.lines().find(|line| line.contains("Dial(") && line.contains("@your-trunk,60")).unwrap();
        let more = format!(
            "\n[from-trunk](+)\nexten => _[+0-9]X.,1,Gosub(sidecall-terminating,s,1)\n{}\n",
            dial.replace("your-trunk", "pstn")
        );
        add_extensions(pbx, &more);
        let phone = Phone::register_plain(pbx.sip(), "1001", &Habit::after(20_000)).unwrap();
        let pstn = pstn(pbx);
        let calls = Calls::new("+13015550199", "1001%26PJSIP%2F900123456789%40pstn%2C60").via(PSTN);
        assert_eq!(calls.place(pbx.trunk_sip()).unwrap().statuses(), [Some(200)], "{}", pbx.log());
        let called: Vec<_> = pstn.invites().iter().map(|invite| invite.called().to_owned()).collect();
        assert_eq!(called, ["100190012345678960"], "a caller wrote into the Dial");
        assert_eq!(phone.invites().len(), 0, "a caller wrote into the Dial");
    });
}
