//! Two organisations of the lab, without and with sidecall: calls go over the telephone network, which
//! drops what it doesn't know, or over the packet trunk, which carries it. The wire is captured.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::time::Duration;

use lab::scenario::{self, wire::carried};
use lab::{Call, CallerId, Capture, Domains, Kind, PSTN, Phone, SidecallConfig};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);

/// A PBX in the place of A, the other one in that of B if it is here. All pairs are in `e2e_domains`.
fn on_a_pair(a: Kind, test: impl Fn(&mut Domains)) {
    let other = if a == Kind::Asterisk { Kind::FreeSwitch } else { Kind::Asterisk };
    let b = if other.find().is_ok() { other } else { a };
    if let Some(mut domains) = lab::or_skip(a, Domains::start_with(a, b, None, |config| config)) {
        test(&mut domains);
    }
}

/// A capture. A machine that can't make one shows nothing of what is claimed here.
fn capture(domains: &Domains) -> Capture {
    domains.capture().unwrap_or_else(|error| panic!("the wire can't be captured: {error}"))
}

/// `from` calls `number`, and `to` answers.
fn talk(domains: &Domains, from: &Phone, number: &str, to: &Phone) -> (Call, Call) {
    let call = from.call_as(number, "", &["User-to-User: 0461;encoding=hex", "X-Lab: 1"]);
    scenario::talk(call, from, to, SOON).unwrap_or_else(|problem| panic!("{problem}\n{}", domains.log()))
}

/// The one hangs up, and the other notices.
fn end(domains: &Domains, call: &Call, there: &Call) {
    call.hang_up();
    assert!(there.wait_ended(SOON), "{:#?}{:#?}{}", call.messages(), there.messages(), domains.log());
}

fn the_network_strips_headers_and_rewrites_callers(kind: Kind) {
    on_a_pair(kind, |domains| {
        let (alice, bob) = (domains.a.phone(0).unwrap(), domains.b.phone(1).unwrap());
        let wire = capture(domains);
        let shown =
            [(CallerId::AsIs, "+12125551000"), (CallerId::National, "2125551000"), (CallerId::Withheld, "anonymous")];
        for (rewritten, _) in shown {
            domains.pstn.caller_id(rewritten);
            let (call, there) = talk(domains, &alice, &domains.b.number(1), &bob);
            end(domains, &call, &there);
        }
        let packets = wire.stop().unwrap();
        let out = packets.between(domains.a.pbx.trunk_sip().ip(), PSTN).invites();
        assert_eq!(out.iter().map(|p| p.message.calling()).collect::<Vec<_>>(), ["+12125551000"; 3]);
        let on = packets.between(PSTN, domains.b.pbx.trunk_sip().ip()).invites();
        assert_eq!(on.len(), 3);
        for (packet, (rewritten, caller)) in on.iter().zip(shown) {
            assert_eq!(packet.message.calling(), caller);
            assert_eq!(packet.message.called(), domains.b.number(1));
            assert_eq!(packet.message.header("User-to-User"), None);
            assert_eq!(packet.message.header("X-Lab"), None);
            assert_eq!(packet.message.header("Privacy").is_some(), rewritten == CallerId::Withheld);
        }
    });
}

fn a_mobile_calls_and_is_called(kind: Kind) {
    on_a_pair(kind, |domains| {
        let (mobile, bob) = (domains.pstn.mobile(0).unwrap(), domains.b.phone(1).unwrap());
        let (call, there) = talk(domains, &mobile, &domains.b.number(1), &bob);
        assert_eq!(there.calling(), "+19175550100");
        end(domains, &there, &call);
        let (call, there) = talk(domains, &bob, "+19175550100", &mobile);
        assert_eq!(there.calling(), domains.b.number(1));
        end(domains, &call, &there);
    });
}

fn the_packet_trunk_carries_the_address_and_the_network_does_not(kind: Kind) {
    on_a_pair(kind, |domains| {
        let (alice, bob) = (domains.a.phone(0).unwrap(), domains.b.phone(1).unwrap());
        let wire = capture(domains);
        domains.a.start_sidecall(&SidecallConfig::default()).unwrap();
        let client = domains.a.client(0, "Alice").unwrap();
        let (call, there) = talk(domains, &alice, &domains.b.number(1), &bob);
        end(domains, &call, &there);
        drop(client);
        domains.a.running = None;
        let (call, there) = talk(domains, &alice, &domains.b.number(1), &bob);
        end(domains, &call, &there);
        let packets = wire.stop().unwrap();
        let (a, b) = (domains.a.pbx.trunk_sip().ip(), domains.b.pbx.trunk_sip().ip());
        let trunk = packets.between(a, b).invites();
        assert_eq!(trunk.len(), 1);
        assert!(carried(&trunk[0].message).unwrap().contains("/a/"), "{trunk:?}");
        assert_eq!(trunk[0].message.calling(), domains.a.number(0));
        assert_eq!(packets.between(a, PSTN).invites().len(), 1);
        assert!(packets.between(PSTN, b).with_header("User-to-User").0.is_empty());
    });
}

#[lab::needs_freeswitch]
#[test]
fn a_pbx_behind_the_call_server_is_reached_through_it() {
    for (a, b, c) in
        [(Kind::Asterisk, Kind::Asterisk, Kind::FreeSwitch), (Kind::Asterisk, Kind::FreeSwitch, Kind::Asterisk)]
    {
        let Some(mut domains) = lab::or_skip(b, Domains::start_with(a, b, Some(c), |config| config)) else { continue };
        let inner = domains.c.as_ref().unwrap();
        let (alice, carol) = (domains.a.phone(0).unwrap(), inner.phone(2).unwrap());
        let (call, there) = talk(&domains, &alice, &inner.number(2), &carol);
        assert_eq!(there.calling(), domains.a.number(0));
        end(&domains, &call, &there);
        menu(&domains, &alice, &carol);
        // And outward.
        let (call, there) = talk(&domains, &carol, &domains.a.number(0), &alice);
        assert_eq!(there.calling(), inner.number(2));
        end(&domains, &call, &there);
        let wire = capture(&domains);
        domains.start_b(&SidecallConfig::default()).unwrap();
        assert_eq!(domains.b.sidecall().get("/v1/status")["pbxs"].as_array().unwrap().len(), 2);
        domains.a.start_sidecall(&SidecallConfig::default()).unwrap();
        let _client = domains.a.client(0, "Alice").unwrap();
        menu(&domains, &alice, &carol);
        let packets = wire.stop().unwrap();
        let [a, b, c] = [&domains.a, &domains.b, domains.c.as_ref().unwrap()].map(|d| d.pbx.trunk_sip().ip());
        let (first, second) = (packets.between(a, b).invites(), packets.between(b, c).invites());
        assert_eq!((first.len(), second.len(), packets.between(a, PSTN).invites().len()), (1, 1, 0));
        assert!(carried(&first[0].message).is_some(), "{first:?}");
        assert_eq!(carried(&second[0].message), carried(&first[0].message), "{second:?}");
    }
}

/// Alice calls the main number of the PBX behind B and keys Carol's extension.
fn menu(domains: &Domains, alice: &Phone, carol: &Phone) {
    let call = alice.call(domains.c.as_ref().unwrap().plan().main);
    assert!(call.wait_answered(SOON), "{}", domains.log());
    call.dtmf(carol.number());
    let there = carol.answer_next(SOON).unwrap_or_else(|| panic!("{}", domains.log()));
    assert!(call.wait_hears(carol, SOON) && there.wait_hears(alice, SOON));
    end(domains, &there, &call);
}

lab::on_both_pbxs! {
    the_network_strips_headers_and_rewrites_callers,
    a_mobile_calls_and_is_called,
    the_packet_trunk_carries_the_address_and_the_network_does_not,
}
