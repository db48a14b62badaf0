//! Whom a call concerns before it is answered, and whether it was missed.
//!
//! Both follow from the call and the calls around it. So the answer is the same late, again, or after a restart.

use super::exchange::Exchange;
use super::{Call, Phase};
use crate::core::base::name::CallId;
use crate::core::numbering::number::Number;
use crate::core::routing::route::Reason;

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
    /// The numbers whose clients it concerns before it is answered, the calling one first.
    pub fn alerted(&self) -> Vec<&Number> {
        let calling = self.calling.iter().filter(|calling| **calling != self.called);
        match self.alerting {
            Alerting::Nobody => Vec::new(),
            Alerting::Called => vec![&self.called],
            Alerting::Both => calling.chain([&self.called]).collect(),
        }
    }

    /// The numbers whose clients are told of a missed call, the calling one first. A caller whom somebody else answered has
    /// missed nothing.
    pub fn missed_by(&self) -> Vec<&Number> {
        let mut numbers = self.alerted();
        if self.caller_has_talked() {
            numbers.retain(|number| **number == self.called);
        }
        numbers
    }

    fn caller_has_talked(&self) -> bool {
        self.caller().is_some_and(|caller| self.has_talked(&caller))
    }

    /// Whether the called number has answered: one of its phones did, or it talked to somebody.
    fn is_answered_by_called(&self) -> bool {
        let phones = self.legs.iter().filter(|(id, _)| **id != self.leg).map(|(_, leg)| leg);
        let answered = phones.filter(|leg| leg.number.as_ref() == Some(&self.called)).any(|leg| leg.answered.is_some());
        answered || self.has_talked(&self.called)
    }

    fn has_talked(&self, number: &Number) -> bool {
        self.talks.iter().any(|talk| talk.first == *number || talk.second == *number)
    }
}

impl Exchange {
    /// Whether the called number has missed a call: the caller talked to somebody else, or the call ended, and the called
    /// number did not answer.
    ///
    /// A call that arrived at another of our PBXs is missed there alone, and not before it has ended here too: turned away
    /// there, it may go on by another route.
    pub(super) fn is_missed(&self, id: &CallId) -> bool {
        let Some(call) = self.call(id).filter(|call| call.alerting != Alerting::Nobody) else { return false };
        if call.is_answered_by_called() || self.arrivals(call).next().is_some() {
            return false;
        }
        let gave_up = |origin: &Call| origin.phase == Phase::Ended && !origin.is_answered_by_called();
        call.caller_has_talked() || (call.phase == Phase::Ended && self.origins(call).all(gave_up))
    }

    /// Those that are missed of a call and the calls as which it arrived at others of our PBXs.
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
