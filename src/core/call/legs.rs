//! Legs come into a call, stand for another number, and leave its list. The index of their numbers follows.

use super::Leg;
use super::exchange::Exchange;
use crate::core::base::name::{CallId, LegId, PbxName};
use crate::core::numbering::number::Number;

impl Exchange {
    /// Puts a leg into a call. Returns what the call knew of the leg before.
    pub(super) fn put_leg(&mut self, id: &CallId, leg: &LegId, state: Leg) -> Option<Leg> {
        let call = self.calls.get_mut(id)?;
        if let Some(before) = call.legs.get(leg) {
            self.index.remove_leg(id, leg, before);
        }
        self.index.insert_leg(id, leg, &state);
        call.legs.insert(leg.clone(), state)
    }

    /// From now on, this leg of the call stands for this number, or for nobody.
    pub(super) fn renumber_leg(&mut self, id: &CallId, leg: &LegId, number: Option<&Number>) {
        let state = self.calls.get_mut(id).and_then(|call| call.legs.get_mut(leg));
        if let Some(state) = state {
            self.index.remove_leg(id, leg, state);
            state.number = number.cloned();
            self.index.insert_leg(id, leg, state);
        }
    }

    /// Takes a leg out of the call's list.
    pub(super) fn remove_leg(&mut self, id: &CallId, leg: &LegId) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let pbx = call.pbx.clone();
        if let Some(state) = call.legs.remove(leg) {
            self.index.remove_leg(id, leg, &state);
        }
        self.disown_leg(id, &pbx, leg);
    }

    /// The leg is no longer the call's. If it has been announced anew, it belongs to that call already.
    pub(super) fn disown_leg(&mut self, id: &CallId, pbx: &PbxName, leg: &LegId) {
        let key = (pbx.clone(), leg.clone());
        if self.legs.get(&key) == Some(id) {
            self.legs.remove(&key);
        }
    }
}
