//! When things break, on each real PBX of this machine: no call is lost, none waits longer than the
//! hold, and who talks is paired all the same.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

#[path = "e2e_failures/behind.rs"]
mod behind;
#[path = "e2e_failures/between.rs"]
mod between;

use behind::portability_and_then_the_database_fail_under_load;
use std::time::Duration;

use lab::scenario::calls::{ALICE, BOB, CALL_SCENARIOS, CallScenario, DAVE};
use lab::scenario::site::Site;
use lab::{CallReport, Calls, ChaosProxy, Hosted, Kind, PbxConfig, Sidecall, SidecallConfig, wait_until};
use serde_json::Value;

/// The hold of the snippets.
const HOLD: Duration = Duration::from_millis(500);
/// What a busy machine may add to a set-up, both PBX and phones being on it.
const NOISE: Duration = Duration::from_millis(700);
/// Calls per second while something breaks.
const RATE: u32 = 20;

fn site(kind: Kind) -> Option<Site> {
    lab::or_skip(kind, Site::start(kind, PbxConfig::default()))
}

fn started(kind: Kind) -> Option<Site> {
    let mut site = site(kind)?;
    site.start_sidecall(&SidecallConfig::default()).unwrap();
    Some(site)
}

/// Alice calls Dave: both have clients.
fn paired() -> &'static CallScenario {
    CALL_SCENARIOS.iter().find(|s| s.caller == ALICE && s.called == DAVE).unwrap()
}

fn calls(site: &Site, count: u32, talk_ms: u32) -> (Calls, std::net::SocketAddr) {
    let (calls, to) = site.calls(paired());
    (calls.times(count, RATE).hold(talk_ms), to)
}

fn no_call_lost_none_held_too_long(report: &CallReport, count: u32, log: &str) {
    report.none_lost_or_later_than(HOLD + NOISE, count, log);
}

/// How many clients of a call have their peer's address.
fn told(call: &Value) -> usize {
    let peers = call["deliveries"].as_array().into_iter().flatten();
    peers.filter(|d| d["message"] == "peer" && d["state"] == "delivered").count()
}

/// The calls that the node knows, whose clients have each other's address.
fn pairs(sidecall: &Sidecall) -> usize {
    sidecall.calls().iter().filter(|c| told(c) >= 2).count()
}

fn agent_killed_and_started_again_under_load(kind: Kind) {
    let Some(mut site) = started(kind) else { return };
    let (load, to) = calls(&site, 160, 300);
    let load = load.start(to).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    site.sidecall().child().kill();
    // These are answered while nobody watches, and are up when we are back.
    let (long, to) = calls(&site, 3, 9_000);
    let long = long.start(to).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    site.sidecall().restart().unwrap();
    site.sidecall().wait_until_attached().unwrap();
    let sidecall = site.sidecall();
    // The three that are up are found and paired; short ones may end while they are being found.
    let found = || {
        let calls = sidecall.calls();
        let up = calls.iter().filter(|c| c["reason"] == "not-announced" && c["phase"] == "talking");
        up.filter(|c| told(c) >= 2).count()
    };
    assert!(wait_until(Duration::from_secs(8), || found() >= 3), "{:#?}\n{}", sidecall.calls(), sidecall.log());
    let log = site.sidecall().log();
    no_call_lost_none_held_too_long(&load.finish(Duration::from_secs(40)).unwrap(), 160, &log);
    no_call_lost_none_held_too_long(&long.finish(Duration::from_secs(40)).unwrap(), 3, &log);
}

fn agent_hung_under_load(kind: Kind) {
    let Some(mut site) = started(kind) else { return };
    let (load, to) = calls(&site, 160, 300);
    let load = load.start(to).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    site.sidecall().child().stop();
    std::thread::sleep(Duration::from_secs(3));
    site.sidecall().child().cont();
    let report = load.finish(Duration::from_secs(40)).unwrap();
    let log = site.sidecall().log();
    no_call_lost_none_held_too_long(&report, 160, &log);
    // Announcements that waited in the socket meanwhile are old: none of them may be answered.
    let stale = log.lines().filter(|line| line.contains("call decided") && line.contains("applied=\"no\"")).count();
    assert!(stale > 0, "no announcement was found to be old\n{log}");
    assert!(pairs(site.sidecall()) > 50, "{log}");
}

fn agent_says_goodbye(kind: Kind) {
    let Some(mut site) = started(kind) else { return };
    let ended = site.sidecall().child().terminate(Duration::from_secs(8));
    assert!(ended.is_some_and(|status| status.success()), "{}", site.sidecall().log());
    let (calls, to) = calls(&site, 10, 100);
    let report = calls.place(to).unwrap();
    assert_eq!(report.answered(), 10);
    let shortest = report.calls.iter().filter_map(|c| c.answered).min().unwrap();
    assert!(shortest < HOLD, "calls wait for an agent that has said goodbye: {shortest:?}");
}

/// Agent and node apart, with a proxy between them.
struct Apart {
    // Dropped in this order.
    agent: Sidecall,
    proxy: ChaosProxy,
    node: Sidecall,
    site: Site,
}

fn apart(kind: Kind) -> Option<Apart> {
    let site = site(kind)?;
    let node = Sidecall::launch(&site.pbx, &SidecallConfig::default(), "node").unwrap();
    let proxy = ChaosProxy::start(node.http).unwrap();
    let config = SidecallConfig { nodes: vec![proxy.addr()], ..SidecallConfig::default() };
    let agent = Sidecall::launch(&site.pbx, &config, "agent").unwrap();
    let mut apart = Apart { agent, proxy, node, site };
    apart.node.wait_until_attached().unwrap_or_else(|e| panic!("{e}\n{}", apart.agent.log()));
    for person in [ALICE, DAVE, BOB] {
        apart.node.number(&apart.site.number(person), person.name, person.here);
    }
    apart.site.webhook.bind(&apart.node, &apart.site.number(DAVE));
    apart.node.bind(&apart.site.number(ALICE), &apart.site.webhook.url.replace("/hook", "/other"));
    Some(apart)
}

/// Two agents beside one PBX, and the host of the one in charge dies.
fn who_stands_by_takes_over(kind: Kind) {
    let Some(apart) = apart(kind) else { return };
    let config = SidecallConfig { nodes: vec![apart.proxy.addr()], ..SidecallConfig::default() };
    let mut other = Sidecall::launch(&apart.site.pbx, &config, "agent").unwrap();
    let says = |words: &str| apart.agent.log().contains(words);
    assert!(wait_until(Duration::from_secs(12), || says("state=Standby")), "{}\n{}", apart.agent.log(), other.log());
    let (long, to) = calls(&apart.site, 2, 20_000);
    let long = long.start(to).unwrap();
    let talking = || apart.node.calls().iter().filter(|c| c["phase"] == "talking").count() == 2;
    assert!(wait_until(Duration::from_secs(5), talking), "{}", other.log());
    other.child().kill();
    assert!(wait_until(Duration::from_secs(30), || says("state=Up")), "{}", apart.agent.log());
    let (calls, to) = calls(&apart.site, 5, 900);
    no_call_lost_none_held_too_long(&calls.place(to).unwrap(), 5, &apart.agent.log());
    assert_eq!(reasons(&apart.node), vec!["called-has-client"; 7], "{}", apart.agent.log());
    // It has taken up what the other one followed, too.
    no_call_lost_none_held_too_long(&long.finish(Duration::from_secs(30)).unwrap(), 2, &apart.agent.log());
    let over = || apart.node.calls().iter().all(|c| c["phase"] == "ended");
    assert!(wait_until(Duration::from_secs(10), over), "{:#?}\n{}", apart.node.calls(), apart.agent.log());
}

/// The reasons of the last calls, as the node knows them.
fn reasons(node: &Sidecall) -> Vec<String> {
    node.calls().iter().filter_map(|c| c["reason"].as_str().map(str::to_owned)).collect()
}

fn node_killed_under_load(kind: Kind) {
    let Some(mut apart) = apart(kind) else { return };
    let (load, to) = calls(&apart.site, 160, 4_000);
    let load = load.start(to).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    apart.node.child().kill();
    std::thread::sleep(Duration::from_secs(3));
    apart.node.restart().unwrap();
    let report = load.finish(Duration::from_secs(40)).unwrap();
    let log = apart.agent.log();
    no_call_lost_none_held_too_long(&report, 160, &log);
    assert!(log.contains("calls go on without asking"), "the circuit breaker did not open\n{log}");
    // What the node missed it is told when it is back.
    assert!(wait_until(Duration::from_secs(15), || apart.node.calls().len() == 160), "{}", apart.node.calls().len());
    assert!(reasons(&apart.node).iter().any(|r| r == "node-unreachable"));
    let over = || apart.node.calls().iter().all(|c| c["phase"] == "ended");
    assert!(
        wait_until(Duration::from_secs(40), over),
        "{:#?}",
        apart.node.calls().iter().filter(|c| c["phase"] != "ended").collect::<Vec<_>>()
    );
}

fn node_slow_under_load(kind: Kind) {
    let Some(apart) = apart(kind) else { return };
    let (load, to) = calls(&apart.site, 120, 4_000);
    let load = load.start(to).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    apart.proxy.pause();
    std::thread::sleep(Duration::from_secs(3));
    apart.proxy.resume();
    let report = load.finish(Duration::from_secs(40)).unwrap();
    no_call_lost_none_held_too_long(&report, 120, &apart.agent.log());
    let known = || apart.node.calls().len() == 120;
    assert!(wait_until(Duration::from_secs(20), known), "{}\n{}", apart.node.calls().len(), apart.agent.log());
    assert!(reasons(&apart.node).iter().any(|r| r == "late" || r == "node-unreachable"));
}

fn link_cut_in_the_middle_of_a_frame(kind: Kind) {
    let Some(mut site) = site(kind) else { return };
    let proxy = ChaosProxy::start(site.pbx.event_addr()).unwrap();
    let config = SidecallConfig { event_addr: Some(proxy.addr()), ..SidecallConfig::default() };
    site.start_sidecall(&config).unwrap();
    // The first call's events are cut short, wherever that is.
    proxy.refuse(true);
    proxy.cut_after(3_001);
    let (long, to) = calls(&site, 4, 8_000);
    let long = long.start(to).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    proxy.refuse(false);
    let sidecall = site.sidecall();
    assert!(wait_until(Duration::from_secs(6), || pairs(sidecall) == 4), "{:#?}\n{}", sidecall.calls(), sidecall.log());
    assert!(sidecall.log().contains("no link to the PBX"), "the link was never cut\n{}", sidecall.log());
    let log = sidecall.log();
    no_call_lost_none_held_too_long(&long.finish(Duration::from_secs(40)).unwrap(), 4, &log);
    let sidecall = site.sidecall();
    let over = || sidecall.calls().iter().all(|c| c["phase"] == "ended");
    assert!(wait_until(Duration::from_secs(5), over), "{:#?}\n{}", sidecall.calls(), sidecall.log());
}

fn client_offline_and_back(kind: Kind) {
    let Some(mut site) = started(kind) else { return };
    site.hosted().child().kill();
    let (long, to) = calls(&site, 1, 6_000);
    let long = long.start(to).unwrap();
    assert_eq!(site.webhook.wait_for("peer", 1, Duration::from_secs(4)).len(), 1);
    let number = site.number(ALICE);
    let back = Hosted::start(site.sidecall(), &number).unwrap();
    let peers = back.wait_for("peer", 1, Duration::from_secs(3));
    assert_eq!(peers.len(), 1, "{}", site.sidecall().log());
    let log = site.sidecall().log();
    no_call_lost_none_held_too_long(&long.finish(Duration::from_secs(30)).unwrap(), 1, &log);
}

fn webhook_down_for_a_moment(kind: Kind) {
    let Some(site) = started(kind) else { return };
    site.webhook.fail(2);
    let (long, to) = calls(&site, 1, 4_000);
    let long = long.start(to).unwrap();
    assert_eq!(site.webhook.wait_for("peer", 1, Duration::from_secs(4)).len(), 1, "not tried again");
    assert_eq!(site.webhook.refused(), 0, "a signature was wrong");
    assert_eq!(long.finish(Duration::from_secs(30)).unwrap().answered(), 1);
}

fn pbx_restarted(kind: Kind) {
    let Some(mut site) = started(kind) else { return };
    let (long, to) = calls(&site, 2, 60_000);
    let _long = long.start(to).unwrap();
    assert!(wait_until(Duration::from_secs(5), || pairs(site.sidecall()) == 2));
    site.pbx.restart().unwrap();
    site.sidecall().wait_until_attached().unwrap();
    // Its calls are gone with it, and no one is left to say so but a snapshot.
    let sidecall = site.sidecall();
    let over = || sidecall.calls().iter().all(|c| c["phase"] == "ended");
    assert!(wait_until(Duration::from_secs(10), over), "{:#?}\n{}", sidecall.calls(), sidecall.log());
    let (calls, to) = calls(&site, 5, 300);
    assert_eq!(calls.place(to).unwrap().answered(), 5);
    assert!(wait_until(Duration::from_secs(5), || pairs(site.sidecall()) == 7), "{}", site.sidecall().log());
}

macro_rules! failures {
    ($($name:ident,)*) => {
        mod asterisk {
            // How often is looked, and when an agent counts as dead, is the same on both.
            #[test] fn who_stands_by_takes_over() { super::who_stands_by_takes_over(super::Kind::Asterisk); }
            $(#[test] fn $name() { super::$name(super::Kind::Asterisk); })*
        }
        mod freeswitch {
            $(#[lab::needs_freeswitch] #[test] fn $name() { super::$name(super::Kind::FreeSwitch); })*
        }
    };
}

failures! {
    agent_killed_and_started_again_under_load,
    agent_hung_under_load,
    agent_says_goodbye,
    node_killed_under_load,
    node_slow_under_load,
    link_cut_in_the_middle_of_a_frame,
    client_offline_and_back,
    webhook_down_for_a_moment,
    pbx_restarted,
    portability_and_then_the_database_fail_under_load,
}
