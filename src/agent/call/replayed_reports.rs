//! Whose phones the legs of a call are and whom they hear, as its task told the node. A node that has lost the call is told
//! again: a leg that nobody introduces stands for nobody.

use crate::contract::{CallEvent, CallEvents, CallReport};
use crate::core::base::name::LegId;

/// Reports that are repeated: with those that wait they fit into one request. The oldest legs and bridges are left out.
const AGAIN: usize = 32;

/// The latest report on each live leg's phone and on each bridge, in order.
#[derive(Debug, Default)]
pub(in crate::agent) struct ReplayedReports(Vec<CallReport>);

impl ReplayedReports {
    /// The node has taken these.
    pub(in crate::agent) fn add(&mut self, reports: &[CallReport]) {
        for report in reports {
            match &report.event {
                CallEvent::Dialled { .. } => self.0.push(report.clone()),
                // A leg that was dialled is that, too: the trunk is known from there.
                CallEvent::Identified { leg, .. } => {
                    let same =
                        |told: &CallReport| matches!(&told.event, CallEvent::Identified { leg: of, .. } if of == leg);
                    self.0.retain(|told| !same(told));
                    self.0.push(report.clone());
                }
                CallEvent::Bridged { legs } => {
                    self.part(legs);
                    self.0.push(report.clone());
                }
                CallEvent::Unbridged { legs } => self.part(legs),
                CallEvent::Ended { leg, .. } => self.0.retain(|told| !names(&told.event, leg)),
                CallEvent::Answered { .. } => {}
            }
        }
    }

    /// Forgets the bridge between two legs, in whichever order they were told.
    fn part(&mut self, legs: &[LegId; 2]) {
        let same = |told: &CallEvent| matches!(told, CallEvent::Bridged { legs: of } if legs.iter().all(|leg| of.contains(leg)));
        self.0.retain(|told| !same(&told.event));
    }

    /// The same reports for a node that has just got to know the call.
    pub(in crate::agent) fn before(&self, events: &CallEvents) -> CallEvents {
        let latest = &self.0[self.0.len().saturating_sub(AGAIN)..];
        CallEvents { events: latest.iter().chain(&events.events).cloned().collect() }
    }
}

fn names(event: &CallEvent, leg: &LegId) -> bool {
    match event {
        CallEvent::Dialled { leg: of, .. }
        | CallEvent::Identified { leg: of, .. }
        | CallEvent::Answered { leg: of }
        | CallEvent::Ended { leg: of, .. } => of == leg,
        CallEvent::Bridged { legs } | CallEvent::Unbridged { legs } => legs.contains(leg),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::base::time::UnixMillis;

    /// What a node is told that has lost the call.
    fn again(told: impl IntoIterator<Item = CallEvent>, more: impl IntoIterator<Item = CallEvent>) -> Vec<u64> {
        let report = |(event, seq)| CallReport { seq, at: UnixMillis(0), event };
        let mut replayed = ReplayedReports::default();
        replayed.add(&told.into_iter().zip(1..).map(report).collect::<Vec<_>>());
        let more = CallEvents { events: more.into_iter().zip(100..).map(report).collect() };
        replayed.before(&more).events.iter().map(|report| report.seq).collect()
    }

    #[test]
    fn a_node_that_lost_the_call_is_told_whose_legs_there_are() {
        let leg = |name: &str| name.parse().unwrap();
        let number = |text: &str| Some(text.parse().unwrap());
        let events = [
            CallEvent::Dialled { leg: leg("B"), device: number("+2"), unreadable: false, trunk: None },
            CallEvent::Dialled { leg: leg("C"), device: number("+3"), unreadable: false, trunk: None },
            CallEvent::Identified { leg: leg("B"), device: number("+4") },
            CallEvent::Answered { leg: leg("B") },
            CallEvent::Identified { leg: leg("B"), device: number("+5") },
            CallEvent::Ended { leg: leg("C"), cause: None },
        ];
        assert_eq!(again(events, [CallEvent::Bridged { legs: [leg("A"), leg("B")] }]), [1, 5, 100]);
    }

    #[test]
    fn a_node_that_lost_the_call_is_told_who_hears_whom() {
        let leg = |name: &str| name.parse().unwrap();
        let bridged = |a: &str, b: &str| CallEvent::Bridged { legs: [leg(a), leg(b)] };
        let unbridged = |a: &str, b: &str| CallEvent::Unbridged { legs: [leg(a), leg(b)] };
        let dialled = CallEvent::Dialled { leg: leg("B"), device: None, unreadable: false, trunk: None };
        let talks = [dialled, bridged("A", "B"), bridged("A", "C"), bridged("B", "A")];
        let then = |event: CallEvent| again(talks.iter().cloned().chain([event]), []);
        assert_eq!(again(talks.clone(), []), [1, 3, 4], "each bridge once");
        assert_eq!(then(unbridged("A", "B")), [1, 3]);
        assert_eq!(then(unbridged("C", "A")), [1, 4]);
        assert_eq!(then(unbridged("B", "C")), [1, 3, 4]);
        assert_eq!(then(CallEvent::Ended { leg: leg("C"), cause: None }), [1, 4]);
        assert_eq!(then(CallEvent::Ended { leg: leg("A"), cause: None }), [1]);
        let many = (0..100).map(|n| bridged("A", &format!("x{n}")));
        assert_eq!(again(many, []).len(), AGAIN);
    }
}
