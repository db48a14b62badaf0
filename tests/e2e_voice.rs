//! B12: the voice call sounds and behaves as it would without us.
//!
//! Each call is made twice on the same PBX, first without sidecall, then with it. What the caller and the far end
//! get on the wire, in order, and what the PBX writes down is compared.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

mod lab;

use std::time::Duration;

use lab::cast::{ALICE, Arrives, DAVE, ERIN, FRANK, Person, SCENES, Scene};
use lab::knot::{Knot, Records, ZONE};
use lab::stage::Stage;
use lab::voice::{Seen, Watch, all_the_same};
use lab::{Answer, FarEnd, Kind, PbxConfig, SidecallConfig};

fn stage(kind: Kind) -> Option<Stage> {
    // They ring for a while: whether ringing is passed on is no matter of who is faster.
    lab::or_skip(kind, Stage::set_with(kind, PbxConfig::default(), &Answer::after(300)))
}

/// Where what the caller got stands.
const CALLER: &str = "caller, call 1";
/// Where what the called phone or the trunk's far end got stands.
const FAR_END: &str = "far end, call 1";

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

/// The call as it is without sidecall, with the header that the trunk is meant to carry.
fn as_meant(scene: &Scene, mut without: Seen) -> Seen {
    if scene.arrives == Arrives::Packet {
        let invite = &mut without.at(FAR_END)[0];
        *invite = invite.replace(" via", " user-to-user via");
    }
    without
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
    trunks.chain([stage.phone(lab::cast::BOB), stage.phone(lab::cast::CAROL)]).collect()
}

fn b12_caller_id_ringback_codecs_and_records_are_the_same(kind: Kind) {
    let Some(mut stage) = stage(kind) else { return };
    let play = |stage: &Stage, scene: &Scene| place(stage, scene, ends(stage), false);
    let plain: Vec<Seen> = SCENES.iter().map(|scene| play(&stage, scene)).collect();
    // To the same numbers, which have moved by then.
    let of = |called: Person| SCENES.iter().position(|scene| scene.caller == ALICE && scene.called == called).unwrap();
    let ported = portability();
    let (_knot, asking) = ported.unzip();
    let mut differences = Vec::new();
    let configs = [(Some(SidecallConfig::default()), &SCENES[..]), (asking, &MOVED[..])];
    for (config, scenes) in configs.iter().filter_map(|(config, scenes)| Some((config.as_ref()?, scenes))) {
        stage.raise(config).unwrap();
        for (n, scene) in scenes.iter().enumerate() {
            let without = as_meant(scene, plain[if scene.behaviour == "B5" { of(scene.called) } else { n }].clone());
            let with = play(&stage, scene);
            differences.push((scene.title, with.differences(&without)));
        }
        let routes: Vec<_> = stage.sidecall().calls().iter().map(|call| call["reason"].clone()).collect();
        for scene in *scenes {
            assert!(routes.iter().any(|reason| reason == scene.reason), "{}: {routes:?}", scene.title);
        }
    }
    all_the_same(&kind.to_string(), &differences);
}

/// For a phone's 603 an Asterisk by itself says 503 with cause 34, and once in some tens of calls with cause 21.
fn as_most_often(mut seen: Seen) -> Seen {
    for line in seen.at(CALLER).iter_mut().filter(|line| line.starts_with("503 ")) {
        *line = line.replace("cause=21", "cause=34");
    }
    seen
}

/// Both trunks' far ends do the same, so that the route doesn't matter. Each call without sidecall, then with it.
fn over_either_trunk(kind: Kind, calls: &[(&str, Answer, bool)]) {
    let Some(mut stage) = stage(kind) else { return };
    stage.clear_far_ends();
    let scene = &SCENES[0];
    let place = |stage: &Stage, (_, answer, gives_up): &(&str, Answer, bool)| {
        let packet = FarEnd::start(stage.pbx.config().packet, answer).unwrap();
        let pstn = FarEnd::start(stage.pbx.config().pstn, answer).unwrap();
        as_most_often(place(stage, scene, vec![&packet, &pstn], *gives_up))
    };
    let plain: Vec<Seen> = calls.iter().map(|call| as_meant(scene, place(&stage, call))).collect();
    stage.raise(&SidecallConfig::default()).unwrap();
    let with = calls.iter().zip(&plain).map(|(call, plain)| {
        let with = place(&stage, call);
        (call.0, with.differences(plain))
    });
    let differences: Vec<_> = with.collect();
    let sidecall = stage.sidecall();
    let over = || sidecall.calls().iter().all(|c| c["route"] == "packet" && c["phase"] == "ended");
    assert!(lab::wait_until(Duration::from_secs(5), over), "{:#?}", sidecall.calls());
    assert_eq!(sidecall.calls().len(), calls.len());
    all_the_same(&kind.to_string(), &differences);
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
