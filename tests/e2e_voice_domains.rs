//! B12 between two organisations: the voice is as it would be without us.
//!
//! Each call is made with the same PBXs and phones, first without sidecall, then with it. What every phone gets on
//! the wire, in order, and what every PBX writes down is compared. Where the call takes the packet trunk with
//! sidecall, A's own dialplan takes it too in the call without; what differs there from the same call over the
//! telephone network is compared as well.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::time::Duration;

use lab::scenario;
use lab::scenario::differences::{Compared, Table, differences, none_but_listed};
use lab::scenario::portability::{asking, moved, route};
use lab::scenario::sides::Between;
use lab::scenario::voice::{Observation, Watch};
use lab::{Call, CallerId, Domains, Hosted, Kind, Knot, Phone};
use serde_json::json;

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);

/// Everybody's phones.
struct Phones {
    /// At A: Alice has a client, Dave has none.
    alice: Phone,
    dave: Phone,
    /// At B: Bob and Carol have one; so has Grace, whose number was A's once.
    bob: Phone,
    carol: Phone,
    grace: Phone,
    /// At the PBX behind B.
    inner: Option<Phone>,
    mobile: Phone,
}

impl Phones {
    fn all(&self) -> impl Iterator<Item = &Phone> {
        let here = [&self.alice, &self.dave, &self.bob, &self.carol, &self.grace, &self.mobile];
        here.into_iter().chain(&self.inner)
    }
}

/// One call between two organisations.
struct VoiceScenario {
    name: &'static str,
    /// The ways from A to B with sidecall, of which each is compared.
    between: &'static [Between],
    /// With sidecall it takes the packet trunk, if there is one.
    packet: bool,
    run: fn(&Domains, &Phones),
}

const TRUNK: &[Between] = &[Between::Trunk];
const NETWORK: &[Between] = &[Between::Network];
const BOTH: &[Between] = &[Between::Trunk, Between::Network];

const fn voice(
    name: &'static str,
    between: &'static [Between],
    packet: bool,
    run: fn(&Domains, &Phones),
) -> VoiceScenario {
    VoiceScenario { name, between, packet, run }
}

const MOBILE: &str = "B10, from a mobile";
const BEHIND: &str = "B9, a menu behind the call server";
const PORTED: &str = "B5, a number that has moved";

/// B6, B7, B11 where nothing else is said.
const SCENARIOS: &[VoiceScenario] = &[
    voice("the caller hangs up", BOTH, true, |domains, phones| {
        let (call, there) = talk(&phones.alice, &domains.b.number(1), &phones.bob);
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }),
    voice("the called hangs up", TRUNK, true, |domains, phones| {
        let (call, there) = talk(&phones.alice, &domains.b.number(1), &phones.bob);
        there.hang_up();
        assert!(call.wait_ended(SOON));
    }),
    voice("early media", BOTH, true, |domains, phones| {
        let call = phones.alice.call_as(&domains.b.number(1), "Alice A.", &[]);
        let there = phones.bob.next_call(SOON).unwrap();
        there.speak_early();
        assert!(call.wait_hears(&phones.bob, SOON) && call.status().is_none(), "{:#?}", call.messages());
        there.answer();
        sound_both_ways((&call, &phones.alice), (&there, &phones.bob));
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }),
    voice("B2, a caller without a client", TRUNK, false, |domains, phones| {
        let (call, there) = talk(&phones.dave, &domains.b.number(1), &phones.bob);
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }),
    voice("busy", TRUNK, true, |domains, phones| refused(domains, phones, "486 Busy Here")),
    voice("declined", TRUNK, true, |domains, phones| refused(domains, phones, "603 Decline")),
    voice("no answer", TRUNK, true, |domains, phones| refused(domains, phones, "480 Temporarily Unavailable")),
    voice("a number that nobody has", TRUNK, true, |domains, phones| {
        let call = phones.alice.call_as(&domains.b.number(9), "Alice A.", &[]);
        assert!(call.wait_status(SOON).is_some_and(|status| status >= 400), "{:#?}{}", call.messages(), domains.log());
    }),
    voice("the caller gives up", BOTH, true, |domains, phones| {
        let call = phones.alice.call_as(&domains.b.number(1), "Alice A.", &[]);
        let there = phones.bob.next_call(SOON).unwrap();
        there.ring();
        assert!(call.wait_ringing(SOON));
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }),
    voice(PORTED, TRUNK, true, |domains, phones| {
        let (call, there) = talk(&phones.alice, &domains.b.number(6), &phones.grace);
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }),
    voice("B8, a menu finds the extension", TRUNK, true, |domains, phones| {
        menu(&phones.alice, domains, domains.b.plan().main, &phones.carol);
    }),
    voice("B8 and B13, Bob transfers to Carol", BOTH, true, |domains, phones| {
        let (call, there) = talk(&phones.alice, &domains.b.number(1), &phones.bob);
        assert_eq!(there.refer_to(phones.carol.number()), Some(202));
        let third = answer(&phones.carol);
        sound_both_ways((&call, &phones.alice), (&third, &phones.carol));
        assert_eq!(there.wait_transferred(SOON), Some(200));
        call.hang_up();
        assert!(third.wait_ended(SOON));
    }),
    voice("B8, Bob answers the main number, asks Carol and connects her", TRUNK, true, |domains, phones| {
        let (call, there) = talk(&phones.alice, &domains.b.plan().reception(), &phones.bob);
        assert!(there.hold());
        let (consult, third) = talk(&phones.bob, phones.carol.number(), &phones.carol);
        assert_eq!(there.consulted_transfer_to(&consult), Some(202));
        sound_both_ways((&call, &phones.alice), (&third, &phones.carol));
        call.hang_up();
        assert!(third.wait_ended(SOON));
    }),
    voice(BEHIND, TRUNK, true, |domains, phones| {
        let Some((behind, phone)) = domains.c.as_ref().zip(phones.inner.as_ref()) else { return };
        menu(&phones.alice, domains, behind.plan().main, phone);
    }),
    voice(MOBILE, TRUNK, false, |domains, phones| {
        let (call, there) = talk(&phones.mobile, &domains.b.number(1), &phones.bob);
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }),
    voice("the network withholds the caller", NETWORK, false, |domains, phones| {
        domains.pstn.caller_id(CallerId::Withheld);
        let (call, there) = talk(&phones.alice, &domains.b.number(1), &phones.bob);
        domains.pstn.caller_id(CallerId::AsIs);
        there.hang_up();
        assert!(call.wait_ended(SOON));
    }),
];

/// Both are up and hear each other.
fn sound_both_ways((a, from): (&Call, &Phone), (b, to): (&Call, &Phone)) {
    assert!(a.wait_answered(SOON), "{:?}", a.status());
    scenario::sound_both_ways((a, from), (b, to), SOON).unwrap();
}

fn answer(phone: &Phone) -> Call {
    let call = phone.next_call(SOON).unwrap_or_else(|| panic!("{} isn't called", phone.number()));
    call.ring();
    call.answer();
    call
}

/// `from` calls `number`; `to` rings, answers, and they talk.
fn talk(from: &Phone, number: &str, to: &Phone) -> (Call, Call) {
    scenario::talk(from.call_as(number, "Alice A.", &[]), from, to, SOON).unwrap()
}

fn menu(from: &Phone, domains: &Domains, main: &str, to: &Phone) {
    let call = from.call_as(main, "Alice A.", &[]);
    assert!(call.wait_answered(SOON), "{:?}", call.status());
    call.dtmf(to.number());
    let there = to.next_call(SOON);
    let there = there.unwrap_or_else(|| panic!("the menu doesn't call {}: {}", to.number(), domains.log()));
    there.ring();
    there.answer();
    sound_both_ways((&call, from), (&there, to));
    there.hang_up();
    assert!(call.wait_ended(SOON));
}

fn refused(domains: &Domains, phones: &Phones, status: &str) {
    let call = phones.alice.call_as(&domains.b.number(1), "Alice A.", &[]);
    let there = phones.bob.next_call(SOON).unwrap();
    there.ring();
    assert!(call.wait_ringing(SOON));
    there.refuse(status);
    let told = call.wait_status(SOON);
    assert!(told.is_some_and(|status| status >= 400), "{status}: {told:?}, {:#?}", domains.a.pbx.cdrs());
}

/// Makes the call and reads what was observed.
fn observe(domains: &Domains, phones: &Phones, scenario: &VoiceScenario) -> Observation {
    let mut watch = Watch::default().phones(phones.all()).pbx("B", &domains.b.pbx);
    // A call from a mobile is none of A's.
    if scenario.name != MOBILE {
        watch = watch.pbx("A", &domains.a.pbx);
    }
    if let Some(behind) = domains.c.as_ref().filter(|_| scenario.name == BEHIND) {
        watch = watch.pbx("C", &behind.pbx);
    }
    (scenario.run)(domains, phones);
    watch.end()
}

/// The same without sidecall, where A's own dialplan calls out over that trunk.
fn observe_over(domains: &Domains, phones: &Phones, scenario: &VoiceScenario, trunk: &str) -> Observation {
    domains.a.pbx.call_out_over(trunk);
    let observed = observe(domains, phones, scenario);
    domains.a.pbx.call_out_over("pstn");
    observed
}

/// A's node asks a name server, which says that Grace's number is B's.
fn portability(grace: &str) -> Option<(Knot, String)> {
    let knot = Knot::or_skip(&moved([(grace, "+13105559999")], 60), 60)?;
    let lines = "own_routing_numbers = [\"+1212555\"]\ndeadline_ms = 300\n";
    let more = asking(&knot, lines) + &route("+1310555");
    Some((knot, more))
}

/// Agents, nodes and clients at both sides.
fn start_sidecall(domains: &mut Domains, between: Between, lnp: &str) -> Vec<Hosted> {
    domains.start_sidecall(between, [if between == Between::Trunk { lnp } else { "" }, ""]).unwrap();
    domains.a.sidecall().number(&domains.a.number(2), "Dave", true);
    domains.a.sidecall().number(&domains.b.number(6), "Grace, before she left", false);
    let mut clients = vec![domains.b.client(6, "Grace").unwrap()];
    if let Some(behind) = &domains.c {
        let number = behind.number(2);
        domains.b.sidecall().entry(&number, json!({"name": "Carol", "pbx": lab::scenario::domains::INNER}));
        clients.push(Hosted::start(domains.b.sidecall(), &number).unwrap());
    }
    clients
}

/// Without sidecall every call from A to B goes over the telephone network. With it those of clients take the
/// packet trunk, where there is one, and nobody may notice.
fn b12_between(a: Kind, b: Kind) {
    // B9 is played with either call server, and either PBX behind it. Two FreeSWITCHes are in `direct` mode.
    let alike = (a, b) == (Kind::FreeSwitch, Kind::FreeSwitch);
    let set = if alike { Domains::direct(a, b, None) } else { Domains::start(a, b, Some(a)) };
    let missing = [a, b].into_iter().find(|kind| kind.find().is_err()).unwrap_or(a);
    let Some(mut domains) = lab::or_skip(missing, set) else { return };
    let phones = Phones {
        alice: domains.a.phone(1).unwrap(),
        dave: domains.a.phone(2).unwrap(),
        bob: domains.b.phone(1).unwrap(),
        carol: domains.b.phone(2).unwrap(),
        grace: domains.b.phone(6).unwrap(),
        inner: domains.c.as_ref().map(|behind| behind.phone(2).unwrap()),
        mobile: domains.pstn.mobile(0).unwrap(),
    };
    let lnp = portability(&domains.b.number(6));
    let scenarios = SCENARIOS.iter().filter(|scenario| match scenario.name {
        BEHIND => phones.inner.is_some(),
        PORTED => lnp.is_some(),
        _ => true,
    });
    let scenarios: Vec<&VoiceScenario> = scenarios.collect();
    let without = |domains: &Domains, scenario: &VoiceScenario, trunk| observe_over(domains, &phones, scenario, trunk);
    let over_network: Vec<Observation> = scenarios.iter().map(|scenario| without(&domains, scenario, "pstn")).collect();
    let packets: Vec<&VoiceScenario> = scenarios.iter().copied().filter(|scenario| scenario.packet).collect();
    let over_trunk: Vec<Observation> = packets.iter().map(|scenario| without(&domains, scenario, "sidecall")).collect();
    let plain = |scenario: &VoiceScenario, packet: bool| match packet {
        true => &over_trunk[packets.iter().position(|other| other.name == scenario.name).unwrap()],
        false => &over_network[scenarios.iter().position(|other| other.name == scenario.name).unwrap()],
    };
    let (mut with_sidecall, mut routes) = (Vec::new(), Vec::new());
    for between in [Between::Trunk, Between::Network] {
        let _clients = start_sidecall(&mut domains, between, lnp.as_ref().map_or("", |(_, lines)| lines));
        for scenario in scenarios.iter().copied().filter(|scenario| scenario.between.contains(&between)) {
            let packets = |domains: &Domains| {
                domains.a.sidecall().calls().iter().filter(|call| call["route"] == "packet").count()
            };
            let before = packets(&domains);
            let with = observe(&domains, &phones, scenario);
            let packet = scenario.packet && between == Between::Trunk;
            assert_eq!(packets(&domains) - before, usize::from(packet), "{}: {}", scenario.name, domains.log());
            let without = vec![plain(scenario, packet).clone()];
            with_sidecall.push(Compared { call: scenario.name, packet, without, with });
            routes.push((scenario, if packet { "sidecall" } else { "pstn" }));
        }
    }
    for domain in [&mut domains.a, &mut domains.b] {
        assert!(domain.sidecall_mut().child().terminate(SOON).is_some(), "sidecall does not end");
    }
    let pair = format!("{a} to {b}");
    let mut found =
        differences(&pair, Table::Sidecall, &mut with_sidecall, |n| without(&domains, routes[n].0, routes[n].1));
    let named = |name: &str| packets.iter().copied().find(|scenario| scenario.name == name).unwrap();
    // The trunk varies by itself, too: what counts is how the call went that is like the one with sidecall.
    let on_trunk = with_sidecall.iter().filter(|call| call.packet).map(|call| {
        let network = plain(named(call.call), false).clone();
        let trunk = call.compared_with(&pair, Table::Sidecall).clone();
        Compared { call: call.call, packet: true, without: vec![network], with: trunk }
    });
    let mut on_trunk: Vec<Compared> = on_trunk.collect();
    let names: Vec<&str> = on_trunk.iter().map(|call| call.call).collect();
    let again = |n: usize| without(&domains, named(names[n]), "pstn");
    found.extend(differences(&pair, Table::Trunk, &mut on_trunk, again));
    none_but_listed(&pair, &found);
}

#[test]
fn b12_asterisk_to_asterisk() {
    b12_between(Kind::Asterisk, Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn b12_asterisk_to_freeswitch() {
    b12_between(Kind::Asterisk, Kind::FreeSwitch);
}

#[lab::needs_freeswitch]
#[test]
fn b12_freeswitch_to_asterisk() {
    b12_between(Kind::FreeSwitch, Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn b12_freeswitch_to_freeswitch() {
    b12_between(Kind::FreeSwitch, Kind::FreeSwitch);
}
