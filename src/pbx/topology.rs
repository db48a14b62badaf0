//! Who hears whom on a PBX: in its bridges and conferences, and through channels between them.
//!
//! Asterisk's `Local` and FreeSWITCH's `loopback` channels have two halves; what enters one comes out of
//! the other. A queue, a forward or a transfer puts them between two people, each of whom is in a bridge
//! with one half. Halves stand for nobody.

use std::collections::{HashMap, HashSet};

use super::event::{Device, PbxEvent};
use crate::core::base::name::LegId;

/// What is behind a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ChannelKind {
    /// A phone or a trunk.
    Real,
    /// One half of a channel between bridges: what both have in common, and which one.
    Intermediate(String, usize),
    /// The PBX itself: it plays, records, or waits for its other half.
    Nobody,
}

/// A channel in a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub leg: LegId,
    pub kind: ChannelKind,
    pub device: Device,
}

/// All bridges and conferences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    bridges: HashMap<String, Vec<Member>>,
    /// The bridge that a channel is in: one at a time.
    places: HashMap<LegId, String>,
    /// The bridge that a half of a `Local` channel is in.
    halves: HashMap<(String, usize), String>,
}

impl Topology {
    /// A channel has entered a bridge, in another one's place if `swap` says so.
    pub(super) fn enter(&mut self, bridge: &str, member: Member, swap: Option<&LegId>) -> Vec<PbxEvent> {
        let place = self.places.get(&member.leg).cloned();
        if member.kind == ChannelKind::Nobody || place.as_deref() == Some(bridge) {
            return Vec::new();
        }
        let mut events = place.map(|place| self.leave(&place, &member.leg)).unwrap_or_default();
        // An attended transfer puts one channel in another's place. That one's `BridgeLeave` comes
        // later, but the two never hear each other.
        events.extend(swap.map(|swapped| self.leave(bridge, swapped)).unwrap_or_default());
        let (here, came) = (self.heard_in(bridge), self.reached_by(&member));
        let bridged = |a: &Member, b: &Member| {
            let devices = [a.device.clone(), b.device.clone()];
            PbxEvent::Bridged { legs: [a.leg.clone(), b.leg.clone()], devices }
        };
        events.extend(between(&here, &came).map(|(a, b)| bridged(a, b)));
        self.places.insert(member.leg.clone(), bridge.to_owned());
        if let ChannelKind::Intermediate(common, side) = &member.kind {
            self.halves.insert((common.clone(), *side), bridge.to_owned());
        }
        self.bridges.entry(bridge.to_owned()).or_default().push(member);
        events
    }

    /// A channel has left a bridge.
    pub(super) fn leave(&mut self, bridge: &str, leg: &LegId) -> Vec<PbxEvent> {
        let Some(members) = self.bridges.get_mut(bridge) else { return Vec::new() };
        let Some(at) = members.iter().position(|member| member.leg == *leg) else { return Vec::new() };
        let member = members.remove(at);
        if members.is_empty() {
            self.bridges.remove(bridge);
        }
        self.places.remove(leg);
        if let ChannelKind::Intermediate(common, side) = &member.kind {
            self.halves.remove(&(common.clone(), *side));
        }
        let (here, gone) = (self.heard_in(bridge), self.reached_by(&member));
        let apart = |a: &Member, b: &Member| PbxEvent::Unbridged { legs: [b.leg.clone(), a.leg.clone()] };
        between(&here, &gone).map(|(a, b)| apart(a, b)).collect()
    }

    /// A bridge is gone.
    pub(super) fn destroy(&mut self, bridge: &str) -> Vec<PbxEvent> {
        let members = self.bridges.get(bridge).cloned().unwrap_or_default();
        members.iter().flat_map(|member| self.leave(bridge, &member.leg)).collect()
    }

    /// A channel is gone, and so from its bridge.
    pub(super) fn hang_up(&mut self, leg: &LegId) -> Vec<PbxEvent> {
        self.places.get(leg).cloned().map(|bridge| self.leave(&bridge, leg)).unwrap_or_default()
    }

    /// Everybody who hears this leg.
    pub(super) fn heard_by(&self, leg: &LegId) -> Vec<LegId> {
        let heard = self.places.get(leg).map(|bridge| self.heard_in(bridge)).unwrap_or_default();
        heard.into_iter().map(|member| member.leg).filter(|other| other != leg).collect()
    }

    /// Everybody on both sides of a channel between bridges.
    pub(super) fn around(&self, common: &str) -> HashSet<LegId> {
        let bridges = [0, 1].into_iter().filter_map(|side| self.halves.get(&(common.to_owned(), side)));
        bridges.flat_map(|bridge| self.heard_in(bridge)).map(|member| member.leg).collect()
    }

    /// The bridge with the other half.
    fn behind(&self, kind: &ChannelKind) -> Option<&String> {
        let ChannelKind::Intermediate(common, side) = kind else { return None };
        self.halves.get(&(common.clone(), 1 - side))
    }

    /// The people who come with a channel: itself, or whoever is behind the other half.
    fn reached_by(&self, member: &Member) -> Vec<Member> {
        match &member.kind {
            ChannelKind::Real => vec![member.clone()],
            intermediate => self.behind(intermediate).map(|bridge| self.heard_in(bridge)).unwrap_or_default(),
        }
    }

    /// Everybody who is heard in a bridge: there, or through halves in others.
    fn heard_in(&self, bridge: &str) -> Vec<Member> {
        let (mut found, mut seen, mut open) = (Vec::new(), vec![bridge], vec![bridge]);
        while let Some(bridge) = open.pop() {
            for member in self.bridges.get(bridge).into_iter().flatten() {
                if member.kind == ChannelKind::Real {
                    found.push(member.clone());
                } else if let Some(next) = self.behind(&member.kind).filter(|next| !seen.contains(&next.as_str())) {
                    seen.push(next);
                    open.push(next);
                }
            }
        }
        found
    }
}

/// Everyone with everyone, unless there is a second path between the two: then they hear each other anyway.
fn between<'a>(here: &'a [Member], there: &'a [Member]) -> impl Iterator<Item = (&'a Member, &'a Member)> {
    let apart = !here.iter().any(|a| there.iter().any(|b| a.leg == b.leg));
    let here = here.iter().filter(move |_| apart);
    here.flat_map(move |a| there.iter().map(move |b| (a, b)))
}

#[cfg(test)]
#[path = "topology_tests.rs"]
mod tests;
