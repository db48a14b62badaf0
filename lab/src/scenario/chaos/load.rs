//! The calls of a round on one PBX, and what became of each.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use super::check::CallRecord;
use super::places::Place;
use super::plan::Dice;
use crate::sip::calls::CallOutcome;
use crate::{Calls, PHONES, Phone, Result};

/// Calls per second without sound. With sound so many would need the whole machine.
const SILENT: u32 = 19;
/// Calls per second with sound.
const SOUNDING: u32 = 1;
/// Who makes the calls without sound, by extension.
const SILENT_CALLERS: u8 = 3;
/// Who makes those with sound.
const SOUNDING_CALLER: u8 = 3;
/// How many extensions call.
pub(super) const CALLERS: u8 = 4;
/// How many numbers are called. Two of a round's calls never have the same caller and the same called number.
pub(super) const CALLED: u32 = 400;
/// How long the longest call lasts.
const LONGEST: Duration = Duration::from_secs(12);
/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);

/// The n-th number that is called.
pub(super) fn called(n: u32) -> String {
    format!("+1212556{n:04}")
}

/// A call that is to be made.
struct PlannedCall {
    at: Duration,
    caller: u8,
    called: u32,
    talk: Duration,
}

/// Makes the calls of a round that lasts so long, and waits until they are over.
pub(super) fn run(place: &Place, dice: Dice, length: Duration) -> Result<Vec<CallRecord>> {
    let (silent, sounding) = planned(dice, length);
    let calls = silent.iter().map(|call| {
        let talk_ms = u32::try_from(call.talk.as_millis()).unwrap_or(u32::MAX);
        (call.at, Calls::new(&place.extension(call.caller), &called(call.called)).hold(talk_ms))
    });
    let caller = Calls::start_each(PHONES, place.pbx.sip(), calls.collect())?;
    let phone = Phone::connect(place.pbx.sip(), &place.extension(SOUNDING_CALLER))?;
    let heard = listen(&phone, &sounding);
    // What isn't over then is lost.
    caller.wait(SOON + LONGEST);
    let answering = place.answering();
    let silent = caller.report().calls.into_iter().map(|call| {
        // Its signalling says who is at the other end. It sends no sound.
        let there = answering.get(&parties(&call));
        let heard = there.is_some_and(|there| there.status == Some(200));
        record(place, &call, there, heard)
    });
    let sounding = phone.outcomes().into_iter().map(|call| {
        let heard = heard.contains(&call.called);
        record(place, &call, answering.get(&parties(&call)), heard)
    });
    Ok(silent.chain(sounding).collect())
}

/// Those without sound, and those with it. A quarter of the first and all of the others are so long that they must be
/// paired.
fn planned(mut dice: Dice, length: Duration) -> (Vec<PlannedCall>, Vec<PlannedCall>) {
    let count = |rate: u32| u32::try_from(length.as_secs()).unwrap_or(u32::MAX).saturating_mul(rate);
    assert!(count(SILENT).div_ceil(SILENT_CALLERS.into()).max(count(SOUNDING)) <= CALLED, "too long a round");
    let at = |n: u32, rate: u32| Duration::from_secs(n.into()) / rate;
    let (long, short) = ([8_000, 12_000], [200, 1_200]);
    let mut talk = |[shortest, longest]: [u64; 2]| {
        dice.between(Duration::from_millis(shortest), Duration::from_millis(longest)).min(LONGEST)
    };
    let silent = (0..count(SILENT)).map(|n| {
        let callers = u32::from(SILENT_CALLERS);
        let caller = (n % callers) as u8;
        let talk = talk(if n % 4 == 0 { long } else { short });
        PlannedCall { at: at(n, SILENT), caller, called: n / callers, talk }
    });
    let silent = silent.collect();
    let sounding = (0..count(SOUNDING)).map(|n| PlannedCall {
        at: at(n, SOUNDING),
        caller: SOUNDING_CALLER,
        called: n,
        talk: talk(long),
    });
    (silent, sounding.collect())
}

/// Makes calls with sound. The numbers where the caller heard himself, since the other end sends back what it hears.
fn listen(phone: &Phone, calls: &[PlannedCall]) -> HashSet<String> {
    thread::scope(|scope| {
        let start = Instant::now();
        let talking = calls.iter().map(|call| {
            thread::sleep((start + call.at).saturating_duration_since(Instant::now()));
            scope.spawn(move || talk(phone, call))
        });
        let talking: Vec<_> = talking.collect();
        talking.into_iter().filter_map(|call| call.join().expect("a call with sound")).collect()
    })
}

/// One call. The number, if the caller heard himself.
fn talk(phone: &Phone, planned: &PlannedCall) -> Option<String> {
    let number = called(planned.called);
    let call = phone.call(&number);
    let answered = call.wait_answered(SOON);
    let since = Instant::now();
    let heard = answered && call.wait_hears(phone, planned.talk);
    if answered {
        thread::sleep(planned.talk.saturating_sub(since.elapsed()));
    }
    call.hang_up();
    call.wait_ended(SOON);
    heard.then_some(number)
}

/// Who calls, and who is called, as it stands in the signalling.
pub(super) fn parties(call: &CallOutcome) -> (String, String) {
    (call.calling.clone(), call.called.clone())
}

/// What the caller's phone says of a call, and the one that was called.
fn record(place: &Place, call: &CallOutcome, there: Option<&CallOutcome>, heard: bool) -> CallRecord {
    let took = call.answered.filter(|_| call.status == Some(200));
    CallRecord {
        caller: place.number(&call.calling),
        called: call.called.clone(),
        invited: call.invited,
        rang: there.map(|there| there.invited),
        answered: took.map(|took| call.invited + took),
        over: call.over,
        hung_up: call.over.is_some() && !call.ended_there,
        heard,
    }
}

/// The calls that reached phones, by who is in them; of two, the one that was answered.
pub(super) fn by_parties(calls: impl Iterator<Item = CallOutcome>) -> HashMap<(String, String), CallOutcome> {
    let mut all: HashMap<(String, String), CallOutcome> = HashMap::new();
    for call in calls {
        if call.status == Some(200) || !all.contains_key(&parties(&call)) {
            all.insert(parties(&call), call);
        }
    }
    all
}
