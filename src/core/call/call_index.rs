//! Finds calls by what decisions, reports, streams that open and clients that bind ask for, so that these walk over no
//! other calls under the node's lock.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

use super::offer_matching::OfferId;
use super::remote_side::RemoteSide;
use super::{Call, Leg};
use crate::core::address::Address;
use crate::core::base::name::{CallId, LegId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// Ids of the calls of an exchange, by what is asked for. The exchange keeps it in step with the calls.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CallIndex {
    called: HashMap<Number, HashSet<CallId>>,
    /// By the calling number and those that have talked, but for the called one.
    other_numbers: HashMap<Number, HashSet<CallId>>,
    /// The legs that stand for a number, each with its call.
    legs: HashMap<Number, HashSet<(CallId, LegId)>>,
    /// By both numbers, the calling one first.
    between: HashMap<(Number, Number), HashSet<CallId>>,
    carried: HashMap<Address, HashSet<CallId>>,
    /// By the call that their remote side is linked to.
    linked: HashMap<CallId, HashSet<CallId>>,
    offered: HashMap<OfferId, HashSet<CallId>>,
    with_remote_client: HashSet<CallId>,
    /// The earliest end first.
    ended: BTreeSet<(UnixMillis, CallId)>,
}

impl CallIndex {
    /// Adds a call that was opened.
    pub(super) fn insert(&mut self, call: &Call) {
        insert(&mut self.called, &call.called, &call.id);
        self.insert_other_numbers(call);
        call.legs.iter().for_each(|(leg, state)| self.insert_leg(&call.id, leg, state));
        both_numbers(call).iter().for_each(|numbers| insert(&mut self.between, numbers, &call.id));
        call.carried.iter().for_each(|address| insert(&mut self.carried, address, &call.id));
        self.insert_remote(&call.id, &call.remote);
        call.ended.into_iter().for_each(|ended| self.insert_end(&call.id, ended));
    }

    /// Adds the calling number of a call and those that have talked in it.
    pub(super) fn insert_other_numbers(&mut self, call: &Call) {
        other_numbers(call).for_each(|number| insert(&mut self.other_numbers, number, &call.id));
    }

    /// Adds a leg of a call.
    pub(super) fn insert_leg(&mut self, id: &CallId, leg: &LegId, state: &Leg) {
        state.number.iter().for_each(|number| insert(&mut self.legs, number, &(id.clone(), leg.clone())));
    }

    /// Adds what a call knows of its remote side.
    pub(super) fn insert_remote(&mut self, id: &CallId, remote: &RemoteSide) {
        remote.linked_call.iter().for_each(|linked| insert(&mut self.linked, linked, id));
        remote.offered.iter().for_each(|offer| insert(&mut self.offered, offer, id));
        if remote.client.is_some() {
            self.with_remote_client.insert(id.clone());
        }
    }

    /// Adds the end of a call.
    pub(super) fn insert_end(&mut self, id: &CallId, ended: UnixMillis) {
        self.ended.insert((ended, id.clone()));
    }

    /// Removes a call as it was last added.
    pub(super) fn remove(&mut self, call: &Call) {
        remove(&mut self.called, &call.called, &call.id);
        self.remove_other_numbers(call);
        call.legs.iter().for_each(|(leg, state)| self.remove_leg(&call.id, leg, state));
        both_numbers(call).iter().for_each(|numbers| remove(&mut self.between, numbers, &call.id));
        call.carried.iter().for_each(|address| remove(&mut self.carried, address, &call.id));
        self.remove_remote(&call.id, &call.remote);
        call.ended.into_iter().for_each(|ended| _ = self.ended.remove(&(ended, call.id.clone())));
    }

    /// Removes the calling number of a call and those that had talked in it.
    pub(super) fn remove_other_numbers(&mut self, call: &Call) {
        other_numbers(call).for_each(|number| remove(&mut self.other_numbers, number, &call.id));
    }

    /// Removes a leg of a call as it was last added.
    pub(super) fn remove_leg(&mut self, id: &CallId, leg: &LegId, state: &Leg) {
        state.number.iter().for_each(|number| remove(&mut self.legs, number, &(id.clone(), leg.clone())));
    }

    /// Removes what a call knew of its remote side.
    pub(super) fn remove_remote(&mut self, id: &CallId, remote: &RemoteSide) {
        remote.linked_call.iter().for_each(|linked| remove(&mut self.linked, linked, id));
        remote.offered.iter().for_each(|offer| remove(&mut self.offered, offer, id));
        self.with_remote_client.remove(id);
    }

    /// The calls to a number.
    pub(super) fn called(&self, called: &Number) -> impl Iterator<Item = &CallId> {
        self.called.get(called).into_iter().flatten()
    }

    /// The calls that are from or to a number, or in which it has talked.
    pub(super) fn with_number(&self, number: &Number) -> impl Iterator<Item = &CallId> {
        let others = self.other_numbers.get(number).into_iter().flatten();
        self.called(number).chain(others)
    }

    /// The legs that stand for a number, each with its call. Some have ended.
    pub(super) fn legs(&self, number: &Number) -> impl Iterator<Item = &(CallId, LegId)> {
        self.legs.get(number).into_iter().flatten()
    }

    /// The calls between the two numbers of this call, in the same direction; none if the calling one is unknown.
    pub(super) fn between(&self, call: &Call) -> impl Iterator<Item = &CallId> {
        both_numbers(call).and_then(|numbers| self.between.get(&numbers)).into_iter().flatten()
    }

    /// The calls with this address in their signalling.
    pub(super) fn carried(&self, address: &Address) -> impl Iterator<Item = &CallId> {
        self.carried.get(address).into_iter().flatten()
    }

    /// The calls whose remote side is linked to this call.
    pub(super) fn linked(&self, call: &CallId) -> impl Iterator<Item = &CallId> {
        self.linked.get(call).into_iter().flatten()
    }

    /// The calls that were matched with this offer.
    pub(super) fn offered(&self, offer: &OfferId) -> impl Iterator<Item = &CallId> {
        self.offered.get(offer).into_iter().flatten()
    }

    /// The calls that know another node's client.
    pub(super) fn with_remote_client(&self) -> impl Iterator<Item = &CallId> {
        self.with_remote_client.iter()
    }

    /// The calls that have been over for at least `grace`, the earliest end first.
    pub(super) fn ended(&self, now: UnixMillis, grace: Duration) -> impl Iterator<Item = &CallId> {
        self.ended.iter().take_while(move |(ended, _)| now - *ended >= grace).map(|(_, id)| id)
    }

    /// How many calls have ended.
    pub(super) fn ended_len(&self) -> usize {
        self.ended.len()
    }
}

fn other_numbers(call: &Call) -> impl Iterator<Item = &Number> {
    let talked = call.talks.iter().flat_map(|talk| [&talk.first, &talk.second]);
    call.calling.iter().chain(talked).filter(move |number| **number != call.called)
}

fn both_numbers(call: &Call) -> Option<(Number, Number)> {
    Some((call.calling.clone()?, call.called.clone()))
}

fn insert<K, V>(index: &mut HashMap<K, HashSet<V>>, key: &K, value: &V)
where
    K: Hash + Eq + Clone,
    V: Hash + Eq + Clone,
{
    index.entry(key.clone()).or_default().insert(value.clone());
}

fn remove<K: Hash + Eq, V: Hash + Eq>(index: &mut HashMap<K, HashSet<V>>, key: &K, value: &V) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
