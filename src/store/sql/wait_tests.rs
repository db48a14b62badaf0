//! Somebody who waits for a lease says what stands in the way.

use super::*;
use crate::store::test_database::node_row;

const START: Duration = Duration::from_secs(1000);
const STEP: Duration = Duration::from_millis(100);

fn lease() -> HeldLease {
    HeldLease { owner: "process 1 on elsewhere".to_owned(), fencing: 1, expires: 0 }
}

fn held() -> StandByReason {
    StandByReason::Held { by: lease().owner }
}

/// A node that waits, and was told this.
fn node(told: Option<StandByReason>) -> Wait {
    Wait::StandBy { told: watch::channel(told).0, row: node_row(1), stop: CancellationToken::new() }
}

/// Somebody who stands by, and was told so.
fn standing() -> Wait {
    node(Some(held()))
}

fn passing() -> [StoreError; 4] {
    [
        StoreError::Contended("".into()),
        StoreError::Locked("".into()),
        StoreError::Late("".into()),
        StoreError::Disconnected("".into()),
    ]
}

#[test]
fn an_owner_that_was_seen_a_moment_ago_is_why_the_database_is_not_opened() {
    let wait = Wait::Briefly;
    for error in passing() {
        let mut known = KnownLease::new(&wait, "db", START);
        let deadline = START + PATIENCE;
        known.held(lease(), deadline - STEP).unwrap();
        let refused = known.failed(error, deadline).unwrap_err();
        assert!(matches!(&refused, StoreError::InUse { holder, .. } if *holder == lease().owner), "{refused}");
    }
}

#[test]
fn a_lease_that_has_lapsed_and_cant_be_taken_is_no_owner() {
    let wait = Wait::Briefly;
    for error in passing() {
        let mut known = KnownLease::new(&wait, "db", START);
        let deadline = START + PATIENCE;
        known.held(lease(), deadline - 3 * STEP).unwrap();
        let pause = known.could_not_take(error.clone(), deadline - 2 * STEP).unwrap();
        assert_eq!(pause, Pause { reason: None, lasts: RETRY });
        // Nor is it one if the next attempt gets no further than to the beginning.
        let refused = known.failed(error, deadline).unwrap_err();
        assert!(!matches!(refused, StoreError::InUse { .. }), "{refused}");
    }
}

#[test]
fn a_node_that_starts_stands_by_if_other_transactions_keep_the_lease_from_it() {
    let wait = node(None);
    let mut known = KnownLease::new(&wait, "db", START);
    for error in passing() {
        assert_eq!(known.could_not_take(error, START).unwrap(), Pause { reason: None, lasts: RETRY });
    }
    let later = passing().map(|error| known.could_not_take(error, START + PATIENCE).ok());
    let busy = || Some(Pause { reason: Some(StandByReason::Busy), lasts: RETRY });
    assert_eq!(later, [busy(), busy(), None, None]);
}

#[test]
fn who_stands_by_names_an_owner_for_as_long_as_it_may_be_well() {
    let wait = standing();
    let mut known = KnownLease::new(&wait, "db", START);
    known.held(lease(), START).unwrap();
    let mut reason = |error: &StoreError, now| known.failed(error.clone(), now).unwrap().reason;
    for error in passing() {
        assert_eq!(reason(&error, START + SILENT - STEP), Some(held()), "{error}");
    }
    let later = passing().map(|error| reason(&error, START + SILENT));
    let (busy, unavailable) = (Some(StandByReason::Busy), Some(StandByReason::Unavailable));
    assert_eq!(later, [busy.clone(), busy, unavailable.clone(), unavailable]);
}

#[test]
fn who_stands_by_tries_soon_again_while_the_server_answers() {
    let wait = standing();
    let mut known = KnownLease::new(&wait, "db", START);
    for error in passing() {
        assert_eq!(known.could_not_take(error, START).unwrap().lasts, RETRY);
    }
    assert_eq!(known.failed(StoreError::Unavailable("".into()), START).unwrap().lasts, LATER);
    assert_eq!(known.failed(StoreError::Late("".into()), START + SILENT).unwrap().lasts, LATER);
}

#[test]
fn failures_that_alternate_are_logged_once_until_the_lease_is_seen_again() {
    let wait = standing();
    let mut known = KnownLease::new(&wait, "db", START);
    assert!(!known.has_failed);
    for error in passing() {
        known.could_not_take(error, START).unwrap();
        assert!(known.has_failed);
    }
    known.held(lease(), START + STEP).unwrap();
    assert!(!known.has_failed);
}
