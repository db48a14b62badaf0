//! What must hold whatever breaks: a pure function of what was recorded. All times are since 1970, by one clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A call from one number to another. No two calls of a record are between the same two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    pub caller: String,
    pub called: String,
    /// The caller's INVITE.
    pub invited: Duration,
    /// The INVITE at the phone that answered, or at which it rang.
    pub rang: Option<Duration>,
    pub answered: Option<Duration>,
    pub over: Option<Duration>,
    /// The caller hung up, and nobody else.
    pub hung_up: bool,
    /// The two heard each other.
    pub heard: bool,
}

/// A client was told of its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    pub at: Duration,
    /// The number of the client.
    pub client: String,
    /// The number that it was told of.
    pub peer: String,
    /// The same for each repeat, which a client ignores.
    pub message: String,
    /// The call, as the node names it.
    pub call: String,
}

/// Something was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRecord {
    pub what: String,
    pub began: Duration,
    pub over: Duration,
    pub excuse: Excuse,
}

/// How long a fault may keep people from being paired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excuse {
    /// It is one of the stand-by, which nobody needs unless something else is broken.
    Nothing,
    /// It is one of the active node, whose stand-by takes over while it lasts, unless something else is broken.
    Begin,
    /// Nobody is in the place of what is broken.
    All,
}

/// An answered call in what a PBX wrote down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRecord {
    pub caller: String,
}

/// Everything that was recorded.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    pub calls: Vec<CallRecord>,
    pub peers: Vec<PeerRecord>,
    pub faults: Vec<FaultRecord>,
    pub rows: Vec<RowRecord>,
}

/// What counts as too late.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the INVITE of the caller to the one that rings.
    pub held: Duration,
    /// From the answer, or the end of a fault, until both clients are told.
    pub paired: Duration,
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every call is answered, and lasts until its caller hangs up.
    NoneLost,
    /// No call waits longer than the hold.
    NoneHeld,
    /// A client is told of nobody whom its user doesn't hear.
    NoStranger,
    /// Who talks for a while, and nothing is broken meanwhile, is paired.
    AllPaired,
    /// A client is told once of each call.
    ToldOnce,
    /// The PBX writes down every call.
    AllRecorded,
}

/// A rule that doesn't hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub what: String,
}

/// Everything that doesn't hold.
pub fn violations(evidence: &Evidence, limits: &Limits) -> Vec<Violation> {
    let calls = evidence.calls.iter();
    let of_calls = calls.flat_map(|call| [lost(call), held(call, limits), unpaired(call, evidence, limits)]);
    let of_calls = of_calls.flatten().collect::<Vec<_>>();
    [of_calls, strangers(evidence), told_twice(evidence), unrecorded(evidence)].concat()
}

/// How many calls must be paired. A record that has none of them proves nothing.
pub fn owed_a_peer(evidence: &Evidence, limits: &Limits) -> usize {
    evidence.calls.iter().filter(|call| due(call, &evidence.faults, limits).is_some()).count()
}

fn violation(rule: Rule, what: String) -> Option<Violation> {
    Some(Violation { rule, what })
}

fn lost(call: &CallRecord) -> Option<Violation> {
    let went_well = call.answered.is_some() && call.over.is_some() && call.hung_up && call.heard;
    if went_well { None } else { violation(Rule::NoneLost, format!("{call:?}")) }
}

/// A call that never rang is lost, not held.
fn held(call: &CallRecord, limits: &Limits) -> Option<Violation> {
    let held = call.rang?.saturating_sub(call.invited);
    if held <= limits.held { None } else { violation(Rule::NoneHeld, format!("for {held:?}: {call:?}")) }
}

/// The first time that each of the two clients was told counts.
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

/// Until when both clients of a call must be told: it was up for so long, and nothing was broken meanwhile.
fn due(call: &CallRecord, faults: &[FaultRecord], limits: &Limits) -> Option<Duration> {
    let (answered, over) = (call.answered?, call.over?);
    let excused = excused(faults);
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

/// When people may be kept from being paired: from and until.
fn excused(faults: &[FaultRecord]) -> Vec<(Duration, Duration)> {
    let interval = |(n, fault): (usize, &FaultRecord)| {
        let mut others = faults.iter().enumerate().filter(|(other, _)| *other != n).map(|(_, other)| other);
        let alone = !others.any(|other| other.began <= fault.over && fault.began <= other.over);
        match fault.excuse {
            Excuse::Nothing if alone => None,
            Excuse::Begin if alone => Some((fault.began, fault.began)),
            _ => Some((fault.began, fault.over)),
        }
    };
    faults.iter().enumerate().filter_map(interval).collect()
}

fn strangers(evidence: &Evidence) -> Vec<Violation> {
    // A phone on a busy machine may notice the answer later than a client is told.
    const MOMENT: Duration = Duration::from_millis(250);
    let heard = |told: &PeerRecord| {
        evidence.calls.iter().any(|call| {
            let these = (told.client == call.caller && told.peer == call.called)
                || (told.client == call.called && told.peer == call.caller);
            these && call.heard && call.answered.is_some_and(|answered| told.at + MOMENT >= answered)
        })
    };
    let strangers = evidence.peers.iter().filter(|told| !heard(told));
    strangers.map(|told| Violation { rule: Rule::NoStranger, what: format!("{told:?}") }).collect()
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

/// Rows name a caller; whom they name as called depends on the dialplan.
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
        what: format!("{caller}: {calls} calls were answered, {rows} are written down"),
    });
    violations.collect()
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
