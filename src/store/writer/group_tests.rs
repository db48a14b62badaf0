//! A transaction that another one has undone is made again, and a failure of the whole database is noticed once.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::group::WRITE_BUDGET;
use super::tests::{delivery, peer};
use crate::contract::NumberEntry;
use crate::store::test_database::{TestDatabase, until};
use crate::store::test_proxy::{Fault, Proxy};
use crate::store::{NumberRow, Store, StoreError, sql};

fn row(number: &str, credential: Option<&str>) -> NumberRow {
    let entry = NumberEntry { credential: credential.map(str::to_owned), ..NumberEntry::default() };
    NumberRow::new(number.parse().unwrap(), entry)
}

/// A trigger that undoes so many transactions, as other transactions would.
async fn undo(database: &TestDatabase, with: &'static str) {
    database.run("CREATE SEQUENCE IF NOT EXISTS attempts").await;
    database.run(with).await;
    database.run("CREATE TRIGGER undo BEFORE INSERT ON numbers FOR EACH STATEMENT EXECUTE FUNCTION undo()").await;
}

async fn attempts(store: &Store) -> i64 {
    sql::scalar::<i64>("SELECT last_value FROM attempts").fetch_one(&store.pool).await.unwrap()
}

#[tokio::test]
async fn a_transaction_that_collides_is_made_again() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let collisions = "CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        CASE nextval('attempts')
            WHEN 1 THEN RAISE EXCEPTION 'collision' USING ERRCODE = '40001';
            WHEN 2 THEN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01';
            ELSE RETURN NULL;
        END CASE; END $$";
    undo(&database, collisions).await;
    let commits = store.commits();
    store.put_numbers(vec![row("+12125550100", None)]).await.unwrap();
    assert_eq!((attempts(&store).await, store.failed_writes()), (3, 0));
    assert_eq!(store.commits() - commits, 1);
    assert_eq!(store.numbers(None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_transaction_that_always_collides_fails_in_time() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let collisions = "CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM nextval('attempts');
        RAISE EXCEPTION 'collision' USING ERRCODE = '40001'; END $$";
    undo(&database, collisions).await;
    let begun = Instant::now();
    let failed = store.put_numbers(vec![row("+12125550100", None)]).await.unwrap_err();
    assert!(matches!(failed, StoreError::Contended(_)) && begun.elapsed() < WRITE_BUDGET, "{failed}");
    assert_eq!(attempts(&store).await, 5);
}

/// Two numbers want one credential, so the writes of the group are made without each other, while the server hangs.
#[tokio::test]
async fn writes_of_a_group_that_failed_fail_together() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    proxy.fail(Fault::SwallowFrom("ROLLBACK"));
    let rows = (0..8).map(|n| vec![row(&format!("+1212555010{n}"), Some("a-credential-of-one"))]);
    let begun = Instant::now();
    let puts = join_all(rows.map(|rows| store.put_numbers(rows))).await;
    assert!(puts.iter().all(|put| put.as_ref().is_err_and(StoreError::is_unavailable)), "{puts:?}");
    assert!(begun.elapsed() < WRITE_BUDGET + Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_probe_notices_a_failure_and_its_end() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    proxy.fail(Fault::CutAfterAndRefuse("BEGIN"));
    assert!(store.probe(None).await);
    until(&store, Store::is_failing).await;
    proxy.heal();
    assert!(store.probe(None).await);
    until(&store, |store| !store.is_failing()).await;
}

/// A pair is made once, and its clients are told once: whoever stores the messages needs the result, however late.
#[tokio::test]
async fn what_a_doubtful_commit_has_made_is_told_to_who_waits() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    proxy.fail(Fault::CutAfterAndRefuse("COMMIT"));
    let back = async {
        until(&store, Store::is_in_doubt).await;
        proxy.heal();
    };
    let (ids, ()) = tokio::join!(store.add_deliveries(vec![delivery(1, 1, 1, peer())]), back);
    assert_eq!(ids.unwrap(), ["d-1"]);
    assert_eq!(store.pending().await.unwrap().len(), 1);
}

/// Each write takes 20 ms, so what fits into a group's time is less than a full one.
#[tokio::test]
async fn a_server_that_is_too_slow_for_full_groups_gets_smaller_ones() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let slow = "CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_sleep(0.02);
        RETURN NULL; END $$";
    undo(&database, slow).await;
    let mut failed = Vec::new();
    while failed.last() != Some(&0) {
        let puts = (0..300).map(|n| store.put_numbers(vec![row(&format!("+12125551{n:03}"), None)]));
        failed.push(join_all(puts).await.into_iter().filter(Result::is_err).count());
        assert!(failed.len() < 6, "{failed:?}");
    }
    assert!(failed.len() > 1, "the first group is too large");
}
