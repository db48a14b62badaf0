//! Random events in random order: the pairs are always those that the events leave, and each is found by its numbers.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Dialled(u8),
    Identified(u8, u8),
    Answered(u8),
    Bridged(u8, u8),
    Unbridged(u8, u8),
    Ended(u8),
    Announced(u8),
}

/// Told to one of three calls, about some of seven legs.
fn step() -> impl Strategy<Value = (usize, Step)> {
    let n = 0u8..7;
    let step = prop_oneof![
        1 => n.clone().prop_map(Step::Dialled),
        1 => (n.clone(), 0u8..6).prop_map(|(a, b)| Step::Identified(a, b)),
        1 => n.clone().prop_map(Step::Answered),
        3 => (n.clone(), n.clone()).prop_map(|(a, b)| Step::Bridged(a, b)),
        2 => (n.clone(), n.clone()).prop_map(|(a, b)| Step::Unbridged(a, b)),
        1 => n.clone().prop_map(Step::Ended),
        1 => n.prop_map(Step::Announced),
    ];
    (0usize..3, step)
}

type PairKey = (CallId, Number, Number);

/// A pair, whichever of the two comes first.
fn key(pair: &Pair) -> PairKey {
    let (a, b) = (pair.first.clone(), pair.second.clone());
    (pair.call.clone(), a.clone().min(b.clone()), a.max(b))
}

/// Adds a pair that was made to those that are open, and takes away one that was parted.
fn follow(open: &mut Vec<PairKey>, effect: Effect) -> Result<(), TestCaseError> {
    match effect {
        Effect::Paired(pair) => open.push(key(&pair)),
        Effect::Parted(pair) => {
            let at = open.iter().position(|other| *other == key(&pair));
            prop_assert!(at.is_some(), "{pair:?} parted and was not paired");
            open.swap_remove(at.unwrap());
        }
        Effect::AnsweredByUnknown(_) | Effect::Ended(_) => {}
    }
    Ok(())
}

/// The numbers that legs stand for.
fn numbers(exchange: &Exchange) -> BTreeSet<Number> {
    exchange.calls().flat_map(|call| call.legs.values()).filter_map(|leg| leg.number.clone()).collect()
}

proptest! {
    /// Whatever the PBX says, in whatever order: the pairs made, less those parted, are those that
    /// there are, nobody is paired whose legs don't hear each other, and at the end nobody is.
    #[test]
    fn pairs_made_less_pairs_parted_are_those_that_there_are(steps in prop::collection::vec(step(), 0..80)) {
        let mut exchange = Exchange::new(4);
        let mut calls = vec!["c".to_owned(), "d".to_owned(), "e".to_owned()];
        for (call_id, n) in calls.iter().zip(0..) {
            exchange.open(call(call_id, &format!("L{n}"), Some(&format!("+1{n}")), &format!("+2{n}")));
        }
        let mut open = Vec::new();
        let mut hears = std::collections::HashSet::<[LegId; 2]>::new();
        let name = |n: u8| leg(&format!("L{n}"));
        let sorted = |mut legs: [LegId; 2]| {
            legs.sort();
            legs
        };
        let ends = (0..7).flat_map(|n| (0..3).map(move |call| (call, Step::Ended(n))));
        let all: Vec<_> = steps.into_iter().chain(ends.clone()).collect();
        for (seq, (which, step)) in all.into_iter().enumerate() {
            let event = match step {
                Step::Announced(n) => {
                    let next = format!("n{seq}");
                    let claimed = exchange.call_of(&"pbx".parse().unwrap(), &name(n)).is_some_and(|before| {
                        before.legs.get(&name(n)).is_some_and(|leg| leg.membership == Membership::Stranger && leg.ended.is_none())
                    });
                    let left = exchange.open(call(&next, &format!("L{n}"), Some(&format!("+3{n}")), "+9"));
                    for effect in left.into_iter().flat_map(|(_, effects)| effects) {
                        follow(&mut open, effect)?;
                    }
                    hears.retain(|legs| claimed || !legs.contains(&name(n)));
                    calls.push(next);
                    continue;
                }
                Step::Dialled(n) => LegEvent::Dialled { leg: name(n), party: Some(number(&format!("+2{n}"))), trunk: None },
                Step::Identified(n, 0) => LegEvent::Identified { leg: name(n), party: None },
                Step::Identified(n, who) => LegEvent::Identified { leg: name(n), party: Some(number(&format!("+{who}"))) },
                Step::Bridged(a, b) | Step::Unbridged(a, b) if a == b => LegEvent::Answered { leg: name(a) },
                Step::Answered(n) => LegEvent::Answered { leg: name(n) },
                Step::Bridged(a, b) => LegEvent::Bridged { legs: [name(a), name(b)] },
                Step::Unbridged(a, b) => LegEvent::Unbridged { legs: [name(a), name(b)] },
                Step::Ended(n) => LegEvent::Ended { leg: name(n), cause: None },
            };
            let told = id(&calls[which]);
            if exchange.is_out_of_date(&told, &event, by(seq as u64 + 1), T) {
                prop_assert_eq!(exchange.apply(&told, by(seq as u64 + 1), T, &event).unwrap_or_default(), []);
                continue;
            }
            let goes_on = matches!(&event, LegEvent::Ended { leg, .. } if exchange.goes_on_elsewhere(&told, leg));
            // Told to a call that is over, it is no news.
            let Ok(effects) = exchange.apply(&told, by(seq as u64 + 1), T, &event) else { continue };
            match event {
                LegEvent::Bridged { legs } => drop(hears.insert(sorted(legs))),
                LegEvent::Unbridged { legs } => drop(hears.remove(&sorted(legs))),
                LegEvent::Ended { leg, .. } if !goes_on => hears.retain(|legs| !legs.contains(&leg)),
                _ => {}
            }
            for effect in effects {
                follow(&mut open, effect)?;
            }
            let mut there: Vec<_> = calls.iter().flat_map(|c| exchange.pairs_in(&id(c))).map(|p| key(&p)).collect();
            there.sort();
            open.sort();
            prop_assert_eq!(&there, &open);
            prop_assert!(there.len() <= hears.len(), "{there:?} are more than hear each other");
            for number in numbers(&exchange) {
                let mut found: Vec<_> = exchange.pairs_of(&number).iter().map(key).collect();
                found.sort();
                let walked = there.iter().filter(|(_, a, b)| [a, b].contains(&&number)).cloned();
                prop_assert_eq!(found, walked.collect::<Vec<_>>(), "{:?}", number);
            }
        }
    }
}
