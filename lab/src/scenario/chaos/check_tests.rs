//! The checker on records of calls that were never made.

use super::*;

const ALICE: &str = "1000;phone-context=a.example";
const BOB: &str = "+12125550101";
const CAROL: &str = "+12125550102";
/// No rule is broken.
const NONE: [Rule; 0] = [];
const LIMITS: Limits = Limits { held: Duration::from_millis(500), paired: Duration::from_secs(5) };

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(1_000.0 + seconds)
}

/// A call of Alice's that rings at once and is answered at 1.
fn call(called: &str, over: f64) -> CallRecord {
    CallRecord {
        caller: ALICE.to_owned(),
        called: called.to_owned(),
        invited: at(0.9),
        rang: Some(at(0.95)),
        answered: Some(at(1.0)),
        over: Some(at(over)),
        hung_up: true,
        heard: true,
    }
}

fn told(client: &str, peer: &str, seconds: f64) -> PeerRecord {
    let (client, peer) = (client.to_owned(), peer.to_owned());
    PeerRecord {
        at: at(seconds),
        message: format!("message to {client} of {peer}"),
        call: "1".to_owned(),
        client,
        peer,
    }
}

fn fault(began: f64, over: f64, excuse: Excuse) -> FaultRecord {
    FaultRecord { what: "a fault".to_owned(), began: at(began), over: at(over), excuse }
}

/// A call with Bob of ten seconds, of which both were told at that time, and its row.
fn good(told_at: f64) -> Evidence {
    Evidence {
        calls: vec![call(BOB, 11.0)],
        peers: vec![told(ALICE, BOB, told_at), told(BOB, ALICE, told_at)],
        faults: Vec::new(),
        rows: vec![RowRecord { caller: ALICE.to_owned() }],
    }
}

fn broken(evidence: &Evidence) -> Vec<Rule> {
    violations(evidence, &LIMITS).into_iter().map(|violation| violation.rule).collect()
}

/// The rules that don't hold after a change to what went well.
fn after(change: impl FnOnce(&mut Evidence)) -> Vec<Rule> {
    let mut evidence = good(1.1);
    change(&mut evidence);
    broken(&evidence)
}

#[test]
fn a_call_that_goes_well_breaks_no_rule() {
    assert_eq!(broken(&good(1.1)), NONE);
    assert_eq!(owed_a_peer(&good(1.1), &LIMITS), 1);
    assert_eq!(broken(&Evidence::default()), NONE);
    assert_eq!(owed_a_peer(&Evidence::default(), &LIMITS), 0);
}

#[test]
fn a_call_without_an_answer_an_end_or_sound_or_that_is_cut_off_is_lost() {
    let unanswered = after(|evidence| {
        (evidence.calls[0].answered, evidence.peers, evidence.rows) = (None, Vec::new(), Vec::new());
    });
    assert_eq!(unanswered, [Rule::NoneLost]);
    assert_eq!(after(|evidence| evidence.calls[0].over = None), [Rule::NoneLost]);
    assert_eq!(after(|evidence| evidence.calls[0].hung_up = false), [Rule::NoneLost]);
    let deaf = after(|evidence| (evidence.calls[0].heard, evidence.peers) = (false, Vec::new()));
    assert_eq!(deaf, [Rule::NoneLost, Rule::AllPaired]);
}

#[test]
fn a_call_that_rings_after_the_hold_is_held() {
    assert_eq!(after(|evidence| evidence.calls[0].rang = Some(at(1.4))), NONE);
    assert_eq!(after(|evidence| evidence.calls[0].rang = Some(at(1.401))), [Rule::NoneHeld]);
    // One that never rang is no matter of the hold.
    assert_eq!(after(|evidence| evidence.calls[0].rang = None), NONE);
}

#[test]
fn who_is_told_of_somebody_not_heard_is_paired_with_a_stranger() {
    assert_eq!(after(|evidence| evidence.peers.push(told(ALICE, CAROL, 2.0))), [Rule::NoStranger]);
    assert_eq!(after(|evidence| evidence.peers.push(told(CAROL, ALICE, 2.0))), [Rule::NoStranger]);
    assert_eq!(after(|evidence| evidence.peers.push(told(BOB, BOB, 2.0))), [Rule::NoStranger]);
    // Before the answer nobody hears anybody.
    assert_eq!(broken(&good(0.7)), [Rule::NoStranger; 2]);
    // There is such a call, and the two don't hear each other.
    let deaf = after(|evidence| evidence.calls[0].heard = false);
    assert_eq!(deaf, [Rule::NoneLost, Rule::NoStranger, Rule::NoStranger]);
}

#[test]
fn who_talks_for_a_while_is_paired_in_time() {
    assert_eq!(broken(&good(6.0)), NONE);
    assert_eq!(broken(&good(6.1)), [Rule::AllPaired]);
    for n in [0, 1] {
        let one = after(|evidence| drop(evidence.peers.remove(n)));
        assert_eq!(one, [Rule::AllPaired], "only one of the two was told");
    }
    // A call that is over before has no such right.
    let short = after(|evidence| (evidence.calls[0].over, evidence.peers) = (Some(at(5.9)), Vec::new()));
    assert_eq!(short, NONE);
}

#[test]
fn the_time_begins_anew_after_a_fault() {
    let with = |told_at: f64, faults: &[FaultRecord]| {
        let mut evidence = good(told_at);
        evidence.faults = faults.to_vec();
        (broken(&evidence), owed_a_peer(&evidence, &LIMITS))
    };
    let late = |owed: usize| (vec![Rule::AllPaired], owed);
    let fine = |owed: usize| (Vec::<Rule>::new(), owed);
    // It was over before, or began when they had to be told.
    assert_eq!(with(6.1, &[fault(-3.0, 0.5, Excuse::All)]), late(1));
    assert_eq!(with(6.1, &[fault(6.5, 7.0, Excuse::All)]), late(1));
    // While it lasts nobody has to be told; afterwards there are five seconds again, if the call lasts so long.
    assert_eq!(with(7.9, &[fault(0.0, 3.0, Excuse::All)]), fine(1));
    assert_eq!(with(8.1, &[fault(0.0, 3.0, Excuse::All)]), late(1));
    assert_eq!(with(10.9, &[fault(2.0, 6.1, Excuse::All)]), fine(0));
    // Two in a row, and one in the other.
    assert_eq!(with(10.4, &[fault(1.5, 2.0, Excuse::All), fault(5.0, 5.5, Excuse::All)]), fine(1));
    assert_eq!(with(8.1, &[fault(0.0, 3.0, Excuse::All), fault(1.0, 2.0, Excuse::All)]), late(1));
}

#[test]
fn a_stand_by_takes_over_while_a_fault_lasts_unless_there_is_another() {
    let with = |told_at: f64, faults: &[FaultRecord]| {
        let mut evidence = good(told_at);
        evidence.faults = faults.to_vec();
        broken(&evidence)
    };
    let active = fault(2.0, 10.0, Excuse::Begin);
    assert_eq!(with(6.9, std::slice::from_ref(&active)), NONE);
    assert_eq!(with(7.1, std::slice::from_ref(&active)), [Rule::AllPaired]);
    // Nobody needs the stand-by.
    let stand_by = fault(2.0, 10.0, Excuse::Nothing);
    assert_eq!(with(6.1, std::slice::from_ref(&stand_by)), [Rule::AllPaired]);
    // Both at once: nobody is left.
    assert_eq!(with(10.9, &[active.clone(), fault(3.0, 4.0, Excuse::Nothing)]), NONE);
    assert_eq!(with(10.9, &[active, fault(3.0, 4.0, Excuse::All)]), NONE);
}

#[test]
fn a_repeat_is_no_second_message() {
    assert_eq!(after(|evidence| evidence.peers.push(told(ALICE, BOB, 3.0))), NONE);
    let other_message = PeerRecord { message: "another one".to_owned(), ..told(ALICE, BOB, 3.0) };
    assert_eq!(after(|evidence| evidence.peers.push(other_message)), [Rule::ToldOnce]);
    let other_call = PeerRecord { call: "2".to_owned(), ..told(BOB, ALICE, 3.0) };
    assert_eq!(after(|evidence| evidence.peers.push(other_call)), [Rule::ToldOnce]);
}

#[test]
fn every_answered_call_has_a_row_and_every_row_a_call() {
    assert_eq!(after(|evidence| evidence.rows.clear()), [Rule::AllRecorded]);
    assert_eq!(after(|evidence| evidence.rows.push(RowRecord { caller: ALICE.to_owned() })), [Rule::AllRecorded]);
    assert_eq!(after(|evidence| evidence.rows.push(RowRecord { caller: BOB.to_owned() })), [Rule::AllRecorded]);
}
