//! An agent's nodes: which one is used, whatever happens to them, in time that the tests move.

use super::*;

#[path = "node_list_random_tests.rs"]
mod random;

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
    assert!(!list.answered(0, MS(1_000_000)));
    assert_eq!(list.failed(2, MS(1_000_000)), Some(0));
}

#[test]
fn no_node_is_left_for_one_that_has_not_answered() {
    let mut list = list(3);
    assert_eq!(list.failed(0, T0), None, "the others are untried");
    assert_eq!((list.failed(2, T0), list.late(1, T0, T0)), (None, None));
    assert!(list.has_failed() && used(&list) == 0);
    assert!(list.answered(2, T0) && !list.has_failed());
    assert!(!list.answered(0, MS(1_000)));
    assert_eq!((used(&list), list.failed(2, MS(1_000))), (2, Some(0)));
}

/// While no call is up, no node is asked for a sign of life.
#[test]
fn no_node_is_left_for_one_that_has_not_answered_for_a_second() {
    let all_well = || {
        let mut list = list(2);
        assert!(!list.answered(0, T0) && !list.answered(1, T0));
        list
    };
    assert_eq!(all_well().failed(0, MS(999)), Some(1));
    let mut list = all_well();
    assert_eq!((list.failed(0, MS(1_000)), used(&list), list.has_failed()), (None, 0, true));
    assert_eq!((list.next(&[0]), list.ask(&[0], MS(1_000))), (Some(1), Some(1)), "it may be asked all the same");
    assert!(list.answered(1, MS(1_300)) && used(&list) == 1);
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
