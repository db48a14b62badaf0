//! What the fuzz bodies of both translators share.

use std::collections::BTreeSet;

use super::{Happened, Snapshot};
use crate::core::name::LegId;

/// Who hears whom, by what was told.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeSet<[LegId; 2]>);

impl Told {
    /// Nobody hears themselves, and texts from the wire are cut to the length that their readers count on.
    pub(super) fn take(&mut self, happened: Vec<Happened>) {
        for happened in happened {
            match happened {
                Happened::Bridged { legs, .. } => {
                    assert_ne!(legs[0], legs[1], "somebody hears themselves");
                    self.0.insert(sorted(legs));
                }
                Happened::Unbridged { legs } => {
                    self.0.remove(&sorted(legs));
                }
                Happened::HungUp { leg, cause } => {
                    self.0.retain(|legs| !legs.contains(&leg));
                    assert!(cause.is_none_or(|cause| cause.len() <= 64));
                }
                Happened::Announced(announcement) => {
                    assert!(!announcement.mark.called.is_empty() && announcement.hold.as_secs() <= 10);
                    assert!(announcement.mark.called.chars().count() <= 64);
                }
                Happened::Attended { mark, .. } => {
                    assert!(mark.calling.chars().count() <= 64);
                }
                Happened::Dialled { .. }
                | Happened::Identified { .. }
                | Happened::Answered { .. }
                | Happened::Gap { .. } => {}
            }
        }
    }

    /// Goes on from a snapshot, as the agent does.
    pub(super) fn restart(&mut self, snapshot: &Snapshot) {
        let hears = |live: &super::LiveLeg| {
            live.hears.iter().map(|other| sorted([live.leg.clone(), other.clone()])).collect::<Vec<_>>()
        };
        self.0 = snapshot.legs.iter().flat_map(hears).collect();
    }

    /// All have hung up.
    pub(super) fn nobody_is_left(&self) {
        assert!(self.0.is_empty(), "{:?}", self.0);
    }
}

fn sorted(mut legs: [LegId; 2]) -> [LegId; 2] {
    legs.sort_unstable();
    legs
}
