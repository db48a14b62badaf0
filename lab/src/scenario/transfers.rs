//! The ways in which a call comes to somebody else, and whose clients must be told of whom: as the tests
//! and the demo run them, on either PBX.

use crate::scenario::people::{People, SOON, Setting, Step, expect};
use crate::{Call, Habit, Kind, arrives, never, wait_until};

/// One way in which a call comes to somebody else.
#[derive(Debug, Clone, Copy)]
pub struct Transfer {
    /// In a line of a table.
    pub name: &'static str,
    /// What the four clients are told until the last ones hang up, here 1000 to 1003 on one PBX: `+1` you talk to
    /// 1001, `-1` you no longer do.
    pub told: [&'static str; 4],
    /// The PBX that alone has it.
    pub only: Option<Kind>,
    /// The first person talks to several at once.
    pub together: bool,
    /// What people do; the calls that are up at its end.
    pub steps: fn(&People) -> Step<Vec<Call>>,
}

/// All of them.
pub const TRANSFERS: &[Transfer] = &[
    Transfer { steps: menu, ..named("IVR menu", ["+2", "", "+0", ""]) },
    Transfer { steps: blind_by_called, ..named("blind, by the called", ["+1 -1 +3", "+0 -0", "", "+0"]) },
    Transfer { steps: blind_by_caller, ..named("blind, by the caller", ["+1 -1", "+0 -0 +3", "", "+1"]) },
    Transfer {
        steps: consulted_by_called,
        ..named("attended, by the called", ["+1 -1 +3", "+0 -0 +3 -3", "", "+1 -1 +0"])
    },
    Transfer {
        steps: consulted_by_caller,
        ..named("attended, by the caller", ["+1 -1 +3 -3", "+0 -0 +3", "", "+0 -0 +1"])
    },
    Transfer {
        only: Some(Kind::Asterisk),
        steps: consulted_by_feature_code,
        ..named("attended, by feature code", ["+1 -1 +3", "+0 -0 +3 -3", "", "+1 -1 +0"])
    },
    Transfer { steps: directed_pickup, ..named("directed pick-up", ["+1", "+0", "", ""]) },
    Transfer { steps: group_pickup, ..named("group pick-up", ["+1", "+0", "", ""]) },
    Transfer { steps: hold, ..named("hold and resume", ["+1", "+0", "", ""]) },
    Transfer { steps: forwarded, ..named("forwarded by the dialplan", ["+2", "", "+0", ""]) },
    Transfer { steps: redirected, ..named("forwarded by the phone (302)", ["+3", "", "", "+0"]) },
    Transfer { steps: ring_group, ..named("ring group", ["+2", "", "+0", ""]) },
    Transfer { steps: queue, ..named("queue", ["+1", "+0", "", ""]) },
    Transfer { steps: parked, ..named("parked and taken back", ["+1 -1 +2", "+0 -0", "+0", ""]) },
    Transfer { together: true, steps: conference, ..named("conference of three", ["+1 +2", "+0 +2", "+0 +1", ""]) },
    Transfer {
        together: true,
        steps: full_conference,
        ..named("one too many, and one leaves", ["+1 +2 -2", "+0 +2 -2", "+0 +1 -0 -1", ""])
    },
];

/// What most of them have in common.
const fn named(name: &'static str, told: [&'static str; 4]) -> Transfer {
    Transfer { name, told, only: None, together: false, steps: |_| Ok(Vec::new()) }
}

impl Transfer {
    /// Why it doesn't run there, if it doesn't.
    pub fn left_out(&self, setting: Setting, kind: Kind) -> Option<&'static str> {
        match self.only {
            Some(only) if only != kind => Some("has none"),
            // Another organisation's client is told of one other at a time.
            _ if self.together && setting != Setting::OnePbx => Some("one at a time"),
            _ => None,
        }
    }

    /// Runs it, and everybody writes to the addresses that there are at its end. What was told until everybody had hung
    /// up.
    ///
    /// # Errors
    /// Says which step failed, or who was told what instead.
    pub fn run(&self, people: &mut People) -> Step<[String; 4]> {
        self.run_and(people, || ())
    }

    /// The same, with something that happens while the last ones talk.
    ///
    /// # Errors
    /// Says which step failed, or who was told what instead.
    pub fn run_and(&self, people: &mut People, meanwhile: impl FnOnce()) -> Step<[String; 4]> {
        people.rewind()?;
        let expected = self.told.map(sorted);
        let calls = (self.steps)(people)?;
        let told = |people: &People| [0, 1, 2, 3].map(|n| sorted(&people.told(n)));
        if !arrives(SOON, || told(people) == expected) {
            return Err(format!("{:?} were told, not {expected:?}", told(people)));
        }
        meanwhile();
        let told = || told(people);
        let letters = people.write()?;
        // Texts have gone back and forth meanwhile: whatever else there was to tell has been told.
        if told() != expected {
            return Err(format!("later {:?} were told, not {expected:?}", told()));
        }
        for call in &calls {
            call.hang_up();
        }
        if !calls.iter().all(|call| call.wait_ended(SOON)) {
            return Err("a call does not end".into());
        }
        // Whoever still talks is told that it is over, and nobody is told anything else.
        let over = |words: &str| -> String {
            let open = words.split_whitespace().filter(|word| word.starts_with('+')).map(|word| &word[1..]);
            open.map(|who| format!("+{who} -{who} ")).collect()
        };
        let expected = self.told.map(|words| sorted(&over(words)));
        if !arrives(SOON, || told() == expected) {
            return Err(format!("at the end {:?} were told, not {expected:?}", told()));
        }
        if !never(|| told() != expected) {
            return Err(format!("after the end {:?} were told, not {expected:?}", told()));
        }
        people.none_astray(&letters)?;
        Ok([0, 1, 2, 3].map(|n| people.told(n)))
    }
}

/// PBXs differ in which of two legs they move first.
fn sorted(words: &str) -> String {
    let mut words: Vec<_> = words.split_whitespace().collect();
    words.sort_unstable();
    words.join(" ")
}

fn menu(people: &People) -> Step<Vec<Call>> {
    let call = people.phone(0).call(&people.reaches(0, "5000"));
    expect(call.wait_answered(SOON), "the menu does not answer")?;
    call.dtmf(&people.extension(2));
    let there = people.answer(2)?;
    people.sound_both_ways((&call, 0), (&there, 2))?;
    Ok(vec![call])
}

fn blind_by_called(people: &People) -> Step<Vec<Call>> {
    let (call, there) = people.talk(0, 1)?;
    people.paired(0, 1)?;
    blind(people, (&there, 1), (call, 0))
}

fn blind_by_caller(people: &People) -> Step<Vec<Call>> {
    let (call, there) = people.talk(0, 1)?;
    people.paired(0, 1)?;
    blind(people, (&call, 0), (there, 1))
}

fn blind(people: &People, (transferring, from): (&Call, usize), (staying, who): (Call, usize)) -> Step<Vec<Call>> {
    expect(transferring.refer_to(&people.dials(from, 3)) == Some(202), "the transfer is refused")?;
    let third = people.answer(3)?;
    people.sound_both_ways((&staying, who), (&third, 3))?;
    Ok(vec![staying])
}

fn consulted_by_called(people: &People) -> Step<Vec<Call>> {
    let (call, there) = people.talk(0, 1)?;
    people.paired(0, 1)?;
    consulted(people, (&there, 1), (call, 0))
}

fn consulted_by_caller(people: &People) -> Step<Vec<Call>> {
    let (call, there) = people.talk(0, 1)?;
    people.paired(0, 1)?;
    consulted(people, (&call, 0), (there, 1))
}

fn consulted(people: &People, (transferring, from): (&Call, usize), (staying, who): (Call, usize)) -> Step<Vec<Call>> {
    expect(transferring.hold(), "hold is refused")?;
    let (consult, third) = people.talk(from, 3)?;
    people.wait_told(3, &format!("+{from}"))?;
    expect(transferring.consulted_transfer_to(&consult) == Some(202), "the transfer is refused")?;
    people.sound_both_ways((&staying, who), (&third, 3))?;
    Ok(vec![staying])
}

fn consulted_by_feature_code(people: &People) -> Step<Vec<Call>> {
    let (call, there) = people.talk(0, 1)?;
    people.paired(0, 1)?;
    there.dtmf(&format!("*2{}", people.dials(1, 3)));
    let third = people.answer(3)?;
    people.sound_both_ways((&there, 1), (&third, 3))?;
    people.wait_told(3, "+1")?;
    there.hang_up();
    people.sound_both_ways((&call, 0), (&third, 3))?;
    Ok(vec![call])
}

fn directed_pickup(people: &People) -> Step<Vec<Call>> {
    let code = if people.kind() == Kind::Asterisk { "*8" } else { "**" };
    pickup(people, &format!("{code}{}", people.dials(1, 2)))
}

fn group_pickup(people: &People) -> Step<Vec<Call>> {
    pickup(people, "*8")
}

fn pickup(people: &People, code: &str) -> Step<Vec<Call>> {
    let call = people.phone(0).call(&people.dials(0, 2));
    people.ring(2)?;
    expect(call.wait_ringing(SOON), "it does not ring")?;
    let picked = people.phone(1).call(code);
    expect(picked.wait_answered(SOON) && call.wait_answered(SOON), "not picked up")?;
    people.sound_both_ways((&call, 0), (&picked, 1))?;
    Ok(vec![call])
}

fn hold(people: &People) -> Step<Vec<Call>> {
    let (call, there) = people.talk(0, 1)?;
    people.paired(0, 1)?;
    for inactive in [false, true] {
        expect(if inactive { there.hold_inactive() } else { there.hold() }, "hold is refused")?;
        expect(call.wait_deaf_to(people.phone(1), SOON), "it is not held")?;
        expect(there.resume(), "resuming is refused")?;
        people.sound_both_ways((&call, 0), (&there, 1))?;
    }
    Ok(vec![call])
}

fn forwarded(people: &People) -> Step<Vec<Call>> {
    let call = people.phone(0).call(&people.reaches(0, &people.extension(8)));
    let there = people.answer(2)?;
    people.sound_both_ways((&call, 0), (&there, 2))?;
    Ok(vec![call])
}

fn redirected(people: &People) -> Step<Vec<Call>> {
    people.phone(1).habit(Habit::Forward(people.dials(1, 3)));
    let call = people.phone(0).call(&people.dials(0, 1));
    let there = people.answer(3)?;
    people.sound_both_ways((&call, 0), (&there, 3))?;
    Ok(vec![call])
}

fn ring_group(people: &People) -> Step<Vec<Call>> {
    let call = people.phone(0).call(&people.reaches(0, "2000"));
    people.ring(1)?;
    let there = people.answer(2)?;
    people.sound_both_ways((&call, 0), (&there, 2))?;
    Ok(vec![call])
}

fn queue(people: &People) -> Step<Vec<Call>> {
    people.phone(2).habit(Habit::Ring);
    let call = people.phone(0).call(&people.reaches(0, "3000"));
    expect(call.wait_answered(SOON), "the queue does not answer")?;
    let there = people.answer(1)?;
    people.sound_both_ways((&call, 0), (&there, 1))?;
    Ok(vec![call])
}

fn parked(people: &People) -> Step<Vec<Call>> {
    let (call, there) = people.talk(0, 1)?;
    people.paired(0, 1)?;
    expect(there.refer_to("700") == Some(202), "parking is refused")?;
    expect(call.wait_deaf_to(people.phone(1), SOON) && there.wait_ended(SOON), "it is not parked")?;
    people.wait_told(0, "+1 -1")?;
    let back = people.phone(2).call("701");
    people.sound_both_ways((&call, 0), (&back, 2))?;
    Ok(vec![call, back])
}

fn conference(people: &People) -> Step<Vec<Call>> {
    let calls: Vec<Call> = (0..3).map(|n| people.phone(n).call(&people.reaches(n, "4000"))).collect();
    expect(calls.iter().all(|call| call.wait_answered(SOON)), "the conference does not answer")?;
    for (a, b) in [(0, 1), (1, 2), (2, 0)] {
        people.sound_both_ways((&calls[a], a), (&calls[b], b))?;
    }
    Ok(calls)
}

/// The fourth comes to a conference of three: hears everybody, and is paired with nobody, also when the third
/// leaves and two stay.
fn full_conference(people: &People) -> Step<Vec<Call>> {
    let mut calls = conference(people)?;
    for (n, told) in [(0, 2), (1, 2), (2, 2)] {
        let all = wait_until(SOON, || people.told(n).split(' ').count() == told);
        expect(all, &format!("{n} was told {:?}", people.told(n)))?;
    }
    let fourth = people.phone(3).call(&people.reaches(3, "4000"));
    people.sound_both_ways((&calls[0], 0), (&fourth, 3))?;
    let third = calls.pop().ok_or("nobody is there")?;
    third.hang_up();
    expect(third.wait_ended(SOON), "who leaves a conference is still there")?;
    people.sound_both_ways((&calls[1], 1), (&fourth, 3))?;
    calls.push(fourth);
    Ok(calls)
}
