//! What the exchange finds by its indexes is what a walk over all calls finds.

use proptest::prelude::*;

use super::*;
use crate::core::call::TALKS_MAX;
use crate::core::call::pairs::is_arrival;
use crate::core::call::remote_side::{AddressSource, RemoteClient};

#[derive(Debug, Clone)]
enum Step {
    /// Opened, or announced again: the call, the two numbers, the address it carries and whether it comes in.
    Opened {
        call: u8,
        calling: u8,
        called: u8,
        carried: Option<u8>,
        terminating: bool,
    },
    Linked(u8, Option<u8>),
    Offered(u8, Option<u8>),
    Reached(u8, bool),
    /// The call says that two legs hear each other.
    Bridged(u8, [u8; 2]),
    /// The call says that two legs no longer hear each other.
    Unbridged(u8, [u8; 2]),
    /// The call says for which number a leg stands.
    Identified {
        call: u8,
        leg: u8,
        number: u8,
    },
    /// Forgotten too early, and taken back.
    PutBack(u8),
    /// All its legs end.
    Ended(u8),
    Forgotten(u8),
}

/// Legs that calls have: those that are announced, and others.
const LEGS: u8 = 8;
/// Numbers of reports in a step: all legs of a call may end.
const STEP: u64 = LEGS as u64 + 1;

fn step() -> impl Strategy<Value = Step> {
    let n = || 0u8..6;
    let opened = (n(), 0u8..3, 0u8..3, prop::option::of(0u8..2), any::<bool>());
    let legs = || (0..LEGS, 1..LEGS).prop_map(|(leg, apart)| [leg, (leg + apart) % LEGS]);
    prop_oneof![
        4 => opened.prop_map(|(call, calling, called, carried, terminating)| {
            Step::Opened { call, calling, called, carried, terminating }
        }),
        2 => (n(), prop::option::of(n())).prop_map(|(call, other)| Step::Linked(call, other)),
        1 => (n(), prop::option::of(0u8..2)).prop_map(|(call, offer)| Step::Offered(call, offer)),
        1 => (n(), any::<bool>()).prop_map(|(call, is_reached)| Step::Reached(call, is_reached)),
        4 => (n(), legs()).prop_map(|(call, legs)| Step::Bridged(call, legs)),
        1 => (n(), legs()).prop_map(|(call, legs)| Step::Unbridged(call, legs)),
        4 => (n(), 0..LEGS, 0u8..4).prop_map(|(call, leg, number)| Step::Identified { call, leg, number }),
        1 => n().prop_map(Step::PutBack),
        1 => n().prop_map(Step::Ended),
        1 => n().prop_map(Step::Forgotten),
    ]
}

fn name(n: u8) -> CallId {
    id(&format!("c{n}"))
}

fn leg_name(n: u8) -> LegId {
    leg(&format!("L{n}"))
}

fn offer(n: u8) -> OfferId {
    OfferId { peer: "peer".parse().unwrap(), call: id(&format!("o{n}")) }
}

fn remote_client() -> RemoteClient {
    RemoteClient {
        number: None,
        name: None,
        address: "http://127.0.0.1/a/r".parse().unwrap(),
        capabilities: Vec::new(),
        source: AddressSource::Offer,
        peer: None,
        at: None,
    }
}

/// Reports an event, which changes nothing if the call is unknown or over.
fn report(exchange: &mut Exchange, call: u8, seq: u64, at: UnixMillis, event: &LegEvent) {
    drop(exchange.apply(&name(call), by(seq), at, event));
}

/// Does a step. Its reports are numbered from `seq` on.
fn follow(exchange: &mut Exchange, step: &Step, at: UnixMillis, seq: u64) {
    match *step {
        Step::Opened { call: n, calling, called, carried, terminating } => {
            let (calling, called) = (format!("+1{calling}"), format!("+1{called}"));
            let new = call(name(n).as_str(), leg_name(n).as_str(), Some(&calling), &called);
            // Announced again, the call has the legs and the talks that it had.
            let before = exchange.call(&new.id).cloned().unwrap_or_else(|| new.clone());
            exchange.open(Call {
                calling: new.calling,
                called: new.called,
                pbx: format!("pbx{}", n % 2).parse().unwrap(),
                side: if terminating { Side::Terminating } else { Side::Originating },
                carried: carried.map(|address| format!("http://127.0.0.1/a/{address}").parse().unwrap()),
                decided: at,
                ..before
            });
        }
        Step::Linked(call, other) => {
            exchange.change_remote(&name(call), |remote| remote.linked_call = other.map(name));
        }
        Step::Offered(call, of) => {
            exchange.change_remote(&name(call), |remote| remote.offered = of.map(offer));
        }
        Step::Reached(call, is_reached) => {
            exchange.change_remote(&name(call), |remote| remote.client = is_reached.then(remote_client));
        }
        Step::Bridged(call, legs) => {
            report(exchange, call, seq, at, &LegEvent::Bridged { legs: legs.map(leg_name) });
        }
        Step::Unbridged(call, legs) => {
            report(exchange, call, seq, at, &LegEvent::Unbridged { legs: legs.map(leg_name) });
        }
        Step::Identified { call, leg, number: n } => {
            let party = Some(number(&format!("+1{n}")));
            report(exchange, call, seq, at, &LegEvent::Identified { leg: leg_name(leg), party });
        }
        Step::PutBack(n) => drop(exchange.forget(&name(n)).map(|call| exchange.open(call))),
        Step::Ended(n) => {
            let legs: Vec<LegId> = exchange.call(&name(n)).into_iter().flat_map(Call::unfinished).cloned().collect();
            for (leg, seq) in legs.into_iter().zip(seq..) {
                report(exchange, n, seq, at, &LegEvent::Ended { leg, cause: None });
            }
        }
        Step::Forgotten(n) => drop(exchange.forget(&name(n))),
    }
}

fn ids<'a>(calls: impl Iterator<Item = &'a Call>) -> BTreeSet<CallId> {
    calls.map(|call| call.id.clone()).collect()
}

/// The index of these calls, built anew.
fn rebuilt(exchange: &Exchange) -> CallIndex {
    let mut index = CallIndex::default();
    exchange.calls().for_each(|call| index.insert(call));
    index
}

#[test]
fn a_pair_and_an_end_walk_over_no_other_calls() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2"), call("d", "X", Some("+1"), "+2")]);
    let found = walks(|| {
        script.bridged("c", "A", "B");
        assert_eq!(script.exchange.pairs_of(&number("+1")), [pair("c", "+1", "+2")]);
        script.ended("c", "B");
        script.ended("c", "A");
        assert_eq!(script.exchange.over_by(&id("c")).len(), 1);
        assert_eq!(script.exchange.missed_in(&id("c")), []);
        assert!(script.exchange.ended_for(T, Duration::ZERO).eq([&id("c")]));
        script.exchange.forget(&id("c"));
    });
    assert_eq!((found, script.exchange.live_len()), (0, 1));
    assert_eq!(walks(|| assert_eq!(script.exchange.calls().count(), 1)), 1, "a walk is noted");
}

#[test]
fn a_number_is_of_a_call_as_long_as_its_talk_is_kept() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    let other = |n: usize| number(&format!("+9{n}"));
    let identified = |n: usize| LegEvent::Identified { leg: leg("P"), party: Some(other(n)) };
    script.say("c", identified(0));
    script.bridged("c", "A", "P");
    (1..=TALKS_MAX).for_each(|n| assert_eq!(script.say("c", identified(n)).len(), 2));
    for (n, is_of_call) in [(0, false), (1, true), (TALKS_MAX, true)] {
        assert_eq!(script.exchange.calls_with(&other(n)).next().is_some(), is_of_call, "{n}");
    }
    assert_eq!(script.exchange.index, rebuilt(&script.exchange));
}

proptest! {
    #[test]
    fn the_index_is_that_of_the_calls_and_finds_what_a_walk_finds(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut exchange = Exchange::new(4);
        for (n, step) in steps.iter().enumerate() {
            let now = UnixMillis(T.0 + n as i64 * 1_000);
            follow(&mut exchange, step, now, n as u64 * STEP + 1);
            let anew = rebuilt(&exchange);
            prop_assert_eq!(&exchange.index, &anew);
            for n in 0..4 {
                let number = number(&format!("+1{n}"));
                let with_number = exchange.calls().filter(|call| {
                    call.calling.as_ref() == Some(&number) || call.called == number || call.has_talked(&number)
                });
                prop_assert_eq!(ids(exchange.calls_with(&number)), ids(with_number));
            }
            for call in exchange.calls() {
                let arrivals = exchange.calls().filter(|other| is_arrival(call, other));
                prop_assert_eq!(ids(exchange.arrivals(call)), ids(arrivals));
                let origins = exchange.calls().filter(|other| is_arrival(other, call));
                prop_assert_eq!(ids(exchange.origins(call)), ids(origins));
            }
        }
        (0..6).for_each(|n| drop(exchange.forget(&name(n))));
        prop_assert!(exchange.is_empty());
    }
}
