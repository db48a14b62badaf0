//! The other ways to attach: `direct` sockets whose agent dies, two agents on one PBX, and two PBXs at one agent.
//! `e2e_behaviours.rs` and `e2e_domains.rs` run every behaviour over TLS and in `direct` mode.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::time::Duration;

use lab::scenario::calls::{ALICE, CALL_SCENARIOS, DAVE};
use lab::scenario::site::Site;
use lab::{Kind, PbxConfig, Sidecall, SidecallConfig, wait_until};

fn site(kind: Kind, config: PbxConfig, sidecall: &SidecallConfig) -> Option<Site> {
    lab::or_skip(kind, Site::ready(kind, config, sidecall))
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_direct_goes_on_at_once_when_the_agent_is_killed() {
    let direct = PbxConfig::direct(PbxConfig::default());
    let Some(mut site) = site(Kind::FreeSwitch, direct, &SidecallConfig::default()) else { return };
    let (calls, to) = site.calls(&CALL_SCENARIOS[0]);
    let load = calls.times(100, 20).hold(300).start(to).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    site.sidecall().child().kill();
    let report = load.finish(Duration::from_secs(40)).unwrap();
    assert_eq!(report.answered(), 100, "{:?}", report.statuses());
    let (calls, to) = site.calls(&CALL_SCENARIOS[0]);
    let report = calls.times(5, 5).place(to).unwrap();
    assert_eq!(report.answered(), 5);
    let shortest = report.calls.iter().filter_map(|c| c.answered).min().unwrap();
    assert!(shortest < Duration::from_millis(500), "calls wait for nobody: {shortest:?}");
}

/// Each event wakes each session. A list of channels has one of its own while it lasts.
#[test]
fn asterisk_serves_the_agent_by_one_manager_session() {
    let Some(mut site) = site(Kind::Asterisk, PbxConfig::default(), &SidecallConfig::default()) else { return };
    let shown = || site.pbx.console("manager show connected");
    let sessions = || shown().lines().filter(|line| line.trim_start().starts_with("sidecall")).count();
    assert!(wait_until(Duration::from_secs(12), || sessions() == 1), "{}", shown());
    let (calls, to) = site.calls(&CALL_SCENARIOS[0]);
    assert_eq!(calls.times(5, 10).place(to).unwrap().answered(), 5);
    let log = site.sidecall().log();
    assert_eq!(log.lines().filter(|line| line.contains("call decided")).count(), 5, "{log}");
}

/// The one that attached last decides, and the other one stands by until that says goodbye.
fn only_one_of_two_agents_answers(kind: Kind) {
    let Some(mut site) = site(kind, PbxConfig::default(), &SidecallConfig::default()) else { return };
    let mut second = Sidecall::start(&site.pbx).unwrap();
    let standing_by = |site: &mut Site| site.sidecall().get("/v1/status")["pbxs"][0]["link"] == "standby";
    assert!(wait_until(Duration::from_secs(12), || standing_by(&mut site)), "{}", site.sidecall().log());
    let (calls, to) = site.calls(&CALL_SCENARIOS[0]);
    assert_eq!(calls.times(5, 10).place(to).unwrap().answered(), 5);
    let decided = |log: &str| log.lines().filter(|l| l.contains("call decided")).count();
    assert_eq!(decided(&second.log()), 5, "{}", second.log());
    assert_eq!(decided(&site.sidecall().log()), 0, "two controllers answered\n{}", site.sidecall().log());
    assert!(second.child().terminate(Duration::from_secs(8)).is_some_and(|s| s.success()), "{}", second.log());
    assert!(wait_until(Duration::from_secs(12), || !standing_by(&mut site)), "{}", site.sidecall().log());
    let scenario = CALL_SCENARIOS.iter().find(|s| s.caller == ALICE && s.called == DAVE).unwrap();
    let result = site.run(scenario);
    assert!(result.ok, "{result:#?}\n{}", site.sidecall().log());
}

#[test]
fn asterisk_only_one_of_two_agents_answers() {
    only_one_of_two_agents_answers(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_only_one_of_two_agents_answers() {
    only_one_of_two_agents_answers(Kind::FreeSwitch);
}

/// One agent, one PBX of each kind: a call on either is decided and paired.
#[lab::needs_freeswitch]
#[test]
fn both_pbxs_at_once() {
    let Some(mut site) = set(Kind::Asterisk) else { return };
    let Some(other) = set(Kind::FreeSwitch) else { return };
    let more = format!(
        "[[pbx]]\nname = \"other\"\nkind = \"freeswitch\"\naddress = \"{}\"\npassword = \"{}\"\ncontext = \"{}\"\nregion = \"US\"\n",
        other.pbx.event_addr(),
        other.pbx.event_secret(),
        lab::sidecall::domain(&other.pbx),
    );
    site.start_sidecall(&SidecallConfig { more, ..SidecallConfig::default() }).unwrap();
    let sidecall = site.sidecall();
    let up = || {
        sidecall.get("/v1/status")["pbxs"]
            .as_array()
            .is_some_and(|p| p.len() == 2 && p.iter().all(|p| p["link"] == "up"))
    };
    assert!(wait_until(Duration::from_secs(10), up), "{}\n{}", sidecall.get("/v1/status"), sidecall.log());
    // All scenarios run elsewhere; here it counts that there is another PBX.
    for behaviour in ["B1", "B3"] {
        let scenario = CALL_SCENARIOS.iter().find(|scenario| scenario.behaviour == behaviour).unwrap();
        let result = site.run(scenario);
        assert!(result.ok, "{result:#?}\n{}", site.sidecall().log());
    }
    // From the other PBX, Dave's mobile is called by an extension of that PBX, who has no client.
    let (calls, to) = other.calls(&CALL_SCENARIOS[1]);
    assert_eq!(calls.times(3, 10).place(to).unwrap().answered(), 3);
    let sidecall = site.sidecall();
    let decided =
        || sidecall.calls().iter().filter(|c| c["pbx"] == "other" && c["reason"] == "caller-has-no-client").count();
    assert!(wait_until(Duration::from_secs(3), || decided() == 3), "{:#?}", sidecall.calls());
}

fn set(kind: Kind) -> Option<Site> {
    lab::or_skip(kind, Site::start(kind, PbxConfig::default()))
}
