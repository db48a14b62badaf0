//! The rules that hold whatever breaks: a pure function of what was recorded. All times are since 1970, by one clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::Kind;

/// A call from one number to another. No two calls of a record are between the same two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// The PBX of the caller.
    pub pbx: Kind,
    pub caller: String,
    pub called: String,
    /// The caller's INVITE.
    pub invited: Duration,
    /// The INVITE at the phone that answered, or that only rang.
    pub rang: Option<Duration>,
    /// That INVITE came by the packet trunk: a node has decided the call. The dialplan's own route is the PSTN.
    pub decided: bool,
    /// The number of phones that answered.
    pub answers: usize,
    pub answered: Option<Duration>,
    pub over: Option<Duration>,
    /// The caller ended it.
    pub hung_up: bool,
    /// The final status and the reason that the PBX gave to the caller.
    pub status: Option<u16>,
    pub reason: Option<String>,
    /// The two heard each other.
    pub heard: bool,
}

/// A client was told of its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    pub at: Duration,
    /// The number of the client.
    pub client: String,
    /// The number of its peer.
    pub peer: String,
    /// The id of the message. A client ignores a message whose id it knows.
    pub message: String,
    /// The node's id of the call.
    pub call: String,
}

/// A fault that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRecord {
    pub what: String,
    pub began: Duration,
    pub over: Duration,
    /// By the plan, no other fault overlaps it.
    pub alone: bool,
    /// How long it may delay pairs.
    pub pairing: Excuse,
    /// How long it may keep calls from being decided.
    pub deciding: Excuse,
}

/// How long a fault that is alone excuses a delay. One that isn't alone excuses it as long as it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excuse {
    /// It excuses nothing: nobody needs the broken part.
    Nothing,
    /// Only its begin: then the stand-by takes over.
    Begin,
    /// As long as it lasts: nothing replaces the broken part.
    All,
}

/// An answered call in the records of a PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRecord {
    pub caller: String,
}

/// A program that was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    Agent,
    Node(usize),
}

/// A process ended, and no fault had killed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitRecord {
    pub process: Process,
    pub at: Duration,
    /// `None` if a signal ended it.
    pub code: Option<i32>,
}

/// Everything that was recorded.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    pub calls: Vec<CallRecord>,
    pub peers: Vec<PeerRecord>,
    pub faults: Vec<FaultRecord>,
    pub rows: Vec<RowRecord>,
    /// The channels of a PBX that outlived all calls, as its console shows them.
    pub channels: Vec<String>,
    pub exits: Vec<ExitRecord>,
    /// The lines of logs that tell of a panic.
    pub panics: Vec<String>,
}

/// What counts as too late.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the INVITE of the caller to that at the phone.
    pub held: Duration,
    /// The same for half of the calls of a PBX while it is calm.
    pub held_when_calm: Duration,
    /// From a fault to the first call that must be decided.
    pub decided: Duration,
    /// From the answer, or a fault, until both clients are told. Also from the end of a call until nobody is told of it.
    pub paired: Duration,
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every call is answered, and lasts until its caller hangs up.
    NoneLost,
    /// Only one phone answers a call.
    AnsweredOnce,
    /// No call waits longer than the hold.
    NoneHeld,
    /// While it is calm, half of the calls wait much less than the hold.
    QuickWhenCalm,
    /// While it is calm, a node decides every call.
    DecidedAgain,
    /// A client is told only of a peer whom its user hears, and not long after the call.
    NoStranger,
    /// If two people talk for a while, and nothing is broken, both clients are told.
    AllPaired,
    /// A client is told once of each call.
    ToldOnce,
    /// The PBX records every call.
    AllRecorded,
    /// No channel outlives its call.
    AllEnded,
    /// No process crashes.
    NoneCrashed,
}

/// A rule that doesn't hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub what: String,
}

/// Everything that doesn't hold.
pub fn violations(evidence: &Evidence, limits: &Limits) -> Vec<Violation> {
    let of_call = |call: &CallRecord| {
        [
            lost(call),
            answered_twice(call),
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
        crashed(evidence),
    ]
    .concat()
}

/// The number of calls of a PBX to which rules apply. A record without them proves nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proof {
    pub made: usize,
    /// A node had to decide them.
    pub decided: usize,
    /// Both clients had to be told.
    pub paired: usize,
}

/// What the record of a PBX's calls proves.
pub fn proof(evidence: &Evidence, limits: &Limits, pbx: Kind) -> Proof {
    let mut proof = Proof::default();
    for call in evidence.calls.iter().filter(|call| call.pbx == pbx) {
        proof.made += 1;
        proof.decided += usize::from(is_calm(call, &evidence.faults, limits));
        proof.paired += usize::from(due(call, &evidence.faults, limits).is_some());
    }
    proof
}

fn violation(rule: Rule, what: String) -> Option<Violation> {
    Some(Violation { rule, what })
}

fn lost(call: &CallRecord) -> Option<Violation> {
    let went_well = call.answered.is_some() && call.over.is_some() && call.hung_up && call.heard;
    if went_well { None } else { violation(Rule::NoneLost, format!("{call:?}")) }
}

fn answered_twice(call: &CallRecord) -> Option<Violation> {
    if call.answers <= 1 { None } else { violation(Rule::AnsweredOnce, format!("{call:?}")) }
}

/// A call that never rang is lost, not held.
fn held(call: &CallRecord, limits: &Limits) -> Option<Violation> {
    let held = held_for(call)?;
    if held <= limits.held { None } else { violation(Rule::NoneHeld, format!("for {held:?}: {call:?}")) }
}

fn held_for(call: &CallRecord) -> Option<Duration> {
    Some(call.rang?.saturating_sub(call.invited))
}

fn undecided(call: &CallRecord, evidence: &Evidence, limits: &Limits) -> Option<Violation> {
    let good = call.rang.is_none() || call.decided || !is_calm(call, &evidence.faults, limits);
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
        let what = || format!("{pbx}: half of the calls wait {median:?} or longer");
        if *median <= limits.held_when_calm { None } else { violation(Rule::QuickWhenCalm, what()) }
    };
    [Kind::Asterisk, Kind::FreeSwitch].into_iter().filter_map(of_pbx).collect()
}

/// The first message to each of the two clients counts.
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
    // Calm begins with the answer, or when a fault is over.
    let mut begins: Vec<Duration> = excused.iter().map(|(_, until)| *until).filter(|at| *at > answered).collect();
    begins.push(answered);
    begins.sort_unstable();
    let calm = |begin: &Duration| {
        let due = *begin + limits.paired;
        due <= over && excused.iter().all(|(from, until)| *until <= *begin || *from > due)
    };
    begins.into_iter().find(calm).map(|begin| begin + limits.paired)
}

/// The times that faults excuse, in their order: from and until.
fn excused(faults: &[FaultRecord], excuse: impl Fn(&FaultRecord) -> Excuse) -> Vec<(Duration, Duration)> {
    let interval = |fault: &FaultRecord| match excuse(fault) {
        Excuse::Nothing if fault.alone => None,
        Excuse::Begin if fault.alone => Some((fault.began, fault.began)),
        _ => Some((fault.began, fault.over)),
    };
    let mut intervals: Vec<_> = faults.iter().filter_map(interval).collect();
    intervals.sort_unstable();
    intervals
}

fn strangers(evidence: &Evidence, limits: &Limits) -> Vec<Violation> {
    // A phone on a busy machine may notice the answer later than a client is told.
    const MOMENT: Duration = Duration::from_millis(250);
    let excused = excused(&evidence.faults, |fault| fault.pairing);
    let in_time = |at: Duration, call: &CallRecord| {
        call.answered.is_some_and(|answered| at + MOMENT >= answered)
            && call.over.is_none_or(|over| at <= latest(over, &excused, limits))
    };
    let heard = |told: &PeerRecord| {
        evidence.calls.iter().any(|call| {
            let these = (told.client == call.caller && told.peer == call.called)
                || (told.client == call.called && told.peer == call.caller);
            these && call.heard && in_time(told.at, call)
        })
    };
    let strangers = evidence.peers.iter().filter(|told| !heard(told));
    strangers.map(|told| Violation { rule: Rule::NoStranger, what: format!("{told:?}") }).collect()
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
    let twice = messages.into_iter().filter(|(_, messages)| messages.len() > 1);
    let violations = twice.map(|((client, peer), messages)| Violation {
        rule: Rule::ToldOnce,
        what: format!("{client} was told of {peer}: {messages:?}"),
    });
    violations.collect()
}

/// Rows are counted by caller. The called number in them depends on the dialplan.
fn unrecorded(evidence: &Evidence) -> Vec<Violation> {
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for call in evidence.calls.iter().filter(|call| call.answered.is_some()) {
        counts.entry(&call.caller).or_default()[0] += 1;
    }
    for row in &evidence.rows {
        counts.entry(&row.caller).or_default()[1] += 1;
    }
    let different = counts.into_iter().filter(|(_, [calls, rows])| calls != rows);
    let violations = different.map(|(caller, [calls, rows])| Violation {
        rule: Rule::AllRecorded,
        what: format!("{caller}: {calls} calls were answered, {rows} are recorded"),
    });
    violations.collect()
}

fn left_over(evidence: &Evidence) -> Vec<Violation> {
    evidence.channels.iter().map(|what| Violation { rule: Rule::AllEnded, what: what.clone() }).collect()
}

/// A node may end by itself: it ends when it has lost the database. The agent may not.
fn crashed(evidence: &Evidence) -> Vec<Violation> {
    // The code of a Rust program that panicked.
    const PANICKED: i32 = 101;
    let crashed = |exit: &&ExitRecord| exit.process == Process::Agent || exit.code.is_none_or(|code| code == PANICKED);
    let exits = evidence.exits.iter().filter(crashed).map(|exit| format!("{exit:?}"));
    exits.chain(evidence.panics.iter().cloned()).map(|what| Violation { rule: Rule::NoneCrashed, what }).collect()
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
