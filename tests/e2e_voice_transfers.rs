//! B12 on one PBX: however a call comes to somebody else, it is as it would be without us.
//!
//! Each call is made with the same PBX and phones, with sidecall and after it has gone. What every phone gets, in
//! order, and what the PBX writes down is compared.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::time::Duration;

use lab::scenario::Step;
use lab::scenario::differences::{Compared, Table, differences, none_but_listed};
use lab::scenario::people::{Office, People};
use lab::scenario::transfers::{Steps, TRANSFERS};
use lab::scenario::voice::{Observation, Watch};
use lab::{Call, Habit, Kind};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);

/// The one that is about a conference's clients alone.
const FULL: &str = "one too many, and one leaves";

/// One way in which a call goes; the calls that are up at its end.
type VoiceScenario = (&'static str, Steps);

/// Those that stay with whom they were for.
const STAY: [VoiceScenario; 2] = [("early media", early_media), ("the caller gives up", gives_up)];

fn early_media(people: &People) -> Step<Vec<Call>> {
    let call = people.phones[0].call("1001");
    let there = people.phones[1].next_call(SOON).ok_or("1001 isn't called")?;
    there.speak_early();
    if !call.wait_hears(&people.phones[1], SOON) || call.status().is_some() {
        return Err("what the called phone plays is not heard before it answers".into());
    }
    there.answer();
    people.sound_both_ways((&call, 0), (&there, 1))?;
    Ok(vec![call])
}

fn gives_up(people: &People) -> Step<Vec<Call>> {
    let call = people.phones[0].call("1001");
    let there = people.phones[1].next_call(SOON).ok_or("1001 isn't called")?;
    there.ring();
    if !call.wait_ringing(SOON) {
        return Err("it does not ring".into());
    }
    Ok(vec![call])
}

/// Makes its calls until everybody has hung up.
fn observe(office: &Office, (name, steps): &VoiceScenario) -> Observation {
    let Office { people, pbx, .. } = office;
    let watch = Watch::default().phones(&people.phones).pbx("the PBX", pbx);
    let calls = steps(people).unwrap_or_else(|problem| panic!("{name}: {problem}\n{}", pbx.log()));
    pbx.wait_joined(Duration::from_secs(2));
    // Of two who talk to each other one hangs up, of more each does.
    let hang_up = if calls.len() == 2 { 1 } else { calls.len() };
    for (n, call) in calls.iter().enumerate() {
        if n < hang_up {
            call.hang_up();
        }
        assert!(call.wait_ended(SOON), "{name}: a call does not end");
    }
    let observed = watch.end();
    for phone in &people.phones {
        phone.habit(Habit::Wait);
        while phone.next_call(Duration::ZERO).is_some() {}
    }
    observed
}

fn b12_however_a_call_comes_to_somebody_else_it_sounds_the_same(kind: Kind) {
    let Some(mut office) = lab::or_skip(kind, Office::open(kind)) else { return };
    let transfers = TRANSFERS.iter().filter(|transfer| transfer.left_out(false, kind).is_none());
    // Whom the clients of a full conference are told of is no matter of its voice.
    let transfers = transfers.filter(|transfer| transfer.name != FULL);
    let scenarios: Vec<VoiceScenario> = transfers.map(|transfer| (transfer.name, transfer.steps)).chain(STAY).collect();
    let clients = std::mem::take(&mut office.people.clients);
    let with: Vec<Observation> = scenarios.iter().map(|scenario| observe(&office, scenario)).collect();
    let announced = office.sidecall.calls().len();
    assert!(announced >= scenarios.len(), "{announced} calls were announced");
    drop(clients);
    assert!(office.sidecall.child().terminate(SOON).is_some(), "sidecall does not end");
    let without = |n: usize| observe(&office, &scenarios[n]);
    let compared = with.into_iter().enumerate().map(|(n, with)| {
        let without = vec![without(n)];
        Compared { call: scenarios[n].0, packet: false, without, with }
    });
    let found = differences(&kind.to_string(), Table::Sidecall, &mut compared.collect::<Vec<_>>(), without);
    none_but_listed(&kind.to_string(), &found);
}

lab::on_both_pbxs! {
    b12_however_a_call_comes_to_somebody_else_it_sounds_the_same,
}
