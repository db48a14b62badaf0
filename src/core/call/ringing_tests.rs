//! Which numbers a call alerts, and which have missed it.

use proptest::prelude::*;

use super::*;
use crate::core::call::ringing::Alerting;
use crate::core::call::{LOST, Talk};

pub(super) const BOTH: Alerting = Alerting::Both;

pub(super) fn rings(name: &str, announced: &str, calling: Option<&str>, called: &str) -> Call {
    Call { alerting: BOTH, ..call(name, announced, calling, called) }
}

fn is_missed(script: &Script, name: &str) -> bool {
    script.exchange.is_missed(&id(name))
}

pub(super) fn missed_by(script: &Script, name: &str) -> Vec<Number> {
    script.exchange.missed_by(script.exchange.call(&id(name)).unwrap())
}

#[test]
fn a_call_concerns_both_numbers_or_the_called_one_or_nobody() {
    let alerted = |alerting, calling: Option<&str>| {
        let script = Script::new([Call { alerting, ..call("c", "A", calling, "+2") }]);
        let alerted = script.exchange.alerted(script.exchange.call(&id("c")).unwrap());
        alerted.iter().map(Number::to_string).collect::<Vec<_>>()
    };
    assert_eq!(alerted(BOTH, Some("+1")), ["+1", "+2"]);
    assert_eq!(alerted(BOTH, None), ["+2"], "the caller is withheld");
    assert_eq!(alerted(BOTH, Some("+2")), ["+2"], "a call to the own number has one side");
    assert_eq!(alerted(Alerting::Called, Some("+1")), ["+2"]);
    assert_eq!(alerted(Alerting::Nobody, Some("+1")), [] as [&str; 0]);
}

#[test]
fn a_call_that_was_routed_before_it_was_known_rings_nobody() {
    assert_eq!(Alerting::of(Reason::CalledHasClient, false), BOTH);
    assert_eq!(Alerting::of(Reason::CallerHasNoClient, false), BOTH);
    for late in [Reason::Late, Reason::NodeUnreachable, Reason::NodeError, Reason::NotAnnounced] {
        assert_eq!(Alerting::of(late, true), Alerting::Called);
    }
    for registered in [false, true] {
        assert_eq!(Alerting::of(Reason::Emergency, registered), Alerting::Nobody);
    }
    assert_eq!(Alerting::of(Reason::MainNumber, true), Alerting::Nobody, "the attendant has answered");
}

#[test]
fn a_call_is_missed_when_it_ends_unanswered() {
    for alerting in [BOTH, Alerting::Called] {
        let mut script = Script::new([Call { alerting, ..call("c", "A", Some("+1"), "+2") }]);
        script.dialled("c", "B");
        script.ended("c", "B");
        assert!(!is_missed(&script, "c"), "the caller still waits");
        script.ended("c", "A");
        assert!(is_missed(&script, "c"));
        assert_eq!(script.exchange.missed(), [id("c")]);
        assert_eq!(missed_by(&script, "c"), script.exchange.alerted(script.exchange.call(&id("c")).unwrap()));
    }
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.ended("c", "A");
    assert!(!is_missed(&script, "c") && script.exchange.missed().is_empty(), "it concerned nobody");
    assert!(!is_missed(&script, "x"), "there is no such call");
}

#[test]
fn a_machine_that_answers_is_nobody() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B");
    script.ended("c", "B");
    // The voice mail.
    script.answered("c", "A");
    assert!(!is_missed(&script, "c"));
    script.ended("c", "A");
    assert!(is_missed(&script, "c"));
}

#[test]
fn a_call_that_the_called_number_answers_is_never_missed() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.bridged("c", "A", "B");
    assert!(!is_missed(&script, "c"));
    script.ended("c", "B");
    script.ended("c", "A");
    assert!(!is_missed(&script, "c"));
    // The caller hangs up before the two hear each other.
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B");
    script.answered("c", "B");
    script.ended("c", "A");
    script.ended("c", "B");
    assert!(!is_missed(&script, "c"));
}

#[test]
fn a_call_that_somebody_else_answers_is_missed_at_once() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B");
    script.say("c", LegEvent::Dialled { leg: leg("C"), party: Some(number("+3")), trunk: None });
    script.say("c", LegEvent::Answered { leg: leg("C") });
    assert!(!is_missed(&script, "c"), "the caller does not hear them yet");
    script.bridged("c", "A", "C");
    assert!(is_missed(&script, "c"));
    assert_eq!(missed_by(&script, "c"), [number("+2")], "the caller has reached somebody");
    // Who is transferred to the called number in the end has reached it.
    script.unbridged("c", "A", "C");
    script.bridged("c", "A", "B");
    assert!(!is_missed(&script, "c"));
}

#[test]
fn a_call_of_a_withheld_number_is_missed_too() {
    let mut script = Script::new([Call { side: Side::Terminating, ..rings("c", "A", None, "+2") }]);
    script.dialled("c", "B");
    script.ended("c", "A");
    script.ended("c", "B");
    assert!(is_missed(&script, "c"));
}

#[test]
fn a_call_that_goes_on_at_another_pbx_is_missed_there() {
    let there = Call { side: Side::Terminating, pbx: "other".parse().unwrap(), ..rings("d", "X", Some("+1"), "+2") };
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2"), there]);
    script.ended("d", "X");
    assert!(script.exchange.missed().is_empty(), "it may go on by another route");
    script.ended("c", "A");
    assert_eq!(script.exchange.missed(), [id("d")]);
    assert_eq!(["c", "d"].map(|name| script.exchange.missed_in(&id(name))), [[id("d")], [id("d")]]);
    // One of its own, to another number.
    let there = Call { side: Side::Terminating, pbx: "other".parse().unwrap(), ..rings("d", "X", Some("+1"), "+3") };
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2"), there]);
    script.ended("c", "A");
    assert_eq!(script.exchange.missed(), [id("c")]);
}

#[test]
fn a_call_that_was_turned_away_at_another_pbx_may_be_answered_yet() {
    let there = Call { side: Side::Terminating, pbx: "other".parse().unwrap(), ..rings("d", "X", Some("+1"), "+2") };
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2"), there]);
    script.ended("d", "X");
    script.bridged("c", "A", "B");
    script.ended("c", "B");
    script.ended("c", "A");
    assert!(script.exchange.missed().is_empty());
}

#[test]
fn a_call_that_somebody_answers_at_another_pbx_is_missed_there() {
    let there = Call { side: Side::Terminating, pbx: "other".parse().unwrap(), ..rings("d", "X", Some("+1"), "+2") };
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2"), there]);
    script.dialled("d", "W");
    script.say("d", LegEvent::Dialled { leg: leg("Y"), party: Some(number("+3")), trunk: None });
    script.say("d", LegEvent::Bridged { legs: [leg("X"), leg("Y")] });
    // The first PBX knows that the trunk answered, and not who.
    script.bridged("c", "A", "B");
    assert_eq!(script.exchange.missed_in(&id("d")), [id("d")]);
    assert!(script.exchange.missed_in(&id("c")).is_empty());
}

#[test]
fn a_voice_mail_that_answers_at_another_pbx_is_nobody() {
    let there = Call { side: Side::Terminating, pbx: "other".parse().unwrap(), ..rings("d", "X", Some("+1"), "+2") };
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2"), there]);
    script.dialled("d", "Y");
    script.ended("d", "Y");
    script.answered("d", "X");
    script.bridged("c", "A", "B");
    script.ended("d", "X");
    assert_eq!(script.exchange.missed_in(&id("d")), [id("d")]);
    assert_eq!(missed_by(&script, "d"), [number("+2")], "the caller has heard the voice mail");
}

#[test]
fn a_call_after_an_answered_one_between_the_same_two_is_missed() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.bridged("c", "A", "B");
    script.ended("c", "B");
    script.ended("c", "A");
    let later = T + Duration::from_secs(1);
    let there = rings("d", "X", Some("+1"), "+2");
    script.exchange.open(Call { side: Side::Terminating, pbx: "other".parse().unwrap(), decided: later, ..there });
    script.dialled("d", "Y");
    script.ended("d", "Y");
    script.ended("d", "X");
    assert!(is_missed(&script, "d"));
}

#[test]
fn somebody_whose_phone_did_not_ring_misses_nothing_by_an_answer() {
    // Forwarded at once, or a group: its members have numbers of their own.
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.say("c", LegEvent::Dialled { leg: leg("M"), party: Some(number("+3")), trunk: None });
    script.bridged("c", "A", "M");
    assert!(!is_missed(&script, "c"));
    script.ended("c", "M");
    script.ended("c", "A");
    assert!(!is_missed(&script, "c"));
}

#[test]
fn a_call_whose_end_nobody_saw_is_not_missed() {
    for cause in [None, Some(LOST.to_owned())] {
        let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
        script.dialled("c", "B");
        script.say("c", LegEvent::Ended { leg: leg("B"), cause: cause.clone() });
        script.say("c", LegEvent::Ended { leg: leg("A"), cause });
        assert!(!is_missed(&script, "c"));
    }
}

#[test]
fn a_trunk_alerts_no_calling_number_that_did_not_call_from_here() {
    let come = Call { side: Side::Terminating, ..rings("c", "A", Some("+1"), "+2") };
    let script = Script::new([come]);
    assert_eq!(script.exchange.alerted(script.exchange.call(&id("c")).unwrap()), [number("+2")]);
}

#[test]
fn a_restart_forgets_no_missed_call() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.ended("c", "A");
    let again = Script::new([script.exchange.call(&id("c")).unwrap().clone()]);
    assert!(is_missed(&again, "c"));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Dialled(u8),
    Answered(u8),
    Bridged(u8),
    Unbridged(u8),
    Ended(u8),
}

/// About one of four legs that are dialled for the called number or another one, or about the caller's.
fn step() -> impl Strategy<Value = Step> {
    let n = 0u8..5;
    prop_oneof![
        n.clone().prop_map(Step::Dialled),
        n.clone().prop_map(Step::Answered),
        n.clone().prop_map(Step::Bridged),
        n.clone().prop_map(Step::Unbridged),
        n.prop_map(Step::Ended),
    ]
}

proptest! {
    /// Whatever happens in whatever order: a call that the called number answered is never missed from then on. At the
    /// end every other one is, if it alerted anybody, unless a phone that nobody can name answered, or the caller was
    /// connected to another number at once.
    #[test]
    fn a_call_is_answered_by_the_called_number_or_missed_in_the_end(
        steps in prop::collection::vec(step(), 0..30),
        alerting in prop::sample::select(vec![Alerting::Nobody, Alerting::Called, BOTH]),
    ) {
        let mut exchange = Exchange::new(8);
        exchange.open(Call { alerting, ..call("c", "L0", Some("+1"), "+2") });
        let ends = (0..5).map(Step::Ended);
        let mut reached = false;
        for (seq, step) in (1..).zip(steps.into_iter().chain(ends)) {
            let name = |n: u8| leg(&format!("L{n}"));
            let event = match step {
                Step::Dialled(n) => {
                    let party = Some(number(if n % 2 == 0 { "+2" } else { "+3" }));
                    LegEvent::Dialled { leg: name(n), party, trunk: None }
                }
                Step::Bridged(0) | Step::Unbridged(0) => LegEvent::Answered { leg: name(0) },
                Step::Answered(n) => LegEvent::Answered { leg: name(n) },
                Step::Bridged(n) => LegEvent::Bridged { legs: [name(0), name(n)] },
                Step::Unbridged(n) => LegEvent::Unbridged { legs: [name(0), name(n)] },
                Step::Ended(n) => LegEvent::Ended { leg: name(n), cause: Some("NORMAL_CLEARING".into()) },
            };
            if exchange.apply(&id("c"), by(seq), T, &event).is_err() {
                break;
            }
            let now = exchange.call(&id("c")).unwrap();
            let phones = now.legs.iter().filter(|(name, _)| **name != leg("L0")).map(|(_, leg)| leg);
            reached |= phones.filter(|leg| leg.number == Some(number("+2"))).any(|leg| leg.answered.is_some());
            reached |= now.talks.iter().any(|Talk { first, second, .. }| [first, second].contains(&&number("+2")));
            prop_assert!(!(reached && exchange.is_missed(&id("c"))), "{:?}", now);
        }
        let over = exchange.call(&id("c")).unwrap();
        prop_assert_eq!(over.phase, Phase::Ended);
        let rang = over.legs.iter().any(|(name, state)| *name != leg("L0") && state.number == Some(number("+2")));
        let unnamed = over.legs.values().any(|leg| leg.number.is_none() && leg.answered.is_some());
        let missed = alerting != Alerting::Nobody && !reached && !unnamed && (rang || over.talks.is_empty());
        prop_assert_eq!(exchange.is_missed(&id("c")), missed, "{:?}", over);
        if alerting == BOTH {
            let mut told = exchange.over_for(over);
            told.extend(if missed { exchange.missed_by(over) } else { Vec::new() });
            told.retain(|told| *told != number("+3"));
            told.sort();
            prop_assert_eq!(told, [number("+1"), number("+2")], "everybody whom it alerted is told one of the two");
        }
    }
}
