//! All channels of a PBX at one moment, and who hears whom.

use std::collections::HashSet;

use super::topology::Topology;
use super::{CallTags, Device};
use crate::core::base::name::{CallId, LegId};

/// All channels of a PBX at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Every channel, ours or not.
    pub legs: Vec<LiveLeg>,
    /// Who is in which bridge: what the next events are read against.
    pub topology: Topology,
    /// Channels between bridges, by what their halves have in common (Asterisk).
    pub locals: HashSet<String>,
}

/// A channel in a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveLeg {
    /// Which one.
    pub leg: LegId,
    /// Its tags, if the dialplan announced it.
    pub tags: Option<CallTags>,
    /// The leg that it was made for.
    pub by: Option<LegId>,
    /// The phone behind it.
    pub device: Device,
    /// Whether it has answered.
    pub answered: bool,
    /// The legs that it hears.
    pub hears: Vec<LegId>,
}

impl Snapshot {
    /// What it shows of legs and of who hears whom.
    pub fn shown(&self) -> Shown<'_> {
        let hears =
            self.legs.iter().flat_map(|live| live.hears.iter().map(|other| sorted(&[live.leg.clone(), other.clone()])));
        let heard = hears.filter(|legs| legs[0] != legs[1]).collect();
        Shown { legs: self.legs.iter().map(|live| &live.leg).collect(), heard }
    }
}

/// What a snapshot shows of legs and of who hears whom.
#[derive(Debug)]
pub struct Shown<'a> {
    legs: HashSet<&'a LegId>,
    heard: HashSet<[LegId; 2]>,
}

impl Shown<'_> {
    /// Whether a leg is there.
    pub fn has(&self, leg: &LegId) -> bool {
        self.legs.contains(leg)
    }

    /// Who hears whom: each two once, the smaller id first.
    pub fn heard(&self) -> impl Iterator<Item = &[LegId; 2]> {
        self.heard.iter()
    }

    /// Whether both legs are there and don't hear each other. Of a leg that came later it says nothing.
    pub fn are_apart(&self, legs: &[LegId; 2]) -> bool {
        legs.iter().all(|leg| self.has(leg)) && !self.heard.contains(&sorted(legs))
    }
}

/// The same two legs in the order in which [`Shown::heard`] has them.
pub(crate) fn sorted(legs: &[LegId; 2]) -> [LegId; 2] {
    let mut legs = legs.clone();
    legs.sort_unstable();
    legs
}

impl LiveLeg {
    /// Whether its tags name this call.
    pub fn is_of(&self, call: &CallId) -> bool {
        self.tags.as_ref().is_some_and(|tags| tags.call.as_ref() == Some(call))
    }
}
