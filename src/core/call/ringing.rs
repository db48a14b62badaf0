//! Which numbers a call alerts, and whether it was missed.
//!
//! Both follow from the call and the calls around it. So the answer is the same late, again, or after a restart.

use super::exchange::Exchange;
use super::{Call, LOST, Leg, Phase};
use crate::core::base::name::CallId;
use crate::core::numbering::number::Number;
use crate::core::routing::route::{Reason, Side};

/// Whose clients a call concerns before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alerting {
    /// Nobody's: an emergency call, or a call that an attendant has answered.
    #[default]
    Nobody,
    /// The called number's, if it misses the call. The PBX had routed the call before the node knew it, so no client was told
    /// that it rings.
    Called,
    /// Both numbers': their clients are told that it rings.
    Both,
}

impl Alerting {
    /// For a call that took its route for this reason. `registered`: the PBX had routed it by itself.
    pub fn of(reason: Reason, registered: bool) -> Alerting {
        match reason {
            Reason::Emergency | Reason::MainNumber => Alerting::Nobody,
            _ if registered => Alerting::Called,
            _ => Alerting::Both,
        }
    }
}

impl Call {
    fn caller_has_talked(&self) -> bool {
        self.caller().is_some_and(|caller| self.has_talked(&caller))
    }

    /// Whether the called number has answered: one of its phones did, or a phone that nobody can name, or it talked to
    /// somebody.
    fn is_answered_by_called(&self) -> bool {
        let may_be_called = |leg: &Leg| leg.number.as_ref().is_none_or(|number| *number == self.called);
        self.other_legs().any(|leg| leg.answered.is_some() && may_be_called(leg)) || self.has_talked(&self.called)
    }

    /// Whether a phone of the called number rang.
    fn has_rung_called(&self) -> bool {
        self.other_legs().any(|leg| leg.number.as_ref() == Some(&self.called))
    }

    fn other_legs(&self) -> impl Iterator<Item = &Leg> {
        self.legs.iter().filter(|(id, _)| **id != self.leg).map(|(_, leg)| leg)
    }

    /// Whether its agent saw how it ended. A call that ended while no agent was there may have been answered.
    fn is_end_known(&self) -> bool {
        self.phase == Phase::Ended && self.cause.as_deref().is_some_and(|cause| cause != LOST)
    }

    fn has_talked(&self, number: &Number) -> bool {
        self.talks.iter().any(|talk| talk.first == *number || talk.second == *number)
    }
}

impl Exchange {
    /// The numbers that a call alerts, the calling one first. A trunk may claim any calling number: that number is alerted
    /// only if the call left one of our PBXs.
    pub fn alerted(&self, call: &Call) -> Vec<Number> {
        let is_from_here = || call.side == Side::Originating || self.origins(call).next().is_some();
        let calling = call.calling.iter().filter(|calling| **calling != call.called && is_from_here());
        match call.alerting {
            Alerting::Nobody => Vec::new(),
            Alerting::Called => vec![call.called.clone()],
            Alerting::Both => calling.chain([&call.called]).cloned().collect(),
        }
    }

    /// The numbers that are told of a missed call, the calling one first. A caller has missed nothing if anything answered,
    /// or if the caller's leg went on to a later call.
    pub fn missed_by(&self, call: &Call) -> Vec<Number> {
        let mut numbers = self.alerted(call);
        let went_on = self.call_of(&call.pbx, &call.leg).is_some_and(|now| now.id != call.id);
        if call.answered.is_some() || went_on {
            numbers.retain(|number| *number == call.called);
        }
        numbers
    }

    /// Whether the called number has missed a call: its phone rang and the caller talks to somebody else, or nobody talked
    /// to the caller and the call ended.
    ///
    /// A call that arrived at another of our PBXs is missed there alone. If nothing answered it there, it may go on by
    /// another route, so it is not missed before it has ended here too.
    pub(super) fn is_missed(&self, id: &CallId) -> bool {
        let Some(call) = self.call(id).filter(|call| call.alerting != Alerting::Nobody) else { return false };
        if call.is_answered_by_called() || self.arrivals(call).next().is_some() {
            return false;
        }
        if call.caller_has_talked() {
            return call.has_rung_called();
        }
        // An earlier call between the same two numbers may look like an origin.
        let mut origins = self.origins(call).filter(|origin| origin.ended.is_none_or(|ended| ended >= call.decided));
        let gave_up = |origin: &Call| origin.phase == Phase::Ended && !origin.is_answered_by_called();
        call.is_end_known() && (call.answered.is_some() || origins.all(gave_up))
    }

    /// The missed calls among this call and its arrivals at our other PBXs.
    pub fn missed_in(&self, id: &CallId) -> Vec<CallId> {
        let Some(call) = self.call(id).filter(|call| !call.is_answered_by_called()) else { return Vec::new() };
        let all = [call].into_iter().chain(self.arrivals(call));
        all.map(|call| &call.id).filter(|id| self.is_missed(id)).cloned().collect()
    }

    /// The missed calls among those that are live or ended a while ago.
    pub fn missed(&self) -> Vec<CallId> {
        self.calls().map(|call| &call.id).filter(|id| self.is_missed(id)).cloned().collect()
    }
}
