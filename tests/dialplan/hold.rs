//! How long a call waits for the agent: for an answer, for the hold, or not at all.

use std::time::Duration;

use lab::{CallReport, Calls, Habit, Kind, Pbx, PbxConfig, Phone};

use crate::agent_double::{AgentDouble, Reply, listen_directly};
use crate::{NUMBER, UUI, add_extensions, call, millis, on_one, packet, pstn, set_in_front};

pub(super) fn without_an_agent_nothing_happens(kind: Kind) {
    on_one(kind, |pbx| {
        let pstn = pstn(pbx);
        let spy = AgentDouble::start(pbx, Reply::Silence);
        pbx.attach("");
        let report = Calls::new("1000", NUMBER).header("User-to-User: 6162;encoding=hex").place(pbx.sip()).unwrap();
        assert_eq!(report.statuses(), [Some(200)]);
        assert!(millis(&report) < 250, "{} ms", millis(&report));
        assert_eq!(pstn.invites().len(), 1);
        assert_eq!(spy.announcements().len(), 0);
    });
}

pub(super) fn a_silent_agent_costs_the_hold_and_no_more(kind: Kind) {
    on_one(kind, |pbx| {
        let pstn = pstn(pbx);
        let plain = millis(&call(pbx));
        let agent = AgentDouble::start(pbx, Reply::Silence);
        let held: Vec<u128> = (0..5).map(|_| millis(&call(pbx))).collect();
        eprintln!("{}: plain {plain} ms, held 500 ms: {held:?}", pbx.kind());
        assert!(held.iter().all(|ms| (490..800).contains(ms)), "{held:?}");
        assert_eq!(agent.announcements().len(), 5);
        assert_eq!(pstn.invites().len(), 6);
    });
}

/// The dialplan goes on from one number to another, which is announced as well.
pub(super) fn a_silent_agent_costs_a_call_one_hold_however_many_numbers_it_has(kind: Kind) {
    on_one(kind, |pbx| {
        let second = "+12125550199";
        match pbx.kind() {
            Kind::Asterisk => {
                let more = format!(
                    "\n[from-internal](+)\nexten => {second},1,Gosub(sidecall-originating,s,1)\n same => n,Goto({NUMBER},1)\n"
                );
                add_extensions(pbx, &more);
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
        let _pstn = pstn(pbx);
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

pub(super) fn an_answer_releases_the_call_quickly(kind: Kind) {
    on_one(kind, |pbx| {
        let _pstn = pstn(pbx);
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

/// The call has gone on when the answer comes: the phone rings. Asterisk dials again.
pub(super) fn an_answer_that_comes_too_late_costs_no_call(kind: Kind) {
    on_one(kind, |pbx| {
        let (pstn, packet) = (ringing(pbx.config().pstn), ringing(pbx.config().packet));
        let agent = AgentDouble::start(pbx, late("pstn"));
        let report = call(pbx);
        assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
        let again = usize::from(kind == Kind::Asterisk);
        assert_eq!((pstn.invites().len(), packet.invites().len()), (1 + again, 0));
        agent.reply(late("packet"));
        let report = call(pbx);
        assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!((pstn.invites().len(), packet.invites().len()), (2 + again, again));
    });
}

/// A subroutine has called the snippet, and another one dials; or the one that called it has returned.
#[test]
fn a_late_answer_finds_the_way_out_of_an_asterisks_subroutines() {
    on_one(Kind::Asterisk, |pbx| {
        let (inside, wrapped) = ("+12125550198", "+12125550199");
        let more = format!(
            "\n[from-internal](+)\nexten => {inside},1,Gosub(sub-dial,s,1({NUMBER}))\n same => n,Hangup(1)\n\
             exten => {wrapped},1,Gosub(sub-announce,s,1({NUMBER}))\n same => n,Dial(PJSIP/{NUMBER}@pstn,60)\n\
             [sub-dial]\nexten => s,1,Gosub(sidecall-originating,s,1(${{ARG1}}))\n\
             \x20same => n,Gosub(sub-trunk,s,1(pstn,${{ARG1}}))\n same => n,Return()\n\
             [sub-trunk]\nexten => s,1,Dial(PJSIP/${{FILTER(+0-9,${{ARG2}})}}@${{ARG1}},60)\n same => n,Return()\n\
             [sub-announce]\nexten => s,1,Gosub(sidecall-originating,s,1(${{ARG1}}))\n same => n,Return()\n"
        );
        add_extensions(pbx, &more);
        let pstn = ringing(pbx.config().pstn);
        let agent = AgentDouble::start(pbx, late("pstn"));
        for (calls, number) in [(2, inside), (4, wrapped)] {
            let report = Calls::new("1000", number).place(pbx.sip()).unwrap();
            assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
            assert_eq!(pstn.invites().len(), calls, "{}", pbx.log());
        }
        agent.reply(Reply::Route("pstn"));
        for (calls, number) in [(5, inside), (6, wrapped)] {
            let report = Calls::new("1000", number).place(pbx.sip()).unwrap();
            assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
            assert_eq!(pstn.invites().len(), calls, "an answer in time dials once: {}", pbx.log());
        }
    });
}

/// The dialplan has gone on to another number, which nobody was asked about in time.
#[test]
fn a_late_answer_to_an_asterisks_first_number_sends_the_second_one_nowhere() {
    on_one(Kind::Asterisk, |pbx| {
        let first = "+12125550199";
        let more = format!(
            "\n[from-internal](+)\nexten => {first},1,Gosub(sidecall-originating,s,1)\n same => n,Goto({NUMBER},1)\n"
        );
        add_extensions(pbx, &more);
        let (pstn, packet) = (ringing(pbx.config().pstn), ringing(pbx.config().packet));
        let agent = AgentDouble::start(pbx, late("packet"));
        let report = Calls::new("1000", first).place(pbx.sip()).unwrap();
        assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
        assert_eq!(agent.announcements().len(), 2);
        assert_eq!((pstn.invites().len(), packet.invites().len()), (2, 0), "{}", pbx.log());
    });
}

/// An answer when the hold is over and the phone rings.
fn late(route: &'static str) -> Reply {
    Reply::LateRoute(route, Duration::from_millis(700))
}

fn ringing(at: std::net::SocketAddr) -> Phone {
    Phone::listen(at, &Habit::after(1_500)).unwrap()
}

pub(super) fn a_caller_may_give_up_during_the_hold(kind: Kind) {
    on_one(kind, |pbx| {
        let pstn = pstn(pbx);
        let _agent = AgentDouble::start(pbx, Reply::Silence);
        let mut calls = Calls::new("1000", NUMBER);
        calls.cancel_ms = Some(150);
        assert_eq!(calls.place(pbx.sip()).unwrap().statuses(), [Some(487)]);
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(pstn.invites().len(), 0);
    });
}

pub(super) fn emergency_calls_never_wait(kind: Kind) {
    on_one(kind, |pbx| {
        let pstn = pstn(pbx);
        let agent = AgentDouble::start(pbx, Reply::Silence);
        let report = Calls::new("1000", "911").place(pbx.sip()).unwrap();
        assert_eq!(report.statuses(), [Some(200)]);
        assert!(millis(&report) < 250);
        assert_eq!((agent.announcements().len(), pstn.invites().len()), (0, 1));
    });
}

/// FreeSWITCH takes a negative time for one of 49 days.
#[lab::needs_freeswitch]
#[test]
fn a_hold_that_freeswitch_can_not_wait_holds_no_call() {
    on_one(Kind::FreeSwitch, |pbx| {
        let _pstn = pstn(pbx);
        let agent = AgentDouble::start(pbx, Reply::Silence);
        for hold in ["0", "30", "59", "60", "-500", "100000", "half a second", ""] {
            pbx.set("sidecall_hold", hold);
            let report = call(pbx);
            assert_eq!(report.statuses(), [Some(200)], "{hold}: {}", pbx.log());
            assert!(millis(&report) < 250, "{hold}: {} ms", millis(&report));
        }
        assert_eq!(agent.wait_for_announcements(8).len(), 8);
    });
}

/// FreeSWITCH reads the dialplan before it runs what it has read there.
#[lab::needs_freeswitch]
#[test]
fn a_hold_that_changes_while_freeswitch_runs_has_an_end() {
    on_one(Kind::FreeSwitch, |pbx| {
        set_in_front(pbx, "sidecall_hold=0");
        let _pstn = pstn(pbx);
        let _agent = AgentDouble::start(pbx, Reply::Silence);
        let report = call(pbx);
        assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
        assert!((490..800).contains(&millis(&report)), "{} ms", millis(&report));
    });
}

/// Who upgrades may have kept a `sidecall.xml` that has no list.
#[lab::needs_freeswitch]
#[test]
fn without_a_list_of_emergency_numbers_freeswitch_announces_nothing() {
    on_one(Kind::FreeSwitch, |pbx| {
        let pstn = pstn(pbx);
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
        assert_eq!(pstn.invites().len(), 6);
    });
}

#[lab::needs_freeswitch]
#[test]
fn direct_mode_goes_on_at_once_if_nobody_listens() {
    let agent = lab::net::ports::local();
    let pbx = Pbx::start_with(Kind::FreeSwitch, PbxConfig { direct: Some(agent), ..PbxConfig::default() }).unwrap();
    let pstn = pstn(&pbx);
    pbx.attach("lab");
    let report = call(&pbx);
    assert_eq!(report.statuses(), [Some(200)]);
    assert!(millis(&report) < 250, "{} ms", millis(&report));
    assert_eq!(pstn.invites().len(), 1);

    let packet = packet(&pbx);
    let _listener = listen_directly(agent);
    let report = call(&pbx);
    eprintln!("direct: {} ms", millis(&report));
    assert_eq!(report.statuses(), [Some(200)], "{}", pbx.log());
    assert_eq!(packet.invites()[0].header("User-to-User"), Some(format!("{UUI};encoding=hex").as_str()));
}
