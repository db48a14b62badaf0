//! An agent's nodes: which one is used, whatever happens to them, in time that the tests move.

use proptest::prelude::*;

use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;
const T0: Duration = Duration::ZERO;

/// Nodes whose breakers open at the third failure, for two seconds.
fn list(nodes: usize) -> NodeList<Duration> {
    NodeList::new(nodes, &Breaker::new(3, MS(2_000)))
}

#[test]
fn the_next_node_is_used_when_the_one_in_use_fails_and_it_stays_in_use() {
    let mut list = list(3);
    assert!(!list.answered(0) && !list.answered(2), "the first is well");
    assert_eq!((list.in_use(), list.failed(0, T0, 1.0)), (0, Some(1)));
    assert!(!list.answered(1));
    for later in [MS(10), MS(10_000), MS(1_000_000)] {
        assert!(!list.answered(0), "it is back, and nobody needs it");
        assert_eq!((list.in_use(), list.ask(None, later)), (1, Some(1)));
    }
    assert_eq!(list.failed(1, MS(1_000_000), 1.0), Some(2));
}

#[test]
fn a_node_that_rests_is_passed_over() {
    let mut list = list(3);
    assert_eq!(list.failed(0, T0, 1.0), Some(1));
    assert_eq!(list.failed(2, T0, 1.0), None, "it was not in use");
    assert_eq!(list.failed(1, MS(400), 1.0), None, "the others rest");
    assert_eq!((list.in_use(), list.ask(None, MS(400))), (1, Some(1)));
    // The back-off of the other two is over.
    assert_eq!(list.failed(1, MS(500), 1.0), Some(2));
}

#[test]
fn requests_that_fail_together_count_once_and_later_ones_rest_longer() {
    let mut list = list(2);
    for _ in 0..100 {
        list.failed(0, T0, 1.0);
    }
    assert!(list.rests(0, MS(499)) && !list.rests(0, MS(500)));
    list.failed(0, MS(500), 1.0);
    assert!(list.rests(0, MS(1_499)) && !list.rests(0, MS(1_500)));
}

#[test]
fn if_all_fail_the_first_that_answers_is_used() {
    let mut list = list(2);
    assert_eq!(list.failed(0, T0, 1.0), Some(1));
    assert_eq!(list.failed(1, T0, 1.0), None);
    assert!(list.answered(0), "it answers, and the one in use does not");
    assert_eq!(list.in_use(), 0);
    assert!(!list.answered(1));
    assert_eq!(list.failed(1, MS(10), 1.0), None);
    assert_eq!(list.in_use(), 0);
}

#[test]
fn another_node_is_asked_once_and_a_node_whose_breaker_is_open_is_not() {
    let mut list = list(2);
    assert_eq!((list.ask(None, T0), list.ask(Some(0), T0)), (Some(0), Some(1)));
    assert!(!list.undecided(0, T0) && !list.undecided(0, T0) && list.undecided(0, T0), "the third opens");
    assert_eq!((list.ask(None, T0), list.ask(Some(1), T0)), (Some(1), None));
    (0..3).for_each(|_| _ = list.undecided(1, T0));
    assert_eq!(list.ask(None, MS(1_999)), None);
    assert_eq!((list.ask(None, MS(2_000)), list.ask(Some(0), MS(2_000))), (Some(0), Some(1)), "a trial of each");
    assert!(list.decided(1));
    assert_eq!(list.ask(None, MS(2_001)), Some(1), "the other one's trial is under way");
}

#[test]
fn a_single_node_gets_all_the_time_and_two_share_it_if_there_is_enough() {
    assert_eq!(list(1).share(0, MS(400), T0), MS(400));
    let mut two = list(2);
    assert_eq!(two.share(0, MS(400), T0), MS(240));
    assert_eq!(two.share(0, MS(200), T0), MS(120));
    assert_eq!(two.share(0, MS(190), T0), MS(190), "too little would be left");
    two.failed(1, T0, 1.0);
    assert_eq!(two.share(0, MS(400), MS(499)), MS(240), "nobody knows whether this one works");
    two.answered(0);
    assert_eq!(two.share(0, MS(400), MS(499)), MS(400), "the other one has just failed");
    assert_eq!(two.share(0, MS(400), MS(500)), MS(240));
    (0..3).for_each(|_| _ = two.undecided(1, MS(500)));
    assert_eq!(two.share(0, MS(400), MS(500)), MS(400), "its breaker is open");
}

/// The first one died long ago, and the second one is slow once.
#[test]
fn a_node_that_is_slow_once_is_still_asked_behind_a_dead_one() {
    let mut list = list(2);
    list.failed(0, T0, 1.0);
    list.answered(1);
    assert_eq!(list.failed(1, MS(60_000), 1.0), Some(0), "it may be back");
    assert_eq!((list.ask(None, MS(60_000)), list.share(0, MS(400), MS(60_000))), (Some(0), MS(240)));
    assert_eq!(list.failed(0, MS(60_240), 1.0), None);
    assert_eq!(list.ask(Some(0), MS(60_240)), Some(1));
    assert!(list.answered(1), "it is used again");
}

#[test]
fn a_stand_by_is_asked_again_soon_however_often_it_has_refused() {
    let mut list = list(2);
    assert_eq!(list.failed(0, T0, 1.0), Some(1));
    (1..=10).for_each(|n| _ = list.failed(1, MS(n * 10_000), 1.0));
    assert!(list.rests(1, MS(104_000)));
    for ms in (100_100..106_000).step_by(100) {
        list.stands_by(1, MS(ms), 1.0);
        assert!(list.rests(1, MS(ms)) && !list.rests(1, MS(ms + 500)));
    }
}

/// Something that happens to a node.
#[derive(Debug, Clone, Copy)]
enum Step {
    Answered(usize),
    Failed(usize),
    StandsBy(usize),
    Decided(usize),
    Undecided(usize),
    Ask(Option<usize>),
}

fn step(nodes: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..nodes).prop_map(Step::Answered),
        (0..nodes).prop_map(Step::Failed),
        (0..nodes).prop_map(Step::StandsBy),
        (0..nodes).prop_map(Step::Decided),
        (0..nodes).prop_map(Step::Undecided),
        proptest::option::of(0..nodes).prop_map(Step::Ask),
    ]
}

/// Numbers of nodes, and what happens to them when.
fn steps() -> impl Strategy<Value = (usize, Vec<(u64, f64, Step)>)> {
    (1..5usize).prop_flat_map(|nodes| {
        let one = (prop_oneof![0..50u64, 0..3_000u64], 0.0..1.0f64, step(nodes));
        (Just(nodes), proptest::collection::vec(one, 0..100))
    })
}

proptest! {
    #[test]
    fn a_node_is_left_only_if_it_fails_and_for_one_that_may_work((nodes, steps) in steps()) {
        let mut list = list(nodes);
        let mut now = T0;
        // Whether each has failed since it last answered, as far as the table says.
        let mut failed = vec![false; nodes];
        for (ms, random, step) in steps {
            now += MS(ms);
            let before = list.in_use();
            let rested: Vec<bool> = (0..nodes).map(|node| list.rests(node, now)).collect();
            match step {
                Step::Answered(node) => {
                    let moved = list.answered(node);
                    prop_assert_eq!(moved, node != before && failed[before]);
                    if node == before || moved {
                        failed[node] = false;
                    }
                }
                Step::Failed(node) | Step::StandsBy(node) => {
                    let moved = match step {
                        Step::Failed(_) => list.failed(node, now, random),
                        _ => list.stands_by(node, now, random),
                    };
                    failed[node] = true;
                    prop_assert!(list.rests(node, now), "a node rests after each failure");
                    let others = (0..nodes).any(|other| other != node && !rested[other]);
                    prop_assert_eq!(moved.is_some(), node == before && others);
                    prop_assert!(moved.is_none_or(|next| next != before && !rested[next]), "{moved:?}");
                    prop_assert_eq!(list.in_use(), moved.unwrap_or(before));
                }
                Step::Decided(node) => _ = list.decided(node),
                Step::Undecided(node) => _ = list.undecided(node, now),
                Step::Ask(tried) => {
                    let asked = list.ask(tried, now);
                    prop_assert!(asked.is_none_or(|node| node < nodes && tried != Some(node)), "{asked:?}");
                }
            }
            prop_assert!(list.in_use() < nodes);
            let moves = matches!(step, Step::Answered(_) | Step::Failed(_) | Step::StandsBy(_));
            prop_assert!(moves || list.in_use() == before, "{step:?}");
            // No back-off is for ever.
            prop_assert!((0..nodes).all(|node| !list.rests(node, now + Backoff::NODE.ceiling)));
            let share = list.share(list.in_use(), MS(400), now);
            prop_assert!(share == MS(400) || share == MS(240) && nodes > 1, "{share:?}");
        }
    }

    #[test]
    fn whatever_happened_a_node_is_asked_again_soon((nodes, steps) in steps()) {
        let mut list = list(nodes);
        let mut now = T0;
        for (ms, random, step) in steps {
            now += MS(ms);
            match step {
                Step::Answered(node) => _ = list.answered(node),
                Step::Failed(node) => _ = list.failed(node, now, random),
                Step::StandsBy(node) => _ = list.stands_by(node, now, random),
                Step::Decided(node) => _ = list.decided(node),
                Step::Undecided(node) => _ = list.undecided(node, now),
                Step::Ask(tried) => _ = list.ask(tried, now),
            }
        }
        now += MS(2_000);
        prop_assert_eq!(list.ask(None, now), Some(list.in_use()));
    }
}
