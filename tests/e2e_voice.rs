//! B12: the voice call sounds and behaves as it would without us.
//!
//! Each call is made on the same PBX without sidecall, then with it. What the caller and the far end get on the wire,
//! in order, and what the PBX writes down is compared. Where the call takes the packet trunk with sidecall, the
//! administrator's own dialplan takes it too in the call without.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::time::Duration;

use lab::scenario::calls::{ALICE, Arrives, CALL_SCENARIOS, CallScenario, DAVE, ERIN, FRANK, Person, call};
use lab::scenario::differences::{Compared, Table, differences, none_but_listed};
use lab::scenario::portability::{asking, moved, route};
use lab::scenario::site::Site;
use lab::scenario::voice::{Observation, Watch};
use lab::{Habit, Kind, Knot, PbxConfig, Phone, SidecallConfig};

fn site(kind: Kind) -> Option<Site> {
    // They ring for a while: whether ringing is passed on is no matter of who is faster.
    lab::or_skip(kind, Site::start_with(kind, PbxConfig::patient(), &Habit::after(300)))
}

/// How long sidecall may take to end.
const SOON: Duration = Duration::from_secs(12);

/// One call of a scenario, of which one of `ends` is the far end. With `gives_up` the caller hangs up while it rings.
fn place(site: &Site, scenario: &CallScenario, ends: Vec<&Phone>, gives_up: bool) -> Observation {
    let watch = Watch::default().trunk_phones(ends).pbx("the PBX", &site.pbx);
    let (mut calls, to) = site.calls(scenario);
    calls.display = "\"Alice A.\" ".into();
    calls.cancel_ms = gives_up.then_some(900);
    let report = calls.place(to).unwrap();
    let mut observed = watch.end();
    observed.add("caller", &report.messages);
    observed
}

/// The same before sidecall is there, or after it has gone.
fn place_without(site: &Site, scenario: &CallScenario, ends: Vec<&Phone>, gives_up: bool) -> Observation {
    site.pbx.call_out_over(if scenario.arrives == Arrives::Packet { "sidecall" } else { "pstn" });
    let observed = place(site, scenario, ends, gives_up);
    site.pbx.call_out_over("pstn");
    observed
}

/// What the DNS says of two numbers: Dave's is somebody else's now, and Frank's ours.
const PORTED: [(Person, &str); 3] = [(DAVE, "+1-303-555-9999"), (ERIN, "+44-20-7946-0000"), (FRANK, "+1-212-444-0000")];

/// B5: as [`CALL_SCENARIOS`], once a name server is asked.
const MOVED: [CallScenario; 3] = [
    call("B5", [ALICE, DAVE], ("packet", "ported-out"), Arrives::Packet).titled("ported out, to where a trunk leads"),
    call("B5", [ALICE, ERIN], ("pstn", "ported-out"), Arrives::Pstn).titled("ported out, to others"),
    call("B5", [ALICE, FRANK], ("pstn", "ported-in"), Arrives::Pstn).titled("ported in"),
];

/// A name server with these, and what makes a node ask it.
fn portability() -> Option<(Knot, SidecallConfig)> {
    let knot = Knot::or_skip(&moved(PORTED.map(|(person, rn)| (person.dialled, rn)), 60), 60)?;
    let more = asking(&knot, "own_routing_numbers = [\"+1212444\"]\n") + &route("+1303");
    Some((knot, SidecallConfig { more, ..SidecallConfig::default() }))
}

/// All far ends of a site: a scenario's call reaches one.
fn trunk_phones(site: &Site) -> Vec<&Phone> {
    site.packet.iter().chain(&site.pstn).chain([&site.bob, &site.carol]).collect()
}

fn b12_caller_id_ringback_codecs_and_records_are_the_same(kind: Kind) {
    let Some(mut site) = site(kind) else { return };
    let ported = portability();
    let (_knot, asking) = ported.unzip();
    let moved = if asking.is_some() { &MOVED[..] } else { &[] };
    let scenarios: Vec<&CallScenario> = CALL_SCENARIOS.iter().chain(moved).collect();
    let without = |site: &Site, scenario: &CallScenario| place_without(site, scenario, trunk_phones(site), false);
    let mut plain: Vec<Observation> = scenarios.iter().map(|scenario| without(&site, scenario)).collect();
    let mut compared = Vec::new();
    for (config, scenarios) in [(Some(SidecallConfig::default()), &CALL_SCENARIOS[..]), (asking, moved)] {
        let Some(config) = config else { continue };
        site.start_sidecall(&config).unwrap();
        for scenario in scenarios {
            let with = place(&site, scenario, trunk_phones(&site), false);
            let is_answer = |line: &String| line.starts_with("200 to INVITE");
            assert!(
                with.lines("caller, call 1").iter().any(is_answer),
                "{} is not answered: {with:#?}",
                scenario.title
            );
            let packet = scenario.arrives == Arrives::Packet;
            compared.push(Compared { call: scenario.title, packet, without: vec![plain.remove(0)], with });
        }
        let routes: Vec<_> = site.sidecall().calls().iter().map(|call| call["reason"].clone()).collect();
        for scenario in scenarios {
            assert!(routes.iter().any(|reason| reason == scenario.reason), "{}: {routes:?}", scenario.title);
        }
    }
    assert!(site.sidecall().child().terminate(SOON).is_some(), "sidecall does not end");
    let found = differences(&kind.to_string(), Table::Sidecall, &mut compared, |n| without(&site, scenarios[n]));
    none_but_listed(&kind.to_string(), &found);
}

/// The far ends of both trunks do the same. Each call without sidecall, then with it.
fn over_either_trunk(kind: Kind, calls: &[(&str, Habit, bool)]) {
    let Some(mut site) = site(kind) else { return };
    (site.packet, site.pstn) = (None, None);
    let scenario = &CALL_SCENARIOS[0];
    let ends = |site: &Site, answer: &Habit| {
        [site.pbx.config().packet, site.pbx.config().pstn].map(|at| Phone::listen(at, answer).unwrap())
    };
    let without = |site: &Site, (_, answer, gives_up): &(&str, Habit, bool)| {
        place_without(site, scenario, ends(site, answer).iter().collect(), *gives_up)
    };
    let plain: Vec<Observation> = calls.iter().map(|call| without(&site, call)).collect();
    site.start_sidecall(&SidecallConfig::default()).unwrap();
    let with = calls.iter().zip(plain).map(|((call, answer, gives_up), plain)| {
        let with = place(&site, scenario, ends(&site, answer).iter().collect(), *gives_up);
        Compared { call, packet: true, without: vec![plain], with }
    });
    let mut compared: Vec<_> = with.collect();
    let sidecall = site.sidecall();
    let over = || sidecall.calls().iter().all(|c| c["route"] == "packet" && c["phase"] == "ended");
    assert!(lab::wait_until(Duration::from_secs(5), over), "{:#?}", sidecall.calls());
    assert_eq!(sidecall.calls().len(), calls.len());
    assert!(sidecall.child().terminate(SOON).is_some(), "sidecall does not end");
    let found = differences(&kind.to_string(), Table::Sidecall, &mut compared, |n| without(&site, &calls[n]));
    none_but_listed(&kind.to_string(), &found);
}

fn b12_hang_up_causes_are_the_same(kind: Kind) {
    let refusals = ["486 Busy Here", "480 Temporarily Unavailable", "603 Decline"];
    let mut calls: Vec<_> = refusals.iter().map(|status| (*status, Habit::Refuse(status), false)).collect();
    calls.push(("the caller gives up", Habit::after(20_000), true));
    over_either_trunk(kind, &calls);
}

lab::on_both_pbxs! {
    b12_caller_id_ringback_codecs_and_records_are_the_same,
    b12_hang_up_causes_are_the_same,
}
