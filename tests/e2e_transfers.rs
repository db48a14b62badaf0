//! Whoever talks after a transfer, a pick-up, a forward, a queue is paired, whoever no longer does is told
//! so, and nobody else learns an address: on each real PBX of this machine.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

mod lab;

use lab::Kind;
use lab::transfers::{Office, TRANSFERS};

/// Plays what has this name.
fn transfer(kind: Kind, name: &str) {
    let transfer = TRANSFERS.iter().find(|transfer| transfer.name == name).unwrap();
    if transfer.only.is_some_and(|only| only != kind) {
        return;
    }
    let Some(mut office) = lab::or_skip(kind, Office::open(kind)) else { return };
    match transfer.play(&mut office.staff) {
        Ok(told) => eprintln!("{kind}: {name}: {told:?}"),
        Err(problem) => panic!(
            "{kind}: {name}: {problem}\n{:#?}\n{}\n{}",
            office.sidecall.calls(),
            office.sidecall.log(),
            office.pbx.log()
        ),
    }
}

/// The agent is killed while people talk, some of them after a transfer: when it is back it takes them for
/// whom they are, tells nobody anything, and still tells the end.
fn after_a_restart_they_talk_to_the_same_people(kind: Kind) {
    for name in ["attended, by the called", "directed pick-up", "conference of three"] {
        let transfer = TRANSFERS.iter().find(|transfer| transfer.name == name).unwrap();
        let Some(mut office) = lab::or_skip(kind, Office::open(kind)) else { return };
        let again = || {
            office.sidecall.restart().unwrap();
            office.sidecall.wait_until_attached().unwrap();
        };
        if let Err(problem) = transfer.play_and(&mut office.staff, again) {
            panic!("{kind}: {name}: {problem}\n{:#?}\n{}", office.sidecall.calls(), office.sidecall.log());
        }
    }
}

mod restart {
    #[test]
    fn asterisk_after_a_restart_they_talk_to_the_same_people() {
        super::after_a_restart_they_talk_to_the_same_people(super::Kind::Asterisk);
    }

    #[test]
    fn freeswitch_after_a_restart_they_talk_to_the_same_people() {
        super::after_a_restart_they_talk_to_the_same_people(super::Kind::FreeSwitch);
    }
}

macro_rules! transfers {
    ($($test:ident: $name:literal,)*) => {
        mod asterisk {
            $(#[test] fn $test() { super::transfer(super::Kind::Asterisk, $name); })*
        }
        mod freeswitch {
            $(#[test] fn $test() { super::transfer(super::Kind::FreeSwitch, $name); })*
        }
        #[test]
        fn every_transfer_has_its_test() {
            let tested = [$($name),*];
            assert_eq!(TRANSFERS.iter().map(|transfer| transfer.name).collect::<Vec<_>>(), tested);
        }
    };
}

transfers! {
    a_menu_finds_the_extension: "IVR menu",
    the_called_side_transfers_blind: "blind, by the called",
    the_calling_side_transfers_blind: "blind, by the caller",
    the_called_side_transfers_attended: "attended, by the called",
    the_calling_side_transfers_attended: "attended, by the caller",
    a_feature_code_transfers_attended: "attended, by feature code",
    a_directed_pickup: "directed pick-up",
    a_group_pickup: "group pick-up",
    hold_keeps_the_pair: "hold and resume",
    a_forward_by_the_dialplan: "forwarded by the dialplan",
    a_forward_by_the_phone: "forwarded by the phone (302)",
    a_ring_group: "ring group",
    a_queue: "queue",
    parking: "parked and taken back",
    a_conference_pairs_everyone_with_everyone: "conference of three",
}
