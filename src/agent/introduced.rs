//! Whose phones the legs of a call are, as its task told the node. A node that has lost the call is told again: it
//! takes no leg for anybody of which it is told nothing.

use crate::contract::{CallEvents, CallReport};
use crate::core::call::Event;

/// Reports that are repeated: with those that wait they fit into one request. Whoever rang first and still rings is left
/// out.
const AGAIN: usize = 32;

/// The latest report on each live leg's phone, in order.
#[derive(Debug, Default)]
pub(super) struct Introduced(Vec<CallReport>);

impl Introduced {
    /// The node has taken these.
    pub(super) fn add(&mut self, reports: &[CallReport]) {
        for report in reports {
            match &report.event {
                Event::Dialled { .. } => self.0.push(report.clone()),
                // A leg that was dialled is that, too: the trunk is known from there.
                Event::Identified { leg, .. } => {
                    let same =
                        |told: &CallReport| matches!(&told.event, Event::Identified { leg: of, .. } if of == leg);
                    self.0.retain(|told| !same(told));
                    self.0.push(report.clone());
                }
                Event::Ended { leg, .. } => self.0.retain(|told| !told.event.legs().contains(leg)),
                Event::Answered { .. } | Event::Bridged { .. } | Event::Unbridged { .. } => {}
            }
        }
    }

    /// The same reports for a node that has just got to know the call.
    pub(super) fn before(&self, events: &CallEvents) -> CallEvents {
        let latest = &self.0[self.0.len().saturating_sub(AGAIN)..];
        CallEvents { events: latest.iter().chain(&events.events).cloned().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::UnixMillis;

    #[test]
    fn a_node_that_lost_the_call_is_told_whose_legs_there_are() {
        let leg = |name: &str| name.parse().unwrap();
        let number = |text: &str| Some(text.parse().unwrap());
        let events = [
            Event::Dialled { leg: leg("B"), number: number("+2"), unreadable: false, trunk: None },
            Event::Dialled { leg: leg("C"), number: number("+3"), unreadable: false, trunk: None },
            Event::Identified { leg: leg("B"), number: number("+4") },
            Event::Answered { leg: leg("B") },
            Event::Identified { leg: leg("B"), number: number("+5") },
            Event::Ended { leg: leg("C"), cause: None },
            Event::Bridged { legs: [leg("A"), leg("B")] },
        ];
        let reports = events.into_iter().zip(1..).map(|(event, seq)| CallReport { seq, at: UnixMillis(0), event });
        let reports: Vec<CallReport> = reports.collect();
        let mut introduced = Introduced::default();
        introduced.add(&reports[..6]);
        let again = introduced.before(&CallEvents { events: reports[6..].to_vec() });
        assert_eq!(again.events.iter().map(|report| report.seq).collect::<Vec<_>>(), [1, 5, 7]);
    }
}
