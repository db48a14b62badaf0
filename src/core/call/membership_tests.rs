//! Bridges and legs whose calls report late or out of turn.

use super::*;

fn bridged(a: &str, b: &str) -> LegEvent {
    LegEvent::Bridged { legs: [leg(a), leg(b)] }
}

fn unbridged(a: &str, b: &str) -> LegEvent {
    LegEvent::Unbridged { legs: [leg(a), leg(b)] }
}

fn dialled(a: &str, who: &str) -> LegEvent {
    LegEvent::Dialled { leg: leg(a), party: Some(number(who)), trunk: None }
}

/// +5 hears the caller of a call that the node is told of later.
#[test]
fn a_caller_who_is_heard_before_their_call_is_known_pairs_once_it_is() {
    let mut script = Script::new([call("d", "P", Some("+5"), "+9")]);
    assert_eq!(script.say("d", bridged("P", "A")), [], "not with +9, who is called and not there");
    let claimed = script.exchange.open(call("c", "A", Some("+1"), "+5"));
    let made = pair("d", "+1", "+5");
    assert_eq!(claimed, [(id("d"), vec![Effect::Paired(made.clone())])]);
    assert_eq!(script.exchange.pairs_of(&number("+1")).len(), 1);
    assert_eq!(script.exchange.call(&id("c")).unwrap().phase, Phase::Talking);
    assert_eq!(script.say("d", dialled("A", "+9")), [], "it stands for who announced it");
    assert_eq!(script.ended("d", "A"), [], "it has left that call, and is up in its own");
    assert_eq!(script.ended("c", "A"), [Effect::Parted(made), Effect::Ended(id("c"))]);
    assert_eq!(script.ended("d", "P"), [Effect::Ended(id("d"))]);
}

/// The same of a phone that another call dialled.
#[test]
fn a_phone_that_is_heard_before_it_is_dialled_pairs_once_it_is() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2"), call("d", "P", Some("+5"), "+9")]);
    assert_eq!(script.say("d", bridged("P", "B")), []);
    let made = pair("d", "+5", "+2");
    assert_eq!(script.say("c", dialled("B", "+2")), [Effect::Paired(made.clone())]);
    assert_eq!(script.exchange.call_of(&"pbx".parse().unwrap(), &leg("B")).unwrap().id, id("c"));
    assert_eq!(script.ended("d", "B"), []);
    assert_eq!(script.ended("d", "P"), [Effect::Parted(made), Effect::Ended(id("d"))]);
    assert_eq!(script.ended("c", "A"), []);
    assert_eq!(script.ended("c", "B"), [Effect::Ended(id("c"))]);
}

#[test]
fn a_call_is_over_when_only_a_stranger_was_left() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2"), call("d", "P", Some("+5"), "+9")]);
    script.say("d", bridged("P", "B"));
    script.unbridged("d", "P", "B");
    assert_eq!(script.ended("d", "P"), []);
    assert_eq!(script.say("c", dialled("B", "+2")), [Effect::Ended(id("d"))]);
}

/// Announced after everything that a story tells.
fn later(name: &str, announced: &str, calling: &str, called: &str) -> Call {
    Call { announced: Some(T + Duration::from_secs(1)), ..call(name, announced, Some(calling), called) }
}

#[test]
fn what_a_call_says_late_of_a_leg_that_has_moved_on_is_no_news() {
    let mut script = Script::new([call("d", "P", Some("+5"), "+9")]);
    script.bridged("d", "P", "Q");
    let left = script.exchange.open(later("e", "Q", "+9", "+7"));
    assert_eq!(left, [(id("d"), vec![Effect::Parted(pair("d", "+5", "+9"))])]);
    assert_eq!(script.bridged("e", "Q", "P"), [Effect::Paired(pair("e", "+9", "+5"))]);
    // Told before that.
    assert_eq!(script.unbridged("d", "P", "Q"), []);
    assert_eq!(script.say("d", bridged("P", "Q")), []);
    assert_eq!(script.say("d", LegEvent::Identified { leg: leg("Q"), party: None }), []);
    assert_eq!(script.exchange.pairs_of(&number("+9")).len(), 1);
    // Told after that, by an agent that has not seen the leg leave.
    let apart = LegEvent::Unbridged { legs: [leg("P"), leg("Q")] };
    let parted = script.exchange.apply(&id("d"), by(99), T + Duration::from_secs(2), &apart);
    assert_eq!(parted, Ok(vec![Effect::Parted(pair("e", "+5", "+9"))]));
}

#[test]
fn a_call_that_says_late_that_it_had_a_leg_does_not_end_it_elsewhere() {
    let mut script = Script::new([call("d", "P", Some("+5"), "+9"), later("e", "Q", "+9", "+7")]);
    assert_eq!(script.say("d", dialled("Q", "+9")), []);
    assert_eq!(script.say("d", bridged("P", "Q")), []);
    assert_eq!(script.ended("d", "Q"), []);
    assert_eq!(script.bridged("e", "Q", "R"), [Effect::Paired(pair("e", "+9", "+7"))]);
    assert_eq!(script.ended("d", "P"), [Effect::Ended(id("d"))]);
}

/// +9 was transferred away from +5, and the report of their bridge was late.
#[test]
fn a_bridge_from_before_a_leg_was_announced_is_over_whichever_call_tells_it() {
    let mut script = Script::new([call("d", "P", Some("+5"), "+3"), later("e", "Q", "+9", "+7")]);
    assert_eq!(script.say("d", bridged("P", "Q")), []);
    assert_eq!(script.bridged("e", "Q", "P"), [Effect::Paired(pair("e", "+9", "+5"))], "they met again");
    assert_eq!(script.unbridged("d", "P", "Q"), [], "that was the first time");
    let apart = LegEvent::Unbridged { legs: [leg("P"), leg("Q")] };
    let parted = script.exchange.apply(&id("d"), by(99), T + Duration::from_secs(2), &apart);
    assert_eq!(parted, Ok(vec![Effect::Parted(pair("e", "+5", "+9"))]));
}

/// The same, and the node knew of the bridge before it knew of any call of +9.
#[test]
fn a_stranger_brings_no_bridge_from_before_its_call_announced_it() {
    let mut script = Script::new([call("d", "P", Some("+5"), "+3")]);
    assert_eq!(script.say("d", bridged("P", "Q")), []);
    let since = T + Duration::from_secs(2);
    assert_eq!(script.exchange.apply(&id("d"), by(9), since, &bridged("R", "Q")), Ok(vec![]));
    assert_eq!(script.exchange.open(later("e", "Q", "+9", "+7")), [(id("d"), vec![])]);
    assert!(script.exchange.pairs_of(&number("+5")).is_empty(), "with +9, whom nobody hears there");
    let identified = LegEvent::Identified { leg: leg("R"), party: Some(number("+4")) };
    let paired = script.exchange.apply(&id("d"), by(10), since, &identified);
    assert_eq!(paired, Ok(vec![Effect::Paired(pair("d", "+9", "+4"))]), "R came after that");
}

/// The agent of that call stood by when +9 was announced to another one. It leaves the leg to that call once it is in charge.
#[test]
fn a_call_ends_no_leg_that_another_call_announced() {
    let mut script = Script::new([call("d", "P", Some("+5"), "+3"), call("e", "Q", Some("+9"), "+7")]);
    assert_eq!(script.say("d", LegEvent::Identified { leg: leg("Q"), party: Some(number("+9")) }), []);
    assert_eq!(script.say("d", bridged("P", "Q")), [Effect::Paired(pair("d", "+5", "+9"))]);
    script.dialled("e", "R");
    let after = T + Duration::from_secs(1);
    let paired = script.exchange.apply(&id("e"), by(50), after, &bridged("Q", "R"));
    assert_eq!(paired, Ok(vec![Effect::Paired(pair("e", "+9", "+7"))]));
    assert_eq!(script.ended("d", "Q"), [], "its bridges go on, too");
    assert_eq!(script.exchange.pairs_of(&number("+9")).len(), 2);
    let apart = LegEvent::Unbridged { legs: [leg("P"), leg("Q")] };
    let parted = script.exchange.apply(&id("e"), by(51), after, &apart);
    assert_eq!(parted, Ok(vec![Effect::Parted(pair("d", "+5", "+9"))]), "the agent tells what no longer holds");
    let ended = |leg: &str| LegEvent::Ended { leg: leg.parse().unwrap(), cause: None };
    let parted = script.exchange.apply(&id("e"), by(52), after, &ended("R"));
    assert_eq!(parted, Ok(vec![Effect::Parted(pair("e", "+9", "+7"))]));
    assert_eq!(script.exchange.apply(&id("e"), by(53), after, &ended("Q")), Ok(vec![Effect::Ended(id("e"))]));
}

/// The agent of that call has been told already that the leg left it, or has begun anew and asks the node.
#[test]
fn people_talk_on_when_the_end_of_a_leg_is_repeated_in_a_call_that_it_has_left() {
    let mut script = Script::new([call("c", "X", Some("+1"), "+2"), call("f", "Z", Some("+3"), "+4")]);
    script.dialled("c", "Y");
    script.exchange.open(Call { announced: Some(T), ..call("g", "X", Some("+1"), "+5") });
    assert_eq!(script.bridged("f", "Z", "X"), [Effect::Paired(pair("f", "+3", "+1"))]);
    assert_eq!((script.ended("c", "X"), script.ended("c", "X")), (vec![], vec![]));
    assert_eq!(script.exchange.pairs_of(&number("+1")).len(), 1);
}

/// Y was released from g to c, and then X and Y no longer heard each other.
#[test]
fn the_latest_report_on_a_bridge_holds_whichever_call_it_comes_from() {
    for (bridged_at, unbridged_at, pairs) in [(5, 6, 0), (6, 5, 1)] {
        for bridged_first in [true, false] {
            let calls = [call("g", "X", Some("+1"), "+2"), call("c", "W", Some("+3"), "+4")];
            let mut script = Script::new(calls);
            script.dialled("c", "Y");
            let mut told = [("g", bridged_at, bridged("X", "Y")), ("c", unbridged_at, unbridged("Y", "X"))];
            if !bridged_first {
                told.reverse();
            }
            for (call, seq, event) in told {
                script.exchange.apply(&id(call), by(seq), T, &event).unwrap();
            }
            let left = script.exchange.pairs_of(&number("+1")).len();
            assert_eq!(left, pairs, "{bridged_at} {unbridged_at} {bridged_first}");
        }
    }
}

/// Y was taken for part of g before it was found to be of c, and hung up before g's report of it arrived.
#[test]
fn a_late_report_does_not_bring_back_a_leg_that_is_gone() {
    let mut script = Script::new([call("g", "X", Some("+1"), "+2"), call("c", "W", Some("+3"), "+4")]);
    script.dialled("c", "Y");
    script.seq += 1;
    let before = by(script.seq);
    assert_eq!(script.ended("c", "Y"), []);
    assert_eq!(script.exchange.apply(&id("g"), before, T, &dialled("Y", "+4")), Ok(vec![]));
    assert_eq!(script.ended("g", "X"), [Effect::Ended(id("g"))]);
}

/// P and Q hear each other before the node knows of Q's call, and R was told to hear Q.
#[test]
fn a_call_that_takes_a_leg_over_changes_those_of_whom_it_hears() {
    let mut script = Script::new([call("d", "P", Some("+5"), "+3"), call("f", "R", Some("+6"), "+7")]);
    assert_eq!(script.say("d", bridged("P", "Q")), []);
    assert_eq!(script.say("f", bridged("Q", "R")), []);
    let changed = script.exchange.open(later("e", "Q", "+9", "+7"));
    assert_eq!(changed, [(id("f"), vec![]), (id("d"), vec![])]);
    assert!(script.exchange.call(&id("f")).unwrap().hears().is_empty());
}

/// Two agents, and the first one's node was slow.
#[test]
fn a_call_that_is_opened_late_takes_no_leg_from_the_call_that_followed_it() {
    let mut script = Script::new([later("e", "Q", "+9", "+7")]);
    let first = Call { announced: Some(T), ..call("d", "Q", Some("+9"), "+5") };
    assert_eq!(script.exchange.open(first), []);
    assert_eq!(script.bridged("e", "Q", "R"), [Effect::Paired(pair("e", "+9", "+7"))]);
    assert_eq!(script.ended("d", "Q"), [Effect::Ended(id("d"))]);
    assert_eq!(script.exchange.pairs_of(&number("+9")).len(), 1);
}

/// It was found in a snapshot.
#[test]
fn a_leg_whose_announcement_nobody_dated_was_announced_before_the_decision() {
    let found = Call { decided: T + Duration::from_secs(1), ..call("e", "Q", Some("+9"), "+7") };
    let mut script = Script::new([call("d", "P", Some("+5"), "+9"), found]);
    assert_eq!(script.say("d", dialled("Q", "+9")), []);
    assert_eq!(script.ended("d", "Q"), []);
    assert_eq!(script.bridged("e", "Q", "R"), [Effect::Paired(pair("e", "+9", "+7"))]);
    assert_eq!(script.ended("d", "P"), [Effect::Ended(id("d"))]);
}

#[test]
fn a_call_is_not_over_before_its_own_reports_have_come_so_far() {
    let mut script = Script::new([call("d", "P", Some("+5"), "+9"), later("e", "P", "+5", "+7")]);
    assert_eq!(script.say("e", bridged("P", "Q")), []);
    assert_eq!(script.say("d", dialled("Q", "+9")), [Effect::Paired(pair("e", "+5", "+9"))]);
    assert_eq!(script.ended("d", "P"), []);
    assert_eq!(script.ended("d", "Q"), [Effect::Parted(pair("e", "+5", "+9")), Effect::Ended(id("d"))]);
    assert_eq!(script.ended("e", "P"), [Effect::Ended(id("e"))]);
}

/// A snapshot has shown that it was gone, and events from before are read after that.
#[test]
fn a_leg_that_comes_up_again_in_another_call_is_of_that_one_until_its_end() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2"), call("d", "P", Some("+5"), "+9")]);
    script.dialled("c", "B");
    assert_eq!(script.ended("c", "A"), []);
    let again = LegEvent::Identified { leg: leg("A"), party: Some(number("+1")) };
    assert_eq!(script.exchange.apply(&id("d"), by(9), T + Duration::from_secs(1), &again), Ok(vec![]));
    script.seq = 9;
    assert_eq!(script.ended("d", "P"), [], "the agent follows the call by its other leg");
    assert_eq!(script.ended("d", "A"), [Effect::Ended(id("d"))]);
    assert_eq!(script.ended("c", "B"), [Effect::Ended(id("c"))]);
}
