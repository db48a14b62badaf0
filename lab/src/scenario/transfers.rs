//! The ways in which a call comes to somebody else, and whose clients must be told of whom: as the tests
//! and the demo run them, on either PBX.

use crate::scenario::people::{People, SOON, sorted};
use crate::scenario::{Step, expect};
use crate::{Call, Habit, Kind, arrives, never, wait_until};

/// What people do in a scenario; the calls that are up at its end.
pub type Steps = fn(&People) -> Step<Vec<Call>>;

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
    together: bool,
    pub steps: Steps,
}

/// All of them.
pub const TRANSFERS: &[Transfer] = &[
    transfer("IVR menu", ["+2", "", "+0", ""], |people| {
        let call = people.call("5000");
        expect(call.wait_answered(SOON), "the menu does not answer")?;
        call.dtmf(&people.extension(2));
        people.comes_to(call, 2)
    }),
    transfer("blind, by the called", ["+1 -1 +3", "+0 -0", "", "+0"], |people| blind(people, pair(people)?, 1)),
    transfer("blind, by the caller", ["+1 -1", "+0 -0 +3", "", "+1"], |people| blind(people, pair(people)?, 0)),
    transfer("attended, by the called", ["+1 -1 +3", "+0 -0 +3 -3", "", "+1 -1 +0"], |people| {
        consulted(people, pair(people)?, 1)
    }),
    transfer("attended, by the caller", ["+1 -1 +3 -3", "+0 -0 +3", "", "+0 -0 +1"], |people| {
        consulted(people, pair(people)?, 0)
    }),
    Transfer {
        only: Some(Kind::Asterisk),
        ..transfer("attended, by feature code", ["+1 -1 +3", "+0 -0 +3 -3", "", "+1 -1 +0"], |people| {
            let [call, there] = pair(people)?;
            there.dtmf(&format!("*2{}", people.dials(1, 3)));
            let third = people.answer(3)?;
            people.sound_both_ways((&there, 1), (&third, 3))?;
            people.wait_told(3, "+1")?;
            there.hang_up();
            people.sound_both_ways((&call, 0), (&third, 3))?;
            Ok(vec![call])
        })
    },
    transfer("directed pick-up", ["+1", "+0", "", ""], |people| {
        let code = if people.kind() == Kind::Asterisk { "*8" } else { "**" };
        pick_up(people, &format!("{code}{}", people.dials(1, 2)))
    }),
    transfer("group pick-up", ["+1", "+0", "", ""], |people| pick_up(people, "*8")),
    transfer("hold and resume", ["+1", "+0", "", ""], |people| {
        let [call, there] = pair(people)?;
        for inactive in [false, true] {
            expect(if inactive { there.hold_inactive() } else { there.hold() }, "hold is refused")?;
            expect(call.wait_deaf_to(&people.phones[1], SOON), "it is not held")?;
            expect(there.resume(), "resuming is refused")?;
            people.sound_both_ways((&call, 0), (&there, 1))?;
        }
        Ok(vec![call])
    }),
    transfer("forwarded by the dialplan", ["+2", "", "+0", ""], |people| {
        people.comes_to(people.call(&people.extension(8)), 2)
    }),
    transfer("forwarded by the phone (302)", ["+3", "", "", "+0"], |people| {
        people.phones[1].habit(Habit::Forward(people.dials(1, 3)));
        people.comes_to(people.call(&people.extension(1)), 3)
    }),
    transfer("ring group", ["+2", "", "+0", ""], |people| {
        let call = people.call("2000");
        people.ring(1)?;
        people.comes_to(call, 2)
    }),
    transfer("queue", ["+1", "+0", "", ""], |people| {
        people.phones[2].habit(Habit::Ring);
        let call = people.call("3000");
        expect(call.wait_answered(SOON), "the queue does not answer")?;
        people.comes_to(call, 1)
    }),
    transfer("parked and taken back", ["+1 -1 +2", "+0 -0", "+0", ""], |people| {
        let [call, there] = pair(people)?;
        expect(there.refer_to("700") == Some(202), "parking is refused")?;
        expect(call.wait_deaf_to(&people.phones[1], SOON) && there.wait_ended(SOON), "it is not parked")?;
        people.wait_told(0, "+1 -1")?;
        let back = people.phones[2].call("701");
        people.sound_both_ways((&call, 0), (&back, 2))?;
        Ok(vec![call, back])
    }),
    Transfer { together: true, ..transfer("conference of three", ["+1 +2", "+0 +2", "+0 +1", ""], conference) },
    // The fourth comes to a conference of three: hears everybody, and is paired with nobody, also when the third
    // leaves and two stay.
    Transfer {
        together: true,
        ..transfer("one too many, and one leaves", ["+1 +2 -2", "+0 +2 -2", "+0 +1 -0 -1", ""], |people| {
            let mut calls = conference(people)?;
            for n in 0..3 {
                let all = wait_until(SOON, || people.told(n).split(' ').count() == 2);
                expect(all, format!("{n} was told {:?}", people.told(n)))?;
            }
            let fourth = people.phones[3].call("4000");
            people.sound_both_ways((&calls[0], 0), (&fourth, 3))?;
            let third = calls.pop().ok_or("nobody is there")?;
            third.hang_up();
            expect(third.wait_ended(SOON), "who leaves a conference is still there")?;
            people.sound_both_ways((&calls[1], 1), (&fourth, 3))?;
            calls.push(fourth);
            Ok(calls)
        })
    },
];

/// What most of them have in common.
const fn transfer(name: &'static str, told: [&'static str; 4], steps: Steps) -> Transfer {
    Transfer { name, told, only: None, together: false, steps }
}

impl Transfer {
    /// Why it doesn't run on that PBX, if it doesn't. `outside`: the first person is in another organisation.
    pub fn left_out(&self, outside: bool, kind: Kind) -> Option<&'static str> {
        match self.only {
            Some(only) if only != kind => Some("has none"),
            // Another organisation's client is told of one other at a time.
            _ if self.together && outside => Some("one at a time"),
            _ => None,
        }
    }

    /// Runs it; `meanwhile` happens while the last ones talk. Then everybody writes to the addresses that there are, and
    /// hangs up.
    pub fn run(&self, people: &mut People, meanwhile: impl FnOnce()) -> Step<()> {
        people.rewind()?;
        let expected = self.told.map(sorted);
        let calls = (self.steps)(people)?;
        let told = || people.all_told();
        let is_told = |in_time: bool, when: &str, expected: &[String; 4]| {
            expect(in_time, format!("{when}{:?} were told, not {expected:?}", told()))
        };
        is_told(arrives(SOON, || told() == expected), "", &expected)?;
        meanwhile();
        let letters = people.write()?;
        // Texts have gone back and forth meanwhile: whatever else there was to tell has been told.
        is_told(told() == expected, "later ", &expected)?;
        calls.iter().for_each(Call::hang_up);
        expect(calls.iter().all(|call| call.wait_ended(SOON)), "a call does not end")?;
        // Whoever still talks is told that it is over, and nobody is told anything else.
        let over = |words: &str| -> String {
            let open = words.split_whitespace().filter_map(|word| word.strip_prefix('+'));
            open.map(|who| format!("+{who} -{who} ")).collect()
        };
        let expected = self.told.map(|words| sorted(&over(words)));
        is_told(arrives(SOON, || told() == expected), "at the end ", &expected)?;
        is_told(never(|| told() != expected), "after the end ", &expected)?;
        people.none_astray(&letters)
    }
}

/// The first two talk, and their clients were told of each other and of nobody else.
fn pair(people: &People) -> Step<[Call; 2]> {
    let (call, there) = people.talk(0, 1)?;
    people.wait_told(0, "+1")?;
    people.wait_told(1, "+0")?;
    Ok([call, there])
}

/// One of the first two transfers the other to the fourth.
fn blind(people: &People, calls: [Call; 2], by: usize) -> Step<Vec<Call>> {
    expect(calls[by].refer_to(&people.dials(by, 3)) == Some(202), "the transfer is refused")?;
    talks_to_the_fourth(people, calls, 1 - by, &people.answer(3)?)
}

/// The same after talking to the fourth.
fn consulted(people: &People, calls: [Call; 2], by: usize) -> Step<Vec<Call>> {
    expect(calls[by].hold(), "hold is refused")?;
    let (consult, third) = people.talk(by, 3)?;
    people.wait_told(3, &format!("+{by}"))?;
    expect(calls[by].consulted_transfer_to(&consult) == Some(202), "the transfer is refused")?;
    talks_to_the_fourth(people, calls, 1 - by, &third)
}

/// Of the two calls, only the one to the fourth person stays up.
fn talks_to_the_fourth(people: &People, calls: [Call; 2], who: usize, fourth: &Call) -> Step<Vec<Call>> {
    people.sound_both_ways((&calls[who], who), (fourth, 3))?;
    Ok(calls.into_iter().skip(who).take(1).collect())
}

fn pick_up(people: &People, code: &str) -> Step<Vec<Call>> {
    let call = people.call(&people.extension(2));
    people.ring(2)?;
    expect(call.wait_ringing(SOON), "it does not ring")?;
    let picked = people.phones[1].call(code);
    expect(picked.wait_answered(SOON) && call.wait_answered(SOON), "not picked up")?;
    people.sound_both_ways((&call, 0), (&picked, 1))?;
    Ok(vec![call])
}

fn conference(people: &People) -> Step<Vec<Call>> {
    let calls: Vec<Call> = people.phones[..3].iter().map(|phone| phone.call("4000")).collect();
    expect(calls.iter().all(|call| call.wait_answered(SOON)), "the conference does not answer")?;
    for (a, b) in [(0, 1), (1, 2), (2, 0)] {
        people.sound_both_ways((&calls[a], a), (&calls[b], b))?;
    }
    Ok(calls)
}
