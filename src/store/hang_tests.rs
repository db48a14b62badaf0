//! A server that hangs, or is very slow, costs each write and each read a few seconds, and nothing afterwards.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::test_database::TestDatabase;
use super::test_proxy::{Fault, Proxy};
use super::{NumberRow, Store, StoreError, WRITE_BUDGET};
use crate::contract::NumberEntry;
use crate::core::base::name::CallId;

/// How late an answer is on a busy machine.
const MARGIN: Duration = Duration::from_secs(1);

fn row(number: &str) -> NumberRow {
    NumberRow::new(number.parse().unwrap(), NumberEntry::default())
}

async fn put(store: &Store, number: &str) -> Result<(), StoreError> {
    store.put_numbers(vec![row(number)]).await
}

#[tokio::test]
async fn a_server_that_hangs_fails_writes_in_time_and_later_ones_work() {
    let Some(database) = TestDatabase::postgres() else { return };
    for fault in [Fault::Swallow, Fault::SwallowFrom("COMMIT")] {
        let proxy = Proxy::before(&database);
        let store = Store::open(&proxy.location()).await.unwrap();
        put(&store, "+12125550100").await.unwrap();
        proxy.fail(fault);
        // The first one has its connection, and the second one must make another.
        for number in ["+12125550101", "+12125550102"] {
            let begun = Instant::now();
            let failed = put(&store, number).await.unwrap_err();
            assert!(failed.is_unavailable() && store.is_failing(), "{failed}");
            assert!(begun.elapsed() < WRITE_BUDGET + MARGIN, "{fault:?}: {number} took {:?}", begun.elapsed());
        }
        // Many writes wait together, not one after another.
        let begun = Instant::now();
        let all = join_all(["+12125550103", "+12125550104", "+12125550105"].map(|number| put(&store, number))).await;
        assert!(all.iter().all(Result::is_err) && store.probe(None).await);
        assert!(begun.elapsed() < 2 * WRITE_BUDGET + MARGIN, "{fault:?}: {:?}", begun.elapsed());
        proxy.heal();
        // The server ends the transaction whose client is gone: it has a row that every transaction needs.
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(failed) = put(&store, "+12125550106").await {
            assert!(Instant::now() < deadline, "{fault:?}: {failed}");
        }
        assert!(!store.is_failing());
        store.close().await;
    }
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
