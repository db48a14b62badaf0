//! Calls that were registered late, and legs that have left them.

use super::*;

/// Y was called by another agent and then announced to this one. The other agent's node was slow: it registered the first
/// call after the second one.
#[test]
fn a_call_that_was_registered_late_takes_no_leg_back() {
    for id in [Some("d"), None] {
        let mut agent = Agent::default();
        let new = agent.announce(identity(N, id));
        let there = snapshot(vec![live("X", Some(tags(N, id)))]);
        let late = CallView { moved: vec![leg("X")], ..view("e", M, &["X"]) };
        agent.reconcile(&there, vec![view("d", N, &["X"]), late]);
        assert_eq!(agent.tracker.call_of(&leg("X")), Some(new), "{id:?}");
        assert!(agent.told.is_empty(), "{:?}", agent.told);
        assert_eq!(agent.ended, [("e".parse().unwrap(), vec![leg("X")])]);
    }
}

/// Its own agent was told nothing of that, and is gone.
#[test]
fn a_call_is_told_that_a_leg_has_left_it() {
    let mut agent = Agent::default();
    let third = agent.announce(identity("+12125550102", None));
    let there = snapshot(vec![live("X", Some(tags("", None)))]);
    let first = CallView { moved: vec![leg("X")], ..view("c", N, &["X"]) };
    agent.reconcile(&there, vec![first, view("d", M, &["X"])]);
    assert_eq!(agent.tracker.call_of(&leg("X")), Some(third));
    assert_eq!(agent.ended, [("c".parse().unwrap(), vec![leg("X")])]);
}

/// Another agent could register the call of X only after the one that its tags name. The node has X in that call now, and
/// takes reports about X for it alone. This agent may have followed X all the time, or find it when it begins.
#[test]
fn a_leg_goes_over_to_the_call_that_the_node_has_it_in_whatever_its_mark_names() {
    for is_followed in [true, false] {
        let mut agent = Agent::default();
        if is_followed {
            agent.announce(identity(N, Some("c")));
        }
        let there = snapshot(vec![live("X", Some(tags(N, Some("c"))))]);
        // The second list says the same.
        for _ in 0..2 {
            agent.reconcile(&there, vec![view("c", N, &["Y"]), view("d", M, &["X"])]);
            let key = agent.tracker.call_of(&leg("X")).unwrap();
            assert_eq!(agent.identity(key).unwrap().id, Some("d".parse().unwrap()), "{is_followed}");
            assert_eq!(agent.ended_in(key), Vec::<&LegId>::new(), "{is_followed}");
            assert!(agent.ended.iter().all(|(call, _)| call.as_str() == "c"), "{:?}", agent.ended);
        }
    }
}

/// The report of the stranger's own call may be on its way to the node.
#[test]
fn a_stranger_does_not_go_over_with_the_leg_that_it_hears() {
    let mut agent = Agent::default();
    let old = agent.announce(identity(N, Some("c")));
    agent.tracker.adopt(&[leg("X"), leg("Y")], |key| key == old);
    let there = snapshot(vec![live("X", Some(tags(M, Some("d")))), live("Y", None)]);
    let later = CallView { strangers: vec![leg("Y")], ..view("d", M, &["X", "Y"]) };
    agent.reconcile(&there, vec![view("c", N, &[]), later]);
    assert_eq!(agent.tracker.call_of(&leg("Y")), Some(old));
}

/// Its tags name yet another call: the announcement of that was lost.
#[test]
fn a_call_that_was_announced_since_the_node_was_asked_is_later_than_those_that_it_lists() {
    for announced_before in [false, true] {
        let mut agent = Agent::default();
        let listed = agent.tracker.next();
        agent.announce(identity(N, None));
        let asked = agent.ask();
        let asked = if announced_before { asked } else { Asked { listed, ..asked } };
        let there = snapshot(vec![live("X", Some(tags("+12125550102", None)))]);
        reconcile(&mut agent, &there, &asked, vec![view("c", M, &["X", "Y"])]);
        let call = agent.identity(agent.tracker.call_of(&leg("X")).unwrap()).unwrap();
        assert_eq!(call.called, number(if announced_before { M } else { N }));
        let gone = if announced_before { vec![] } else { vec![("c".parse().unwrap(), vec![leg("Y"), leg("X")])] };
        assert_eq!(agent.ended, gone, "{announced_before}");
    }
}
