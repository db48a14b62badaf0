//! Reports that overtake each other.
//!
//! Two calls can report about the same leg, or about the same two legs, one after the other, and their reports arrive in
//! any order. An agent numbers its reports across calls, so of two reports by the same agent the one with the higher number
//! is the later one. Two agents number by their own clocks, which may differ. So of reports by two agents about the same
//! legs, the one that arrives last holds. That ends well, because each agent reports every change itself.

use super::Call;
use super::exchange::Exchange;
use crate::core::base::name::{AgentId, CallId, LegId};
use crate::core::base::time::UnixMillis;

/// Other legs of which a leg remembers the latest reports.
const REPORTED_MAX: usize = 32;

/// The number of a report, and the agent that gave it; no agent if it doesn't say its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serial<'a> {
    /// Whose number it is.
    pub agent: Option<&'a AgentId>,
    /// The number.
    pub seq: u64,
}

/// An agent's latest report on whether a leg hears another one, or about the leg's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestReport {
    /// The other leg, or the leg itself if the report is about its end.
    pub leg: LegId,
    /// Which agent reported.
    pub agent: Option<AgentId>,
    /// The number of the report.
    pub seq: u64,
}

impl Call {
    /// Whether this report was applied before, or a later one was: the reports of one agent about a call arrive in order.
    /// If another agent's number is too low, its clock may be behind. Its report is a repeat only if the time says so, too.
    pub fn is_repeat(&self, Serial { agent, seq }: Serial, at: UnixMillis) -> bool {
        let is_late = match (&self.last_by, agent) {
            (Some((last, last_at)), Some(agent)) if last != agent => at <= *last_at,
            _ => true,
        };
        seq <= self.last_seq && is_late
    }

    /// The call's last report is this one.
    pub(super) fn note_last(&mut self, Serial { agent, seq }: Serial, at: UnixMillis) {
        self.last_seq = seq;
        self.last_by = agent.map(|agent| (agent.clone(), at));
    }
}

impl Exchange {
    /// Whether the same agent has made a later report about these two legs. If both are one leg: about its end.
    pub(super) fn is_overtaken(&self, id: &CallId, legs: [&LegId; 2], serial: Serial) -> bool {
        let is_later = |of: &LegId, other: &LegId| {
            let latest = self.latest(id, of, other, serial.agent);
            latest.is_some_and(|latest| latest > serial.seq)
        };
        is_later(legs[0], legs[1]) || is_later(legs[1], legs[0])
    }

    /// The number of the agent's latest report about a leg and another one, or about its end if the other is the same.
    pub(super) fn latest(&self, id: &CallId, leg: &LegId, other: &LegId, agent: Option<&AgentId>) -> Option<u64> {
        let call = self.owner(id, leg).and_then(|owner| self.calls.get(&owner))?;
        let mut reported = call.legs.get(leg)?.reported.iter();
        let latest = reported.find(|latest| latest.leg == *other && latest.agent.as_ref() == agent)?;
        Some(latest.seq)
    }

    /// Remembers which report said that the leg is gone, if it is.
    pub(super) fn note_end(&mut self, id: &CallId, leg: &LegId, serial: Serial) {
        if self.gone_at(id, leg).is_some() {
            self.note_report(id, [leg, leg], serial);
        }
    }

    /// Remembers at both legs that this is its agent's latest report about them.
    pub(super) fn note_report(&mut self, id: &CallId, legs: [&LegId; 2], Serial { agent, seq }: Serial) {
        for (leg, other) in [(legs[0], legs[1]), (legs[1], legs[0])] {
            let call = self.owner(id, leg).and_then(|owner| self.calls.get_mut(&owner));
            let Some(leg) = call.and_then(|call| call.legs.get_mut(leg)) else { continue };
            leg.reported.retain(|earlier| earlier.leg != *other || earlier.agent.as_ref() != agent);
            if leg.reported.len() >= REPORTED_MAX {
                leg.reported.remove(0);
            }
            leg.reported.push(LatestReport { leg: other.clone(), agent: agent.cloned(), seq });
        }
    }
}
