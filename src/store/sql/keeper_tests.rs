//! A lease is renewed whatever the writer does, and its owner knows when it can't rely on it.

use std::time::{Duration, Instant};

use crate::store::test_database::{TestDatabase, until};
use crate::store::test_proxy::{Fault, Proxy};
use crate::store::{NumberRow, Store, WRITE_BUDGET, sql};

async fn expiry(store: &Store) -> i64 {
    let millis = "SELECT CAST(EXTRACT(EPOCH FROM expires) * 1000 AS BIGINT) FROM leases";
    sql::scalar::<i64>(millis).fetch_one(&store.pool).await.unwrap()
}

#[tokio::test]
async fn a_lease_is_renewed_while_a_group_is_written() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    // As a transaction of the writer does.
    let _group = database.hold("UPDATE fences SET commits = commits").await;
    let deadline = Instant::now() + 3 * WRITE_BUDGET;
    for _ in 0..2 {
        let before = expiry(&store).await;
        while expiry(&store).await == before {
            assert!(Instant::now() < deadline, "it isn't renewed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert!(store.is_fresh());
}

#[tokio::test]
async fn a_group_that_is_written_leaves_the_lease_to_its_renewal() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let holds = database.hold("LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE").await;
    let row = NumberRow::new("+12125550100".parse().unwrap(), Default::default());
    // The first attempt may be over before it is noticed.
    let puts = async { while store.put_numbers(vec![row.clone()]).await.is_err() {} };
    let others = async {
        database.until_waiting().await;
        // A renewal doesn't take long, and the group waits for longer.
        database.run("SET lock_timeout = 1000; SELECT 1 FROM leases FOR UPDATE").await;
        drop(holds);
    };
    tokio::join!(puts, others);
}

#[tokio::test]
async fn a_process_that_doesnt_reach_the_server_doesnt_rely_on_its_lease() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    until(&store, Store::is_fresh).await;
    proxy.fail(Fault::Swallow);
    until(&store, |store| !store.is_fresh()).await;
    proxy.heal();
    until(&store, Store::is_fresh).await;
}

#[tokio::test]
async fn a_process_that_writes_nothing_learns_that_another_one_has_taken_over() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    database.run("UPDATE leases SET fencing = fencing + 1").await;
    tokio::time::timeout(3 * WRITE_BUDGET, store.ended()).await.expect("it ends");
    assert!(store.is_failing() && !store.is_fresh());
}

#[tokio::test]
async fn a_process_that_has_closed_its_database_doesnt_rely_on_its_lease() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    assert!(store.is_fresh());
    store.close().await;
    assert!(!store.is_fresh(), "others take it at once");
}
