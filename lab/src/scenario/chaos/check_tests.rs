//! The checker on records of calls that were never made.

use super::*;
use crate::scenario::chaos::evidence::RowRecord;

const ALICE: &str = "1000;phone-context=a.example";
const BOB: &str = "+12125550101";
const CAROL: &str = "+12125550102";
/// No rule is broken.
const NONE: [Rule; 0] = [];
const LIMITS: Limits = Limits {
    hold: Duration::from_millis(40),
    held: Duration::from_millis(500),
    held_when_calm: Duration::from_millis(100),
    dialled_again: Duration::from_millis(1_500),
    decided: Duration::from_secs(3),
    paired: Duration::from_secs(5),
};

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(1_000.0 + seconds)
}

/// A call of Alice's that a node decides, that rings at once and is answered at 1.
fn call(called: &str, over: f64) -> CallRecord {
    CallRecord {
        pbx: Kind::Asterisk,
        caller: ALICE.to_owned(),
        called: called.to_owned(),
        invited: at(0.9),
        arrivals: vec![arrival(0.95, over)],
        answered: Some(at(1.0)),
        over: Some(at(over)),
        hung_up: true,
        status: Some(200),
        reason: None,
        heard: true,
    }
}

/// A call over the packet trunk to a phone that answers.
fn arrival(invited: f64, over: f64) -> Arrival {
    Arrival { invited: at(invited), decided: true, answered: true, over: Some(at(over)) }
}

/// The call goes to a first phone over the PSTN, and then to a second one over the packet trunk, of which both clients are told
/// in another message.
fn dial_again(evidence: &mut Evidence, [left, second]: [f64; 2]) {
    let first = Arrival { decided: false, ..arrival(0.95, left) };
    evidence.calls[0].arrivals = vec![first, arrival(second, 11.0)];
    for (client, peer) in [(ALICE, BOB), (BOB, ALICE)] {
        evidence.peers.push(PeerRecord { message: "another one".to_owned(), ..told(client, peer, second) });
    }
    evidence.rows.push(RowRecord { caller: ALICE.to_owned() });
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

/// A fault that is alone.
fn fault(began: f64, over: f64, excuse: Excuse) -> FaultRecord {
    let name = "a fault".to_owned();
    FaultRecord { name, began: at(began), over: at(over), alone: true, pairing: excuse, deciding: excuse }
}

/// Two faults that overlap, by the plan.
fn pair(faults: [FaultRecord; 2]) -> [FaultRecord; 2] {
    faults.map(|fault| FaultRecord { alone: false, ..fault })
}

/// A call with Bob of ten seconds, of which both clients were told at that time, and its row.
fn good(told_at: f64) -> Evidence {
    Evidence {
        calls: vec![call(BOB, 11.0)],
        peers: vec![told(ALICE, BOB, told_at), told(BOB, ALICE, told_at)],
        rows: vec![RowRecord { caller: ALICE.to_owned() }],
        ..Evidence::default()
    }
}

fn broken(evidence: &Evidence) -> Vec<Rule> {
    violations(evidence, &LIMITS).into_iter().map(|violation| violation.rule).collect()
}

/// The rules that a change breaks.
fn after(change: impl FnOnce(&mut Evidence)) -> Vec<Rule> {
    let mut evidence = good(1.1);
    change(&mut evidence);
    broken(&evidence)
}

#[test]
fn a_call_that_goes_well_breaks_no_rule() {
    assert_eq!(broken(&good(1.1)), NONE);
    assert_eq!(proof(&good(1.1), &LIMITS, Kind::Asterisk), Proof { made: 1, decided: 1, paired: 1, dialled_again: 0 });
    assert_eq!(proof(&good(1.1), &LIMITS, Kind::FreeSwitch), Proof::default());
    assert_eq!(broken(&Evidence::default()), NONE);
    assert_eq!(proof(&Evidence::default(), &LIMITS, Kind::Asterisk), Proof::default());
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
    let after = |rang: f64| {
        after(|evidence| {
            evidence.faults.push(fault(0.0, 0.1, Excuse::All));
            evidence.calls[0].arrivals[0].invited = at(rang);
        })
    };
    assert_eq!(after(1.4), NONE);
    assert_eq!(after(1.401), [Rule::NoneHeld]);
}

#[test]
fn a_call_that_never_rang_is_neither_held_nor_undecided() {
    assert_eq!(after(|evidence| evidence.calls[0].arrivals.clear()), NONE);
}

#[test]
fn while_it_is_calm_half_of_the_calls_of_a_pbx_are_quick() {
    let with = |waits: &[f64]| {
        let call = |wait: &f64| CallRecord { arrivals: vec![arrival(0.9 + wait, 1.1)], ..call(BOB, 1.1) };
        let calls: Vec<CallRecord> = waits.iter().map(call).collect();
        let other = CallRecord { pbx: Kind::FreeSwitch, ..calls[0].clone() };
        let evidence = Evidence { calls: [calls, vec![other; 9]].concat(), ..Evidence::default() };
        slow(&evidence, &LIMITS).len()
    };
    assert_eq!(with(&[0.01, 0.1, 0.5]), 0);
    assert_eq!(with(&[0.01, 0.101, 0.5]), 1);
    // The other PBX has one of its own.
    assert_eq!(with(&[0.2, 0.01, 0.01]), 1);
    let broken = Evidence { faults: vec![fault(0.0, 0.1, Excuse::All)], ..good(1.1) };
    assert!(slow(&broken, &Limits { held_when_calm: Duration::ZERO, ..LIMITS }).is_empty());
}

#[test]
fn a_node_decides_each_call_that_begins_a_while_after_a_fault() {
    let with = |faults: &[FaultRecord]| {
        after(|evidence| {
            evidence.calls[0].arrivals[0].decided = false;
            evidence.faults = faults.to_vec();
        })
    };
    let undecided = [Rule::DecidedAgain];
    assert_eq!(with(&[]), undecided);
    // The call begins at 0.9.
    assert_eq!(with(&[fault(-4.0, -2.1, Excuse::All)]), undecided);
    assert_eq!(with(&[fault(-4.0, -2.0, Excuse::All)]), NONE);
    assert_eq!(with(&[fault(-1.0, 3.0, Excuse::All)]), NONE);
    assert_eq!(with(&[fault(1.3, 3.0, Excuse::All)]), NONE);
    assert_eq!(with(&[fault(1.5, 3.0, Excuse::All)]), undecided);
    // The stand-by takes over soon after the start.
    assert_eq!(with(&[fault(-2.2, 3.0, Excuse::Start)]), undecided);
    assert_eq!(with(&[fault(-2.0, 3.0, Excuse::Start)]), NONE);
    // The broken part isn't needed.
    assert_eq!(with(&[fault(0.0, 3.0, Excuse::Nothing)]), undecided);
    // Clients decide nothing.
    let of_clients = FaultRecord { deciding: Excuse::Nothing, ..fault(0.0, 1.2, Excuse::All) };
    assert_eq!(with(&[of_clients]), undecided);
}

#[test]
fn a_call_that_two_phones_answer_is_doubled() {
    assert_eq!(after(|evidence| evidence.calls[0].arrivals.push(arrival(0.95, 11.0))), [Rule::AnsweredOnce]);
    let third = after(|evidence| {
        dial_again(evidence, [1.5, 1.5]);
        evidence.calls[0].arrivals.insert(0, arrival(0.9, 0.95));
    });
    assert_eq!(third, [Rule::AnsweredOnce]);
}

#[test]
fn on_asterisk_a_second_phone_may_replace_the_first_one_soon_after_the_hold() {
    let again = |times: [f64; 2]| after(|evidence| dial_again(evidence, times));
    assert_eq!(again([1.5, 1.5]), NONE);
    // The first one noticed its end a moment later, or was still talking.
    assert_eq!(again([1.75, 1.5]), NONE);
    assert_eq!(again([1.76, 1.5]), [Rule::AnsweredOnce]);
    // It was called before the hold was over, or had the call by a decision.
    let early = after(|evidence| {
        dial_again(evidence, [1.5, 1.5]);
        evidence.calls[0].arrivals[0].invited = at(0.93);
    });
    assert_eq!(early, [Rule::AnsweredOnce]);
    let decided = after(|evidence| {
        dial_again(evidence, [1.5, 1.5]);
        evidence.calls[0].arrivals[0].decided = true;
    });
    assert_eq!(decided, [Rule::AnsweredOnce]);
    // The caller's INVITE was at 0.9.
    assert_eq!(again([1.5, 2.4]), NONE);
    assert_eq!(again([1.5, 2.41]), [Rule::AnsweredOnce]);
    let on_freeswitch = after(|evidence| {
        dial_again(evidence, [1.5, 1.5]);
        evidence.calls[0].pbx = Kind::FreeSwitch;
    });
    assert_eq!(on_freeswitch, [Rule::AnsweredOnce]);
}

#[test]
fn only_asterisk_may_call_a_second_phone_after_one_that_did_not_answer() {
    let with = |pbx: Kind| {
        after(|evidence| {
            evidence.calls[0].pbx = pbx;
            evidence.calls[0].arrivals.insert(0, Arrival { answered: false, ..arrival(0.93, 0.95) });
        })
    };
    assert_eq!(with(Kind::Asterisk), NONE);
    assert_eq!(with(Kind::FreeSwitch), [Rule::AnsweredOnce]);
}

#[test]
fn the_first_phone_shows_the_hold_and_the_last_one_the_decision() {
    let with = |change: fn(&mut [Arrival])| {
        after(|evidence| {
            dial_again(evidence, [1.5, 1.5]);
            // Half of the calls wait less.
            let quick = CallRecord { caller: CAROL.to_owned(), ..call(BOB, 1.1) };
            evidence.calls.extend(vec![quick; 2]);
            evidence.rows.extend(vec![RowRecord { caller: CAROL.to_owned() }; 2]);
            change(&mut evidence.calls[0].arrivals);
        })
    };
    assert_eq!(with(|arrivals| arrivals[0].invited = at(1.4)), NONE);
    assert_eq!(with(|arrivals| arrivals[0].invited = at(1.41)), [Rule::NoneHeld]);
    assert_eq!(with(|arrivals| arrivals[1].decided = false), [Rule::DecidedAgain]);
}

#[test]
fn each_phone_that_answers_may_have_a_message_and_a_row() {
    let with = |change: fn(&mut Evidence)| {
        after(|evidence| {
            dial_again(evidence, [1.5, 1.5]);
            change(evidence);
        })
    };
    assert_eq!(with(|evidence| evidence.peers.truncate(2)), NONE, "the node learnt of both at once");
    let third = |evidence: &mut Evidence| {
        evidence.peers.push(PeerRecord { message: "a third one".to_owned(), ..told(ALICE, BOB, 3.0) });
    };
    assert_eq!(with(third), [Rule::ToldOnce]);
    assert_eq!(with(|evidence| evidence.rows.truncate(1)), NONE, "Asterisk knew of one answer");
    assert_eq!(with(|evidence| evidence.rows.clear()), [Rule::AllRecorded]);
    assert_eq!(with(|evidence| evidence.rows.push(RowRecord { caller: ALICE.to_owned() })), [Rule::AllRecorded]);
    // The first phone was called, and did not answer.
    let unanswered = |evidence: &mut Evidence| evidence.calls[0].arrivals[0].answered = false;
    assert_eq!(with(unanswered), [Rule::ToldOnce, Rule::ToldOnce, Rule::AllRecorded]);
}

#[test]
fn a_client_is_not_told_long_after_the_call() {
    let told_late = |seconds: f64, faults: &[FaultRecord]| {
        after(|evidence| {
            evidence.peers.push(told(ALICE, BOB, seconds));
            evidence.faults = faults.to_vec();
        })
    };
    // The call is over at 11.
    assert_eq!(told_late(16.0, &[]), NONE);
    assert_eq!(told_late(16.1, &[]), [Rule::NoStranger]);
    let late = fault(10.9, 13.0, Excuse::All);
    assert_eq!(told_late(18.0, std::slice::from_ref(&late)), NONE);
    assert_eq!(told_late(18.1, std::slice::from_ref(&late)), [Rule::NoStranger]);
    assert_eq!(told_late(18.1, &[late, fault(17.0, 20.0, Excuse::Start)]), NONE);
}

#[test]
fn a_channel_that_stays_breaks_a_rule() {
    assert_eq!(after(|evidence| evidence.channels.push("PJSIP/1000-1".to_owned())), [Rule::AllEnded]);
}

#[test]
fn a_crash_and_a_panic_are_found_and_a_node_that_gives_up_is_none() {
    let exit = |process, code| {
        after(move |evidence: &mut Evidence| {
            evidence.faults.push(fault(1.5, 1.6, Excuse::Nothing));
            evidence.exits.push(ExitRecord { process, at: at(2.0), code });
        })
    };
    let calm = |evidence: &mut Evidence| {
        evidence.exits.push(ExitRecord { process: Process::Node(0), at: at(2.0), code: Some(1) });
    };
    assert_eq!(after(calm), [Rule::NoneCrashed]);
    assert_eq!(exit(Process::Node(0), Some(1)), NONE);
    assert_eq!(exit(Process::Node(0), Some(101)), [Rule::NoneCrashed]);
    assert_eq!(exit(Process::Node(0), None), [Rule::NoneCrashed]);
    assert_eq!(exit(Process::Agent, Some(0)), [Rule::NoneCrashed]);
    assert_eq!(after(|evidence| evidence.panics.push("panicked at".to_owned())), [Rule::NoneCrashed]);
}

#[test]
fn a_client_is_told_only_of_peers_that_its_user_hears() {
    assert_eq!(after(|evidence| evidence.peers.push(told(ALICE, CAROL, 2.0))), [Rule::NoStranger]);
    assert_eq!(after(|evidence| evidence.peers.push(told(CAROL, ALICE, 2.0))), [Rule::NoStranger]);
    assert_eq!(after(|evidence| evidence.peers.push(told(BOB, BOB, 2.0))), [Rule::NoStranger]);
    // Before the answer nobody hears anybody.
    assert_eq!(broken(&good(-0.1)), [Rule::NoStranger; 2]);
    // Such a call exists, but the two don't hear each other.
    let deaf = after(|evidence| evidence.calls[0].heard = false);
    assert_eq!(deaf, [Rule::NoneLost, Rule::NoStranger, Rule::NoStranger]);
}

#[test]
fn two_people_who_talk_for_a_while_are_paired_in_time() {
    assert_eq!(broken(&good(6.0)), NONE);
    assert_eq!(broken(&good(6.1)), [Rule::AllPaired]);
    for n in [0, 1] {
        let one = after(|evidence| drop(evidence.peers.remove(n)));
        assert_eq!(one, [Rule::AllPaired], "only one of the two was told");
    }
    // A shorter call need not be paired.
    let short = after(|evidence| (evidence.calls[0].over, evidence.peers) = (Some(at(5.9)), Vec::new()));
    assert_eq!(short, NONE);
}

#[test]
fn the_time_begins_anew_after_a_fault() {
    let with = |told_at: f64, faults: &[FaultRecord]| {
        let mut evidence = good(told_at);
        evidence.faults = faults.to_vec();
        (broken(&evidence), proof(&evidence, &LIMITS, Kind::Asterisk).paired)
    };
    let late = |expected: usize| (vec![Rule::AllPaired], expected);
    let fine = |expected: usize| (Vec::<Rule>::new(), expected);
    // It was over before the answer, or began after the clients had to be told.
    assert_eq!(with(6.1, &[fault(-3.0, 0.5, Excuse::All)]), late(1));
    assert_eq!(with(6.1, &[fault(6.5, 7.0, Excuse::All)]), late(1));
    // While it lasts no client has to be told. Afterwards there are five seconds again, if the call lasts so long.
    assert_eq!(with(7.9, &[fault(0.0, 3.0, Excuse::All)]), fine(1));
    assert_eq!(with(8.1, &[fault(0.0, 3.0, Excuse::All)]), late(1));
    assert_eq!(with(10.9, &[fault(2.0, 6.1, Excuse::All)]), fine(0));
    // Two in a row, and one in the other.
    assert_eq!(with(10.4, &[fault(1.5, 2.0, Excuse::All), fault(5.0, 5.5, Excuse::All)]), fine(1));
    assert_eq!(with(8.1, &pair([fault(0.0, 3.0, Excuse::All), fault(1.0, 2.0, Excuse::All)])), late(1));
}

#[test]
fn a_stand_by_takes_over_while_a_fault_lasts_unless_there_is_another() {
    let with = |told_at: f64, faults: &[FaultRecord]| {
        let mut evidence = good(told_at);
        evidence.faults = faults.to_vec();
        broken(&evidence)
    };
    let active = fault(2.0, 10.0, Excuse::Start);
    assert_eq!(with(6.9, std::slice::from_ref(&active)), NONE);
    assert_eq!(with(7.1, std::slice::from_ref(&active)), [Rule::AllPaired]);
    // The stand-by isn't needed.
    let stand_by = fault(2.0, 10.0, Excuse::Nothing);
    assert_eq!(with(6.1, std::slice::from_ref(&stand_by)), [Rule::AllPaired]);
    // Both at once: no node is left.
    assert_eq!(with(10.9, &pair([active.clone(), fault(3.0, 4.0, Excuse::Nothing)])), NONE);
    assert_eq!(with(10.9, &pair([active, fault(3.0, 4.0, Excuse::All)])), NONE);
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
