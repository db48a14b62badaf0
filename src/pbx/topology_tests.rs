//! Who hears whom through bridges, conferences and the halves of local channels.

use super::super::asterisk::kind;
use super::*;
use crate::pbx::sorted;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn member(leg: &str, channel: &str) -> Member {
    Member { leg: leg.parse().unwrap(), kind: kind(channel), device: Device::Unnamed }
}

/// Who hears whom now, told by events alone.
#[derive(Default)]
struct Room {
    topology: Topology,
    pairs: BTreeSet<[LegId; 2]>,
}

impl Room {
    fn told(&mut self, events: Vec<PbxEvent>) {
        for event in events {
            match event {
                PbxEvent::Bridged { legs, .. } => assert!(self.pairs.insert(sorted(&legs)), "told twice"),
                PbxEvent::Unbridged { legs } => assert!(self.pairs.remove(&sorted(&legs)), "was not told"),
                other => panic!("{other:?}"),
            }
        }
    }

    fn enter(&mut self, bridge: &str, leg: &str, channel: &str) {
        let events = self.topology.enter(bridge, member(leg, channel), None);
        self.told(events);
    }

    fn swap(&mut self, bridge: &str, leg: &str, channel: &str, swap: &str) {
        let events = self.topology.enter(bridge, member(leg, channel), Some(&swap.parse().unwrap()));
        self.told(events);
    }

    fn leave(&mut self, bridge: &str, leg: &str) {
        let events = self.topology.leave(bridge, &leg.parse().unwrap());
        self.told(events);
    }

    fn pairs(&self) -> Vec<String> {
        self.pairs.iter().map(|[a, b]| format!("{a}-{b}")).collect()
    }
}

#[test]
fn two_people_hear_each_other_through_a_local_channel() {
    let mut room = Room::default();
    room.enter("x", "Q", "PJSIP/1002-1");
    room.enter("x", "L2", "Local/1002@c-0;2");
    assert!(room.pairs().is_empty(), "a half is nobody");
    room.enter("y", "L1", "Local/1002@c-0;1");
    room.enter("y", "A", "PJSIP/1000-0");
    assert_eq!(room.pairs(), ["A-Q"]);
    room.leave("x", "L2");
    assert!(room.pairs().is_empty());
}

#[test]
fn what_is_joined_by_the_last_half_is_joined() {
    let mut room = Room::default();
    room.enter("x", "A", "PJSIP/1000-0");
    room.enter("x", "B", "PJSIP/1001-0");
    room.enter("x", "L1", "Local/9@c-0;1");
    room.enter("y", "C", "PJSIP/1002-0");
    room.enter("y", "M2", "Local/8@c-1;2");
    room.enter("z", "M1", "Local/8@c-1;1");
    room.enter("z", "D", "PJSIP/1003-0");
    assert_eq!(room.pairs(), ["A-B", "C-D"]);
    room.enter("y", "L2", "Local/9@c-0;2");
    assert_eq!(room.pairs(), ["A-B", "A-C", "A-D", "B-C", "B-D", "C-D"]);
    let events = room.topology.hang_up(&"L1".parse().unwrap());
    room.told(events);
    assert_eq!(room.pairs(), ["A-B", "C-D"]);
}

#[test]
fn a_local_channel_that_is_optimised_away_leaves_them_together() {
    let mut room = Room::default();
    room.enter("x", "Q", "PJSIP/1002-1");
    room.enter("x", "L2", "Local/1002@c-0;2");
    room.enter("y", "L1", "Local/1002@c-0;1");
    room.enter("y", "A", "PJSIP/1000-0");
    room.swap("x", "A", "PJSIP/1000-0", "L2");
    room.leave("y", "L1");
    room.leave("x", "L2");
    assert_eq!(room.pairs(), ["A-Q"]);
}

#[test]
fn announcers_and_recorders_of_a_conference_are_nobody() {
    let mut room = Room::default();
    room.enter("x", "R", "CBRec/conf-1");
    room.enter("x", "P", "CBAnn/room-0;2");
    room.enter("x", "A", "PJSIP/1000-0");
    room.enter("x", "B", "PJSIP/1001-0");
    assert_eq!(room.pairs(), ["A-B"]);
}

proptest! {
    /// Whoever comes and goes, and in whatever order: what was told is what is.
    #[test]
    fn what_was_told_is_what_is(steps in prop::collection::vec((0u8..3, 0usize..9, any::<bool>()), 0..60)) {
        let channels = [
            "PJSIP/a-0", "PJSIP/b-0", "PJSIP/c-0", "PJSIP/d-0", "Local/1@c-0;1", "Local/1@c-0;2", "Local/2@c-1;1",
            "Local/2@c-1;2", "CBAnn/x-0;1",
        ];
        let mut topology = Topology::default();
        let mut pairs = BTreeSet::new();
        for (bridge, n, enters) in steps {
            let (bridge, leg) = (format!("b{bridge}"), format!("L{n}"));
            let events = match enters {
                true => topology.enter(&bridge, member(&leg, channels[n]), None),
                false => topology.leave(&bridge, &leg.parse().unwrap()),
            };
            for event in events {
                match event {
                    PbxEvent::Bridged { mut legs, .. } => { legs.sort(); pairs.insert(legs); }
                    PbxEvent::Unbridged { mut legs } => { legs.sort(); pairs.remove(&legs); }
                    _ => {}
                }
            }
            let mut there = BTreeSet::new();
            for n in 0..4 {
                let leg: LegId = format!("L{n}").parse().unwrap();
                for other in topology.heard_by(&leg) {
                    let mut legs = [leg.clone(), other];
                    legs.sort();
                    there.insert(legs);
                }
            }
            prop_assert_eq!(&there, &pairs);
        }
    }
}
