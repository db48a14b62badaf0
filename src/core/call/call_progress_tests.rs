//! How a call goes on for each of its numbers.

use super::ringing::{missed_by, rings};
use super::*;
use crate::core::call::ringing::{Alerting, CallProgress};

fn over_for(script: &Script, name: &str) -> Vec<Number> {
    script.exchange.over_for(script.exchange.call(&id(name)).unwrap())
}

fn progress(script: &Script, of: &str) -> Vec<CallProgress> {
    script.exchange.progress_of(&number(of)).into_iter().map(|(_, progress)| progress).collect()
}

#[test]
fn a_call_rings_is_answered_and_is_over_for_both_numbers() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    let both = |script: &Script| ["+1", "+2"].map(|of| progress(script, of));
    assert_eq!(both(&script), [vec![CallProgress::Rings], vec![CallProgress::Rings]]);
    script.dialled("c", "B");
    script.answered("c", "B");
    assert!(both(&script).iter().all(Vec::is_empty), "nobody hears anybody yet");
    script.bridged("c", "A", "B");
    let talks = || vec![CallProgress::Talks(pair("c", "+1", "+2"))];
    assert_eq!(both(&script), [talks(), talks()]);
    script.ended("c", "B");
    assert!(over_for(&script, "c").is_empty(), "somebody else may come yet");
    script.ended("c", "A");
    assert_eq!(over_for(&script, "c"), [number("+1"), number("+2")]);
    assert_eq!(both(&script), [vec![CallProgress::Over], vec![CallProgress::Over]]);
}

#[test]
fn a_stream_that_opens_walks_over_no_other_calls() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2"), rings("d", "X", Some("+3"), "+4")]);
    script.say("d", LegEvent::Identified { leg: leg("P"), party: Some(number("+5")) });
    script.bridged("d", "X", "P");
    for (of, calls) in [("+1", 1), ("+2", 1), ("+3", 1), ("+4", 1), ("+5", 1), ("+6", 0)] {
        let found = walks(|| assert_eq!(progress(&script, of).len(), calls, "{of}"));
        assert_eq!(found, 0, "{of}");
    }
}

#[test]
fn a_number_that_has_missed_a_call_is_not_told_that_it_is_over() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B");
    script.ended("c", "B");
    // The voice mail.
    script.answered("c", "A");
    script.ended("c", "A");
    assert_eq!(missed_by(&script, "c"), [number("+2")]);
    assert_eq!(over_for(&script, "c"), [number("+1")]);
}

#[test]
fn a_call_that_goes_on_without_a_number_is_over_for_it() {
    let to_carol = || LegEvent::Dialled { leg: leg("M"), party: Some(number("+3")), trunk: None };
    // Forwarded at once.
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.say("c", to_carol());
    script.bridged("c", "A", "M");
    assert_eq!(over_for(&script, "c"), [number("+2")]);
    // Transferred.
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.bridged("c", "A", "B");
    script.unbridged("c", "A", "B");
    script.say("c", to_carol());
    script.bridged("c", "A", "M");
    assert!(over_for(&script, "c").is_empty(), "the phone that transfers is still up");
    script.ended("c", "B");
    assert_eq!(over_for(&script, "c"), [number("+2")]);
}

/// +2 calls +3 as well, and connects +1 with +3 by two calls.
#[test]
fn a_call_that_goes_on_with_a_leg_of_another_one_is_over_for_who_has_left_it() {
    for bob_hangs_up_first in [true, false] {
        let mut script = Script::new([rings("c", "A", Some("+1"), "+2"), rings("d", "P", Some("+2"), "+3")]);
        script.bridged("c", "A", "B");
        script.bridged("d", "P", "Q");
        script.unbridged("c", "A", "B");
        assert!(over_for(&script, "c").is_empty(), "+1 is on hold");
        if bob_hangs_up_first {
            script.ended("c", "B");
            assert!(over_for(&script, "c").is_empty(), "+2 may pick up elsewhere");
        }
        script.unbridged("d", "P", "Q");
        script.bridged("d", "A", "Q");
        if !bob_hangs_up_first {
            assert!(over_for(&script, "c").is_empty(), "that phone is still there");
            script.ended("c", "B");
        }
        assert_eq!(over_for(&script, "c"), [number("+2")]);
        script.ended("d", "P");
        let over = [(id("d"), vec![number("+2")]), (id("c"), vec![number("+2")])];
        assert_eq!(script.exchange.over_by(&id("d")), over);
        // +2 joins the two again.
        script.say("d", LegEvent::Identified { leg: leg("R"), party: Some(number("+2")) });
        script.bridged("d", "R", "A");
        assert!(over_for(&script, "c").is_empty());
    }
}

/// +2 rings, and +3 takes the call from there with a call of its own.
#[test]
fn a_call_that_another_calls_phone_picks_up_is_over_for_the_called_number_at_once_and_missed_at_the_end() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2"), call("d", "P", Some("+3"), "+2")]);
    script.dialled("c", "B");
    script.ended("c", "B");
    assert!(over_for(&script, "c").is_empty(), "it may ring again");
    script.bridged("d", "A", "P");
    assert_eq!((over_for(&script, "c"), progress(&script, "+2")), (vec![number("+2")], vec![CallProgress::Over]));
    assert!(script.exchange.missed_in(&id("c")).is_empty(), "not yet");
    script.ended("d", "P");
    script.ended("c", "A");
    assert_eq!((script.exchange.missed_in(&id("c")), missed_by(&script, "c")), (vec![id("c")], vec![number("+2")]));
    assert_eq!(over_for(&script, "c"), [number("+1")]);
}

#[test]
fn a_call_that_hears_a_leg_that_nobody_can_name_goes_on_for_both() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2"), call("d", "P", None, "+3")]);
    script.bridged("c", "A", "B");
    script.ended("c", "B");
    script.bridged("d", "A", "P");
    assert!(over_for(&script, "c").is_empty());
}

/// The call `c` left one of our PBXs, and arrived as `d` at another one.
fn two_pbxs() -> Script {
    let there = Call { side: Side::Terminating, pbx: "other".parse().unwrap(), ..rings("d", "X", Some("+1"), "+2") };
    Script::new([rings("c", "A", Some("+1"), "+2"), there])
}

fn answered_at_the_other_pbx(script: &mut Script) {
    script.say("d", LegEvent::Dialled { leg: leg("Y"), party: Some(number("+2")), trunk: None });
    script.say("d", LegEvent::Bridged { legs: [leg("X"), leg("Y")] });
}

#[test]
fn a_call_that_is_answered_at_another_pbx_goes_on_there_alone() {
    let mut script = two_pbxs();
    let talks = || CallProgress::Talks(pair("d", "+1", "+2"));
    assert_eq!(progress(&script, "+1"), [CallProgress::Rings, CallProgress::Rings]);
    answered_at_the_other_pbx(&mut script);
    assert_eq!(progress(&script, "+1"), [CallProgress::Over, talks()], "its own PBX knows nothing of it yet");
    script.bridged("c", "A", "B");
    let both = vec![number("+1"), number("+2")];
    assert_eq!(script.exchange.over_by(&id("d")), [(id("d"), Vec::new()), (id("c"), both.clone())]);
    assert_eq!(progress(&script, "+1"), [CallProgress::Over, talks()]);
    assert_eq!(script.exchange.told_talk(script.exchange.call(&id("c")).unwrap(), &number("+1")), None);
    script.ended("d", "X");
    script.ended("d", "Y");
    assert_eq!(script.exchange.over_by(&id("d")), [(id("d"), both.clone()), (id("c"), Vec::new())], "not yet");
    script.ended("c", "B");
    script.ended("c", "A");
    assert_eq!(script.exchange.over_by(&id("c")), [(id("c"), both.clone())]);
    assert_eq!(script.exchange.over_by(&id("d")), [(id("d"), both)], "that the other one is over was said");
}

#[test]
fn a_number_that_comes_to_a_call_later_is_told_at_its_own_pbx() {
    let mut script = two_pbxs();
    answered_at_the_other_pbx(&mut script);
    script.bridged("c", "A", "B");
    script.unbridged("c", "A", "B");
    script.say("c", LegEvent::Identified { leg: leg("M"), party: Some(number("+3")) });
    script.bridged("c", "M", "B");
    assert!(!over_for(&script, "c").contains(&number("+3")));
    assert!(matches!(&progress(&script, "+3")[..], [CallProgress::Talks(talks)] if talks.call == id("c")));
    for leg in ["A", "B", "M"] {
        script.ended("c", leg);
    }
    assert_eq!(progress(&script, "+3"), [CallProgress::Over]);
}

#[test]
fn how_an_emergency_call_goes_on_is_told_to_nobody() {
    for (reason, is_told) in [(Reason::Emergency, false), (Reason::MainNumber, true)] {
        let mut script = Script::new([Call { reason, ..call("c", "A", Some("+1"), "+2") }]);
        script.bridged("c", "A", "B");
        assert_eq!(script.exchange.is_told(&pair("c", "+1", "+2")), is_told);
        script.ended("c", "B");
        script.ended("c", "A");
        assert_eq!(over_for(&script, "c").is_empty(), !is_told);
    }
}

fn answered_for(script: &Script, name: &str) -> Vec<Number> {
    script.exchange.answered_for(script.exchange.call(&id(name)).unwrap())
}

#[test]
fn a_call_that_a_voice_mail_answers_is_up_for_the_caller_and_over_for_the_called_number() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B");
    script.ended("c", "B");
    assert!(answered_for(&script, "c").is_empty() && over_for(&script, "c").is_empty(), "nothing has answered yet");
    script.answered("c", "A");
    assert_eq!((answered_for(&script, "c"), over_for(&script, "c")), (vec![number("+1")], vec![number("+2")]));
    assert_eq!(progress(&script, "+1"), [CallProgress::AnsweredByUnknown]);
    assert_eq!(progress(&script, "+2"), [CallProgress::Over]);
    // Somebody takes it over.
    script.say("c", LegEvent::Dialled { leg: leg("M"), party: Some(number("+3")), trunk: None });
    script.bridged("c", "A", "M");
    assert!(answered_for(&script, "c").is_empty());
    script.ended("c", "M");
    assert!(answered_for(&script, "c").is_empty(), "the caller has talked to somebody, and knows");
}

/// Somebody calls their own number and hears its voice mail.
#[test]
fn a_call_to_the_own_number_that_a_voice_mail_answers_is_up_for_it_and_missed_by_nobody() {
    for has_rung in [false, true] {
        let mut script = Script::new([rings("c", "A", Some("+2"), "+2")]);
        if has_rung {
            script.dialled("c", "B");
            script.ended("c", "B");
        }
        assert_eq!(progress(&script, "+2"), [CallProgress::Rings]);
        script.answered("c", "A");
        assert_eq!((answered_for(&script, "c"), over_for(&script, "c")), (vec![number("+2")], vec![]));
        assert_eq!(progress(&script, "+2"), [CallProgress::AnsweredByUnknown]);
        script.ended("c", "A");
        assert_eq!((missed_by(&script, "c"), over_for(&script, "c")), (vec![], vec![number("+2")]));
    }
    // A trunk may claim any number.
    let mut script = Script::new([Call { side: Side::Terminating, ..rings("c", "A", Some("+2"), "+2") }]);
    script.answered("c", "A");
    assert!(answered_for(&script, "c").is_empty());
    script.ended("c", "A");
    assert_eq!((missed_by(&script, "c"), over_for(&script, "c")), (vec![number("+2")], vec![]));
}

#[test]
fn a_call_whose_phones_still_ring_is_answered_by_nobody() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B");
    script.answered("c", "B");
    script.answered("c", "A");
    assert!(answered_for(&script, "c").is_empty(), "the two are about to hear each other");
    // An announcement before the phone rings.
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.answered("c", "A");
    script.dialled("c", "B");
    assert!(answered_for(&script, "c").is_empty());
    let ended = LegEvent::Ended { leg: leg("B"), cause: None };
    script.exchange.apply(&id("c"), by(9), T + Duration::from_secs(1), &ended).unwrap();
    assert_eq!((answered_for(&script, "c"), over_for(&script, "c")), (vec![number("+1")], vec![]), "it may ring again");
}

#[test]
fn a_phone_that_nobody_can_name_may_be_the_called_one() {
    let unnamed = |script: &mut Script| {
        script.say("c", LegEvent::Dialled { leg: leg("X"), party: None, trunk: None });
        script.bridged("c", "A", "X");
    };
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    unnamed(&mut script);
    assert_eq!((answered_for(&script, "c"), over_for(&script, "c")), (vec![number("+1"), number("+2")], vec![]));
    // It has taken the call from the called number's phone.
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B");
    unnamed(&mut script);
    script.ended("c", "B");
    assert_eq!((answered_for(&script, "c"), over_for(&script, "c")), (vec![number("+1")], vec![number("+2")]));
    // It is known only from the bridge: another call may name it.
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.say("c", LegEvent::Bridged { legs: [leg("A"), leg("Y")] });
    assert!(answered_for(&script, "c").is_empty());
}

#[test]
fn a_call_that_has_rung_nobody_is_answered_for_nobody() {
    for alerting in [Alerting::Nobody, Alerting::Called] {
        let mut script = Script::new([Call { alerting, ..call("c", "A", Some("+1"), "+2") }]);
        assert_eq!(script.answered("c", "A"), [], "nobody is told");
        assert!(answered_for(&script, "c").is_empty());
    }
}

#[test]
fn that_somebody_unknown_has_answered_follows_once() {
    let mut script = Script::new([rings("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B");
    assert_eq!(script.ended("c", "B"), []);
    assert_eq!(script.answered("c", "A"), [Effect::AnsweredByUnknown(id("c"))]);
    assert_eq!(script.answered("c", "A"), []);
    let restored = script.exchange.forget(&id("c")).unwrap();
    assert_eq!(script.exchange.open(restored), [], "its clients were told before the restart");
}

#[test]
fn that_somebody_unknown_has_answered_follows_from_the_report_of_another_call() {
    let answered = [Effect::AnsweredByUnknown(id("c"))];
    let calls = || [rings("c", "A", Some("+1"), "+2"), call("d", "P", None, "+9")];
    // An announcement, while the phone rings.
    let announced = || {
        let mut script = Script::new(calls());
        script.dialled("c", "B");
        assert_eq!(script.answered("c", "A"), []);
        script
    };
    assert_eq!(announced().ended("d", "B"), answered);
    // The phone has made a call of its own.
    let left = announced().exchange.open(call("e", "B", Some("+2"), "+9"));
    assert_eq!(left.into_iter().flat_map(|(_, effects)| effects).collect::<Vec<_>>(), answered);
    // Another call has connected the caller, and lets go.
    let mut script = Script::new(calls());
    assert_eq!(script.bridged("d", "A", "P"), []);
    assert_eq!(script.unbridged("d", "A", "P"), answered);
}

#[test]
fn a_call_that_was_answered_before_it_was_opened_is_answered_by_somebody_unknown() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.answered("c", "Y");
    let opened = script.exchange.open(rings("d", "Y", Some("+3"), "+4"));
    let effects: Vec<Effect> = opened.into_iter().flat_map(|(_, effects)| effects).collect();
    assert_eq!(effects, [Effect::AnsweredByUnknown(id("d"))]);
}
