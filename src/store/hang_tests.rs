//! A server that hangs, or is very slow, costs each write and each read a few seconds, and nothing afterwards.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::test_database::{TestDatabase, until};
use super::test_proxy::{Fault, Proxy};
use super::{NumberRow, Store, StoreError, WRITE_BUDGET};
use crate::contract::NumberEntry;
use crate::core::base::name::CallId;
use crate::core::base::time::UnixMillis;

/// How late an answer is on a busy machine.
const MARGIN: Duration = Duration::from_secs(3);

fn row(number: &str) -> NumberRow {
    NumberRow::new(number.parse().unwrap(), NumberEntry::default())
}

async fn put(store: &Store, number: &str) -> Result<(), StoreError> {
    store.put_numbers(vec![row(number)]).await
}

#[tokio::test]
async fn a_server_that_hangs_fails_writes_in_time_and_later_ones_work() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    put(&store, "+12125550100").await.unwrap();
    proxy.fail(Fault::Swallow);
    // The first one has its connection, and the second one must make another.
    for number in ["+12125550101", "+12125550102"] {
        let begun = Instant::now();
        let failed = put(&store, number).await.unwrap_err();
        assert!(failed.is_unavailable() && store.is_failing(), "{failed}");
        assert!(begun.elapsed() < 2 * WRITE_BUDGET + MARGIN, "{number} took {:?}", begun.elapsed());
    }
    proxy.heal();
    // The server ends the transaction whose client is gone: it has a row that every transaction needs.
    let deadline = Instant::now() + 3 * WRITE_BUDGET;
    while put(&store, "+12125550106").await.is_err() {
        assert!(Instant::now() < deadline, "{:?}", store.failure());
    }
    assert!(!store.is_failing());
    store.close().await;
}

/// More than fit into a few groups, and a probe behind them: the process would be killed if they failed one after the other.
#[tokio::test]
async fn a_server_that_hangs_fails_a_long_queue_together() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    proxy.fail(Fault::Swallow);
    let begun = Instant::now();
    let ids: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let writes: Vec<_> = ids.iter().map(|id| store.delivered(id, None, UnixMillis(1)).unwrap()).collect();
    assert!(store.probe(None).await);
    for write in writes {
        assert!(write.wait().await.unwrap_err().is_unavailable());
    }
    assert!(begun.elapsed() < 2 * WRITE_BUDGET + MARGIN, "{:?}", begun.elapsed());
}

/// Nobody knows what became of that commit until the server is back.
#[tokio::test]
async fn a_server_that_hangs_at_a_commit_holds_up_no_other_write() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    proxy.fail(Fault::SwallowFrom("COMMIT"));
    let others = async {
        // In the same group, whose commit comes into doubt.
        assert!(tokio::time::timeout(3 * WRITE_BUDGET, store.probe(None)).await.unwrap());
        until(&store, Store::is_in_doubt).await;
        for number in ["+12125550101", "+12125550102"] {
            let begun = Instant::now();
            let failed = put(&store, number).await.unwrap_err();
            assert!(failed.to_string().contains("isn't known whether") && store.is_failing(), "{failed}");
            assert!(store.probe(None).await);
            assert!(begun.elapsed() < 3 * WRITE_BUDGET + MARGIN, "{number} took {:?}", begun.elapsed());
        }
        proxy.heal();
    };
    let (first, ()) = tokio::join!(put(&store, "+12125550100"), others);
    // The server didn't get it.
    assert!(matches!(first, Err(StoreError::Disconnected(_))), "{first:?}");
    put(&store, "+12125550100").await.unwrap();
    assert!(!store.is_failing() && !store.is_in_doubt());
}

/// Its answer may be an error that leaves the connection in a transaction that has failed.
#[tokio::test]
async fn a_server_that_refuses_to_say_what_became_of_a_commit_is_asked_again() {
    let Some(database) = TestDatabase::postgres() else { return };
    database.run("ALTER ROLE sidecall SET lock_timeout = 200").await;
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    proxy.fail(Fault::CutAfterAndRefuse("COMMIT"));
    let heals = async {
        until(&store, Store::is_in_doubt).await;
        let holds = database.hold("SELECT 1 FROM fences FOR UPDATE").await;
        proxy.heal();
        database.until_waiting().await;
        while database.waiting().await > 0 {}
        drop(holds);
    };
    let made = tokio::time::timeout(5 * WRITE_BUDGET, async { tokio::join!(put(&store, "+12125550100"), heals) });
    assert!(matches!(made.await, Ok((Ok(()), ()))));
    put(&store, "+12125550101").await.unwrap();
}

/// What waits for the writer must not keep the process from ending.
#[tokio::test]
async fn a_store_in_doubt_can_be_closed() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    proxy.fail(Fault::SwallowFrom("COMMIT"));
    let leaves = async {
        until(&store, Store::is_in_doubt).await;
        store.wait_no_more();
    };
    let first = tokio::time::timeout(3 * WRITE_BUDGET, put(&store, "+12125550100"));
    let (first, ()) = tokio::join!(first, leaves);
    assert!(matches!(first, Ok(Err(StoreError::Doubtful(_)))), "{first:?}");
    tokio::time::timeout(3 * WRITE_BUDGET, store.close()).await.unwrap();
}

#[tokio::test]
async fn a_statement_that_waits_for_a_lock_ends_on_the_server_too() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let holds = database.hold("LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE").await;
    let begun = Instant::now();
    let late = put(&store, "+12125550100").await.unwrap_err();
    assert!(matches!(late, StoreError::Late(_)) && begun.elapsed() < WRITE_BUDGET + MARGIN, "{late}");
    assert!(matches!(store.numbers(None, 10).await, Err(StoreError::Late(_))));
    assert_eq!(database.waiting().await, 0);
    drop(holds);
    put(&store, "+12125550100").await.unwrap();
}

#[tokio::test]
async fn reads_at_startup_and_in_housekeeping_may_take_long() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let holds = database.hold("LOCK TABLE deliveries, calls IN ACCESS EXCLUSIVE MODE").await;
    let patient = tokio::spawn({
        let store = store.clone();
        async move { store.crowded(10).await }
    });
    let call: CallId = "call".parse().unwrap();
    assert!(matches!(store.waiting(&call).await, Err(StoreError::Late(_))), "an agent waits for this one");
    assert!(!patient.is_finished());
    drop(holds);
    assert_eq!(patient.await.unwrap().unwrap(), None);
    // The limit was for that statement alone.
    let _holds = database.hold("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE").await;
    for read in join_all([(); 4].map(|()| store.waiting(&call))).await {
        assert!(matches!(read, Err(StoreError::Late(_))));
    }
}
