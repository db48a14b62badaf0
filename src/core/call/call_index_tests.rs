//! What the exchange finds by its indexes is what a walk over all calls finds.

use proptest::prelude::*;

use super::*;
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
    /// Forgotten too early, and taken back.
    PutBack(u8),
    Ended(u8),
    Forgotten(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 0u8..6;
    let opened = (n(), 0u8..3, 0u8..3, prop::option::of(0u8..2), any::<bool>());
    prop_oneof![
        4 => opened.prop_map(|(call, calling, called, carried, terminating)| {
            Step::Opened { call, calling, called, carried, terminating }
        }),
        2 => (n(), prop::option::of(n())).prop_map(|(call, other)| Step::Linked(call, other)),
        1 => (n(), prop::option::of(0u8..2)).prop_map(|(call, offer)| Step::Offered(call, offer)),
        1 => (n(), any::<bool>()).prop_map(|(call, is_reached)| Step::Reached(call, is_reached)),
        1 => n().prop_map(Step::PutBack),
        1 => n().prop_map(Step::Ended),
        1 => n().prop_map(Step::Forgotten),
    ]
}

fn name(n: u8) -> CallId {
    id(&format!("c{n}"))
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

fn follow(exchange: &mut Exchange, step: &Step, at: UnixMillis, seq: u64) {
    match *step {
        Step::Opened { call: n, calling, called, carried, terminating } => {
            let (calling, called) = (format!("+1{calling}"), format!("+1{called}"));
            exchange.open(Call {
                pbx: format!("pbx{}", n % 2).parse().unwrap(),
                side: if terminating { Side::Terminating } else { Side::Originating },
                carried: carried.map(|address| format!("http://127.0.0.1/a/{address}").parse().unwrap()),
                decided: at,
                ..call(name(n).as_str(), &format!("L{n}"), Some(&calling), &called)
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
        Step::PutBack(n) => drop(exchange.forget(&name(n)).map(|call| exchange.open(call))),
        Step::Ended(n) => {
            let ended = LegEvent::Ended { leg: leg(&format!("L{n}")), cause: None };
            drop(exchange.apply(&name(n), by(seq), at, &ended));
        }
        Step::Forgotten(n) => drop(exchange.forget(&name(n))),
    }
}

fn ids<'a>(calls: impl Iterator<Item = &'a Call>) -> BTreeSet<CallId> {
    calls.map(|call| call.id.clone()).collect()
}

#[test]
fn a_pair_and_an_end_walk_over_no_other_calls() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2"), call("d", "X", Some("+1"), "+2")]);
    let found = walks(|| {
        script.bridged("c", "A", "B");
        script.ended("c", "B");
        script.ended("c", "A");
        assert_eq!(script.exchange.over_by(&id("c")).len(), 1);
        assert_eq!(script.exchange.missed_in(&id("c")), []);
        assert!(script.exchange.ended_for(T, Duration::ZERO).eq([&id("c")]));
        script.exchange.forget(&id("c"));
    });
    assert_eq!((found, script.exchange.live_len()), (0, 1));
    assert_eq!(walks(|| drop(script.exchange.pairs_of(&number("+1")))), 1, "a walk is noted");
}

proptest! {
    #[test]
    fn the_index_is_that_of_the_calls_and_finds_what_a_walk_finds(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut exchange = Exchange::new(4);
        for (n, step) in steps.iter().enumerate() {
            let now = UnixMillis(T.0 + n as i64 * 1_000);
            follow(&mut exchange, step, now, n as u64 + 1);
            let mut rebuilt = CallIndex::default();
            exchange.calls().for_each(|call| rebuilt.insert(call));
            prop_assert_eq!(&exchange.index, &rebuilt);
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
