//! One process writes to a PostgreSQL database, and each of its writes is made once.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::test_database::{TestDatabase, node_row, until};
use super::test_proxy::{Fault, Proxy};
use super::{DeliveryState, NumberRow, StandByReason, Store, StoreError, WRITE_BUDGET};
use crate::contract::NumberEntry;
use crate::core::numbering::number::Number;

fn row(number: &str) -> NumberRow {
    NumberRow::new(number.parse().unwrap(), NumberEntry::default())
}

async fn numbers(store: &Store) -> Vec<Number> {
    store.numbers(None, 10).await.unwrap().into_iter().map(|view| view.number).collect()
}

async fn is_enabled(store: &Store, number: &Number) -> Option<bool> {
    store.number(number).await.unwrap().and_then(|view| view.entry.enabled)
}

#[tokio::test]
async fn a_second_process_is_refused_while_the_first_one_lives() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let refused = Store::open(&database.location()).await.unwrap_err();
    let StoreError::InUse { holder, .. } = &refused else { panic!("{refused}") };
    assert!(holder.starts_with(&format!("process {} on ", std::process::id())), "{holder}");
    assert!(refused.to_string().ends_with("stop it first, or set node.database to another one"), "{refused}");
    store.put_numbers(vec![row("+12125550100")]).await.unwrap();
    store.close().await;
    // Closing it frees it at once.
    let next = database.open().await;
    assert_eq!(numbers(&next).await.len(), 1);
}

#[tokio::test]
async fn the_lease_of_a_killed_process_lapses() {
    let Some(database) = TestDatabase::postgres() else { return };
    database.open().await.close().await;
    let left = "UPDATE leases SET owner = 'process 1 on elsewhere', fencing = 7, expires = now() + INTERVAL '1 second'";
    database.run(left).await;
    let next = database.open().await;
    next.put_numbers(vec![row("+12125550100")]).await.unwrap();
    let lease = "SELECT fencing FROM leases WHERE expires > now()";
    assert_eq!(super::sql::scalar::<i64>(lease).fetch_one(&next.pool).await.unwrap(), 8);
}

/// As after SIGSTOP: while it stood still, another one has taken over.
#[tokio::test]
async fn a_process_that_was_stopped_changes_nothing_any_more() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    store.put_numbers(vec![row("+12125550100")]).await.unwrap();
    database.run("UPDATE leases SET fencing = fencing + 1, expires = now()").await;
    let put = store.put_numbers(vec![row("+12125550101")]).await.unwrap_err();
    assert!(put.is_unavailable(), "{put}");
    // Its supervisor learns of it.
    store.ended().await;
    assert!(store.put_numbers(vec![row("+12125550102")]).await.is_err());
    let next = database.open().await;
    assert_eq!(numbers(&next).await, ["+12125550100".parse().unwrap()]);
}

/// Another process waits for its locks, and takes over when the server has ended its transaction.
#[tokio::test]
async fn a_process_that_was_stopped_in_a_transaction_loses_the_database() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let stopped = Store::open(&proxy.location()).await.unwrap();
    proxy.fail(Fault::SwallowFrom("COMMIT"));
    let successor = async {
        let (told, _reasons) = watch::channel(None);
        let next = Store::stand_by(database.location(), node_row(1), told, CancellationToken::new()).await.unwrap();
        next.put_numbers(vec![row("+12125550101")]).await.unwrap();
        proxy.heal();
        next
    };
    let (lost, next) = tokio::join!(stopped.put_numbers(vec![row("+12125550100")]), successor);
    assert!(matches!(lost, Err(StoreError::Fenced)), "{lost:?}");
    // It notices by itself.
    stopped.ended().await;
    assert_eq!(numbers(&next).await, ["+12125550101".parse().unwrap()]);
}

#[tokio::test]
async fn a_lock_on_the_lease_is_waited_for_and_names_its_owner() {
    let Some(database) = TestDatabase::postgres() else { return };
    database.open().await.close().await;
    database.run("UPDATE leases SET owner = 'process 1 on elsewhere', expires = now() + INTERVAL '1 hour'").await;
    let holds = database.hold("UPDATE leases SET commits = commits").await;
    let refused = Store::open(&database.location()).await.unwrap_err();
    let StoreError::InUse { holder, .. } = &refused else { panic!("{refused}") };
    assert_eq!(holder, "process 1 on elsewhere");
    assert_eq!(database.waiting().await, 0, "no attempt is left on the server");
    drop(holds);
    database.open().await.close().await;
}

/// Its owner is dead, and something else has its row locked.
#[tokio::test]
async fn a_lock_on_a_lapsed_lease_is_no_owner() {
    let Some(database) = TestDatabase::postgres() else { return };
    database.open().await.close().await;
    let left = "UPDATE leases SET owner = 'process 1 on elsewhere', expires = now() + INTERVAL '4 seconds'";
    database.run(left).await;
    let holds = database.hold("SELECT 1 FROM leases FOR UPDATE").await;
    let (told, mut reasons) = watch::channel(None);
    let standing = tokio::spawn(Store::stand_by(database.location(), node_row(1), told, CancellationToken::new()));
    for expected in [StandByReason::Held { by: "process 1 on elsewhere".to_owned() }, StandByReason::Busy] {
        let is_told = reasons.wait_for(|reason| reason.as_ref() == Some(&expected));
        tokio::time::timeout(3 * WRITE_BUDGET, is_told).await.unwrap_or_else(|_| panic!("{expected}")).unwrap();
    }
    let refused = Store::open(&database.location()).await.unwrap_err();
    let is_locked = refused.to_string().contains("another transaction holds a lock");
    assert!(matches!(refused, StoreError::Open { .. }) && is_locked, "{refused}");
    drop(holds);
    standing.await.unwrap().unwrap().put_numbers(vec![row("+12125550100")]).await.unwrap();
}

/// A write has checked the lease, and waits for the next owner, who sets the fence at this moment.
#[tokio::test]
async fn a_write_that_meets_the_next_owner_is_not_made() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let mut next = database.hold("UPDATE fences SET fencing = fencing + 1, commits = 0").await;
    let takes = async {
        database.until_waiting().await;
        sqlx::raw_sql("COMMIT").execute(&mut next).await.unwrap();
    };
    let (put, ()) = tokio::join!(store.put_numbers(vec![row("+12125550100")]), takes);
    assert!(matches!(put, Err(StoreError::Fenced)), "{put:?}");
    store.ended().await;
    assert!(!store.is_fresh(), "it doesn't decide either");
}

/// A million numbers take longer than the lease lasts.
#[tokio::test]
async fn nobody_takes_the_database_over_while_its_directory_is_loaded() {
    let Some(database) = TestDatabase::postgres() else { return };
    database.open().await.close().await;
    let holds = database.hold("LOCK TABLE devices IN ACCESS EXCLUSIVE MODE").await;
    let location = database.location();
    let refusal = async {
        // By then the other one has the lease.
        database.until_waiting().await;
        // This one is as patient as a lease is long, and more.
        let refused = Store::open(&location).await.unwrap_err();
        drop(holds);
        refused
    };
    let (loaded, refused) = tokio::join!(Store::open(&location), refusal);
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    loaded.unwrap().put_numbers(vec![row("+12125550100")]).await.unwrap();
}

#[tokio::test]
async fn a_write_is_made_once_if_the_connection_breaks_at_its_commit() {
    for fault in [Fault::CutBefore("COMMIT"), Fault::CutAfter("COMMIT")] {
        let Some(database) = TestDatabase::postgres() else { return };
        let proxy = Proxy::before(&database);
        let store = Store::open(&proxy.location()).await.unwrap();
        let insert = "INSERT INTO deliveries VALUES
            ('d', 'c', '+1', '+2', 'x', 'sip', 'peer', '', 0, 'pending', 0, 0, NULL, NULL)";
        database.run(insert).await;
        proxy.fail(fault);
        let attempt = store.attempted("d", DeliveryState::Pending, Some("no answer".to_owned())).unwrap();
        attempt.wait().await.unwrap();
        assert_eq!(proxy.fault(), None, "it was cut");
        let attempts = super::sql::scalar::<i64>("SELECT attempts FROM deliveries");
        assert_eq!(attempts.fetch_one(&store.pool).await.unwrap(), 1, "{fault:?}");
        store.close().await;
    }
}

/// The write waits until the server is back, and then says that it was made: clients must be told of it.
#[tokio::test]
async fn a_commit_that_nobody_knows_of_is_found_when_the_server_is_back() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    let number: Number = "+12125550100".parse().unwrap();
    store.put_numbers(vec![row("+12125550100")]).await.unwrap();
    proxy.fail(Fault::CutAfterAndRefuse("COMMIT"));
    let others = async {
        until(&store, Store::is_in_doubt).await;
        let refused = store.put_numbers(vec![row("+12125550102")]).await.unwrap_err();
        assert!(refused.to_string().contains("isn't known whether"), "{refused}");
        assert!(store.is_failing() && store.probe(None).await);
        assert_eq!(is_enabled(&store, &number).await, Some(true));
        proxy.heal();
    };
    let (made, ()) = tokio::join!(store.enable(&number, false), others);
    assert!(made.unwrap() && !store.is_failing());
    assert_eq!(is_enabled(&store, &number).await, Some(false));
    assert_eq!(numbers(&store).await, [number]);
}

#[tokio::test]
async fn who_stands_by_waits_for_a_server_that_is_away_too() {
    let Some(database) = TestDatabase::postgres() else { return };
    let owner = database.open().await;
    let proxy = Proxy::before(&database);
    let (told, mut reasons) = watch::channel(None);
    let standing = tokio::spawn(Store::stand_by(proxy.location(), node_row(1), told, CancellationToken::new()));
    let by_owner = format!("process {} on ", std::process::id());
    let held = |reason: &Option<StandByReason>| match reason {
        Some(StandByReason::Held { by }) => by.starts_with(&by_owner),
        _ => false,
    };
    reasons.wait_for(held).await.unwrap();
    proxy.fail(Fault::CutAfterAndRefuse("ROLLBACK"));
    let unavailable = |reason: &Option<StandByReason>| *reason == Some(StandByReason::Unavailable);
    reasons.wait_for(unavailable).await.unwrap();
    proxy.heal();
    reasons.wait_for(held).await.unwrap();
    // It hangs, and nobody can see who has the database.
    proxy.fail(Fault::Swallow);
    reasons.wait_for(unavailable).await.unwrap();
    owner.close().await;
    proxy.heal();
    let next = standing.await.unwrap().unwrap();
    next.put_numbers(vec![row("+12125550100")]).await.unwrap();
    assert_eq!(*reasons.borrow(), Some(StandByReason::TakesOver));
}

/// While it sets the fence, and while it loads the directory.
#[tokio::test]
async fn a_take_over_that_is_stopped_leaves_the_database_to_others_at_once() {
    for lock in ["LOCK TABLE fences IN ACCESS EXCLUSIVE MODE", "LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE"] {
        let Some(database) = TestDatabase::postgres() else { return };
        let owner = database.open().await;
        let ((told, mut reasons), stop) = (watch::channel(None), CancellationToken::new());
        let standing = tokio::spawn(Store::stand_by(database.location(), node_row(1), told, stop.clone()));
        reasons.wait_for(Option::is_some).await.unwrap();
        let holds = database.hold(lock).await;
        owner.close().await;
        reasons.wait_for(|reason| *reason == Some(StandByReason::TakesOver)).await.unwrap();
        database.until_waiting().await;
        stop.cancel();
        let stopped = tokio::time::timeout(WRITE_BUDGET, standing).await.expect("it stops").unwrap();
        assert!(matches!(stopped, Err(StoreError::Open { .. })), "{stopped:?}");
        // It was the second owner. Each release gives it the next number, too. Fails if it isn't so.
        database.run("SELECT 1 / (SELECT COUNT(*) FROM leases WHERE fencing = 4 AND expires <= now())").await;
        drop(holds);
    }
}

#[tokio::test]
async fn a_database_that_is_free_is_taken_without_standing_by() {
    let Some(database) = TestDatabase::postgres() else { return };
    for _ in 0..2 {
        let (told, reasons) = watch::channel(None);
        let store = Store::stand_by(database.location(), node_row(1), told, CancellationToken::new()).await.unwrap();
        assert_eq!(*reasons.borrow(), None);
        store.close().await;
    }
}

/// Its owner is dead, and the clock of the server was set back.
#[tokio::test]
async fn a_lease_that_lasts_too_long_is_taken_when_nobody_renews_it() {
    let Some(database) = TestDatabase::postgres() else { return };
    database.open().await.close().await;
    database.run("UPDATE leases SET owner = 'process 1 on elsewhere', expires = now() + INTERVAL '1 hour'").await;
    let (told, reasons) = watch::channel(None);
    let store = Store::stand_by(database.location(), node_row(1), told, CancellationToken::new()).await.unwrap();
    assert!(reasons.borrow().is_some(), "it has waited");
    store.put_numbers(vec![row("+12125550100")]).await.unwrap();
    until(&store, Store::is_fresh).await;
}

/// Its owner renews it, so it lasts.
#[tokio::test]
async fn a_lease_that_is_renewed_is_not_taken_however_long_somebody_stands_by() {
    let Some(database) = TestDatabase::postgres() else { return };
    let owner = database.open().await;
    let (told, _reasons) = watch::channel(None);
    let standing = Store::stand_by(database.location(), node_row(1), told, CancellationToken::new());
    assert!(tokio::time::timeout(Duration::from_secs(4), standing).await.is_err(), "two have the database");
    owner.put_numbers(vec![row("+12125550100")]).await.unwrap();
}

/// What fails after the lease was taken gives it back.
#[tokio::test]
async fn a_directory_that_cant_be_loaded_leaves_the_database_to_others() {
    let Some(database) = TestDatabase::postgres() else { return };
    database.open().await.close().await;
    database.run("ALTER TABLE numbers RENAME TO elsewhere").await;
    assert!(matches!(Store::open(&database.location()).await, Err(StoreError::Open { .. })));
    // Fails if it isn't so.
    database.run("SELECT 1 / (SELECT COUNT(*) FROM leases WHERE expires <= now())").await;
}
