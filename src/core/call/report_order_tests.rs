//! Reports that overtake each other, and the reports of two agents.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// The numbers of an agent whose clock is an hour ahead of the other's.
const AHEAD: u64 = 3_600_000_000;

fn agents() -> [AgentId; 2] {
    ["agent-1", "agent-2"].map(|id| id.parse().unwrap())
}

fn bridged(a: &str, b: &str) -> LegEvent {
    LegEvent::Bridged { legs: [leg(a), leg(b)] }
}

fn unbridged(a: &str, b: &str) -> LegEvent {
    LegEvent::Unbridged { legs: [leg(a), leg(b)] }
}

fn ended(a: &str) -> LegEvent {
    LegEvent::Ended { leg: leg(a), cause: None }
}

fn named(a: &str, who: &str) -> LegEvent {
    LegEvent::Identified { leg: leg(a), party: Some(number(who)) }
}

#[test]
fn a_repeated_event_changes_nothing() {
    let mut exchange = Exchange::new(8);
    exchange.open(call("c", "A", Some("+1"), "+2"));
    let dialled = LegEvent::Dialled { leg: leg("B"), party: Some(number("+2")), trunk: None };
    exchange.apply(&id("c"), by(1), T, &dialled).unwrap();
    let bridged = LegEvent::Bridged { legs: [leg("A"), leg("B")] };
    assert_eq!(exchange.apply(&id("c"), by(7), T, &bridged).unwrap().len(), 1);
    assert_eq!(exchange.apply(&id("c"), by(7), T, &bridged), Ok(Vec::new()));
    assert_eq!(exchange.apply(&id("c"), by(6), T, &LegEvent::Ended { leg: leg("A"), cause: None }), Ok(Vec::new()));
}

/// The first agent stood by when it told of the bridge, and was stopped then.
#[test]
fn an_agent_parts_whom_another_one_with_higher_numbers_has_paired() {
    let [one, two] = agents();
    let mut script = Script::new([call("c", "X", Some("+1"), "+2"), call("d", "Q", Some("+5"), "+6")]);
    let first = Serial { agent: Some(&one), seq: AHEAD };
    let paired = script.exchange.apply(&id("c"), first, T, &bridged("X", "Q"));
    assert_eq!(paired, Ok(vec![Effect::Paired(pair("c", "+1", "+5"))]));
    let second = Serial { agent: Some(&two), seq: 60 };
    let parted = script.exchange.apply(&id("d"), second, T + MINUTE, &unbridged("X", "Q"));
    assert_eq!(parted, Ok(vec![Effect::Parted(pair("c", "+1", "+5"))]));
}

/// What the node has of one agent, the reports of another one don't push out.
#[test]
fn two_agents_do_not_bring_back_each_others_bridges() {
    let [one, two] = agents();
    let mut script = Script::new([call("c", "X", Some("+1"), "+2"), call("d", "Q", Some("+5"), "+6")]);
    let mut say = |call, agent, seq, event| {
        script.exchange.apply(&id(call), Serial { agent: Some(agent), seq }, T, &event).unwrap().len()
    };
    assert_eq!(say("d", &one, AHEAD + 1, unbridged("X", "Q")), 0);
    assert_eq!(say("d", &two, AHEAD + 2, unbridged("X", "Q")), 0);
    assert_eq!(say("c", &one, AHEAD, bridged("X", "Q")), 0, "overtaken by the first one's own report");
}

#[test]
fn a_call_takes_reports_from_an_agent_with_lower_numbers_than_the_one_before() {
    let [one, two] = agents();
    let mut script = Script::new([call("c", "X", Some("+1"), "+2")]);
    script.dialled("c", "Y");
    let mut say = |agent, seq, at, event| {
        script.exchange.apply(&id("c"), Serial { agent: Some(agent), seq }, at, &event).unwrap().len()
    };
    assert_eq!(say(&one, AHEAD, T, bridged("X", "Y")), 1);
    assert_eq!(say(&two, 5, T, unbridged("X", "Y")), 0, "both followed the call: it may be from before");
    assert_eq!(say(&two, 6, T + MINUTE, ended("X")), 1);
    assert_eq!(say(&two, 6, T + MINUTE, ended("Y")), 0, "a repeat");
    assert_eq!(say(&two, 7, T + MINUTE, ended("Y")), 1);
    assert_eq!(script.exchange.call(&id("c")).unwrap().phase, Phase::Ended);
}

/// A report from before it may be dated late: its request hung, and the agent's clock is wrong. One from after it may be of
/// the same millisecond.
#[test]
fn a_leg_comes_up_again_only_with_a_report_from_after_its_end() {
    for (seq, at, is_back) in [(3, T + MINUTE, false), (7, T, true)] {
        let mut script = Script::new([call("g", "X", Some("+1"), "+2"), call("c", "W", Some("+3"), "+4")]);
        script.dialled("c", "Y");
        script.exchange.apply(&id("c"), by(5), T, &ended("Y")).unwrap();
        script.exchange.apply(&id("g"), by(seq), at, &named("Y", "+4")).unwrap();
        assert_eq!(script.exchange.call(&id("g")).unwrap().has(&leg("Y")), is_back, "{seq}");
    }
}

#[test]
fn a_leg_that_is_gone_remembers_only_the_report_of_its_end() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.bridged("c", "A", "B");
    script.ended("c", "B");
    let of = |name: &str| {
        let reported = &script.exchange.call(&id("c")).unwrap().legs[&leg(name)].reported;
        reported.iter().map(|report| report.leg.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((of("A"), of("B")), (vec!["B".to_owned()], vec!["B".to_owned()]));
}

/// Y's phone has an extension that is in no directory, and stands for the number that W called. W has transferred Y to X, and
/// an agent that has just started takes Y for part of X's call.
#[test]
fn another_call_does_not_rename_a_leg() {
    let mut script = Script::new([call("g", "X", Some("+1"), "+2"), call("c", "W", Some("+3"), "+4")]);
    script.dialled("c", "Y");
    script.ended("c", "W");
    let made = pair("g", "+1", "+4");
    assert_eq!(script.say("g", bridged("X", "Y")), [Effect::Paired(made.clone())]);
    assert_eq!(script.say("g", named("Y", "1001;phone-context=pbx.example")), []);
    assert_eq!(script.exchange.pairs_of(&number("+4")), [made]);
    assert_eq!(script.say("c", named("Y", "+7")).len(), 2, "its own call does");
}
