//! What the node has wrong is put right by a snapshot.

use super::*;
use crate::pbx::PbxEvent;

fn hears(name: &str, others: &[&str]) -> LiveLeg {
    LiveLeg { device: Device::named(name), hears: others.iter().map(|other| leg(other)).collect(), ..live(name, None) }
}

fn bridged(a: &str, b: &str) -> PbxEvent {
    PbxEvent::bridged([leg(a), leg(b)])
}

fn events(agent: &Agent, key: Key) -> Vec<LegEvent<Device>> {
    agent.told.iter().filter(|said| said.key == key).map(|said| said.event.clone()).collect()
}

fn is_introduced(event: &LegEvent<Device>, name: &str) -> bool {
    matches!(event, LegEvent::Identified { leg: of, .. } if *of == leg(name))
}

/// A leg joined it after the node had taken it for over. The node has dropped what was told of that leg.
#[test]
fn legs_of_a_call_that_is_over_for_the_node_join_whom_they_hear() {
    let mut agent = Agent::default();
    let over = agent.announce(identity(N, Some("c")));
    agent.tracker.adopt(&[leg("Y")], |_| false);
    let told = agent.tracker.apply(&bridged("X", "Z"));
    agent.tell(told);
    let own = agent.announce(CallIdentity { leg: leg("A"), ..identity(M, Some("d")) });
    let told = agent.tracker.apply(&bridged("A", "Z"));
    agent.tell(told);
    agent.over = vec![over];
    let (asked, told) = (agent.ask(), agent.told.len());
    let there = snapshot(vec![hears("A", &["Z"]), hears("Z", &["A"])]);
    reconcile(&mut agent, &there, &asked, vec![CallView { leg: leg("A"), ..view("d", M, &["A"]) }]);
    assert!(agent.identity(over).is_none());
    assert_eq!(agent.tracker.call_of(&leg("Z")), Some(own));
    agent.told.drain(..told);
    let told = events(&agent, own);
    let introduced = told.iter().position(|event| is_introduced(event, "Z"));
    let heard = told.iter().position(|event| *event == LegEvent::Bridged { legs: [leg("A"), leg("Z")] });
    assert!(introduced.is_some() && introduced < heard, "{told:?}");
}

/// Its tags say whom it calls, whatever became of the call's id.
#[test]
fn the_announced_leg_of_a_call_that_is_over_for_the_node_is_registered_anew() {
    let mut agent = Agent::default();
    let over = agent.announce(identity(N, Some("c")));
    agent.over = vec![over];
    agent.reconcile(&snapshot(vec![live("X", Some(tags(N, Some("c"))))]), Vec::new());
    let again = agent.tracker.call_of(&leg("X")).unwrap();
    assert!(again > over && agent.identity(over).is_none());
    assert_eq!(agent.identity(again).unwrap().called, number(N));
    assert!(agent.told.is_empty(), "the node has ended it by itself: {:?}", agent.told);
}

#[test]
fn a_bridge_that_the_nodes_list_lacks_is_told_again() {
    for knows in [true, false] {
        let mut agent = Agent::default();
        let call = agent.announce(identity(N, Some("c")));
        let told = agent.tracker.apply(&bridged("X", "Y"));
        agent.tell(told);
        let (asked, told) = (agent.ask(), agent.told.len());
        let there = snapshot(vec![hears("X", &["Y"]), hears("Y", &["X"])]);
        let heard = if knows { vec![[leg("Y"), leg("X")]] } else { vec![] };
        reconcile(&mut agent, &there, &asked, vec![CallView { hears: heard, ..view("c", N, &["X", "Y"]) }]);
        agent.told.drain(..told);
        let again = events(&agent, call).contains(&LegEvent::Bridged { legs: [leg("X"), leg("Y")] });
        assert_eq!(again, !knows);
    }
}

/// The call that would have introduced it is over. As a stranger it would stand for nobody.
#[test]
fn a_stranger_whom_nobody_follows_is_introduced() {
    let mut agent = Agent::default();
    let call = agent.announce(identity(N, Some("c")));
    let there = snapshot(vec![hears("X", &["Y"]), hears("Y", &["X"])]);
    agent.reconcile(&there, vec![CallView { strangers: vec![leg("Y")], ..view("c", N, &["X", "Y"]) }]);
    assert!(events(&agent, call).iter().any(|event| is_introduced(event, "Y")), "{:?}", agent.told);
}

/// Of a conference that is too large, not all that is heard is told. That isn't told each minute either.
#[test]
fn what_was_never_told_of_a_large_conference_is_not_told_again() {
    let mut agent = Agent::default();
    let call = agent.announce(identity(N, Some("c")));
    let names: Vec<String> = ["X".to_owned()].into_iter().chain((0..70).map(|n| format!("L{n}"))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let legs: Vec<LegId> = names.iter().map(|name| leg(name)).collect();
    agent.tracker.adopt(&legs, |key| key == call);
    let others = |name: &str| names.iter().filter(|other| **other != name).copied().collect::<Vec<_>>();
    let there = snapshot(names.iter().map(|name| hears(name, &others(name))).collect());
    let mut told = Vec::new();
    for minute in 0..3 {
        let (asked, claimed) = (agent.ask(), CallView { hears: told.clone(), ..view("c", N, &names) });
        reconcile(&mut agent, &there, &asked, vec![claimed]);
        let news: Vec<[LegId; 2]> = agent.told.drain(..).filter_map(|told| bridge(&told.event)).collect();
        assert_eq!(news.is_empty(), minute > 0, "{} in minute {minute}", news.len());
        told.extend(news);
    }
    assert!(told.len() < names.len() * (names.len() - 1) / 2, "{}", told.len());
}

fn bridge(event: &LegEvent<Device>) -> Option<[LegId; 2]> {
    if let LegEvent::Bridged { legs } = event { Some(legs.clone()) } else { None }
}
