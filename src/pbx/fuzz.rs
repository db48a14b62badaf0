//! What the fuzz bodies of both translators share.

use std::collections::BTreeSet;

use super::{PbxEvent, Snapshot, sorted};
use crate::core::base::name::LegId;

/// Who hears whom, by what was told.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeSet<[LegId; 2]>);

impl Told {
    /// Nobody hears themselves, and texts from the wire are cut to the length that their readers count on.
    pub(super) fn take(&mut self, events: Vec<PbxEvent>) {
        for event in events {
            match event {
                PbxEvent::Bridged { legs, .. } => {
                    assert_ne!(legs[0], legs[1], "somebody hears themselves");
                    self.0.insert(sorted(&legs));
                }
                PbxEvent::Unbridged { legs } => {
                    self.0.remove(&sorted(&legs));
                }
                PbxEvent::HungUp { leg, cause } => {
                    self.0.retain(|legs| !legs.contains(&leg));
                    assert!(cause.is_none_or(|cause| cause.len() <= 64));
                }
                PbxEvent::Announced(announcement) => {
                    assert!(!announcement.tags.called.is_empty() && announcement.hold.as_secs() <= 10);
                    assert!(announcement.tags.called.chars().count() <= 64);
                }
                PbxEvent::MainNumber { tags, .. } => {
                    assert!(tags.calling.chars().count() <= 64);
                }
                PbxEvent::EnrolmentDialled(held) => {
                    assert!(held.hold.as_secs() <= 10 && held.device.number().is_some_and(|number| number.len() <= 21));
                }
                PbxEvent::Dialled { .. }
                | PbxEvent::Identified { .. }
                | PbxEvent::Answered { .. }
                | PbxEvent::Gap { .. } => {}
            }
        }
    }

    /// Goes on from a snapshot, as the agent does.
    pub(super) fn restart(&mut self, snapshot: &Snapshot) {
        self.0 = snapshot.shown().heard().cloned().collect();
    }

    /// All have hung up.
    pub(super) fn nobody_is_left(&self) {
        assert!(self.0.is_empty(), "{:?}", self.0);
    }
}
