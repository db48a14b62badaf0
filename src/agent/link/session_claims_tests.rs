//! Comparisons with the node's live calls once the session is up.

use super::*;

#[test]
fn while_calls_are_up_a_snapshot_is_taken_every_minute() {
    let mut test = Test::owner();
    test.pass(600_000);
    test.tell(tick(0));
    assert_eq!(test.pass(1_000), [], "no call is up");
    test.tell(tick(1));
    assert_eq!(test.pass(1_000), [take(&[])]);
    test.tell(tick(1));
    assert_eq!(test.pass(1_000), [], "it is under way");
    test.tell(snapshot());
    test.pass(59_000);
    test.tell(tick(1));
    assert_eq!(test.pass(1_000), [], "it is not a minute yet");
    test.tell(tick(0));
    assert_eq!(test.pass(1_000), [take(&[])], "once more after the last call");
    test.tell(snapshot());
    test.pass(600_000);
    test.tell(tick(0));
    assert_eq!(test.pass(1_000), []);
}

/// The node may have dropped what it was told, and nothing else would show that.
#[test]
fn what_looks_wrong_is_compared_with_what_the_node_claims() {
    let mut test = Test::owner();
    assert_eq!(test.tell(doubtful()), [Check, AskClaims]);
    assert_eq!(test.pass(900), [], "the snapshot waits for the node");
    assert_eq!(test.tell(doubtful()), [], "the node is asked once at a time");
    test.tell(LinkInput::Claims(vec![claim("a")]));
    assert_eq!(test.pass(1_000), [take(&["a"])]);
    test.tell(snapshot());
    // So is everything, once a minute.
    test.tell(checked(US));
    test.pass(60_000);
    assert_eq!(test.tell(tick(1)), [Check, AskClaims]);
}

/// The calls that are up are another agent's to compare.
#[test]
fn who_stands_by_does_not_ask_the_node() {
    let mut test = Test::standby();
    assert_eq!(test.tell(doubtful()), [Check]);
    assert_eq!(test.pass(1_000), [take(&[])]);
}

/// What the one before was told last may be lost.
#[test]
fn another_node_is_asked_for_its_claims() {
    let mut test = Test::owner();
    assert_eq!(test.tell(LinkInput::NodeChanged), [AskClaims]);
    assert_eq!(test.pass(10_000), [], "no node answers: there is nothing to compare");
    assert_eq!(test.tell(LinkInput::NodeChanged), [AskClaims]);
    test.tell(LinkInput::Claims(vec![claim("a")]));
    assert_eq!(test.pass(0), [take(&["a"])]);
    // While it attaches, nobody asks; the calls of another agent are not ours to compare.
    let [start, _, _, standby] = Test::phases();
    for mut test in [start, standby] {
        assert_eq!(test.tell(LinkInput::NodeChanged), []);
    }
}

#[test]
fn the_first_snapshot_waits_for_the_claims_of_a_node_that_comes_meanwhile() {
    let mut test = Test::attached(false);
    test.pass(900);
    assert_eq!(test.tell(LinkInput::NodeChanged), [AskClaims]);
    assert_eq!(test.pass(50), []);
    test.tell(LinkInput::Claims(vec![claim("a")]));
    assert_eq!(test.pass(0), [take(&["a"])]);
}

#[test]
fn a_snapshot_does_not_wait_longer_because_nodes_come_and_go() {
    let mut test = Test::owner();
    test.tell(doubtful());
    assert_eq!((test.pass(500), test.tell(LinkInput::NodeChanged)), (vec![], vec![AskClaims]));
    assert_eq!(test.pass(499), []);
    assert_eq!((test.tell(LinkInput::NodeChanged), test.pass(1)), (vec![AskClaims], vec![take(&[])]));
    // The next one has a second of its own.
    test.tell(snapshot());
    assert_eq!((test.pass(900), test.tell(LinkInput::NodeChanged)), (vec![], vec![AskClaims]));
    test.tell(LinkInput::Suspicion);
    assert_eq!((test.pass(999), test.pass(1)), (vec![], vec![take(&[])]));
}

#[test]
fn claims_of_a_node_that_comes_during_the_first_snapshot_cause_another() {
    let mut test = Test::attached(false);
    test.tell(LinkInput::Claims(Vec::new()));
    assert_eq!(test.pass(0), [take(&[])]);
    assert_eq!(test.tell(LinkInput::NodeChanged), [AskClaims]);
    test.tell(LinkInput::Claims(vec![claim("a")]));
    test.tell(snapshot());
    assert_eq!(test.pass(1_000), [take(&["a"])]);
}
