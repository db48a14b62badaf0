//! B12 on one PBX: however a call comes to somebody else, it is as it would be without us.
//!
//! Each call is made twice with the same PBX and phones, with sidecall and after it has gone. What every phone
//! gets, in order, and what the PBX writes down is compared.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

mod lab;

use std::time::Duration;

use lab::office::Office;
use lab::staff::{Setting, Staff, Step};
use lab::transfers::TRANSFERS;
use lab::voice::{Seen, Watch, all_the_same, records};
use lab::{Call, Habit, Kind};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);

const PBX: &str = "the PBX";

/// The play that is about a conference's clients alone.
const FULL: &str = "one too many, and one leaves";

/// One way in which a call goes; the calls that are up at its end.
type Play = (&'static str, fn(&Staff) -> Step<Vec<Call>>);

/// Those that stay with whom they were for.
const STAY: [Play; 2] = [("early media", early_media), ("the caller gives up", gives_up)];

fn early_media(staff: &Staff) -> Step<Vec<Call>> {
    let call = staff.phone(0).call("1001");
    let there = staff.phone(1).next_call(SOON).ok_or("1001 isn't called")?;
    there.speak_early();
    if !call.wait_hears(staff.phone(1), SOON) || call.status().is_some() {
        return Err("what the called phone plays is not heard before it answers".into());
    }
    there.answer();
    staff.hear((&call, 0), (&there, 1))?;
    Ok(vec![call])
}

fn gives_up(staff: &Staff) -> Step<Vec<Call>> {
    let call = staff.phone(0).call("1001");
    let there = staff.phone(1).next_call(SOON).ok_or("1001 isn't called")?;
    there.ring();
    if !call.wait_ringing(SOON) {
        return Err("it does not ring".into());
    }
    Ok(vec![call])
}

/// Plays it until everybody has hung up.
fn seen(office: &Office, (name, play): &Play) -> Seen {
    let (staff, pbx) = (&office.staff, office.house.pbx());
    let phones = || (0..4).map(|n| staff.phone(n));
    let watch = Watch::default().phones(phones()).pbx(PBX, pbx);
    let calls = play(staff).unwrap_or_else(|problem| panic!("{name}: {problem}\n{}", pbx.log()));
    // Of two who talk to each other one hangs up, of more each does.
    let hang_up = if calls.len() == 2 { 1 } else { calls.len() };
    for (n, call) in calls.iter().enumerate() {
        if n < hang_up {
            call.hang_up();
        }
        assert!(call.wait_ended(SOON), "{name}: a call does not end");
    }
    let seen = watch.end();
    for phone in phones() {
        phone.habit(Habit::Wait);
        while phone.next_call(Duration::ZERO).is_some() {}
    }
    if staff.kind() == Kind::Asterisk { without_chance(name, seen) } else { seen }
}

/// What an Asterisk writes down now one way and now another, with sidecall and without.
fn without_chance(name: &str, mut seen: Seen) -> Seen {
    let rows = seen.at(&records(PBX));
    // Who is behind a Local channel that is just taken out may be alone for an instant: a row, or none.
    let alone = |row: &String| row.contains("src: \"1003\", dst: \"\"");
    match name {
        // The leg that stops ringing: its call is answered elsewhere before it ends, or after.
        "directed pick-up" | "group pick-up" => {
            for row in rows.iter_mut() {
                *row = row.replace("\"NO ANSWER\", answered: false", "\"ANSWERED\", answered: true");
            }
        }
        // And the first two have one row more, or not.
        "forwarded by the phone (302)" | "attended, by feature code" => {
            rows.retain(|row| !alone(row));
            rows.dedup();
        }
        // One of the three has two rows.
        "conference of three" => {
            let count = format!("{} rows", rows.len());
            rows.dedup();
            rows.push(count);
        }
        _ => {}
    }
    seen
}

fn b12_however_a_call_comes_to_somebody_else_it_sounds_the_same(kind: Kind) {
    let Some(mut office) = lab::or_skip(kind, Office::open(kind)) else { return };
    let transfers = TRANSFERS.iter().filter(|transfer| transfer.left_out(Setting::OnePbx, kind).is_none());
    // Whom the clients of a full conference are told of is no matter of its voice.
    let transfers = transfers.filter(|transfer| transfer.name != FULL);
    let plays: Vec<Play> = transfers.map(|transfer| (transfer.name, transfer.play)).chain(STAY).collect();
    let clients = office.staff.hand_out_clients();
    let with: Vec<Seen> = plays.iter().map(|play| seen(&office, play)).collect();
    let announced = office.house.sidecall().calls().len();
    assert!(announced >= plays.len(), "{announced} calls were announced");
    drop(clients);
    assert!(office.house.sidecall().child().terminate(SOON).is_some(), "sidecall does not end");
    let differences = plays.iter().zip(&with).map(|(play, with)| {
        let without = seen(&office, play);
        (play.0, with.differences(&without))
    });
    all_the_same(&kind.to_string(), &differences.collect::<Vec<_>>());
}

lab::on_both_pbxs! {
    b12_however_a_call_comes_to_somebody_else_it_sounds_the_same,
}
