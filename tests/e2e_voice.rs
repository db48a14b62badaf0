//! B12: the voice call sounds and behaves as it would without us.
//!
//! Each call is made on the same PBX without sidecall, then with it. What the caller and the far end get on the wire,
//! in order, and what the PBX writes down is compared. Where the call takes the packet trunk with sidecall, the
//! administrator's own dialplan takes it too in the call without.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::time::Duration;

use lab::net::knot::{Knot, Records, ZONE};
use lab::scenario::calls::{ALICE, Arrives, DAVE, ERIN, FRANK, Person, SCENES, Scene};
use lab::scenario::differences::{Compared, Table, compare, none_but_listed};
use lab::scenario::site::Stage;
use lab::scenario::voice::{Seen, Watch};
use lab::{Answer, FarEnd, Kind, PbxConfig, SidecallConfig};

fn stage(kind: Kind) -> Option<Stage> {
    // They ring for a while: whether ringing is passed on is no matter of who is faster.
    lab::or_skip(kind, Stage::set_with(kind, PbxConfig::patient(), &Answer::after(300)))
}

/// How long sidecall may take to end.
const SOON: Duration = Duration::from_secs(12);

/// One call of a scene, of which one of `ends` is the far end. With `gives_up` the caller hangs up while it rings.
fn place(stage: &Stage, scene: &Scene, ends: Vec<&FarEnd>, gives_up: bool) -> Seen {
    let watch = Watch::default().far_ends(ends).pbx("the PBX", &stage.pbx);
    let (mut calls, to) = stage.calls(scene);
    calls.display = "\"Alice A.\" ".into();
    calls.cancel_ms = gives_up.then_some(900);
    let report = calls.place(to).unwrap();
    let mut seen = watch.end();
    seen.add("caller", &report.messages);
    seen
}

/// The same before sidecall is there, or after it has gone.
fn place_without(stage: &Stage, scene: &Scene, ends: Vec<&FarEnd>, gives_up: bool) -> Seen {
    stage.pbx.call_out_over(if scene.arrives == Arrives::Packet { "sidecall" } else { "pstn" });
    let seen = place(stage, scene, ends, gives_up);
    stage.pbx.call_out_over("pstn");
    seen
}

/// What the DNS says of two numbers: Dave's is somebody else's now, and Frank's ours.
const PORTED: [(Person, &str); 3] = [(DAVE, "+1-303-555-9999"), (ERIN, "+44-20-7946-0000"), (FRANK, "+1-212-444-0000")];

/// B5: as [`SCENES`], once a name server is asked.
const MOVED: [Scene; 3] = [
    moved("ported out, to where a trunk leads", DAVE, "packet", "ported-out", Arrives::Packet),
    moved("ported out, to others", ERIN, "pstn", "ported-out", Arrives::Pstn),
    moved("ported in", FRANK, "pstn", "ported-in", Arrives::Pstn),
];

const fn moved(title: &'static str, called: Person, route: &'static str, reason: &'static str, to: Arrives) -> Scene {
    Scene { behaviour: "B5", title, caller: ALICE, called, from_pstn: false, route, reason, arrives: to, paired: false }
}

/// A name server with these, and what makes a node ask it.
fn portability() -> Option<(Knot, SidecallConfig)> {
    let records = PORTED.iter().fold(Records::default(), |records, (person, rn)| {
        records.naptr(person.dialled, (100, 10), 60, "E2U+pstn:tel", &format!("!^(.*)$!tel:\\1;npdi;rn={rn}!"))
    });
    let knot = Knot::or_skip(&records, 60)?;
    let more = format!(
        "[node.lnp]\nown_routing_numbers = [\"+1212444\"]\n\
         [[node.lnp.source]]\nname = \"enum\"\nkind = \"enum\"\nsuffix = \"{ZONE}\"\nservers = [\"{}\"]\n\
         [[node.lnp.route]]\nrn_prefix = \"+1303\"\ntrunk = \"sidecall\"\n",
        knot.address()
    );
    Some((knot, SidecallConfig { more, ..SidecallConfig::default() }))
}

/// All far ends of a stage: a scene's call reaches one.
fn ends(stage: &Stage) -> Vec<&FarEnd> {
    let trunks = stage.packet.iter().chain(&stage.pstn);
    trunks.chain([stage.phone(lab::scenario::calls::BOB), stage.phone(lab::scenario::calls::CAROL)]).collect()
}

fn b12_caller_id_ringback_codecs_and_records_are_the_same(kind: Kind) {
    let Some(mut stage) = stage(kind) else { return };
    let ported = portability();
    let (_knot, asking) = ported.unzip();
    let moved = if asking.is_some() { &MOVED[..] } else { &[] };
    let scenes: Vec<&Scene> = SCENES.iter().chain(moved).collect();
    let without = |stage: &Stage, scene: &Scene| place_without(stage, scene, ends(stage), false);
    let mut plain: Vec<Seen> = scenes.iter().map(|scene| without(&stage, scene)).collect();
    let mut compared = Vec::new();
    for (config, scenes) in [(Some(SidecallConfig::default()), &SCENES[..]), (asking, moved)] {
        let Some(config) = config else { continue };
        stage.raise(&config).unwrap();
        for scene in scenes {
            let with = place(&stage, scene, ends(&stage), false);
            let is_answer = |line: &String| line.starts_with("200 to INVITE");
            assert!(with.lines("caller, call 1").iter().any(is_answer), "{} is not answered: {with:#?}", scene.title);
            let packet = scene.arrives == Arrives::Packet;
            compared.push(Compared { call: scene.title, packet, without: vec![plain.remove(0)], with });
        }
        let routes: Vec<_> = stage.sidecall().calls().iter().map(|call| call["reason"].clone()).collect();
        for scene in scenes {
            assert!(routes.iter().any(|reason| reason == scene.reason), "{}: {routes:?}", scene.title);
        }
    }
    assert!(stage.sidecall().child().terminate(SOON).is_some(), "sidecall does not end");
    let found = compare(&kind.to_string(), Table::Sidecall, &mut compared, |n| without(&stage, scenes[n]));
    none_but_listed(&kind.to_string(), &found);
}

/// The far ends of both trunks do the same. Each call without sidecall, then with it.
fn over_either_trunk(kind: Kind, calls: &[(&str, Answer, bool)]) {
    let Some(mut stage) = stage(kind) else { return };
    stage.clear_far_ends();
    let scene = &SCENES[0];
    let ends = |stage: &Stage, answer: &Answer| {
        [stage.pbx.config().packet, stage.pbx.config().pstn].map(|at| FarEnd::start(at, answer).unwrap())
    };
    let without = |stage: &Stage, (_, answer, gives_up): &(&str, Answer, bool)| {
        place_without(stage, scene, ends(stage, answer).iter().collect(), *gives_up)
    };
    let plain: Vec<Seen> = calls.iter().map(|call| without(&stage, call)).collect();
    stage.raise(&SidecallConfig::default()).unwrap();
    let with = calls.iter().zip(plain).map(|((call, answer, gives_up), plain)| {
        let with = place(&stage, scene, ends(&stage, answer).iter().collect(), *gives_up);
        Compared { call, packet: true, without: vec![plain], with }
    });
    let mut compared: Vec<_> = with.collect();
    let sidecall = stage.sidecall();
    let over = || sidecall.calls().iter().all(|c| c["route"] == "packet" && c["phase"] == "ended");
    assert!(lab::wait_until(Duration::from_secs(5), over), "{:#?}", sidecall.calls());
    assert_eq!(sidecall.calls().len(), calls.len());
    assert!(sidecall.child().terminate(SOON).is_some(), "sidecall does not end");
    let found = compare(&kind.to_string(), Table::Sidecall, &mut compared, |n| without(&stage, &calls[n]));
    none_but_listed(&kind.to_string(), &found);
}

fn b12_hang_up_causes_are_the_same(kind: Kind) {
    let refusals = ["486 Busy Here", "480 Temporarily Unavailable", "603 Decline"];
    let mut calls: Vec<_> = refusals.iter().map(|status| (*status, Answer::refuse(status), false)).collect();
    calls.push(("the caller gives up", Answer::after(20_000), true));
    over_either_trunk(kind, &calls);
}

lab::on_both_pbxs! {
    b12_caller_id_ringback_codecs_and_records_are_the_same,
    b12_hang_up_causes_are_the_same,
}
