//! An agent's nodes: which one is used, whatever happens to them, in time that the tests move.

use proptest::prelude::*;

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;
const T0: Duration = Duration::ZERO;

/// How long the tests' decisions may take.
const DEADLINE: Duration = Duration::from_millis(400);

/// Nodes whose breakers open at the third failure, for two seconds.
fn list(nodes: usize) -> NodeList<Duration> {
    NodeList::new(nodes, &Breaker::new(3, MS(2_000)))
}

fn used(list: &NodeList<Duration>) -> usize {
    list.in_use().node
}

#[test]
fn a_node_that_answers_is_used_when_the_one_in_use_fails_and_it_stays_in_use() {
    let mut list = list(3);
    assert!(!list.answered(0, T0) && !list.answered(2, T0), "the first is well");
    assert_eq!((used(&list), list.failed(0, T0)), (0, Some(2)));
    assert!(!list.answered(0, T0) && !list.answered(1, T0), "they are back, and nobody needs them");
    assert_eq!((used(&list), list.next(&[]), list.ask(&[], T0)), (2, Some(2), Some(2)));
    assert_eq!(list.failed(2, MS(1_000_000)), Some(0));
}

#[test]
fn no_node_is_left_for_one_that_has_not_answered() {
    let mut list = list(3);
    assert_eq!(list.failed(0, T0), None, "the others are untried");
    assert_eq!((list.failed(2, T0), list.late(1, T0, T0)), (None, None));
    assert!(list.has_failed() && used(&list) == 0);
    assert!(list.answered(2, T0) && !list.has_failed());
    assert!(!list.answered(0, T0));
    assert_eq!((used(&list), list.failed(2, MS(1_000))), (2, Some(0)));
}

#[test]
fn a_node_that_could_not_work_or_was_left_is_spared_for_a_second_whatever_its_signs_of_life() {
    let mut list = list(2);
    assert_eq!((list.failed(1, T0), list.spare(1, T0)), (None, ()));
    assert_eq!((list.answered(1, T0), list.failed(0, MS(999)), list.answered(1, MS(999))), (false, None, false));
    assert!(list.answered(1, MS(1_000)), "this is its second");
    assert_eq!((list.answered(0, MS(1_500)), list.failed(1, MS(1_999)), used(&list)), (false, None, 1));
    assert_eq!((list.failed(1, MS(2_000)), used(&list)), (Some(0), 0), "the first one was left a second ago");
}

#[test]
fn a_short_time_without_an_answer_counts_only_if_it_is_the_second_in_a_row() {
    let mut list = list(2);
    assert!(!list.answered(0, T0) && !list.answered(1, T0));
    assert_eq!(list.late(0, T0, MS(100)), None);
    assert!(!list.answered(0, MS(100)), "it answers again");
    assert_eq!((list.late(0, MS(100), MS(200)), used(&list)), (None, 0));
    assert_eq!((list.late(0, MS(199), MS(299)), used(&list)), (None, 0), "both waited at the same time");
    assert_eq!((list.late(0, MS(200), MS(300)), used(&list)), (Some(1), 1));
}

/// How often calls must be told again, and how often what waits may be.
fn repeats(list: &NodeList<Duration>) -> (u32, u32) {
    let InUse { handovers, recoveries, .. } = list.in_use();
    (handovers, recoveries)
}

#[test]
fn calls_are_told_again_if_and_only_if_another_process_works() {
    let mut list = list(2);
    assert!(!list.worked(0, Some(7), T0) && !list.worked(1, Some(8), T0));
    assert_eq!(repeats(&list), (0, 0), "the second one is not in use");
    // It was only slow, or without its database.
    assert_eq!((list.failed(0, T0), used(&list)), (Some(1), 1));
    assert_eq!(list.failed(1, MS(1_000)), None);
    assert!(list.worked(0, Some(7), MS(1_000)) && !list.worked(0, Some(7), MS(1_000)));
    assert_eq!(repeats(&list), (0, 1));
    // It was restarted. A sign of life does not say whether it works.
    assert!(!list.answered(0, MS(1_000)) && repeats(&list) == (0, 1));
    assert!(!list.worked(0, Some(9), MS(1_000)) && !list.worked(0, Some(9), MS(1_000)));
    assert_eq!(repeats(&list), (1, 2));
    // The same process has two addresses.
    list.answered(1, MS(2_000));
    assert_eq!(list.failed(0, MS(2_000)), Some(1));
    assert!(!list.worked(1, Some(9), MS(2_000)));
    assert_eq!(repeats(&list), (1, 3));
}

#[test]
fn an_older_node_which_names_no_process_is_told_again_if_another_node_worked_last() {
    let mut list = list(2);
    for (now, node, expected) in [(0, 0, (0, 0)), (1, 1, (1, 1)), (2, 0, (2, 2))] {
        let now = MS(now * 1_000);
        list.answered(node, now);
        list.failed(1 - node, now);
        list.worked(node, None, now);
        list.worked(node, None, now);
        assert_eq!(repeats(&list), expected, "{now:?}");
    }
    list.failed(0, MS(2_000));
    list.worked(0, None, MS(2_000));
    assert_eq!(repeats(&list), (2, 3), "what waits may be tried again");
}

#[test]
fn the_node_in_use_is_asked_first_then_those_that_are_well_and_those_whose_trouble_is_the_longest_ago() {
    let mut list = list(5);
    list.failed(1, MS(20));
    list.late(2, MS(10), MS(10));
    list.answered(4, T0);
    let asked = |list: &NodeList<Duration>| {
        let mut tried = Vec::new();
        while let Some(node) = list.next(&tried) {
            tried.push(node);
        }
        tried
    };
    assert_eq!(asked(&list), [0, 4, 3, 2, 1]);
    list.failed(4, MS(30));
    list.failed(0, MS(30));
    list.failed(2, MS(40));
    assert_eq!(asked(&list), [0, 3, 1, 4, 2], "no other one is known to work");
}

#[test]
fn each_node_is_asked_once_and_a_node_whose_breaker_is_open_is_not() {
    let mut list = list(2);
    assert_eq!((list.ask(&[], T0), list.ask(&[0], T0), list.ask(&[0, 1], T0)), (Some(0), Some(1), None));
    assert!(!list.undecided(0, T0) && !list.undecided(0, T0) && list.undecided(0, T0), "the third opens");
    assert_eq!((list.ask(&[], T0), list.ask(&[1], T0), list.next(&[])), (Some(1), None, Some(0)));
    (0..3).for_each(|_| _ = list.undecided(1, T0));
    assert_eq!(list.ask(&[], MS(1_999)), None);
    assert_eq!((list.ask(&[], MS(2_000)), list.ask(&[0], MS(2_000))), (Some(0), Some(1)), "a trial of each");
    assert!(list.decided(1));
    assert_eq!(list.ask(&[], MS(2_001)), Some(1), "the other one's trial is under way");
}

#[test]
fn a_single_node_gets_all_the_time_and_two_share_it_if_there_is_enough() {
    assert_eq!(list(1).share(0, &[], MS(400), T0), MS(400));
    let mut two = list(2);
    two.answered(0, T0);
    assert_eq!(two.share(0, &[], MS(400), T0), MS(240));
    assert_eq!(two.share(0, &[], MS(200), T0), MS(120));
    assert_eq!(two.share(0, &[], MS(190), T0), MS(190), "too little would be left");
    assert_eq!(two.share(0, &[1], MS(400), T0), MS(400), "the other one has been asked");
    two.failed(1, T0);
    assert_eq!(two.share(0, &[], MS(400), MS(999)), MS(400), "the other one has just failed");
    assert_eq!(two.share(0, &[], MS(400), MS(1_000)), MS(240));
    two.failed(1, MS(1_000));
    two.failed(0, MS(1_000));
    assert_eq!(two.share(0, &[], MS(400), MS(1_000)), MS(240), "so has this one");
    (0..3).for_each(|_| _ = two.undecided(1, MS(1_000)));
    assert_eq!(two.share(0, &[], MS(400), MS(1_000)), MS(400), "its breaker is open");
}

/// How a node does when it is asked for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Decides,
    /// At once: it stands by.
    Refuses,
    Silent,
}

/// Asks for a decision as the agent does. Returns who decided. The time goes on meanwhile.
fn decide(list: &mut NodeList<Duration>, now: &mut Duration, how: &[How]) -> Option<usize> {
    let until = *now + DEADLINE;
    let mut tried = Vec::new();
    while tried.is_empty() || until - *now >= PROMPT {
        let node = list.ask(&tried, *now)?;
        let share = list.share(node, &tried, until - *now, *now);
        tried.push(node);
        match how[node] {
            How::Decides => {
                list.worked(node, None, *now);
                list.decided(node);
                return Some(node);
            }
            How::Refuses => {
                list.failed(node, *now);
                list.decided(node);
            }
            How::Silent => {
                let asked = *now;
                *now += share;
                match share < first_share(DEADLINE) {
                    true => list.late(node, asked, *now),
                    false => list.failed(node, *now),
                };
                list.spare(node, *now);
                if list.undecided(node, *now) {
                    list.failed(node, *now);
                }
            }
        }
    }
    None
}

#[test]
fn one_slow_decision_leads_no_call_to_a_stand_by_that_is_dead() {
    let mut list = list(2);
    let mut now = MS(10_000);
    list.answered(0, now);
    assert_eq!(decide(&mut list, &mut now, &[How::Silent, How::Silent]), None);
    for _ in 0..10 {
        assert_eq!(decide(&mut list, &mut now, &[How::Decides, How::Silent]), Some(0));
    }
}

#[test]
fn a_stand_by_that_becomes_ready_decides_the_next_call() {
    for every in [MS(10), MS(300), MS(700), MS(3_000)] {
        let mut list = list(2);
        let mut now = MS(10_000);
        list.answered(0, now);
        while now < MS(15_000) {
            assert_eq!(decide(&mut list, &mut now, &[How::Silent, How::Refuses]), None);
            now += every;
        }
        assert_eq!(decide(&mut list, &mut now, &[How::Silent, How::Decides]), Some(1), "calls come each {every:?}");
    }
}

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
    fn a_node_is_left_only_if_it_fails_and_for_one_that_has_answered((nodes, steps) in nodes_and_steps()) {
        let mut list = list(nodes);
        let mut now = T0;
        // What each is, as far as the table says. One that has failed was late, too.
        let (mut well, mut failed, mut late) = (vec![false; nodes], vec![false; nodes], vec![false; nodes]);
        let mut spared: Vec<Option<Duration>> = vec![None; nodes];
        for (ms, step) in steps {
            now += MS(ms);
            let before = used(&list);
            let moved = take(&mut list, step, now);
            if let Step::Refused(node) = step {
                spared[node] = Some(now);
            }
            match step {
                Step::Answered(node) | Step::Worked(node) => (well[node], failed[node], late[node]) = (true, false, false),
                Step::Failed(node) | Step::Refused(node) => (well[node], failed[node], late[node]) = (false, true, true),
                Step::Late(node) => {
                    failed[node] |= late[node];
                    (well[node], late[node]) = (false, true);
                }
                _ => {}
            }
            let used = used(&list);
            let is_spared = |node: usize| spared[node].is_some_and(|at| now < at + SPARED_FOR);
            prop_assert!(!moved || failed[before] && well[used] && !is_spared(used), "{step:?}: from {before} to {used}");
            if moved {
                spared[before] = Some(now);
            }
            prop_assert_eq!((list.has_failed(), list.in_use().is_well), (failed[used], well[used]));
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
        let mut list = list(nodes);
        let mut now = T0;
        for (ms, step) in steps {
            now += MS(ms);
            take(&mut list, step, now);
        }
        now += MS(1_000);
        let has_failed = list.has_failed();
        let other = (used(&list) + 1) % nodes;
        prop_assert_eq!(list.answered(other, now), has_failed && nodes > 1);
    }

    #[test]
    fn whatever_happened_each_node_is_asked_again_soon((nodes, steps) in nodes_and_steps()) {
        let mut list = list(nodes);
        let mut now = T0;
        for (ms, step) in steps {
            now += MS(ms);
            take(&mut list, step, now);
        }
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
        let mut list = list(how.len());
        let mut now = T0;
        for (ms, step) in before {
            now += MS(ms);
            take(&mut list, step, now);
        }
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
