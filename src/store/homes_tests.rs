//! The calls of a PBX are changed by one process.

use serde_json::json;

use super::*;
use crate::core::call::Call;
use crate::store::record;
use crate::store::test_database::TestDatabase;
use crate::store::test_proxy::{Fault, Proxy};
use crate::store::{Store, sql};

/// The call on this PBX, which is named like it.
fn call(pbx: &str, last_seq: u64) -> Call {
    let record = json!({
        "id": pbx, "pbx": pbx, "leg": format!("{pbx}-1"), "called": "+12125550101", "side": "originating",
        "route": "pstn", "reason": "caller-has-no-client", "decided": 0, "phase": "decided", "legs": {},
        "last_seq": last_seq,
    });
    record::read::<CallRecord>(record.to_string()).unwrap().into()
}

async fn save(store: &Store, pbx: &str, last_seq: u64) -> Result<(), StoreError> {
    store.save_calls(vec![call(pbx, last_seq)]).unwrap().wait().await
}

async fn last_seq(store: &Store, pbx: &str) -> u64 {
    store.call(&pbx.parse().unwrap()).await.unwrap().unwrap().last_seq
}

async fn fencing(store: &Store) -> i64 {
    sql::scalar::<i64>("SELECT fencing FROM homes WHERE pbx = 'a'").fetch_one(&store.pool).await.unwrap()
}

#[tokio::test]
async fn calls_of_a_home_that_is_lost_change_no_more_and_others_do() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    for pbx in ["a", "b"] {
        save(&store, pbx, 1).await.unwrap();
    }
    database.run("UPDATE homes SET node = 'another', run = 1, fencing = fencing + 1 WHERE pbx = 'a'").await;
    for n in 2..4 {
        let (lost, kept) = tokio::join!(save(&store, "a", n), save(&store, "b", n));
        assert!(matches!(&lost, Err(StoreError::LostHome(pbx)) if pbx.as_str() == "a"), "{lost:?}");
        kept.unwrap();
    }
    assert_eq!((last_seq(&store, "a").await, last_seq(&store, "b").await), (1, 3));
    assert!(!store.is_failing());
}

#[tokio::test]
async fn a_home_is_not_had_while_its_owner_lives() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let owner = "INSERT INTO leases VALUES ('another', 'another process', 4, 0, now() + INTERVAL '1 hour');
        INSERT INTO homes VALUES ('a', 'another', 4, 7)";
    database.run(owner).await;
    assert!(matches!(save(&store, "a", 1).await, Err(StoreError::LostHome(_))));
    database.run("UPDATE leases SET expires = now() WHERE name = 'another'").await;
    save(&store, "a", 1).await.unwrap();
    assert_eq!(fencing(&store).await, 8);
}

#[tokio::test]
async fn the_next_process_has_the_homes_of_the_one_before_it() {
    let Some(database) = TestDatabase::postgres() else { return };
    for n in 1..4 {
        let store = database.open().await;
        save(&store, "a", 1).await.unwrap();
        save(&store, "a", 2).await.unwrap();
        assert_eq!(fencing(&store).await, n);
        store.close().await;
    }
}

#[tokio::test]
async fn a_home_is_had_once_if_the_connection_breaks_at_the_commit() {
    for fault in [Fault::CutBefore("COMMIT"), Fault::CutAfter("COMMIT")] {
        let Some(database) = TestDatabase::postgres() else { return };
        let proxy = Proxy::before(&database);
        let store = Store::open(&proxy.location()).await.unwrap();
        proxy.fail(fault);
        save(&store, "a", 1).await.unwrap();
        assert_eq!(proxy.fault(), None, "it was cut");
        save(&store, "a", 2).await.unwrap();
        assert_eq!((fencing(&store).await, last_seq(&store, "a").await), (1, 2), "{fault:?}");
        store.close().await;
    }
}
