//! Bridges: which two legs hear each other, and whose numbers that pairs and parts.

use super::exchange::{Effect, EventRefusal, Exchange, Pair};
use super::report_order::Serial;
use super::{Bridge, Phase};
use crate::core::base::name::{CallId, LegId};
use crate::core::base::time::UnixMillis;

impl Exchange {
    pub(super) fn bridged(
        &mut self,
        id: &CallId,
        legs: &[LegId; 2],
        serial: Serial,
        at: UnixMillis,
    ) -> Result<Vec<Effect>, EventRefusal> {
        if legs.iter().any(|leg| self.gone_at(id, leg).is_some()) {
            // A late report: the bridge has ended.
            return Ok(Vec::new());
        }
        for leg in legs {
            // A bridge implies that both were answered, even if those events were lost.
            self.answered(id, leg, serial, at)?;
        }
        let owners = [self.owner(id, &legs[0]), self.owner(id, &legs[1])];
        // The bridge is kept in a call that has one of the legs.
        let told = if owners.iter().flatten().any(|owner| owner == id) { Some(id.clone()) } else { owners[0].clone() };
        let call = told.ok_or(EventRefusal::UnknownCall)?;
        let beyond = legs.iter().any(|leg| self.hears(id, leg) + 1 >= self.conference);
        let bridge = Bridge { call, since: at, beyond };
        let mut new = false;
        for (leg, other) in [(&legs[0], &legs[1]), (&legs[1], &legs[0])] {
            let owner = self.owner(id, leg).ok_or(EventRefusal::UnknownCall)?;
            let call = self.calls.get_mut(&owner).ok_or(EventRefusal::UnknownCall)?;
            call.advance(Phase::Talking);
            let Some(leg) = call.legs.get_mut(leg) else { continue };
            if !leg.bridges.iter().any(|(with, _)| with == other) {
                leg.bridges.push((other.clone(), bridge.clone()));
                new = true;
            }
        }
        let pair = self.paired_by(&bridge, [&legs[0], &legs[1]]).filter(|_| new);
        Ok(pair.map(|pair| self.talking(pair, at)).into_iter().collect())
    }

    pub(super) fn unbridged(&mut self, id: &CallId, legs: &[LegId; 2], at: UnixMillis) -> Vec<Effect> {
        let mut bridge = None;
        for (leg, other) in [(&legs[0], &legs[1]), (&legs[1], &legs[0])] {
            let Some(owner) = self.owner(id, leg) else { continue };
            let Some(call) = self.calls.get_mut(&owner) else { continue };
            if let Some(leg) = call.legs.get_mut(leg)
                && let Some(n) = leg.bridges.iter().position(|(with, _)| with == other)
            {
                bridge = Some(leg.bridges.remove(n).1);
            }
            call.fall_back_to_answered();
        }
        // After a transfer, one call reports the bridge and another one its end. The pair is the one that was made.
        let pair = bridge.and_then(|bridge| self.paired_by(&bridge, [&legs[0], &legs[1]]));
        pair.map(|pair| self.parted(pair, at)).into_iter().collect()
    }

    pub(super) fn talking(&mut self, pair: Pair, at: UnixMillis) -> Effect {
        if let Some(call) = self.calls.get_mut(&pair.call) {
            self.index.remove_other_numbers(call);
            call.begin_talk(&pair.first, &pair.second, at);
            self.index.insert_other_numbers(call);
        }
        Effect::Paired(pair)
    }

    pub(super) fn parted(&mut self, pair: Pair, at: UnixMillis) -> Effect {
        if let Some(call) = self.calls.get_mut(&pair.call) {
            call.end_talk(&pair.first, &pair.second, at);
            call.parted.insert(pair.first.clone(), at);
            call.parted.insert(pair.second.clone(), at);
        }
        Effect::Parted(pair)
    }

    /// The number of legs that a leg hears.
    fn hears(&self, id: &CallId, leg: &LegId) -> usize {
        let call = self.owner(id, leg).and_then(|owner| self.calls.get(&owner));
        call.and_then(|call| call.legs.get(leg)).map_or(0, |leg| leg.bridges.len())
    }
}
