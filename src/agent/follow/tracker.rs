//! Which leg belongs to which call, and what a snapshot changes.
//!
//! Pure: what happened goes in, what the node must be told comes out.

use std::collections::{HashMap, HashSet};

use super::told_bridges::ToldBridges;
use super::tracked_event::TrackedEvent;
use crate::core::base::name::{LegId, TrunkName};
use crate::core::call::LegEvent;
use crate::pbx::{CallTags, Device, PbxEvent, Shown, Snapshot};

/// A call that is followed; later calls have larger keys.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::agent) struct Key(u64);

/// The calls of one PBX. It outlives the link: what happened meanwhile is found in a snapshot.
#[derive(Debug, Default)]
pub(in crate::agent) struct Tracker {
    next: u64,
    calls: HashMap<Key, Tracked>,
    legs: HashMap<LegId, Key>,
    /// The phones behind legs that nobody announced, as the node was told.
    devices: HashMap<LegId, String>,
    answered: HashSet<LegId>,
    /// Legs whose trunk the node was told.
    trunk_told: HashSet<LegId>,
    told: ToldBridges,
    /// Legs whose phone has changed since they joined their call.
    renamed: HashSet<LegId>,
    /// Legs of which the node may not know whom they hear: it may have dropped that with a call that was over. They have
    /// gone over to another call since the last snapshot, or the node's list lacks it.
    gone_over: HashSet<LegId>,
    /// Announced legs of the last snapshot that nobody follows yet.
    glimpsed: HashSet<LegId>,
}

#[derive(Debug)]
struct Tracked {
    legs: HashSet<LegId>,
    /// It was looked at because it has answered legs and no bridge.
    doubted: bool,
}

impl Tracker {
    /// Takes up a call; a leg that calls somewhere else now leaves its old one. A leg in the dialplan hears nobody.
    pub(in crate::agent) fn announce(&mut self, leg: &LegId) -> (Key, Vec<TrackedEvent>) {
        let heard: Vec<LegId> = self.told.of(leg).cloned().collect();
        let apart = heard.into_iter().map(|other| PbxEvent::Unbridged { legs: [leg.clone(), other] });
        let mut told: Vec<TrackedEvent> = apart.flat_map(|apart| self.apply(&apart)).collect();
        told.extend(self.leave(leg, Some("moved on")));
        (self.take_up(leg), told)
    }

    /// Takes up a call of a leg that is in none.
    fn take_up(&mut self, leg: &LegId) -> Key {
        let key = Key(self.next);
        self.next += 1;
        self.calls.insert(key, Tracked { legs: HashSet::from([leg.clone()]), doubted: false });
        self.legs.insert(leg.clone(), key);
        key
    }

    /// Takes up a later call of a leg, which was announced to another agent; others of the leg's old call come along.
    /// Nothing is told of those: the node has them in the later call already, and would end them there. Whom they all hear
    /// stays as it is.
    pub(in crate::agent) fn announce_with(&mut self, leg: &LegId, others: &[LegId]) -> (Key, Option<TrackedEvent>) {
        let from = self.call_of(leg);
        let along = others.iter().filter(|other| *other != leg && from.is_some() && self.call_of(other) == from);
        let along: Vec<LegId> = along.cloned().collect();
        let last = along.iter().chain([leg]).filter_map(|leg| self.release(leg)).last();
        let left =
            from.map(|from| TrackedEvent { last: last.is_some(), ..TrackedEvent::ended(from, leg, Some("moved on")) });
        self.devices.remove(leg);
        self.renamed.remove(leg);
        self.answered.remove(leg);
        let key = self.take_up(leg);
        for leg in along {
            self.join(key, &leg);
        }
        (key, left)
    }

    /// What an event means to the calls that are followed.
    pub(in crate::agent) fn apply(&mut self, event: &PbxEvent) -> Vec<TrackedEvent> {
        match event {
            PbxEvent::Dialled { leg, by, device, trunk } => {
                let Some(key) = self.call_of(by) else { return Vec::new() };
                let is_new = self.join(key, leg);
                if !is_new && !self.brings_trunk(key, leg, device, trunk.as_ref()) {
                    return Vec::new();
                }
                self.note_device(leg, device);
                if trunk.is_some() {
                    self.trunk_told.insert(leg.clone());
                }
                let (leg, party, trunk) = (leg.clone(), device.clone(), trunk.clone());
                vec![TrackedEvent::new(key, LegEvent::Dialled { leg, party, trunk })]
            }
            PbxEvent::Identified { leg, device } => {
                let Some(key) = self.call_of(leg) else { return Vec::new() };
                if device.number().is_some() && device.number() != self.devices.get(leg).map(String::as_str) {
                    self.renamed.insert(leg.clone());
                }
                vec![self.identified(key, leg, device)]
            }
            PbxEvent::Answered { leg } => {
                let new = self.call_of(leg).filter(|_| self.answered.insert(leg.clone()));
                new.map(|key| TrackedEvent::new(key, LegEvent::Answered { leg: leg.clone() })).into_iter().collect()
            }
            PbxEvent::Bridged { legs, devices } => self.bridged(legs, devices),
            PbxEvent::Unbridged { legs } => {
                let key = self.younger(legs).filter(|_| self.told.remove(legs));
                key.map(|key| TrackedEvent::new(key, LegEvent::Unbridged { legs: legs.clone() })).into_iter().collect()
            }
            PbxEvent::HungUp { leg, cause } => self.leave(leg, cause.as_deref()).into_iter().collect(),
            PbxEvent::Announced(_)
            | PbxEvent::EnrolmentDialled(_)
            | PbxEvent::MainNumber { .. }
            | PbxEvent::Gap { .. } => Vec::new(),
        }
    }

    /// A leg that is in no call yet joins the one that it hears, as the phone that it is.
    fn bridged(&mut self, legs: &[LegId; 2], devices: &[Device; 2]) -> Vec<TrackedEvent> {
        let Some(key) = self.younger(legs) else { return Vec::new() };
        let mut told = Vec::new();
        for (leg, device) in legs.iter().zip(devices) {
            if self.join(key, leg) {
                told.push(self.identified(key, leg, device));
            }
        }
        if self.told.add(legs) {
            told.push(TrackedEvent::new(key, LegEvent::Bridged { legs: legs.clone() }));
        }
        told
    }

    /// Whether this late report is the first one with the leg's trunk. A snapshot that overtook it introduced the leg, and
    /// names no trunk. If the leg is another phone by then, it was picked up, and the report would give it its old name.
    fn brings_trunk(&self, key: Key, leg: &LegId, device: &Device, trunk: Option<&TrunkName>) -> bool {
        let is_same = self.devices.get(leg).is_none_or(|known| device.number() == Some(known));
        trunk.is_some() && !self.trunk_told.contains(leg) && is_same && self.call_of(leg) == Some(key)
    }

    fn identified(&mut self, key: Key, leg: &LegId, device: &Device) -> TrackedEvent {
        self.note_device(leg, device);
        TrackedEvent::new(key, LegEvent::Identified { leg: leg.clone(), party: device.clone() })
    }

    fn note_device(&mut self, leg: &LegId, device: &Device) {
        match device.number() {
            Some(number) => self.devices.insert(leg.clone(), number.to_owned()),
            None => self.devices.remove(leg),
        };
    }

    /// Whether nobody is followed any more, and nothing is kept but what the last snapshot showed.
    pub(in crate::agent) fn is_empty(&self) -> bool {
        let Tracker { next: _, calls, legs, devices, answered, trunk_told, told, renamed, gone_over: _, glimpsed: _ } =
            self;
        let kept = [calls.len(), legs.len(), devices.len(), answered.len(), trunk_told.len(), renamed.len()];
        told.is_empty() && kept.iter().all(|len| *len == 0)
    }

    /// The legs that are followed: what to ask for in a snapshot.
    pub(in crate::agent) fn legs(&self) -> Vec<LegId> {
        self.legs.keys().cloned().collect()
    }

    /// The key of the next call.
    pub(in crate::agent) fn next(&self) -> Key {
        Key(self.next)
    }

    /// The call that a leg belongs to now.
    pub(in crate::agent) fn call_of(&self, leg: &LegId) -> Option<Key> {
        self.legs.get(leg).copied()
    }

    /// Whether some call has two answered legs and no bridge: an event may be missing. Each call is
    /// doubted once.
    pub(in crate::agent) fn doubts(&mut self) -> bool {
        let mut doubts = false;
        for call in self.calls.values_mut().filter(|call| !call.doubted) {
            let answered = call.legs.iter().filter(|leg| self.answered.contains(*leg)).count();
            let bridged = call.legs.iter().any(|leg| self.told.of(leg).next().is_some());
            call.doubted = answered >= 2 && !bridged;
            doubts |= call.doubted;
        }
        doubts
    }

    /// The legs of `known`, which were followed when the snapshot was asked for, that are gone.
    pub(in crate::agent) fn missing(&mut self, shown: &Shown<'_>, known: &[LegId]) -> Vec<TrackedEvent> {
        known.iter().filter(|leg| !shown.has(leg)).filter_map(|leg| self.leave(leg, None)).collect()
    }

    /// Announced legs of the snapshot that nobody follows, and whether another snapshot is needed soon.
    ///
    /// One that is neither decided nor heard by anybody may be waiting at this moment, its
    /// announcement under way to us on the other connection. It is left to that until the next
    /// snapshot, or the announcement would be taken for a repeated one and not be answered.
    pub(in crate::agent) fn found<'a>(&mut self, snapshot: &'a Snapshot) -> (Vec<(&'a LegId, &'a CallTags)>, bool) {
        let unknown = snapshot.legs.iter().filter(|l| !self.legs.contains_key(&l.leg));
        // Whatever became of it since: who was called may have been transferred, and call somebody else.
        let announced = unknown.filter_map(|l| Some((l, l.tags.as_ref().filter(|tags| !tags.called.is_empty())?)));
        let (mut found, mut glimpsed) = (Vec::new(), HashSet::new());
        for (live, tags) in announced {
            if tags.call.is_some() || !live.hears.is_empty() || self.glimpsed.contains(&live.leg) {
                found.push((&live.leg, tags));
            } else {
                glimpsed.insert(live.leg.clone());
            }
        }
        self.glimpsed = glimpsed;
        (found, !self.glimpsed.is_empty())
    }

    /// What the snapshot shows that no event told.
    pub(in crate::agent) fn catch_up(&mut self, snapshot: &Snapshot, shown: &Shown<'_>) -> Vec<TrackedEvent> {
        let mut told = Vec::new();
        let gone_over = std::mem::take(&mut self.gone_over);
        for live in &snapshot.legs {
            let (leg, device) = (live.leg.clone(), live.device.clone());
            if let Some(by) = live.by.clone() {
                told.extend(self.apply(&PbxEvent::Dialled {
                    leg: leg.clone(),
                    by,
                    device: device.clone(),
                    trunk: None,
                }));
            }
            // Picked up meanwhile, by another phone than the one that rang; or before, and only another call was told.
            let is_untold = gone_over.contains(&leg) && self.renamed.remove(&leg);
            let known = self.devices.get(&leg).map(String::as_str);
            if known.is_some() && device.number().is_some() && (is_untold || known != device.number()) {
                told.extend(self.apply(&PbxEvent::Identified { leg: leg.clone(), device }));
            }
            if live.answered {
                told.extend(self.apply(&PbxEvent::Answered { leg }));
            }
        }
        for legs in self.told.all().into_iter().filter(|legs| shown.are_apart(legs)) {
            told.extend(self.apply(&PbxEvent::Unbridged { legs }));
        }
        let phones: HashMap<_, _> = snapshot.legs.iter().map(|l| (&l.leg, &l.device)).collect();
        let device = |leg: &LegId| phones.get(leg).copied().cloned().unwrap_or_default();
        // As if one after the other had come: a conference that is full then is full for the same people.
        let mut heard: Vec<_> = shown.heard().cloned().collect();
        heard.sort_unstable_by(|[a, b], [c, d]| (b, a).cmp(&(d, c)));
        for legs in heard {
            let devices = [device(&legs[0]), device(&legs[1])];
            if self.told.has(&legs) && legs.iter().any(|leg| gone_over.contains(leg)) {
                // To the node a repeated report is no news.
                let key = self.younger(&legs);
                told.extend(key.map(|key| TrackedEvent::new(key, LegEvent::Bridged { legs: legs.clone() })));
            }
            told.extend(self.apply(&PbxEvent::Bridged { legs, devices }));
        }
        told
    }

    /// Takes up what an agent before us followed, by those of its legs that nobody follows now. If a call that is
    /// followed `is_it`, they join that call; if not, the key of a new one is given back.
    pub(in crate::agent) fn adopt(&mut self, legs: &[LegId], is_it: impl Fn(Key) -> bool) -> Option<Key> {
        let known = self.known(legs, is_it);
        let key = match known {
            Some(key) => key,
            None => self.take_up(legs.iter().find(|leg| self.call_of(leg).is_none())?),
        };
        for leg in legs {
            self.join(key, leg);
        }
        known.is_none().then_some(key)
    }

    /// Takes a leg out of its call, and tells nothing: the node has it in another one. Who hears whom stays as it is. The
    /// key of the call, if no leg is left in it.
    pub(in crate::agent) fn release(&mut self, leg: &LegId) -> Option<Key> {
        let key = self.legs.remove(leg)?;
        self.trunk_told.remove(leg);
        self.gone_over.insert(leg.clone());
        let call = self.calls.get_mut(&key)?;
        call.legs.remove(leg);
        if !call.legs.is_empty() {
            return None;
        }
        self.calls.remove(&key);
        Some(key)
    }

    /// [`Tracker::catch_up`] is to tell again whom these legs hear, if that was told.
    pub(in crate::agent) fn tell_again(&mut self, bridges: Vec<[LegId; 2]>) {
        let told = bridges.into_iter().filter(|legs| self.told.has(legs));
        let told: Vec<LegId> = told.flatten().collect();
        self.gone_over.extend(told);
    }

    /// Takes all legs out of a call that is over for the node, and tells nothing. Who they are and whom they hear is news
    /// to whichever call they join next.
    pub(in crate::agent) fn abandon(&mut self, key: Key) {
        let legs: Vec<LegId> = self.calls.get(&key).into_iter().flat_map(|call| &call.legs).cloned().collect();
        legs.iter().for_each(|leg| drop(self.leave(leg, None)));
    }

    /// The call that the node knows with these legs, if it is followed. That a leg of it is followed isn't enough: the
    /// leg may have called somewhere else since, and be of another call.
    fn known(&self, legs: &[LegId], is_it: impl Fn(Key) -> bool) -> Option<Key> {
        legs.iter().filter_map(|leg| self.call_of(leg)).find(|key| is_it(*key))
    }

    /// Those who heard each other for all that an agent before us told, and don't in the snapshot.
    pub(in crate::agent) fn apart(&self, shown: &Shown<'_>, hears: &[[LegId; 2]]) -> Vec<TrackedEvent> {
        let apart = hears.iter().filter(|legs| shown.are_apart(legs)).filter_map(|legs| {
            Some(TrackedEvent::new(self.younger(legs)?, LegEvent::Unbridged { legs: legs.clone() }))
        });
        apart.collect()
    }

    fn younger(&self, legs: &[LegId; 2]) -> Option<Key> {
        legs.iter().filter_map(|leg| self.legs.get(leg)).max().copied()
    }

    /// Makes a leg part of a call, if it isn't part of one; true if it wasn't.
    fn join(&mut self, key: Key, leg: &LegId) -> bool {
        if self.legs.contains_key(leg) {
            return false;
        }
        let Some(call) = self.calls.get_mut(&key) else { return false };
        self.legs.insert(leg.clone(), key);
        call.legs.insert(leg.clone())
    }

    fn leave(&mut self, leg: &LegId, cause: Option<&str>) -> Option<TrackedEvent> {
        let key = self.legs.remove(leg)?;
        self.devices.remove(leg);
        self.renamed.remove(leg);
        self.answered.remove(leg);
        self.trunk_told.remove(leg);
        self.told.remove_leg(leg);
        let call = self.calls.get_mut(&key)?;
        call.legs.remove(leg);
        let last = call.legs.is_empty();
        if last {
            self.calls.remove(&key);
        }
        Some(TrackedEvent { last, ..TrackedEvent::ended(key, leg, cause) })
    }
}

#[cfg(test)]
#[path = "tracker_tests.rs"]
mod tests;
