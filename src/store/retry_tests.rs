//! A distributed engine aborts transactions, and its connections break. Each write is made once all the same.

use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::test_database::{TestDatabase, node_row, until};
use super::test_proxy::{Fate, Fault, Proxy};
use super::test_writes::{WRITES, all_rows};
use super::{CallFilter, NumberRow, StandByReason, Store, StoreError, WRITE_BUDGET, sql};
use crate::contract::NumberEntry;

/// Where a transaction fails: at its begin, at the check of the fence, at one of its own statements, and at its end.
const PLACES: [Option<&str>; 4] = [Some("BEGIN;"), Some("UPDATE fences"), None, Some("COMMIT")];

type Failure = fn(&'static str) -> Fault;

/// Makes each write on a server that fails it so, and on a quiet database, and compares.
async fn each_write_is_made_once(failures: &[Failure]) {
    let Some(database) = TestDatabase::postgres() else { return };
    let other = TestDatabase::sqlite();
    let proxy = Proxy::before(&database);
    let [store, quiet] = [Store::open(&proxy.location()).await.unwrap(), other.open().await];
    let rounds = PLACES.into_iter().flat_map(|place| failures.iter().map(move |failure| (place, failure)));
    for (n, (place, failure)) in (0..).zip(rounds) {
        for &(word, write) in WRITES {
            let fault = failure(place.unwrap_or(word));
            proxy.fail(fault);
            let done = write(&store, n).await;
            assert_eq!(proxy.fault(), None, "{fault:?} did not occur: {word}");
            assert_eq!(done, write(&quiet, n).await, "{fault:?}: {word}");
        }
        assert_eq!(all_rows(&store).await, all_rows(&quiet).await, "{:?}", failure(place.unwrap_or("of the write")));
    }
    assert_eq!((store.failed_writes(), store.is_failing()), (0, false));
    store.close().await;
}

#[tokio::test]
async fn each_kind_of_write_is_made_once_wherever_the_server_aborts_it() {
    let once: Failure = |word| Fault::Fail { word, code: "40001", times: 1 };
    let three_times: Failure = |word| Fault::Fail { word, code: "40P01", times: 3 };
    each_write_is_made_once(&[once, three_times]).await;
}

#[tokio::test]
async fn each_kind_of_write_is_made_once_wherever_the_connection_breaks() {
    each_write_is_made_once(&[Fault::CutBefore, Fault::CutAfter]).await;
}

fn row(number: &str) -> NumberRow {
    NumberRow::new(number.parse().unwrap(), NumberEntry::default())
}

/// From now on the server aborts each of these.
fn always(word: &'static str) -> Fault {
    Fault::Fail { word, code: "40001", times: u32::MAX }
}

#[tokio::test]
async fn a_write_that_is_always_aborted_fails_with_the_reason_and_leaves_nothing() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    for word in PLACES.map(|place| place.unwrap_or("INSERT INTO numbers")) {
        proxy.fail(always(word));
        let begun = Instant::now();
        let failed = store.put_numbers(vec![row("+12125550100")]).await.unwrap_err();
        assert!(matches!(failed, StoreError::Contended(_)) && failed.is_unavailable(), "{word}: {failed}");
        assert!(failed.to_string().starts_with("the database is busy with another transaction: "), "{failed}");
        assert!(begun.elapsed() < WRITE_BUDGET && store.is_failing(), "{word} took {:?}", begun.elapsed());
        proxy.heal();
        assert!(store.numbers(None, 10).await.unwrap().is_empty(), "{word}");
        assert!(store.number(&"+12125550100".parse().unwrap()).await.unwrap().is_none(), "{word}");
    }
    store.put_numbers(vec![row("+12125550100")]).await.unwrap();
    assert!(!store.is_failing());
}

async fn read(store: &Store, is_patient: bool) -> Result<(), StoreError> {
    let all = CallFilter { limit: 10, ..CallFilter::default() };
    match is_patient {
        true => store.calls_at_startup(&all).await.map(drop),
        false => store.calls(&all).await.map(drop),
    }
}

/// The server's process for the connection that was used last.
async fn reader(store: &Store) -> i64 {
    sql::scalar("SELECT CAST(pg_backend_pid() AS BIGINT)").fetch_one(&store.pool).await.unwrap()
}

#[tokio::test]
async fn a_read_that_is_aborted_is_retried_and_fails_with_the_reason_at_last() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    let connection = reader(&store).await;
    for (word, is_patient) in [("FROM calls", false), ("BEGIN", true), ("FROM calls", true), ("COMMIT", true)] {
        proxy.fail(Fault::Fail { word, code: "40001", times: 4 });
        read(&store, is_patient).await.unwrap();
        assert_eq!(proxy.fault(), None, "{word}");
        proxy.fail(always(word));
        let begun = Instant::now();
        let failed = read(&store, is_patient).await.unwrap_err();
        assert!(matches!(failed, StoreError::Contended(_)) && failed.is_unavailable(), "{word}: {failed}");
        assert!(begun.elapsed() < WRITE_BUDGET, "{word} took {:?}", begun.elapsed());
        proxy.heal();
        read(&store, is_patient).await.unwrap();
        assert_eq!(reader(&store).await, connection, "{word}: it has connected again");
    }
}

/// A server that aborts the read only after a while: a retry would be late.
#[tokio::test]
async fn a_read_with_its_retries_takes_no_longer_than_one_attempt_may() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let (one, other) = tokio::join!(reader(&store), reader(&store));
    assert_ne!(one, other);
    let aborts = "ALTER TABLE calls RENAME TO elsewhere;
        CREATE FUNCTION aborts() RETURNS SETOF elsewhere LANGUAGE plpgsql AS $$ BEGIN
            PERFORM pg_sleep(1.7); RAISE EXCEPTION 'aborted' USING ERRCODE = '40001'; END $$;
        CREATE VIEW calls AS SELECT * FROM aborts()";
    database.run(aborts).await;
    let begun = Instant::now();
    let failed = read(&store, false).await.unwrap_err();
    let took = begun.elapsed();
    assert!(matches!(&failed, StoreError::Contended(reason) if reason.contains("aborted")), "{failed}");
    assert!((Duration::from_millis(1_700)..Duration::from_millis(4_400)).contains(&took), "{failed} after {took:?}");
    let left = reader(&store).await;
    assert!([one, other].contains(&left), "the idle connection was closed");
}

/// Opens a store through the proxy, writes, and closes it: with a failure at the first statement, with one at the second one, and
/// so on, until none fails any more. Runs `before` before each.
async fn opens_wherever(fate: Fate, times: u32, before: &'static str) {
    let Some(database) = TestDatabase::postgres() else { return };
    database.open().await.close().await;
    let proxy = Proxy::before(&database);
    for passing in 0.. {
        database.run(before).await;
        let fault = Fault::Later { passing, times, fate };
        proxy.fail(fault);
        let store = Store::open(&proxy.location()).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        store.put_numbers(vec![row("+12125550100")]).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        until(&store, Store::is_fresh).await;
        store.close().await;
        assert_eq!(scalar(&database, "SELECT COUNT(*) FROM leases WHERE expires <= now()").await, 1, "{fault:?}");
        if proxy.fault().is_some() {
            assert!(passing > 20, "only {passing} statements");
            return;
        }
    }
}

const ABORTED: Fate = Fate::Fails { code: "40001" };
const CUTS: [Fate; 2] = [Fate::IsCut { reaches_server: false }, Fate::IsCut { reaches_server: true }];
const NOTHING: &str = "SELECT 1";
const EMPTY: &str = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";

#[tokio::test]
async fn a_database_opens_wherever_the_server_aborts_statements() {
    opens_wherever(ABORTED, 3, NOTHING).await;
}

#[tokio::test]
async fn an_empty_database_opens_wherever_the_server_aborts_a_statement() {
    opens_wherever(ABORTED, 1, EMPTY).await;
}

#[tokio::test]
async fn a_database_opens_wherever_the_connection_breaks() {
    for cut in CUTS {
        opens_wherever(cut, 1, NOTHING).await;
    }
}

/// Answers are lost, so nobody knows whether the server has made a migration, or set the fence.
#[tokio::test]
async fn an_empty_database_opens_wherever_the_connection_breaks() {
    for cut in CUTS {
        opens_wherever(cut, 1, EMPTY).await;
    }
}

#[tokio::test]
async fn a_commit_in_doubt_is_asked_about_until_the_server_answers() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    proxy.fail(Fault::CutAfterAndFail("COMMIT", "SELECT commits"));
    store.put_numbers(vec![row("+12125550100")]).await.unwrap();
    assert_eq!((proxy.fault(), proxy.failures(), store.is_failing()), (None, 4, false));
    assert_eq!(store.numbers(None, 10).await.unwrap().len(), 1);
    assert_eq!(scalar(&database, "SELECT commits FROM fences").await, 1, "it is made once");
}

#[tokio::test]
async fn a_database_that_is_always_busy_is_not_opened_and_the_reason_is_said() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let refuses = async |word| {
        proxy.fail(always(word));
        let refused = Store::open(&proxy.location()).await.unwrap_err();
        let reason = "busy with another transaction: ";
        assert!(
            matches!(refused, StoreError::Open { .. }) && refused.to_string().contains(reason),
            "{word}: {refused}"
        );
        proxy.heal();
    };
    refuses("FROM information_schema").await;
    refuses("CREATE TABLE settings").await;
    database.open().await.close().await;
    refuses("SELECT owner").await;
    refuses("INSERT INTO leases").await;
    refuses("COUNT(*) FROM numbers").await;
    // Of a process that was killed a moment ago.
    database
        .run("UPDATE leases SET owner = 'process 1 on elsewhere', expires = now() + INTERVAL '1500 milliseconds'")
        .await;
    refuses("INSERT INTO leases").await;
}

#[tokio::test]
async fn a_stand_by_that_cant_take_a_lapsed_lease_says_why_and_takes_it_at_last() {
    let Some(database) = TestDatabase::postgres() else { return };
    database.open().await.close().await;
    database.run("UPDATE leases SET owner = 'process 1 on elsewhere', expires = now() + INTERVAL '1 hour'").await;
    let proxy = Proxy::before(&database);
    proxy.fail(always("INSERT INTO leases"));
    let (told, mut reasons) = watch::channel(None);
    let standing = tokio::spawn(Store::stand_by(proxy.location(), node_row(1), told, CancellationToken::new()));
    for expected in [StandByReason::Held { by: "process 1 on elsewhere".to_owned() }, StandByReason::Busy] {
        let is_told = reasons.wait_for(|reason| reason.as_ref() == Some(&expected));
        tokio::time::timeout(3 * WRITE_BUDGET, is_told).await.unwrap_or_else(|_| panic!("{expected}")).unwrap();
        database.run("UPDATE leases SET expires = now()").await;
    }
    proxy.heal();
    standing.await.unwrap().unwrap().put_numbers(vec![row("+12125550100")]).await.unwrap();
}

async fn scalar(database: &TestDatabase, select: &'static str) -> i64 {
    let mut other: PgConnection = database.hold("SELECT 1").await;
    sqlx::query_scalar(select).fetch_one(&mut other).await.unwrap()
}

/// The number of the lease, and when it lapses.
async fn lease(database: &TestDatabase) -> (i64, i64) {
    let expires = "SELECT CAST(EXTRACT(EPOCH FROM expires) * 1000000 AS BIGINT) FROM leases";
    (scalar(database, "SELECT fencing FROM leases").await, scalar(database, expires).await)
}

async fn wait_until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + 3 * WRITE_BUDGET;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_renewal_that_is_aborted_is_retried() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    proxy.fail(always("UPDATE leases SET expires = now() +"));
    wait_until("nobody renews it", async || proxy.failures() >= 6).await;
    // None has succeeded since the first one failed.
    let before = lease(&database).await;
    proxy.heal();
    wait_until("it isn't renewed", async || lease(&database).await != before).await;
    assert_eq!(lease(&database).await.0, before.0);
    until(&store, Store::is_fresh).await;
    store.put_numbers(vec![row("+12125550100")]).await.unwrap();
}

#[tokio::test]
async fn a_release_that_is_aborted_or_cut_is_retried() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let word = "UPDATE leases SET expires = now(), fencing";
    for fault in [Fault::Fail { word, code: "40001", times: 3 }, Fault::CutBefore(word), Fault::CutAfter(word)] {
        let store = Store::open(&proxy.location()).await.unwrap();
        let before = lease(&database).await;
        proxy.fail(fault);
        store.close().await;
        assert_eq!(proxy.fault(), None, "{fault:?} did not occur");
        // A release gives it the next number.
        assert_eq!(lease(&database).await.0, before.0 + 1, "{fault:?}");
    }
}
