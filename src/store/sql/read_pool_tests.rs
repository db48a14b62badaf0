//! A read that is given up costs its connection, and an idle connection may go at any time.

use futures_util::future::join_all;
use tokio::time::timeout;

use super::*;
use crate::store::Store;
use crate::store::test_database::TestDatabase;
use crate::store::test_proxy::{Fault, Proxy};

/// As many reads at once as there are connections.
async fn read_on_all(store: &Store, limit: Duration) -> bool {
    let reads = join_all([(); READERS].map(|()| timeout(limit, store.check()))).await;
    reads.iter().all(|read| matches!(read, Ok(Ok(()))))
}

#[tokio::test]
async fn reads_given_up_keep_no_connection_and_closing_waits_for_none() {
    let Some(database) = TestDatabase::postgres() else { return };
    let proxy = Proxy::before(&database);
    let store = Store::open(&proxy.location()).await.unwrap();
    assert!(read_on_all(&store, ANSWER).await);
    proxy.fail(Fault::Swallow);
    assert!(!read_on_all(&store, Duration::from_millis(100)).await);
    proxy.heal();
    // What was swallowed is never answered.
    assert!(read_on_all(&store, ANSWER).await);
    // The writer may have to connect again.
    timeout(Duration::from_secs(20), store.close()).await.expect("it ends");
    assert!(store.check().await.is_err());
}

#[tokio::test]
async fn a_connection_that_the_server_closed_while_it_was_idle_fails_no_read() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    assert!(read_on_all(&store, ANSWER).await);
    let close = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sidecall'";
    database.run(close).await;
    assert!(read_on_all(&store, ANSWER).await);
    store.close().await;
}
