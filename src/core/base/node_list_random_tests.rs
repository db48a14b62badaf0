//! Whatever happens to an agent's nodes, their list keeps some promises.

use proptest::prelude::*;

use super::*;

/// Something that happens to a node.
#[derive(Debug, Clone, Copy)]
enum Step {
    Answered(usize),
    Worked(usize),
    Refused(usize),
    Failed(usize),
    Late(usize),
    Decided(usize),
    Undecided(usize),
    Ask(Option<usize>),
}

fn step(nodes: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..nodes).prop_map(Step::Answered),
        (0..nodes).prop_map(Step::Worked),
        (0..nodes).prop_map(Step::Refused),
        (0..nodes).prop_map(Step::Failed),
        (0..nodes).prop_map(Step::Late),
        (0..nodes).prop_map(Step::Decided),
        (0..nodes).prop_map(Step::Undecided),
        proptest::option::of(0..nodes).prop_map(Step::Ask),
    ]
}

/// A list of so many nodes after these steps, each with the milliseconds before it, and the time then.
fn after(nodes: usize, steps: Vec<(u64, Step)>) -> (NodeList<Duration>, Duration) {
    let (mut list, mut now) = (list(nodes), T0);
    for (ms, step) in steps {
        now += MS(ms);
        take(&mut list, step, now);
    }
    (list, now)
}

/// Does it, and returns whether another node is in use then.
fn take(list: &mut NodeList<Duration>, step: Step, now: Duration) -> bool {
    let before = used(list);
    match step {
        Step::Answered(node) => assert_eq!(list.answered(node, now), used(list) != before),
        Step::Worked(node) => assert_eq!(list.worked(node, None, now), used(list) != before),
        Step::Refused(node) => {
            assert_eq!(list.failed(node, now).is_some(), used(list) != before);
            list.spare(node, now);
        }
        Step::Failed(node) => assert_eq!(list.failed(node, now).is_some(), used(list) != before),
        Step::Late(node) => assert_eq!(list.late(node, now, now).is_some(), used(list) != before),
        Step::Decided(node) => _ = list.decided(node),
        Step::Undecided(node) => _ = list.undecided(node, now),
        Step::Ask(tried) => {
            let tried = Vec::from_iter(tried);
            let asked = list.ask(&tried, now);
            assert!(asked.is_none_or(|node| !tried.contains(&node)), "{asked:?}");
        }
    }
    used(list) != before
}

/// What happens to nodes, and how long after what was before.
fn steps(nodes: usize) -> impl Strategy<Value = Vec<(u64, Step)>> {
    proptest::collection::vec((prop_oneof![0..50u64, 0..3_000u64], step(nodes)), 0..100)
}

/// Numbers of nodes with what happens to them.
fn nodes_and_steps() -> impl Strategy<Value = (usize, Vec<(u64, Step)>)> {
    (1..5usize).prop_flat_map(|nodes| (Just(nodes), steps(nodes)))
}

/// Nodes of which one decides and at most two are silent, what has happened to them before, and when calls come.
fn one_that_decides() -> impl Strategy<Value = (Vec<How>, Vec<(u64, Step)>, Vec<u64>)> {
    let silent = proptest::collection::vec(Just(How::Silent), 0..3);
    let refusing = proptest::collection::vec(Just(How::Refuses), 0..3);
    let nodes = (silent, refusing).prop_map(|(silent, refusing)| [vec![How::Decides], silent, refusing].concat());
    let calls = proptest::collection::vec(0..3_000u64, 2..20);
    (nodes.prop_shuffle(), calls).prop_flat_map(|(how, calls)| {
        let before = steps(how.len());
        (Just(how), before, Just(calls))
    })
}

proptest! {
    #[test]
    fn a_node_is_left_only_if_it_fails_and_for_one_that_has_just_answered((nodes, steps) in nodes_and_steps()) {
        let mut list = list(nodes);
        let mut now = T0;
        // What each is, as far as the table says. One that is well has answered then. One that has failed was late, too.
        let mut well: Vec<Option<Duration>> = vec![None; nodes];
        let (mut failed, mut late) = (vec![false; nodes], vec![false; nodes]);
        let mut spared: Vec<Option<Duration>> = vec![None; nodes];
        for (ms, step) in steps {
            now += MS(ms);
            let before = used(&list);
            let moved = take(&mut list, step, now);
            if let Step::Refused(node) = step {
                spared[node] = Some(now);
            }
            match step {
                Step::Answered(node) | Step::Worked(node) => {
                    (well[node], failed[node], late[node]) = (Some(now), false, false);
                }
                Step::Failed(node) | Step::Refused(node) => {
                    (well[node], failed[node], late[node]) = (None, true, true);
                }
                Step::Late(node) => {
                    failed[node] |= late[node];
                    (well[node], late[node]) = (None, true);
                }
                _ => {}
            }
            let used = used(&list);
            let is_spared = |node: usize| spared[node].is_some_and(|at| now < at + SPARED_FOR);
            let is_fresh = |node: usize| well[node].is_some_and(|at| now < at + FRESH_FOR);
            let may_move = failed[before] && is_fresh(used) && !is_spared(used);
            prop_assert!(!moved || may_move, "{step:?}: from {before} to {used}");
            if moved {
                spared[before] = Some(now);
            }
            prop_assert_eq!((list.has_failed(), list.in_use().is_well), (failed[used], well[used].is_some()));
            let share = list.share(used, &[], MS(400), now);
            prop_assert!(share == MS(400) || share == MS(240) && nodes > 1, "{share:?}");
        }
    }

    #[test]
    fn whatever_the_nodes_do_each_is_left_at_most_once_a_second((nodes, steps) in nodes_and_steps()) {
        let mut list = list(nodes);
        let mut now = T0;
        let mut left: Vec<Option<Duration>> = vec![None; nodes];
        for (ms, step) in steps {
            now += MS(ms);
            let before = used(&list);
            if take(&mut list, step, now) {
                let last = left[before].replace(now);
                prop_assert!(last.is_none_or(|last| now >= last + MS(1_000)), "{before}: {last:?}, {now:?}");
            }
        }
    }

    /// A node in use that has failed is not kept for long if another one answers.
    #[test]
    fn a_node_that_has_failed_is_left_as_soon_as_none_is_spared((nodes, steps) in nodes_and_steps()) {
        let (mut list, mut now) = after(nodes, steps);
        now += MS(1_000);
        let has_failed = list.has_failed();
        let other = (used(&list) + 1) % nodes;
        prop_assert_eq!(list.answered(other, now), has_failed && nodes > 1);
    }

    #[test]
    fn whatever_happened_each_node_is_asked_again_soon((nodes, steps) in nodes_and_steps()) {
        let (mut list, mut now) = after(nodes, steps);
        now += MS(2_000);
        let mut tried = Vec::new();
        while let Some(node) = list.ask(&tried, now) {
            tried.push(node);
        }
        prop_assert_eq!((tried.first().copied(), tried.len()), (Some(used(&list)), nodes));
    }

    /// Also while no node is asked for a sign of life.
    #[test]
    fn calls_reach_the_node_that_decides_after_at_most_one_that_does_not((how, before, calls) in one_that_decides()) {
        let (mut list, mut now) = after(how.len(), before);
        // No breaker is open any more.
        now += MS(2_000);
        let mut decided = Vec::new();
        for ms in calls {
            decided.push(decide(&mut list, &mut now, &how).is_some());
            now += MS(ms);
        }
        prop_assert!(decided[1..].iter().all(|decided| *decided), "{decided:?}");
    }
}
