//! Two organisations, each with a real PBX, its agent and its node: B5 to B13 across what is between them. Asterisk to
//! Asterisk always, and FreeSWITCH to FreeSWITCH in `direct` mode where it is installed. The demo runs the same between
//! one and the other, in `hold` mode.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use lab::Domains;
use lab::Kind;
use lab::scenario::between::DOMAIN_SCENARIOS;

/// All scenarios of one behaviour between these two; what is the same between all runs between two Asterisks.
fn behaviour(a: Kind, b: Kind, behaviour: &str) {
    let all = (a, b) == (Kind::Asterisk, Kind::Asterisk);
    let scenarios =
        DOMAIN_SCENARIOS.iter().filter(|scenario| scenario.behaviour == behaviour && (all || !scenario.once));
    let inner = DOMAIN_SCENARIOS.iter().any(|scenario| scenario.behaviour == behaviour && scenario.inner);
    // Behind the call server is the other kind, if it is there.
    let behind = if a.find().is_ok() { a } else { Kind::Asterisk };
    let domains = Domains::direct(a, b, inner.then_some(behind));
    let missing = [a, b].into_iter().find(|kind| kind.find().is_err()).unwrap_or(a);
    let Some(mut domains) = lab::or_skip(missing, domains) else { return };
    let (mut ran, mut direct) = (0, 0);
    for scenario in scenarios {
        let told = scenario.run(&mut domains);
        assert!(told.ok, "{told:#?}\n{}", domains.log());
        ran += 1;
    }
    for pbx in domains.pbxs().filter(|pbx| pbx.kind() == Kind::FreeSwitch) {
        let (by_socket, by_event) = pbx.announced();
        assert_eq!(by_event, 0, "calls announced in hold mode");
        direct += by_socket;
    }
    assert!(direct >= ran || b == Kind::Asterisk, "{direct} calls announced in direct mode, in {ran} scenarios");
}

macro_rules! behaviours {
    ($($name:ident: $behaviour:literal,)*) => {
        behaviours! { pair [cfg(all())] asterisk_to_asterisk Asterisk Asterisk $($name $behaviour)* }
        behaviours! { pair [lab::needs_freeswitch] freeswitch_to_freeswitch FreeSwitch FreeSwitch $($name $behaviour)* }
    };
    (pair [$mark:meta] $pair:ident $a:ident $b:ident $($name:ident $behaviour:literal)*) => {
        mod $pair {
            $(#[$mark] #[test] fn $name() { super::behaviour(super::Kind::$a, super::Kind::$b, $behaviour); })*
        }
    };
}

behaviours! {
    b5_a_number_that_has_moved_takes_the_trunk_to_where_it_went: "B5",
    b6_the_first_address_reaches_the_second_client: "B6",
    b7_the_second_address_goes_back_and_both_write: "B7",
    b8_the_extension_is_asked_about_and_never_the_main_number: "B8",
    b9_the_address_crosses_to_a_pbx_behind_the_call_server: "B9",
    b10_at_the_terminating_side_alone_both_are_told: "B10",
    b11_from_node_to_node_where_the_network_drops_the_header: "B11",
    b13_the_pairing_follows_the_voice_to_the_other_side: "B13",
}
