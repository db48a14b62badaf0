//! B12 between two organisations: the voice is as it would be without us.
//!
//! Each call is made with the same PBXs and phones, first without sidecall, then with it. What every phone gets on
//! the wire, in order, and what every PBX writes down is compared. Where the call takes the packet trunk with
//! sidecall, A's own dialplan takes it too in the call without; what differs there from the same call over the
//! telephone network is compared as well.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::time::Duration;

use lab::net::knot::{Knot, Records, ZONE};
use lab::scenario::differences::{Compared, Table, compare, none_but_listed};
use lab::scenario::pair::{Between, Theatre};
use lab::scenario::voice::{Seen, Watch};
use lab::{Call, CallerId, Domains, Hosted, Kind, Phone};
use serde_json::json;

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);

/// Everybody's phones.
struct Cast {
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

impl Cast {
    fn all(&self) -> impl Iterator<Item = &Phone> {
        let here = [&self.alice, &self.dave, &self.bob, &self.carol, &self.grace, &self.mobile];
        here.into_iter().chain(&self.inner)
    }
}

/// One call between two organisations.
struct Play {
    name: &'static str,
    /// The ways from A to B with sidecall, of which each is compared.
    between: &'static [Between],
    /// With sidecall it takes the packet trunk, if there is one.
    packet: bool,
    run: fn(&Domains, &Cast),
}

const TRUNK: &[Between] = &[Between::Trunk];
const NETWORK: &[Between] = &[Between::Network];
const BOTH: &[Between] = &[Between::Trunk, Between::Network];

const fn play(name: &'static str, between: &'static [Between], packet: bool, run: fn(&Domains, &Cast)) -> Play {
    Play { name, between, packet, run }
}

const MOBILE: &str = "B10, from a mobile";
const BEHIND: &str = "B9, a menu behind the call server";
const PORTED: &str = "B5, a number that has moved";

/// B6, B7, B11 where nothing else is said.
const PLAYS: &[Play] = &[
    play("the caller hangs up", BOTH, true, |domains, cast| {
        let (call, there) = talk(&cast.alice, &domains.b.number(1), &cast.bob);
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }),
    play("the called hangs up", TRUNK, true, |domains, cast| {
        let (call, there) = talk(&cast.alice, &domains.b.number(1), &cast.bob);
        there.hang_up();
        assert!(call.wait_ended(SOON));
    }),
    play("early media", BOTH, true, |domains, cast| {
        let call = cast.alice.call_as(&domains.b.number(1), "Alice A.", &[]);
        let there = cast.bob.next_call(SOON).unwrap();
        there.speak_early();
        assert!(call.wait_hears(&cast.bob, SOON) && call.status().is_none(), "{:#?}", call.messages());
        there.answer();
        hear((&call, &cast.alice), (&there, &cast.bob));
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }),
    play("B2, a caller without a client", TRUNK, false, |domains, cast| {
        let (call, there) = talk(&cast.dave, &domains.b.number(1), &cast.bob);
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }),
    play("busy", TRUNK, true, |domains, cast| refused(domains, cast, "486 Busy Here")),
    play("declined", TRUNK, true, |domains, cast| refused(domains, cast, "603 Decline")),
    play("no answer", TRUNK, true, |domains, cast| refused(domains, cast, "480 Temporarily Unavailable")),
    play("a number that nobody has", TRUNK, true, |domains, cast| {
        let call = cast.alice.call_as(&domains.b.number(9), "Alice A.", &[]);
        assert!(call.wait_status(SOON).is_some_and(|status| status >= 400), "{:#?}{}", call.messages(), domains.log());
    }),
    play("the caller gives up", BOTH, true, |domains, cast| {
        let call = cast.alice.call_as(&domains.b.number(1), "Alice A.", &[]);
        let there = cast.bob.next_call(SOON).unwrap();
        there.ring();
        assert!(call.wait_ringing(SOON));
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }),
    play(PORTED, TRUNK, true, |domains, cast| {
        let (call, there) = talk(&cast.alice, &domains.b.number(6), &cast.grace);
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }),
    play("B8, a menu finds the extension", TRUNK, true, |domains, cast| {
        menu(&cast.alice, domains, domains.b.plan().main, &cast.carol);
    }),
    play("B8 and B13, Bob transfers to Carol", BOTH, true, |domains, cast| {
        let (call, there) = talk(&cast.alice, &domains.b.number(1), &cast.bob);
        assert_eq!(there.refer_to(cast.carol.number()), Some(202));
        let third = answer(&cast.carol);
        hear((&call, &cast.alice), (&third, &cast.carol));
        assert_eq!(there.wait_transferred(SOON), Some(200));
        call.hang_up();
        assert!(third.wait_ended(SOON));
    }),
    play("B8, Bob answers the main number, asks Carol and connects her", TRUNK, true, |domains, cast| {
        let (call, there) = talk(&cast.alice, &domains.b.plan().reception(), &cast.bob);
        assert!(there.hold());
        let (consult, third) = talk(&cast.bob, cast.carol.number(), &cast.carol);
        assert_eq!(there.attended_transfer_to(&consult), Some(202));
        hear((&call, &cast.alice), (&third, &cast.carol));
        call.hang_up();
        assert!(third.wait_ended(SOON));
    }),
    play(BEHIND, TRUNK, true, |domains, cast| {
        let Some((behind, phone)) = domains.c.as_ref().zip(cast.inner.as_ref()) else { return };
        menu(&cast.alice, domains, behind.plan().main, phone);
    }),
    play(MOBILE, TRUNK, false, |domains, cast| {
        let (call, there) = talk(&cast.mobile, &domains.b.number(1), &cast.bob);
        call.hang_up();
        assert!(there.wait_ended(SOON));
    }),
    play("the network withholds the caller", NETWORK, false, |domains, cast| {
        domains.pstn.caller_id(CallerId::Withheld);
        let (call, there) = talk(&cast.alice, &domains.b.number(1), &cast.bob);
        domains.pstn.caller_id(CallerId::AsIs);
        there.hang_up();
        assert!(call.wait_ended(SOON));
    }),
];

/// Both are up and hear each other.
fn hear((a, from): (&Call, &Phone), (b, to): (&Call, &Phone)) {
    assert!(a.wait_answered(SOON), "{:?}", a.status());
    assert!(a.wait_hears(to, SOON) && b.wait_hears(from, SOON));
}

fn answer(phone: &Phone) -> Call {
    let call = phone.next_call(SOON).unwrap_or_else(|| panic!("{} isn't called", phone.number()));
    call.ring();
    call.answer();
    call
}

/// `from` calls `number`; `to` rings, answers, and they talk.
fn talk(from: &Phone, number: &str, to: &Phone) -> (Call, Call) {
    let call = from.call_as(number, "Alice A.", &[]);
    let there = to.next_call(SOON).unwrap_or_else(|| panic!("{number} isn't called: {:?}", call.status()));
    there.ring();
    assert!(call.wait_ringing(SOON));
    there.answer();
    hear((&call, from), (&there, to));
    (call, there)
}

fn menu(from: &Phone, domains: &Domains, main: &str, to: &Phone) {
    let call = from.call_as(main, "Alice A.", &[]);
    assert!(call.wait_answered(SOON), "{:?}", call.status());
    call.dtmf(to.number());
    let there = to.next_call(SOON);
    let there = there.unwrap_or_else(|| panic!("the menu doesn't call {}: {}", to.number(), domains.log()));
    there.ring();
    there.answer();
    hear((&call, from), (&there, to));
    there.hang_up();
    assert!(call.wait_ended(SOON));
}

fn refused(domains: &Domains, cast: &Cast, status: &str) {
    let call = cast.alice.call_as(&domains.b.number(1), "Alice A.", &[]);
    let there = cast.bob.next_call(SOON).unwrap();
    there.ring();
    assert!(call.wait_ringing(SOON));
    there.refuse(status);
    let told = call.wait_status(SOON);
    assert!(told.is_some_and(|status| status >= 400), "{status}: {told:?}, {:#?}", domains.a.pbx.cdrs());
}

/// Plays it and reads what was seen.
fn seen(domains: &Domains, cast: &Cast, play: &Play) -> Seen {
    let mut watch = Watch::default().phones(cast.all()).pbx("B", &domains.b.pbx);
    // A call from a mobile is none of A's.
    if play.name != MOBILE {
        watch = watch.pbx("A", &domains.a.pbx);
    }
    if let Some(behind) = domains.c.as_ref().filter(|_| play.name == BEHIND) {
        watch = watch.pbx("C", &behind.pbx);
    }
    (play.run)(domains, cast);
    watch.end()
}

/// Plays it without sidecall, where A's own dialplan calls out over that trunk.
fn seen_over(domains: &Domains, cast: &Cast, play: &Play, trunk: &str) -> Seen {
    domains.a.pbx.call_out_over(trunk);
    let seen = seen(domains, cast, play);
    domains.a.pbx.call_out_over("pstn");
    seen
}

/// A's node asks a name server, which says that Grace's number is B's.
fn portability(grace: &str) -> Option<(Knot, String)> {
    let regexp = "!^(.*)$!tel:\\1;npdi;rn=+13105559999!";
    let knot = Knot::or_skip(&Records::default().naptr(grace, (100, 10), 60, "E2U+pstn:tel", regexp), 60)?;
    let lines = format!(
        "[node.lnp]\nown_routing_numbers = [\"+1212555\"]\ndeadline_ms = 300\n\
         [[node.lnp.source]]\nname = \"enum\"\nkind = \"enum\"\nsuffix = \"{ZONE}\"\nservers = [\"{}\"]\n\
         [[node.lnp.route]]\nrn_prefix = \"+1310555\"\ntrunk = \"sidecall\"\n",
        knot.address()
    );
    Some((knot, lines))
}

/// Agents, nodes and clients at both sides.
fn raise(theatre: &mut Theatre, between: Between, lnp: &str) -> Vec<Hosted> {
    theatre.raise(between, if between == Between::Trunk { lnp } else { "" }).unwrap();
    let domains = &theatre.domains;
    domains.a.serve(2, "Dave");
    domains.a.sidecall().number(&domains.b.number(6), "Grace, before she left", false);
    domains.b.serve(6, "Grace");
    let mut clients = vec![domains.b.client(6).unwrap()];
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
    let set = if alike { Theatre::direct(a, b, None) } else { Theatre::with_inner(a, b, a) };
    let missing = [a, b].into_iter().find(|kind| kind.find().is_err()).unwrap_or(a);
    let Some(mut theatre) = lab::or_skip(missing, set) else { return };
    let cast = Cast {
        alice: theatre.domains.a.phone(1).unwrap(),
        dave: theatre.domains.a.phone(2).unwrap(),
        bob: theatre.domains.b.phone(1).unwrap(),
        carol: theatre.domains.b.phone(2).unwrap(),
        grace: theatre.domains.b.phone(6).unwrap(),
        inner: theatre.domains.c.as_ref().map(|behind| behind.phone(2).unwrap()),
        mobile: theatre.domains.pstn.mobile(0).unwrap(),
    };
    let lnp = portability(&theatre.domains.b.number(6));
    let plays = PLAYS.iter().filter(|play| match play.name {
        BEHIND => cast.inner.is_some(),
        PORTED => lnp.is_some(),
        _ => true,
    });
    let plays: Vec<&Play> = plays.collect();
    let without = |theatre: &Theatre, play: &Play, trunk| seen_over(&theatre.domains, &cast, play, trunk);
    let over_network: Vec<Seen> = plays.iter().map(|play| without(&theatre, play, "pstn")).collect();
    let packets: Vec<&Play> = plays.iter().copied().filter(|play| play.packet).collect();
    let over_trunk: Vec<Seen> = packets.iter().map(|play| without(&theatre, play, "sidecall")).collect();
    let plain = |play: &Play, packet: bool| match packet {
        true => &over_trunk[packets.iter().position(|other| other.name == play.name).unwrap()],
        false => &over_network[plays.iter().position(|other| other.name == play.name).unwrap()],
    };
    let (mut with_sidecall, mut routes) = (Vec::new(), Vec::new());
    for between in [Between::Trunk, Between::Network] {
        let _clients = raise(&mut theatre, between, lnp.as_ref().map_or("", |(_, lines)| lines));
        for play in plays.iter().copied().filter(|play| play.between.contains(&between)) {
            let packets = |theatre: &Theatre| {
                theatre.domains.a.sidecall().calls().iter().filter(|call| call["route"] == "packet").count()
            };
            let before = packets(&theatre);
            let with = seen(&theatre.domains, &cast, play);
            let packet = play.packet && between == Between::Trunk;
            assert_eq!(packets(&theatre) - before, usize::from(packet), "{}: {}", play.name, theatre.log());
            let without = vec![plain(play, packet).clone()];
            with_sidecall.push(Compared { call: play.name, packet, without, with });
            routes.push((play, if packet { "sidecall" } else { "pstn" }));
        }
    }
    for domain in [&mut theatre.domains.a, &mut theatre.domains.b] {
        assert!(domain.sidecall_mut().child().terminate(SOON).is_some(), "sidecall does not end");
    }
    let pair = format!("{a} to {b}");
    let mut found =
        compare(&pair, Table::Sidecall, &mut with_sidecall, |n| without(&theatre, routes[n].0, routes[n].1));
    let named = |name: &str| packets.iter().copied().find(|play| play.name == name).unwrap();
    // The trunk varies by itself, too: what counts is how the call went that is like the one with sidecall.
    let on_trunk = with_sidecall.iter().filter(|call| call.packet).map(|call| {
        let network = plain(named(call.call), false).clone();
        let trunk = call.compared_with(&pair, Table::Sidecall).clone();
        Compared { call: call.call, packet: true, without: vec![network], with: trunk }
    });
    let mut on_trunk: Vec<Compared> = on_trunk.collect();
    let names: Vec<&str> = on_trunk.iter().map(|call| call.call).collect();
    let again = |n: usize| without(&theatre, named(names[n]), "pstn");
    found.extend(compare(&pair, Table::Trunk, &mut on_trunk, again));
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
