//! Reports about bridges that overtake each other.
//!
//! Two calls can report about the same two legs, one after the other, and their reports arrive in any order. Whichever
//! agent is in charge numbers its reports across calls, so the report with the highest number is the latest.

use super::exchange::Exchange;
use super::name::{CallId, LegId};

/// Other legs of which a leg remembers the latest report.
const REPORTED_MAX: usize = 32;

impl Exchange {
    /// Whether a later report has told if these two legs hear each other.
    pub(super) fn is_overtaken(&self, id: &CallId, legs: &[LegId; 2], seq: u64) -> bool {
        let later = |leg: &LegId, other: &LegId| {
            let call = self.owner(id, leg).and_then(|owner| self.calls.get(&owner));
            let reported = call.and_then(|call| call.legs.get(leg)).into_iter().flat_map(|leg| &leg.reported);
            reported.into_iter().any(|(of, latest)| of == other && *latest > seq)
        };
        later(&legs[0], &legs[1]) || later(&legs[1], &legs[0])
    }

    /// Remembers at both legs that this is the latest report about them.
    pub(super) fn note_report(&mut self, id: &CallId, legs: &[LegId; 2], seq: u64) {
        for (leg, other) in [(&legs[0], &legs[1]), (&legs[1], &legs[0])] {
            let call = self.owner(id, leg).and_then(|owner| self.calls.get_mut(&owner));
            let Some(leg) = call.and_then(|call| call.legs.get_mut(leg)) else { continue };
            leg.reported.retain(|(of, _)| of != other);
            if leg.reported.len() >= REPORTED_MAX {
                leg.reported.remove(0);
            }
            leg.reported.push((other.clone(), seq));
        }
    }
}
