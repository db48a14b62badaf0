//! Pairs through bridges, transfers, repeated and lost events.

use std::time::Duration;

use super::*;
use crate::core::base::name::AgentId;
use crate::core::routing::route::{Reason, Route, Side};
use proptest::prelude::*;

#[path = "report_order_tests.rs"]
mod report_order;
#[path = "strangers_tests.rs"]
mod strangers;

const T: UnixMillis = UnixMillis(1_000);

fn id(text: &str) -> CallId {
    text.parse().unwrap()
}

fn leg(text: &str) -> LegId {
    text.parse().unwrap()
}

fn number(text: &str) -> Number {
    text.parse().unwrap()
}

fn call(name: &str, announced: &str, calling: Option<&str>, called: &str) -> Call {
    let calling = calling.map(number);
    Call {
        id: id(name),
        pbx: "pbx".parse().unwrap(),
        leg: leg(announced),
        legs: Call::announced_leg(&leg(announced), calling.as_ref(), T),
        calling,
        withheld: false,
        called: number(called),
        side: Side::Originating,
        route: Route::Local,
        trunk: None,
        reason: Reason::CalledHasClient,
        carried: None,
        announced: None,
        decided: T,
        answered: None,
        ended: None,
        cause: None,
        phase: Phase::Decided,
        parted: Default::default(),
        talks: Default::default(),
        remote: Default::default(),
        last_seq: 0,
        last_by: None,
    }
}

/// A report's number, by an agent that doesn't say its id.
fn by(seq: u64) -> Serial<'static> {
    Serial { agent: None, seq }
}

struct Script {
    exchange: Exchange,
    seq: u64,
}

impl Script {
    fn new(calls: impl IntoIterator<Item = Call>) -> Script {
        let mut exchange = Exchange::new(8);
        for call in calls {
            exchange.open(call);
        }
        Script { exchange, seq: 0 }
    }

    fn say(&mut self, call: &str, event: LegEvent) -> Vec<Effect> {
        self.seq += 1;
        self.exchange.apply(&id(call), by(self.seq), T, &event).unwrap()
    }

    fn dialled(&mut self, call: &str, a: &str) -> Vec<Effect> {
        let number = self.exchange.call(&id(call)).map(|call| call.called.clone());
        self.say(call, LegEvent::Dialled { leg: leg(a), party: number, trunk: None })
    }

    fn answered(&mut self, call: &str, a: &str) -> Vec<Effect> {
        self.say(call, LegEvent::Answered { leg: leg(a) })
    }

    /// A leg of no call is dialled for this one first.
    fn bridged(&mut self, call: &str, a: &str, b: &str) -> Vec<Effect> {
        for name in [a, b] {
            if self.exchange.call_of(&"pbx".parse().unwrap(), &leg(name)).is_none() {
                self.dialled(call, name);
            }
        }
        self.say(call, LegEvent::Bridged { legs: [leg(a), leg(b)] })
    }

    fn unbridged(&mut self, call: &str, a: &str, b: &str) -> Vec<Effect> {
        self.say(call, LegEvent::Unbridged { legs: [leg(a), leg(b)] })
    }

    fn ended(&mut self, call: &str, a: &str) -> Vec<Effect> {
        self.say(call, LegEvent::Ended { leg: leg(a), cause: Some("NORMAL_CLEARING".into()) })
    }
}

fn pair(call: &str, first: &str, second: &str) -> Pair {
    Pair { call: id(call), first: number(first), second: number(second) }
}

#[test]
fn an_ordinary_call_pairs_at_the_bridge_and_parts_at_the_end() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    assert_eq!(script.dialled("c", "B"), []);
    assert_eq!(script.answered("c", "B"), []);
    assert_eq!(script.answered("c", "A"), []);
    // Whichever leg the PBX names first, the caller is first.
    assert_eq!(script.bridged("c", "B", "A"), [Effect::Paired(pair("c", "+1", "+2"))]);
    assert_eq!(script.exchange.call(&id("c")).unwrap().phase, Phase::Talking);
    assert_eq!(script.exchange.pairs_of(&number("+2")), [pair("c", "+1", "+2")]);
    assert_eq!(script.ended("c", "B"), [Effect::Parted(pair("c", "+1", "+2"))]);
    assert_eq!(script.ended("c", "A"), [Effect::Ended(id("c"))]);
    assert!(script.exchange.pairs_of(&number("+1")).is_empty());
}

#[test]
fn no_call_ends_before_it_is_answered() {
    let mut exchange = Exchange::new(8);
    exchange.open(call("c", "A", Some("+1"), "+2"));
    let later = T + std::time::Duration::from_secs(5);
    exchange.apply(&id("c"), by(1), later, &LegEvent::Answered { leg: leg("A") }).unwrap();
    exchange.apply(&id("c"), by(2), T, &LegEvent::Ended { leg: leg("A"), cause: None }).unwrap();
    assert_eq!(exchange.call(&id("c")).unwrap().ended, Some(later));
}

#[test]
fn lost_events_before_the_bridge_do_not_matter() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    assert_eq!(script.bridged("c", "A", "B"), [Effect::Paired(pair("c", "+1", "+2"))]);
    assert!(script.exchange.call(&id("c")).unwrap().answered.is_some());
}

#[test]
fn a_repeated_bridge_pairs_once() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.bridged("c", "A", "B");
    assert_eq!(script.bridged("c", "A", "B"), []);
    assert_eq!(script.bridged("c", "B", "A"), []);
}

#[test]
fn hold_and_resume_part_and_pair_again() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.bridged("c", "A", "B");
    assert_eq!(script.unbridged("c", "A", "B"), [Effect::Parted(pair("c", "+1", "+2"))]);
    assert_eq!(script.exchange.call(&id("c")).unwrap().phase, Phase::Answered);
    assert_eq!(script.bridged("c", "A", "B"), [Effect::Paired(pair("c", "+1", "+2"))]);
}

#[test]
fn a_withheld_caller_pairs_with_nobody() {
    let mut script = Script::new([call("c", "A", None, "+2")]);
    assert_eq!(script.bridged("c", "A", "B"), []);
    assert_eq!(script.ended("c", "A"), []);
    assert_eq!(script.ended("c", "B"), [Effect::Ended(id("c"))]);
}

#[test]
fn a_fork_pairs_with_the_leg_that_answered() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B1");
    script.dialled("c", "B2");
    assert_eq!(script.ended("c", "B1"), []);
    assert_eq!(script.bridged("c", "A", "B2"), [Effect::Paired(pair("c", "+1", "+2"))]);
}

#[test]
fn an_attended_transfer_pairs_the_two_who_are_left() {
    // +1 calls the attendant +5, who calls +9 and connects the two.
    let mut script = Script::new([call("c", "A", Some("+1"), "+5"), call("d", "P", Some("+5"), "+9")]);
    script.bridged("c", "A", "B");
    script.bridged("d", "P", "Q");
    assert_eq!(script.ended("c", "B"), [Effect::Parted(pair("c", "+1", "+5"))]);
    assert_eq!(script.ended("d", "P"), [Effect::Parted(pair("d", "+5", "+9"))]);
    assert_eq!(script.bridged("d", "A", "Q"), [Effect::Paired(pair("d", "+1", "+9"))]);
    assert_eq!(script.exchange.pairs_of(&number("+1")), [pair("d", "+1", "+9")]);
}

#[test]
fn who_withholds_the_number_does_so_behind_a_transfer_too() {
    let withheld = Call { withheld: true, ..call("c", "A", Some("+1"), "+5") };
    let mut script = Script::new([withheld, call("d", "P", Some("+5"), "+9"), call("e", "X", Some("+1"), "+7")]);
    script.bridged("c", "A", "B");
    script.bridged("d", "P", "Q");
    assert!(script.exchange.withholds(&id("c"), &number("+1")) && !script.exchange.withholds(&id("c"), &number("+5")));
    assert!(!script.exchange.withholds(&id("d"), &number("+1")), "not there yet");
    script.ended("c", "B");
    script.ended("d", "P");
    script.bridged("d", "A", "Q");
    assert!(script.exchange.withholds(&id("d"), &number("+1")) && !script.exchange.withholds(&id("d"), &number("+9")));
    // Another call of the same number says it again, or doesn't.
    assert!(!script.exchange.withholds(&id("e"), &number("+1")));
}

#[test]
fn after_a_transfer_the_pair_parts_whichever_leg_goes_first() {
    for (call_told, goes) in [("c", "A"), ("d", "Q")] {
        let mut script = Script::new([call("c", "A", Some("+1"), "+5"), call("d", "P", Some("+5"), "+9")]);
        script.bridged("c", "A", "B");
        script.bridged("d", "P", "Q");
        script.ended("c", "B");
        script.ended("d", "P");
        let made = script.bridged("d", "A", "Q");
        assert_eq!(made, [Effect::Paired(pair("d", "+1", "+9"))]);
        let parted = script.ended(call_told, goes);
        assert_eq!(parted[0], Effect::Parted(pair("d", "+1", "+9")), "{goes}");
    }
}

#[test]
fn a_leg_that_turns_out_to_be_another_phone_moves_the_pair() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    let is = |who: Option<&str>| LegEvent::Identified { leg: leg("B"), party: who.map(number) };
    script.dialled("c", "B");
    assert_eq!(script.say("c", is(Some("+7"))), [], "nobody hears it yet");
    assert_eq!(script.bridged("c", "A", "B"), [Effect::Paired(pair("c", "+1", "+7"))]);
    assert_eq!(script.say("c", is(Some("+7"))), []);
    let (old, new) = (pair("c", "+1", "+7"), pair("c", "+1", "+9"));
    assert_eq!(script.say("c", is(Some("+9"))), [Effect::Parted(old), Effect::Paired(new.clone())]);
    assert_eq!(script.say("c", is(None)), [Effect::Parted(new)]);
    assert!(script.exchange.pairs_in(&id("c")).is_empty());
}

#[test]
fn a_leg_that_joins_by_a_bridge_is_whom_it_is_said_to_be() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.say("c", LegEvent::Identified { leg: leg("P"), party: Some(number("+3")) });
    assert_eq!(script.bridged("c", "A", "P"), [Effect::Paired(pair("c", "+1", "+3"))]);
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.say("c", LegEvent::Identified { leg: leg("P"), party: None });
    assert_eq!(script.bridged("c", "A", "P"), []);
}

#[test]
fn in_a_conference_everyone_is_paired_with_everyone_up_to_its_size() {
    let people = ["A", "B", "C", "D", "E"];
    let calls = people.iter().zip(1..).map(|(l, n)| call(&l.to_lowercase(), l, Some(&format!("+{n}")), "+9"));
    let mut script = Script { exchange: Exchange::new(4), seq: 0 };
    calls.for_each(|call| drop(script.exchange.open(call)));
    let mut made = Vec::new();
    for (n, who) in people.iter().enumerate() {
        let told = who.to_lowercase();
        made.push(people[..n].iter().map(|other| script.bridged(&told, other, who).len()).sum::<usize>());
    }
    assert_eq!(made, [0, 1, 2, 3, 0], "who comes when it is full is paired with nobody");
    assert_eq!(script.exchange.pairs_of(&number("+5")), []);
    // The pairs stay, and so does who has none.
    assert_eq!(script.ended("b", "B").iter().filter(|e| matches!(e, Effect::Parted(_))).count(), 3);
    assert_eq!(script.exchange.pairs_of(&number("+1")).len(), 2);
    assert_eq!(script.exchange.pairs_of(&number("+5")), []);
    // Now there is room for one.
    for other in ["A", "C", "D"] {
        script.unbridged("e", other, "E");
    }
    assert_eq!(["A", "C", "D"].map(|other| script.bridged("e", other, "E").len()), [1, 1, 1]);
}

#[test]
fn an_address_is_good_while_its_number_talks_and_a_little_longer() {
    let grace = Duration::from_secs(60);
    let mut script = Script::new([call("c", "A", Some("+1"), "+5")]);
    let good = |script: &Script, now: UnixMillis| {
        let numbers = script.exchange.reachable(&id("c"), now, grace);
        numbers.iter().map(Number::to_string).collect::<Vec<_>>()
    };
    // The caller's travels in the signalling: it is good before the answer.
    assert_eq!(good(&script, T), ["+1", "+5"]);
    script.bridged("c", "A", "B");
    let later = T + Duration::from_secs(3600);
    assert_eq!(good(&script, later), ["+1", "+5"]);
    // +5 hands +1 over to +9.
    let mut script = Script::new([script.exchange.forget(&id("c")).unwrap(), call("d", "P", Some("+5"), "+9")]);
    script.seq = 10;
    script.dialled("d", "Q");
    script.unbridged("c", "A", "B");
    script.bridged("c", "A", "Q");
    assert_eq!(good(&script, T + Duration::from_secs(59)), ["+1", "+5", "+9"]);
    assert_eq!(good(&script, T + grace), ["+1", "+9"]);
    script.ended("c", "A");
    assert_eq!(good(&script, T + grace), Vec::<String>::new());
    assert!(script.exchange.reachable(&id("x"), T, grace).is_empty());
}

#[test]
fn a_call_of_which_nothing_is_heard_is_lost() {
    let day = Duration::from_secs(24 * 3600);
    let mut script = Script::new([call("c", "A", Some("+1"), "+2"), call("d", "X", Some("+3"), "+4")]);
    script.dialled("c", "B");
    let later = T + Duration::from_secs(3600);
    let bridged = LegEvent::Bridged { legs: [leg("A"), leg("B")] };
    script.exchange.apply(&id("c"), by(2), later, &bridged).unwrap();
    assert_eq!(script.exchange.lost(T + day, day), [id("d")]);
    assert_eq!(script.exchange.lost(T + (day - Duration::from_millis(1)), day), []);
    let unbridged = LegEvent::Unbridged { legs: [leg("A"), leg("B")] };
    script.exchange.apply(&id("c"), by(3), later + day, &unbridged).unwrap();
    script.ended("d", "X");
    assert_eq!(script.exchange.lost(later + day, day), []);
    assert_eq!(script.exchange.lost(later + day + day, day), [id("c")]);
}

#[test]
fn a_leg_that_calls_somewhere_else_ends_its_old_call_alone() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+5")]);
    script.bridged("c", "A", "B");
    script.ended("c", "B");
    // The attendant has found +9: the same leg is announced again.
    let left = script.exchange.open(call("d", "A", Some("+1"), "+9"));
    assert_eq!(left, [(id("c"), vec![Effect::Ended(id("c"))])]);
    let again = LegEvent::Ended { leg: leg("A"), cause: Some("moved on".into()) };
    assert_eq!(script.exchange.apply(&id("c"), by(9), T, &again), Err(EventRefusal::Ended), "the agent says so too");
    script.seq = 10;
    assert_eq!(script.bridged("d", "A", "Q"), [Effect::Paired(pair("d", "+1", "+9"))]);
    script.exchange.forget(&id("c"));
    assert_eq!(script.ended("d", "Q"), [Effect::Parted(pair("d", "+1", "+9"))]);
}

#[test]
fn after_the_end_nothing_is_taken_and_the_call_can_be_forgotten() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.ended("c", "A");
    let late = script.exchange.apply(&id("c"), by(99), T, &LegEvent::Answered { leg: leg("A") });
    assert_eq!(late, Err(EventRefusal::Ended));
    assert!(script.exchange.forget(&id("c")).is_some());
    assert_eq!(
        script.exchange.apply(&id("c"), by(100), T, &LegEvent::Answered { leg: leg("A") }),
        Err(EventRefusal::UnknownCall)
    );
    assert!(script.exchange.call_of(&"pbx".parse().unwrap(), &leg("A")).is_none());
}

#[test]
fn a_restart_keeps_the_pairs() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.bridged("c", "A", "B");
    let mut again = Script::new([script.exchange.call(&id("c")).unwrap().clone()]);
    again.seq = script.seq;
    assert_eq!(again.exchange.pairs_of(&number("+1")), [pair("c", "+1", "+2")]);
    assert_eq!(again.ended("c", "A"), [Effect::Parted(pair("c", "+1", "+2"))]);
}

#[test]
fn a_restart_leaves_a_leg_in_the_call_where_it_is_now() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+5")]);
    script.bridged("c", "A", "B");
    script.exchange.open(call("d", "A", Some("+1"), "+9"));
    script.bridged("d", "A", "Q");
    let now = |exchange: &Exchange| ["c", "d"].map(|name| exchange.call(&id(name)).unwrap().clone());
    let before = now(&script.exchange);
    for order in [[0, 1], [1, 0]] {
        let mut again = Exchange::new(8);
        let left: Vec<_> = order.iter().flat_map(|n| again.open(before[*n].clone())).collect();
        assert!(left.iter().all(|(_, effects)| effects.is_empty()), "{order:?}: {left:?}");
        assert_eq!(now(&again), before, "{order:?}");
        assert_eq!(again.pairs_of(&number("+1")), [pair("d", "+1", "+9")], "{order:?}");
        let mut again = Script { exchange: again, seq: script.seq };
        again.ended("c", "B");
        again.exchange.forget(&id("c"));
        assert_eq!(again.ended("d", "Q"), [Effect::Parted(pair("d", "+1", "+9"))], "{order:?}");
    }
}

#[test]
fn a_flood_of_legs_is_refused() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    for n in 1..LEGS_MAX {
        script.dialled("c", &format!("B{n}"));
    }
    let more = LegEvent::Dialled { leg: leg("more"), party: None, trunk: None };
    assert_eq!(script.exchange.apply(&id("c"), by(u64::MAX), T, &more), Err(EventRefusal::TooManyLegs(LEGS_MAX)));
}

#[test]
fn who_rang_in_vain_makes_room_for_who_answers_at_last() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    for n in 1..2 * LEGS_MAX {
        script.dialled("c", &format!("B{n}"));
        script.ended("c", &format!("B{n}"));
        let legs = &script.exchange.call(&id("c")).unwrap().legs;
        assert!(legs.len() <= GONE_MAX + 2 && legs.contains_key(&leg("A")), "{}", legs.len());
    }
    assert!(script.exchange.legs.len() <= GONE_MAX + 2);
    let last = format!("B{}", 2 * LEGS_MAX - 1);
    assert_eq!(script.bridged("c", "A", &last), [], "it is still known as gone");
    assert_eq!(script.bridged("c", "A", "B"), [Effect::Paired(pair("c", "+1", "+2"))]);
}

#[test]
fn the_cause_is_what_the_announced_leg_says() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B");
    script.say("c", LegEvent::Ended { leg: leg("A"), cause: Some("USER_BUSY".into()) });
    script.say("c", LegEvent::Ended { leg: leg("B"), cause: Some("ORIGINATOR_CANCEL".into()) });
    assert_eq!(script.exchange.call(&id("c")).unwrap().cause.as_deref(), Some("USER_BUSY"));

    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B");
    script.say("c", LegEvent::Ended { leg: leg("A"), cause: None });
    script.say("c", LegEvent::Ended { leg: leg("B"), cause: Some("LOSE_RACE".into()) });
    assert_eq!(script.exchange.call(&id("c")).unwrap().cause.as_deref(), Some("LOSE_RACE"), "better than none");
}

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
        Effect::Ended(_) => {}
    }
    Ok(())
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
        }
    }
}
