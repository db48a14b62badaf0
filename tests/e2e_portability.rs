//! B5 on real PBXs: what a real DNS server says about the called number decides which way the call goes.

#![allow(clippy::unwrap_used)] // a test that can't go on says where

use lab::scenario::calls::{ALICE, Arrives, CAROL, CallScenario, DAVE, ERIN, FRANK, Person, call};
use std::net::SocketAddr;

use lab::net::knot::{Knot, Records};
use lab::net::ports;
use lab::scenario::portability::{asking, moved, route};
use lab::scenario::site::Site;
use lab::{Capture, Kind, PbxConfig, SidecallConfig};

/// Ported to the peer `b`, to whom a trunk leads.
const TO_B: &str = "+1-303-555-9999";
/// Ported to somebody whom we don't know.
const TO_OTHERS: &str = "+44-20-7946-0000";
/// Ported to us.
const TO_US: &str = "+1-212-444-0000";

fn knot(ported: &[(Person, &str)]) -> Option<Knot> {
    Knot::or_skip(&moved(ported.iter().map(|(person, rn)| (person.dialled, *rn)), 60), 60)
}

/// The DNS knows of one number that its node is the one at that address.
fn serving(person: Person, node: SocketAddr) -> Option<Knot> {
    let regexp = format!("!^.*$!http://{node}!");
    Knot::or_skip(&Records::default().naptr(person.dialled, (100, 10), 60, "E2U+x-sidecall:https", &regexp), 60)
}

fn config(knot: &Knot) -> SidecallConfig {
    let more = asking(knot, "own_routing_numbers = [\"+1212444\"]\n") + &route("+1303");
    SidecallConfig { more, ..SidecallConfig::default() }
}

fn scenario(called: Person, route: &'static str, reason: &'static str, arrives: Arrives, paired: bool) -> CallScenario {
    let title = "What the DNS says of the called number decides";
    CallScenario { paired, title, ..call("B5", [ALICE, called], (route, reason), arrives) }
}

fn run(kind: Kind, ported: &[(Person, &str)], scenarios: &[CallScenario]) {
    let Some(knot) = knot(ported) else { return };
    run_with(kind, &config(&knot), scenarios);
}

fn run_with(kind: Kind, config: &SidecallConfig, scenarios: &[CallScenario]) {
    let set = Site::ready(kind, PbxConfig::patient(), config);
    let Some(mut site) = lab::or_skip(kind, set) else { return };
    for scenario in scenarios {
        let result = site.run(scenario);
        assert!(result.ok, "{result:#?}\n{}\n{}", site.sidecall().log(), site.pbx.log());
    }
}

fn b5_a_ported_out_number_goes_where_it_went(kind: Kind) {
    // Dave has a client here, which is stale: it is told nothing. His client at `b` is the one that answers.
    let packet = scenario(DAVE, "packet", "ported-out", Arrives::Packet, false);
    let pstn = scenario(ERIN, "pstn", "ported-out", Arrives::Pstn, false);
    run(kind, &[(DAVE, TO_B), (ERIN, TO_OTHERS)], &[packet, pstn]);
}

fn b5_a_ported_in_number_is_ours(kind: Kind) {
    let packet = scenario(DAVE, "packet", "ported-in", Arrives::Packet, true);
    let pstn = scenario(ERIN, "pstn", "ported-in", Arrives::Pstn, false);
    // Nobody has put Frank into the directory yet.
    let unknown = scenario(FRANK, "pstn", "ported-in", Arrives::Pstn, false);
    run(kind, &[(DAVE, TO_US), (ERIN, TO_US), (FRANK, TO_US)], &[packet, pstn, unknown]);
}

/// Carol has no client, so nobody asks the DNS about whom she calls. Alice has one, and then it is asked.
fn b2_nothing_is_looked_up_for_a_caller_without_a_client(kind: Kind) {
    let Some(knot) = knot(&[(DAVE, TO_B)]) else { return };
    let set = Site::ready(kind, PbxConfig::patient(), &config(&knot));
    let Some(mut site) = lab::or_skip(kind, set) else { return };
    let mut wire =
        Capture::start(&[knot.address().port()]).unwrap_or_else(|error| panic!("the wire can't be captured: {error}"));
    let nothing =
        CallScenario { caller: CAROL, ..scenario(DAVE, "pstn", "caller-has-no-client", Arrives::Pstn, false) };
    let asked = scenario(DAVE, "packet", "ported-out", Arrives::Packet, false);
    for (scenario, is_asked) in [(nothing, false), (asked, true)] {
        let result = site.run(&scenario);
        assert!(result.ok, "{result:#?}\n{}\n{}", site.sidecall().log(), site.pbx.log());
        let queries = wire.datagrams().unwrap().iter().filter(|datagram| datagram.to == knot.address()).count();
        assert_eq!(queries > 0, is_asked, "{queries} queries");
    }
}

/// Nobody has put Frank into the directory. That our node serves his number and that he has a client is what the DNS
/// alone says: without that record he is ours without a client (above), and called by the PSTN.
fn b5_the_dns_alone_says_that_the_number_has_a_client(kind: Kind) {
    let node = ports::local();
    let Some(knot) = serving(FRANK, node) else { return };
    let packet = scenario(FRANK, "packet", "called-has-client", Arrives::Packet, false);
    let node_lines = format!("public_url = \"http://{node}\"\n");
    run_with(kind, &SidecallConfig { http: Some(node), node_lines, ..config(&knot) }, &[packet]);
}

lab::on_both_pbxs! {
    b2_nothing_is_looked_up_for_a_caller_without_a_client,
    b5_a_ported_out_number_goes_where_it_went,
    b5_a_ported_in_number_is_ours,
    b5_the_dns_alone_says_that_the_number_has_a_client,
}
