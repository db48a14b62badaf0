//! The ways in which a call comes to somebody else, and whose clients must be told of whom: as the tests
//! and the demo play them, on either PBX.

use crate::scenario::staff::{SOON, Setting, Staff, Step, expect};
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
    /// The story; the calls that are up at its end.
    pub play: fn(&Staff) -> Step<Vec<Call>>,
}

/// All of them.
pub const TRANSFERS: &[Transfer] = &[
    Transfer { play: menu, ..named("IVR menu", ["+2", "", "+0", ""]) },
    Transfer { play: blind_by_called, ..named("blind, by the called", ["+1 -1 +3", "+0 -0", "", "+0"]) },
    Transfer { play: blind_by_caller, ..named("blind, by the caller", ["+1 -1", "+0 -0 +3", "", "+1"]) },
    Transfer {
        play: attended_by_called,
        ..named("attended, by the called", ["+1 -1 +3", "+0 -0 +3 -3", "", "+1 -1 +0"])
    },
    Transfer {
        play: attended_by_caller,
        ..named("attended, by the caller", ["+1 -1 +3 -3", "+0 -0 +3", "", "+0 -0 +1"])
    },
    Transfer {
        only: Some(Kind::Asterisk),
        play: attended_by_feature_code,
        ..named("attended, by feature code", ["+1 -1 +3", "+0 -0 +3 -3", "", "+1 -1 +0"])
    },
    Transfer { play: directed_pickup, ..named("directed pick-up", ["+1", "+0", "", ""]) },
    Transfer { play: group_pickup, ..named("group pick-up", ["+1", "+0", "", ""]) },
    Transfer { play: hold, ..named("hold and resume", ["+1", "+0", "", ""]) },
    Transfer { play: forwarded, ..named("forwarded by the dialplan", ["+2", "", "+0", ""]) },
    Transfer { play: redirected, ..named("forwarded by the phone (302)", ["+3", "", "", "+0"]) },
    Transfer { play: ring_group, ..named("ring group", ["+2", "", "+0", ""]) },
    Transfer { play: queue, ..named("queue", ["+1", "+0", "", ""]) },
    Transfer { play: parked, ..named("parked and taken back", ["+1 -1 +2", "+0 -0", "+0", ""]) },
    Transfer { together: true, play: conference, ..named("conference of three", ["+1 +2", "+0 +2", "+0 +1", ""]) },
    Transfer {
        together: true,
        play: full_conference,
        ..named("one too many, and one leaves", ["+1 +2 -2", "+0 +2 -2", "+0 +1 -0 -1", ""])
    },
];

/// What most of them have in common.
const fn named(name: &'static str, told: [&'static str; 4]) -> Transfer {
    Transfer { name, told, only: None, together: false, play: |_| Ok(Vec::new()) }
}

impl Transfer {
    /// Why it isn't played there, if it isn't.
    pub fn left_out(&self, setting: Setting, kind: Kind) -> Option<&'static str> {
        match self.only {
            Some(only) if only != kind => Some("has none"),
            // Another organisation's client is told of one other at a time.
            _ if self.together && setting != Setting::OnePbx => Some("one at a time"),
            _ => None,
        }
    }

    /// Plays it, and everybody writes to the addresses that there are at its end. What was told until everybody had hung
    /// up.
    ///
    /// # Errors
    /// Says which step failed, or who was told what instead.
    pub fn play(&self, staff: &mut Staff) -> Step<[String; 4]> {
        self.play_and(staff, || ())
    }

    /// The same, with something that happens while the last ones talk.
    ///
    /// # Errors
    /// Says which step failed, or who was told what instead.
    pub fn play_and(&self, staff: &mut Staff, meanwhile: impl FnOnce()) -> Step<[String; 4]> {
        staff.rewind()?;
        let expected = self.told.map(sorted);
        let calls = (self.play)(staff)?;
        let told = |staff: &Staff| [0, 1, 2, 3].map(|n| sorted(&staff.told(n)));
        if !arrives(SOON, || told(staff) == expected) {
            return Err(format!("{:?} were told, not {expected:?}", told(staff)));
        }
        meanwhile();
        let told = || told(staff);
        let letters = staff.write()?;
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
        staff.none_astray(&letters)?;
        Ok([0, 1, 2, 3].map(|n| staff.told(n)))
    }
}

/// PBXs differ in which of two legs they move first.
fn sorted(words: &str) -> String {
    let mut words: Vec<_> = words.split_whitespace().collect();
    words.sort_unstable();
    words.join(" ")
}

fn menu(staff: &Staff) -> Step<Vec<Call>> {
    let call = staff.phone(0).call(&staff.reaches(0, "5000"));
    expect(call.wait_answered(SOON), "the menu does not answer")?;
    call.dtmf(&staff.extension(2));
    let there = staff.answer(2)?;
    staff.hear((&call, 0), (&there, 2))?;
    Ok(vec![call])
}

fn blind_by_called(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    blind(staff, (&there, 1), (call, 0))
}

fn blind_by_caller(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    blind(staff, (&call, 0), (there, 1))
}

fn blind(staff: &Staff, (transferring, from): (&Call, usize), (staying, who): (Call, usize)) -> Step<Vec<Call>> {
    expect(transferring.refer_to(&staff.dials(from, 3)) == Some(202), "the transfer is refused")?;
    let third = staff.answer(3)?;
    staff.hear((&staying, who), (&third, 3))?;
    Ok(vec![staying])
}

fn attended_by_called(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    attended(staff, (&there, 1), (call, 0))
}

fn attended_by_caller(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    attended(staff, (&call, 0), (there, 1))
}

fn attended(staff: &Staff, (transferring, from): (&Call, usize), (staying, who): (Call, usize)) -> Step<Vec<Call>> {
    expect(transferring.hold(), "hold is refused")?;
    let (consult, third) = staff.talk(from, 3)?;
    staff.wait_told(3, &format!("+{from}"))?;
    expect(transferring.attended_transfer_to(&consult) == Some(202), "the transfer is refused")?;
    staff.hear((&staying, who), (&third, 3))?;
    Ok(vec![staying])
}

fn attended_by_feature_code(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    there.dtmf(&format!("*2{}", staff.dials(1, 3)));
    let third = staff.answer(3)?;
    staff.hear((&there, 1), (&third, 3))?;
    staff.wait_told(3, "+1")?;
    there.hang_up();
    staff.hear((&call, 0), (&third, 3))?;
    Ok(vec![call])
}

fn directed_pickup(staff: &Staff) -> Step<Vec<Call>> {
    let code = if staff.kind() == Kind::Asterisk { "*8" } else { "**" };
    pickup(staff, &format!("{code}{}", staff.dials(1, 2)))
}

fn group_pickup(staff: &Staff) -> Step<Vec<Call>> {
    pickup(staff, "*8")
}

fn pickup(staff: &Staff, code: &str) -> Step<Vec<Call>> {
    let call = staff.phone(0).call(&staff.dials(0, 2));
    staff.ring(2)?;
    expect(call.wait_ringing(SOON), "it does not ring")?;
    let picked = staff.phone(1).call(code);
    expect(picked.wait_answered(SOON) && call.wait_answered(SOON), "not picked up")?;
    staff.hear((&call, 0), (&picked, 1))?;
    Ok(vec![call])
}

fn hold(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    for inactive in [false, true] {
        expect(if inactive { there.hold_inactive() } else { there.hold() }, "hold is refused")?;
        expect(call.wait_deaf_to(staff.phone(1), SOON), "it is not held")?;
        expect(there.resume(), "resuming is refused")?;
        staff.hear((&call, 0), (&there, 1))?;
    }
    Ok(vec![call])
}

fn forwarded(staff: &Staff) -> Step<Vec<Call>> {
    let call = staff.phone(0).call(&staff.reaches(0, &staff.extension(8)));
    let there = staff.answer(2)?;
    staff.hear((&call, 0), (&there, 2))?;
    Ok(vec![call])
}

fn redirected(staff: &Staff) -> Step<Vec<Call>> {
    staff.phone(1).habit(Habit::Forward(staff.dials(1, 3)));
    let call = staff.phone(0).call(&staff.dials(0, 1));
    let there = staff.answer(3)?;
    staff.hear((&call, 0), (&there, 3))?;
    Ok(vec![call])
}

fn ring_group(staff: &Staff) -> Step<Vec<Call>> {
    let call = staff.phone(0).call(&staff.reaches(0, "2000"));
    staff.ring(1)?;
    let there = staff.answer(2)?;
    staff.hear((&call, 0), (&there, 2))?;
    Ok(vec![call])
}

fn queue(staff: &Staff) -> Step<Vec<Call>> {
    staff.phone(2).habit(Habit::Ring);
    let call = staff.phone(0).call(&staff.reaches(0, "3000"));
    expect(call.wait_answered(SOON), "the queue does not answer")?;
    let there = staff.answer(1)?;
    staff.hear((&call, 0), (&there, 1))?;
    Ok(vec![call])
}

fn parked(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    expect(there.refer_to("700") == Some(202), "parking is refused")?;
    expect(call.wait_deaf_to(staff.phone(1), SOON) && there.wait_ended(SOON), "it is not parked")?;
    staff.wait_told(0, "+1 -1")?;
    let back = staff.phone(2).call("701");
    staff.hear((&call, 0), (&back, 2))?;
    Ok(vec![call, back])
}

fn conference(staff: &Staff) -> Step<Vec<Call>> {
    let calls: Vec<Call> = (0..3).map(|n| staff.phone(n).call(&staff.reaches(n, "4000"))).collect();
    expect(calls.iter().all(|call| call.wait_answered(SOON)), "the conference does not answer")?;
    for (a, b) in [(0, 1), (1, 2), (2, 0)] {
        staff.hear((&calls[a], a), (&calls[b], b))?;
    }
    Ok(calls)
}

/// The fourth comes to a conference of three: hears everybody, and is paired with nobody, also when the third
/// leaves and two stay.
fn full_conference(staff: &Staff) -> Step<Vec<Call>> {
    let mut calls = conference(staff)?;
    for (n, told) in [(0, 2), (1, 2), (2, 2)] {
        let all = wait_until(SOON, || staff.told(n).split(' ').count() == told);
        expect(all, &format!("{n} was told {:?}", staff.told(n)))?;
    }
    let fourth = staff.phone(3).call(&staff.reaches(3, "4000"));
    staff.hear((&calls[0], 0), (&fourth, 3))?;
    let third = calls.pop().ok_or("nobody is there")?;
    third.hang_up();
    expect(third.wait_ended(SOON), "who leaves a conference is still there")?;
    staff.hear((&calls[1], 1), (&fourth, 3))?;
    calls.push(fourth);
    Ok(calls)
}
