//! The main job, on each real PBX of this machine: announced, decided, routed, pushed. The agent is attached to Asterisk
//! over TLS and to FreeSWITCH in `direct` mode; the demo runs the same over plain TCP and in `hold` mode.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use lab::scenario::calls::CALL_SCENARIOS;
use lab::scenario::site::{CallResult, Site};
use lab::{Kind, PbxConfig, SidecallConfig};

/// The site, if this machine has the PBX; else one line says that the test was skipped.
fn site(kind: Kind) -> Option<Site> {
    let config = PbxConfig::direct(PbxConfig { tls: true, ..PbxConfig::patient() });
    let sidecall = SidecallConfig { tls: true, ..SidecallConfig::default() };
    lab::or_skip(kind, Site::ready(kind, config, &sidecall))
}

fn behaviour(kind: Kind, behaviour: &str) {
    let Some(mut site) = site(kind) else { return };
    site.tap().unwrap_or_else(|error| panic!("the wire can't be captured: {error}"));
    let scenarios = CALL_SCENARIOS.iter().filter(|scenario| scenario.behaviour == behaviour);
    let results: Vec<CallResult> = scenarios.map(|scenario| site.run(scenario)).collect();
    assert!(!results.is_empty());
    assert!(results.iter().all(|p| p.ok), "{results:#?}\n{}\n{}", site.sidecall().log(), site.pbx.log());
    if kind == Kind::FreeSwitch {
        assert_eq!(site.pbx.announced(), (results.len(), 0), "calls announced by socket, and by event");
    }
}

macro_rules! behaviours {
    ($($name:ident: $behaviour:literal,)*) => {
        mod asterisk {
            $(#[test] fn $name() { super::behaviour(super::Kind::Asterisk, $behaviour); })*
        }
        mod freeswitch {
            $(#[lab::needs_freeswitch] #[test] fn $name() { super::behaviour(super::Kind::FreeSwitch, $behaviour); })*
        }
    };
}

behaviours! {
    b1_the_address_travels_to_a_number_that_is_not_ours: "B1",
    b2_a_caller_without_a_client_makes_an_ordinary_call: "B2",
    b3_both_clients_get_each_others_address: "B3",
    b4_a_called_number_without_a_client_is_called_as_ever: "B4",
    b10_at_the_terminating_switch_alone_both_get_the_address: "B10",
}
