//! Makes the calls of a round on one PBX, and records them.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use super::evidence::{Arrival, CallRecord};
use super::plan::Random;
use super::trunked_pbx::{TrunkedPbx, parties};
use crate::sip::calls::CallOutcome;
use crate::{Calls, PHONES, Phone, Result};

/// Calls per second without sound: so much sound would take the whole machine.
const SILENT: u32 = 9;
/// Calls per second with sound.
const SOUNDING: u32 = 1;
/// All calls per second. The two PBXs get twice as many.
pub(super) const RATE: u32 = SILENT + SOUNDING;
/// The extensions below this one make the calls without sound.
const SILENT_CALLERS: u8 = 3;
/// The extension that makes the calls with sound.
const SOUNDING_CALLER: u8 = 3;
/// The number of extensions that call.
pub(super) const CALLERS: u8 = 4;
/// How many numbers are called in a round. Two calls of a round never have the same caller and the same called number.
const CALLED: u32 = 200;
/// How many numbers are called at all. Two rounds in a row have none in common, so a message that comes a round too late has no
/// call.
pub(super) const NUMBERS: u32 = 2 * CALLED;
/// How long the longest call lasts.
const LONGEST: Duration = Duration::from_secs(12);
/// How long an echo may stay away while a call is moved.
const ECHO: Duration = Duration::from_secs(1);
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
    called: String,
    talk: Duration,
}

/// Makes the calls of a round of this length, and waits until they are over.
pub(super) fn run(pbx: &TrunkedPbx, round: u64, random: Random, length: Duration) -> Result<Vec<CallRecord>> {
    let (silent, sounding) = planned(round, random, length);
    let calls = silent.iter().map(|call| {
        let talk_ms = u32::try_from(call.talk.as_millis()).unwrap_or(u32::MAX);
        (call.at, Calls::new(&pbx.extension(call.caller), &call.called).hold(talk_ms))
    });
    let caller = Calls::start_each(PHONES, pbx.pbx.sip(), calls.collect())?;
    let phone = Phone::connect(pbx.pbx.sip(), &pbx.extension(SOUNDING_CALLER))?;
    let heard = listen(&phone, &sounding);
    // A call that isn't over then is lost.
    caller.wait(SOON + LONGEST);
    let arrivals = pbx.arrivals();
    let arrivals = |call: &CallOutcome| arrivals.get(&parties(call)).cloned().unwrap_or_default();
    let silent = caller.report().calls.into_iter().map(|call| {
        let arrivals = arrivals(&call);
        // It has no sound, so the signalling must do.
        let heard = arrivals.last().is_some_and(|last| last.answered);
        record(pbx, &call, arrivals, heard)
    });
    let sounding = phone.outcomes().into_iter().map(|call| {
        let heard = heard.contains(&call.called);
        record(pbx, &call, arrivals(&call), heard)
    });
    Ok(silent.chain(sounding).collect())
}

/// The calls without sound, and those with it. A quarter of the first kind and all of the second last long enough to be paired.
fn planned(round: u64, mut random: Random, length: Duration) -> (Vec<PlannedCall>, Vec<PlannedCall>) {
    let count = |rate: u32| u32::try_from(length.as_secs()).unwrap_or(u32::MAX).saturating_mul(rate);
    assert!(count(SILENT).div_ceil(SILENT_CALLERS.into()).max(count(SOUNDING)) <= CALLED, "too long a round");
    let at = |n: u32, rate: u32| Duration::from_secs(n.into()) / rate;
    let number = |n: u32| called(if round.is_multiple_of(2) { n } else { CALLED + n });
    let (long, short) = ([8_000, 12_000], [200, 1_200]);
    let mut talk = |[shortest, longest]: [u64; 2]| {
        random.between(Duration::from_millis(shortest), Duration::from_millis(longest)).min(LONGEST)
    };
    let silent = (0..count(SILENT)).map(|n| {
        let callers = u32::from(SILENT_CALLERS);
        let caller = (n % callers) as u8;
        let talk = talk(if n % 4 == 0 { long } else { short });
        PlannedCall { at: at(n, SILENT), caller, called: number(n / callers), talk }
    });
    let silent = silent.collect();
    let sounding = (0..count(SOUNDING)).map(|n| PlannedCall {
        at: at(n, SOUNDING),
        caller: SOUNDING_CALLER,
        called: number(n),
        talk: talk(long),
    });
    (silent, sounding.collect())
}

/// Makes calls with sound, which the other end sends back. Returns the called numbers of all calls in which the caller heard it.
fn listen(phone: &Phone, calls: &[PlannedCall]) -> HashSet<String> {
    thread::scope(|scope| {
        let start = Instant::now();
        let talking = calls.iter().map(|call| {
            thread::sleep((start + call.at).saturating_duration_since(Instant::now()));
            scope.spawn(move || talk(phone, call))
        });
        let talking: Vec<_> = talking.collect();
        let talked = calls.iter().zip(talking);
        let heard = talked.filter_map(|(call, heard)| heard.join().expect("a call").then(|| call.called.clone()));
        heard.collect()
    })
}

/// Makes one call. True if the caller heard the echo at first, and still at the end.
fn talk(phone: &Phone, planned: &PlannedCall) -> bool {
    let call = phone.call(&planned.called);
    let answered = call.wait_answered(SOON);
    let since = Instant::now();
    let mut heard = answered && call.wait_echo(planned.talk);
    if answered {
        thread::sleep(planned.talk.saturating_sub(since.elapsed()));
        heard = heard && call.wait_echo(ECHO);
    }
    call.hang_up();
    call.wait_ended(SOON);
    heard
}

/// Joins the records of a caller's phone and of the called phones.
fn record(pbx: &TrunkedPbx, call: &CallOutcome, arrivals: Vec<Arrival>, heard: bool) -> CallRecord {
    let took = call.answered.filter(|_| call.status == Some(200));
    CallRecord {
        pbx: pbx.pbx.kind(),
        caller: pbx.number(&call.calling),
        called: call.called.clone(),
        invited: call.invited,
        arrivals,
        answered: took.map(|took| call.invited + took),
        over: call.over,
        hung_up: call.over.is_some() && !call.ended_there,
        status: call.status,
        reason: call.reason.clone(),
        heard,
    }
}
