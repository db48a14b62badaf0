//! The rules that hold whatever breaks: a pure function of the evidence.
//!
//! On Asterisk an answer that comes after the hold makes the dialplan dial again. The first phone may have answered by then: its
//! call ends, and a second phone gets a call. So on Asterisk two phones may answer a call, one after the other, and the clients
//! may be told twice. The caller notices a moment of silence.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::evidence::{Arrival, CallRecord, Evidence, Excuse, ExitRecord, FaultRecord, PeerRecord, Process};
use crate::Kind;

/// A phone on a busy machine may notice an answer or an end so much later than others do.
const MOMENT: Duration = Duration::from_millis(250);

/// A starved phone thread may record an answer this late.
const STARVED: Duration = Duration::from_secs(1);

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The hold of the dialplan, less what the two ends of a call may differ. A call that goes on by itself goes on later.
    pub hold: Duration,
    /// From the INVITE of the caller to the first one at a phone.
    pub held: Duration,
    /// The same for half of the calls of a PBX while it is calm.
    pub held_when_calm: Duration,
    /// From the INVITE of the caller to that at the second phone, if Asterisk dials again.
    pub dialled_again: Duration,
    /// From a fault to the first call that must be decided.
    pub decided: Duration,
    /// From the answer, or a fault, until both clients are told. Also from the end of a call until no client is told of it.
    pub paired: Duration,
}

/// A rule that calls, clients, PBXs and processes keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every call is answered, and lasts until its caller hangs up.
    NoneLost,
    /// One phone answers a call. On Asterisk a second one may replace it soon after the hold.
    AnsweredOnce,
    /// No call waits longer than the hold.
    NoneHeld,
    /// While it is calm, half of the calls wait much less than the hold.
    QuickWhenCalm,
    /// While it is calm, a node decides every call.
    DecidedAgain,
    /// A client is told of a peer only if their users hear each other, and not long after the call.
    NoStranger,
    /// If two people talk for a while, and nothing is broken, both clients are told.
    AllPaired,
    /// A client is told once of each phone that answers a call.
    ToldOnce,
    /// The PBX records every call.
    AllRecorded,
    /// No channel outlives its call.
    AllEnded,
    /// No process crashes.
    NoneCrashed,
}

/// A broken rule, and the records that show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub details: String,
}

/// Finds the broken rules.
pub fn violations(evidence: &Evidence, limits: &Limits) -> Vec<Violation> {
    let of_call = |call: &CallRecord| {
        [
            lost(call),
            doubled(call, limits),
            held(call, limits),
            undecided(call, evidence, limits),
            unpaired(call, evidence, limits),
        ]
    };
    let of_calls = evidence.calls.iter().flat_map(of_call).flatten().collect::<Vec<_>>();
    [
        of_calls,
        slow(evidence, limits),
        strangers(evidence, limits),
        told_twice(evidence),
        unrecorded(evidence),
        left_over(evidence),
        crashed(evidence, limits),
    ]
    .concat()
}

/// The number of calls of a PBX to which rules apply. Evidence without them proves nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proof {
    pub made: usize,
    /// A node had to decide them.
    pub decided: usize,
    /// Both clients had to be told.
    pub paired: usize,
    /// The PBX called a second phone for them.
    pub dialled_again: usize,
}

/// Counts the calls of a PBX to which rules apply.
pub fn proof(evidence: &Evidence, limits: &Limits, pbx: Kind) -> Proof {
    let mut proof = Proof::default();
    for call in evidence.calls.iter().filter(|call| call.pbx == pbx) {
        proof.made += 1;
        proof.decided += usize::from(is_calm(call, &evidence.faults, limits));
        proof.paired += usize::from(due(call, &evidence.faults, limits).is_some());
        proof.dialled_again += usize::from(call.arrivals.len() > 1);
    }
    proof
}

fn violation(rule: Rule, details: String) -> Option<Violation> {
    Some(Violation { rule, details })
}

fn lost(call: &CallRecord) -> Option<Violation> {
    let went_well = call.answered.is_some() && call.over.is_some() && call.hung_up && call.heard;
    if went_well { None } else { violation(Rule::NoneLost, format!("{call:?}")) }
}

fn doubled(call: &CallRecord, limits: &Limits) -> Option<Violation> {
    let answered: Vec<&Arrival> = call.arrivals.iter().filter(|arrival| arrival.answered).collect();
    let good = match answered.as_slice() {
        // FreeSWITCH calls one phone, whether that answers or not.
        [] | [_] => call.pbx == Kind::Asterisk || call.arrivals.len() <= 1,
        [first, second] => {
            let replaced = first.over.is_some_and(|over| over <= second.invited + MOMENT);
            let in_time = second.invited <= call.invited + limits.dialled_again;
            let late = !first.decided && first.invited >= call.invited + limits.hold;
            call.pbx == Kind::Asterisk && late && replaced && in_time
        }
        _ => false,
    };
    if good { None } else { violation(Rule::AnsweredOnce, format!("{call:?}")) }
}

/// The first phone counts: the call goes on when the PBX calls it. A call that never rang is lost, not held.
fn held(call: &CallRecord, limits: &Limits) -> Option<Violation> {
    let held = held_for(call)?;
    if held <= limits.held { None } else { violation(Rule::NoneHeld, format!("for {held:?}: {call:?}")) }
}

fn held_for(call: &CallRecord) -> Option<Duration> {
    Some(call.arrivals.first()?.invited.saturating_sub(call.invited))
}

/// The last phone counts: a late answer still decides the call. A call that never rang is lost, not undecided.
fn undecided(call: &CallRecord, evidence: &Evidence, limits: &Limits) -> Option<Violation> {
    let good = call.arrivals.last()?.decided || !is_calm(call, &evidence.faults, limits);
    if good { None } else { violation(Rule::DecidedAgain, format!("{call:?}")) }
}

/// Nothing was broken while the PBX held the call, nor shortly before.
fn is_calm(call: &CallRecord, faults: &[FaultRecord], limits: &Limits) -> bool {
    let excused = excused(faults, |fault| fault.deciding);
    excused.iter().all(|(from, until)| *until + limits.decided <= call.invited || *from > call.invited + limits.held)
}

/// The median of each PBX while it is calm.
fn slow(evidence: &Evidence, limits: &Limits) -> Vec<Violation> {
    let of_pbx = |pbx: Kind| {
        let calm = |call: &&CallRecord| call.pbx == pbx && is_calm(call, &evidence.faults, limits);
        let mut held: Vec<Duration> = evidence.calls.iter().filter(calm).filter_map(held_for).collect();
        held.sort_unstable();
        let median = held.get(held.len() / 2)?;
        let details = || format!("{pbx}: half of the calls wait {median:?} or longer");
        if *median <= limits.held_when_calm { None } else { violation(Rule::QuickWhenCalm, details()) }
    };
    [Kind::Asterisk, Kind::FreeSwitch].into_iter().filter_map(of_pbx).collect()
}

/// The first message to each of the two clients counts, also if Asterisk dials again. If a node learns of both phones at once, it
/// sends no second message.
fn unpaired(call: &CallRecord, evidence: &Evidence, limits: &Limits) -> Option<Violation> {
    let due = due(call, &evidence.faults, limits)?;
    let told = |client: &str, peer: &str| {
        let all = evidence.peers.iter().filter(|told| told.client == client && told.peer == peer);
        all.map(|told| told.at).min()
    };
    let both = [told(&call.caller, &call.called), told(&call.called, &call.caller)];
    if both.iter().all(|told| told.is_some_and(|at| at <= due)) {
        return None;
    }
    let after = both.map(|told| told.zip(call.answered).map(|(told, answered)| told.saturating_sub(answered)));
    let due = due.saturating_sub(call.answered.unwrap_or_default());
    violation(Rule::AllPaired, format!("due {due:?} after the answer, told {after:?} after it: {call:?}"))
}

/// When both clients of a call must have been told. `None` if it was too short, or something was broken too often.
fn due(call: &CallRecord, faults: &[FaultRecord], limits: &Limits) -> Option<Duration> {
    let (answered, over) = (call.answered?, call.over?);
    let excused = excused(faults, |fault| fault.pairing);
    // The time runs from the answer, or from the end of a fault.
    let mut starts: Vec<Duration> = excused.iter().map(|(_, until)| *until).filter(|at| *at > answered).collect();
    starts.push(answered);
    starts.sort_unstable();
    let calm = |start: &Duration| {
        let due = *start + limits.paired;
        due <= over && excused.iter().all(|(from, until)| *until <= *start || *from > due)
    };
    starts.into_iter().find(calm).map(|start| start + limits.paired)
}

/// The times that faults excuse, in their order: from and until.
fn excused(faults: &[FaultRecord], excuse: impl Fn(&FaultRecord) -> Excuse) -> Vec<(Duration, Duration)> {
    let interval = |fault: &FaultRecord| match excuse(fault) {
        Excuse::Nothing if fault.alone => None,
        Excuse::Start if fault.alone => Some((fault.began, fault.began)),
        _ => Some((fault.began, fault.over)),
    };
    let mut intervals: Vec<_> = faults.iter().filter_map(interval).collect();
    intervals.sort_unstable();
    intervals
}

fn strangers(evidence: &Evidence, limits: &Limits) -> Vec<Violation> {
    let excused = excused(&evidence.faults, |fault| fault.pairing);
    let in_time = |at: Duration, call: &CallRecord| {
        call.answered.is_some_and(|answered| at + STARVED >= answered)
            && call.over.is_none_or(|over| at <= latest(over, &excused, limits))
    };
    let heard = |told: &PeerRecord| {
        let calls = evidence.calls.iter();
        calls.filter(|call| call.heard && is_between(call, &told.client, &told.peer)).any(|call| in_time(told.at, call))
    };
    let strangers = evidence.peers.iter().filter(|told| !heard(told));
    strangers.map(|told| Violation { rule: Rule::NoStranger, details: format!("{told:?}") }).collect()
}

/// The two numbers are those of the call.
fn is_between(call: &CallRecord, one: &str, other: &str) -> bool {
    (call.caller == one && call.called == other) || (call.caller == other && call.called == one)
}

/// The last time at which a client may be told of a call that was over then. A fault may delay the message.
fn latest(over: Duration, excused: &[(Duration, Duration)], limits: &Limits) -> Duration {
    excused.iter().fold(
        over + limits.paired,
        |latest, (from, until)| {
            if *from <= latest { latest.max(*until + limits.paired) } else { latest }
        },
    )
}

fn told_twice(evidence: &Evidence) -> Vec<Violation> {
    let mut messages: BTreeMap<(&str, &str), BTreeSet<(&str, &str)>> = BTreeMap::new();
    for told in &evidence.peers {
        let messages = messages.entry((told.client.as_str(), told.peer.as_str())).or_default();
        messages.insert((told.call.as_str(), told.message.as_str()));
    }
    let allowed = |client: &str, peer: &str| {
        let calls = evidence.calls.iter().filter(|call| is_between(call, client, peer));
        calls.map(phones).sum::<usize>().max(1)
    };
    let of_client = |((client, peer), messages): ((&str, &str), BTreeSet<(&str, &str)>)| {
        let details = || format!("{client} was told of {peer}: {messages:?}");
        if messages.len() <= allowed(client, peer) { None } else { violation(Rule::ToldOnce, details()) }
    };
    messages.into_iter().filter_map(of_client).collect()
}

/// The number of phones that answered a call.
fn phones(call: &CallRecord) -> usize {
    call.arrivals.iter().filter(|arrival| arrival.answered).count()
}

/// Rows are counted by caller: the called number in them depends on the dialplan. Asterisk has a row for each phone that
/// answered. If it leaves a phone before it knows of the answer, it has none for that phone.
fn unrecorded(evidence: &Evidence) -> Vec<Violation> {
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for call in evidence.calls.iter().filter(|call| call.answered.is_some()) {
        let [least, most, _] = counts.entry(&call.caller).or_default();
        *least += 1;
        *most += phones(call).max(1);
    }
    for row in &evidence.rows {
        counts.entry(&row.caller).or_default()[2] += 1;
    }
    let of_caller = |(caller, [least, most, rows]): (&str, [usize; 3])| {
        let details = || format!("{caller}: {least} calls were answered, by {most} phones, and {rows} are recorded");
        if (least..=most).contains(&rows) { None } else { violation(Rule::AllRecorded, details()) }
    };
    counts.into_iter().filter_map(of_caller).collect()
}

fn left_over(evidence: &Evidence) -> Vec<Violation> {
    let channels = evidence.channels.iter();
    channels.map(|channels| Violation { rule: Rule::AllEnded, details: channels.clone() }).collect()
}

/// A node may end by itself at a fault: it ends when it has lost the database. The agent may not.
fn crashed(evidence: &Evidence, limits: &Limits) -> Vec<Violation> {
    // The code of a Rust program that panicked.
    const PANICKED: i32 = 101;
    let at_fault =
        |at: Duration| evidence.faults.iter().any(|fault| fault.began <= at && at <= fault.over + limits.decided);
    let may_end = |exit: &ExitRecord| {
        exit.process != Process::Agent && exit.code.is_some_and(|code| code != PANICKED) && at_fault(exit.at)
    };
    let crashed = |exit: &&ExitRecord| !may_end(exit);
    let exits = evidence.exits.iter().filter(crashed).map(|exit| format!("{exit:?}"));
    let all = exits.chain(evidence.panics.iter().cloned());
    all.map(|details| Violation { rule: Rule::NoneCrashed, details }).collect()
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
