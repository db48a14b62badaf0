//! Another process's memory follows what is written, and has everything again if it has missed something.

use super::{START, binding, device, device_row, entry, hash, is_the_same, number};
use crate::core::numbering::number::Number;
use crate::store::directory::DirectoryFollower;
use crate::store::directory::log::ENTRIES;
use crate::store::sql::scalar;
use crate::store::test_database::{TestDatabase, until};
use crate::store::test_proxy::{Fault, Proxy};
use crate::store::{Location, NumberRow, Store, StoreError, TokenRole, copy};

/// Who reads everything again finds it.
const UNLOGGED: &str = "UPDATE numbers SET name = 'unlogged' WHERE number = '+12125550102'";

/// A store that follows when it is told to.
pub(super) async fn beside(location: &Location) -> (Store, DirectoryFollower) {
    let Location::Postgres(url) = location else { panic!("a file") };
    Store::beside(url).await.unwrap()
}

async fn name(store: &Store, n: u8) -> Option<String> {
    store.number(&number(n)).await.unwrap().and_then(|view| view.entry.name)
}

async fn entries(store: &Store) -> i64 {
    scalar::<i64>("SELECT COUNT(*) FROM changes").fetch_one(&store.pool).await.unwrap()
}

/// A database with Alice and Carol, and the store that writes to it.
async fn with_two_numbers() -> Option<(TestDatabase, Store)> {
    let database = TestDatabase::postgres()?;
    let store = database.open().await;
    store.put_numbers(vec![entry(0, "Alice"), entry(2, "Carol")]).await.unwrap();
    Some((database, store))
}

#[tokio::test]
async fn memory_follows_what_another_store_writes() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let Location::Postgres(url) = database.location() else { panic!("a file") };
    let copy = Store::follow(&url).await.unwrap();
    store.put_numbers(vec![entry(0, "Alice"), entry(1, "Bob")]).await.unwrap();
    assert!(store.add_device(number(0), device_row(0, 1), START).await.unwrap());
    assert!(store.add_binding(binding(0, 0)).await.unwrap());
    store.put_token(TokenRole::Agent, "config-agent", Some(hash(2))).await.unwrap();
    until(&copy, |copy| copy.directory.read().role(&hash(2)).is_some()).await;
    is_the_same(&copy, START).await;
    assert!(store.delete_device(&device(0)).await.unwrap().is_some());
    until(&copy, |copy| copy.directory.read().device(&device(0), START).is_none()).await;
    is_the_same(&copy, START).await;
    let refused = copy.put_numbers(vec![entry(2, "Carol")]).await.unwrap_err();
    assert!(refused.to_string().contains("another process writes to it"), "{refused}");
    copy.close().await;
    assert!(copy.put_numbers(vec![entry(2, "Carol")]).await.is_err());
    store.close().await;
}

#[tokio::test]
async fn only_rows_in_the_log_are_read_again() {
    let Some((database, store)) = with_two_numbers().await else { return };
    let (copy, mut follower) = beside(&database.location()).await;
    database.run(UNLOGGED).await;
    store.put_numbers(vec![entry(0, "Alicia")]).await.unwrap();
    follower.catch_up().await.unwrap();
    assert_eq!((name(&copy, 0).await.as_deref(), name(&copy, 2).await.as_deref()), (Some("Alicia"), Some("Carol")));
    // The next process's entries come after those of this one.
    store.close().await;
    let store = database.open().await;
    store.put_numbers(vec![entry(1, "Bob")]).await.unwrap();
    assert!(store.delete_number(&number(0)).await.unwrap().is_some());
    follower.catch_up().await.unwrap();
    assert_eq!((name(&copy, 0).await, name(&copy, 1).await.as_deref()), (None, Some("Bob")));
    assert_eq!(name(&copy, 2).await.as_deref(), Some("Carol"));
}

#[tokio::test]
async fn a_write_that_is_rolled_back_is_not_logged() {
    let Some((database, store)) = with_two_numbers().await else { return };
    let with = |n| NumberRow { credential: Some(hash(1)), ..entry(n, "x") };
    store.put_numbers(vec![with(0)]).await.unwrap();
    let (before, next) = (entries(&store).await, entry(3, "Dan"));
    let (taken, put) = tokio::join!(store.put_numbers(vec![with(1)]), store.put_numbers(vec![next]));
    assert!(taken.is_err() && put.is_ok());
    assert_eq!(entries(&store).await, before + 1);
    let (copy, mut follower) = beside(&database.location()).await;
    follower.catch_up().await.unwrap();
    is_the_same(&copy, START).await;
}

#[tokio::test]
async fn a_large_change_has_one_entry() {
    let Some((database, store)) = with_two_numbers().await else { return };
    let (copy, mut follower) = beside(&database.location()).await;
    let nth = |n: usize| -> Number { format!("+1212{n:07}").parse().unwrap() };
    let before = entries(&store).await;
    store.put_numbers((0..=ENTRIES).map(|n| NumberRow { number: nth(n), ..entry(0, "x") }).collect()).await.unwrap();
    assert_eq!(entries(&store).await, before + 1);
    follower.catch_up().await.unwrap();
    for n in [0, ENTRIES] {
        assert!(copy.number(&nth(n)).await.unwrap().is_some(), "{n}");
    }
}

#[tokio::test]
async fn what_is_copied_into_the_database_is_followed() {
    let Some(database) = TestDatabase::postgres() else { return };
    database.open().await.close().await;
    let (copied, mut follower) = beside(&database.location()).await;
    let file = TestDatabase::sqlite();
    let store = file.open().await;
    store.put_numbers(vec![entry(0, "Alice")]).await.unwrap();
    store.close().await;
    copy(&file.location(), &database.location(), |_| {}).await.unwrap();
    follower.catch_up().await.unwrap();
    assert_eq!(name(&copied, 0).await.as_deref(), Some("Alice"));
}

#[tokio::test]
async fn who_was_away_for_longer_than_the_log_reads_everything_again() {
    let Some((database, store)) = with_two_numbers().await else { return };
    let (late, mut late_follower) = beside(&database.location()).await;
    let backlog = "INSERT INTO changes (node, run, seq, kind, key)
        SELECT name, fencing, commits + 1, 'client', 'c-' || n FROM leases, generate_series(1, 5000) AS n";
    database.run(backlog).await;
    let (copy, mut follower) = beside(&database.location()).await;
    assert_eq!(store.prune_changes().await.unwrap(), 0, "nothing is old");
    database.run("UPDATE changes SET at = now() - INTERVAL '11 minutes'").await;
    database.run(UNLOGGED).await;
    while store.prune_changes().await.unwrap() > 0 {}
    assert!((1..3_000).contains(&entries(&store).await));
    late_follower.catch_up().await.unwrap();
    assert_eq!(name(&late, 2).await.as_deref(), Some("unlogged"));
    // This one has missed nothing.
    follower.catch_up().await.unwrap();
    assert_eq!(name(&copy, 2).await.as_deref(), Some("Carol"));
}

#[tokio::test]
async fn who_is_far_behind_reads_everything_again() {
    let Some((database, _store)) = with_two_numbers().await else { return };
    let (copy, mut follower) = beside(&database.location()).await;
    database.run(UNLOGGED).await;
    let page = "INSERT INTO changes (node, run, seq, kind, key)
        SELECT name, fencing, commits + 1, 'client', 'a-' || n FROM leases, generate_series(1, 5000) AS n";
    database.run(page).await;
    follower.catch_up().await.unwrap();
    assert_eq!(name(&copy, 2).await.as_deref(), Some("Carol"), "two pages");
    let backlog = "INSERT INTO changes (node, run, seq, kind, key)
        SELECT name, fencing, commits + 1000000, 'client', 'b-' || n FROM leases, generate_series(1, 110000) AS n";
    database.run(backlog).await;
    follower.catch_up().await.unwrap();
    assert_eq!(name(&copy, 2).await.as_deref(), Some("unlogged"));
}

#[tokio::test]
async fn a_follower_connects_again() {
    let Some((database, store)) = with_two_numbers().await else { return };
    let proxy = Proxy::before(&database);
    let (copy, mut follower) = beside(&proxy.location()).await;
    store.put_numbers(vec![entry(0, "Alicia")]).await.unwrap();
    proxy.fail(Fault::CutBefore("BEGIN"));
    assert!(follower.catch_up().await.unwrap_err().is_unavailable());
    assert_eq!(name(&copy, 0).await.as_deref(), Some("Alice"));
    follower.catch_up().await.unwrap();
    assert_eq!(name(&copy, 0).await.as_deref(), Some("Alicia"));
}

#[tokio::test]
async fn a_database_without_tables_cant_be_followed() {
    let Some(database) = TestDatabase::postgres() else { return };
    let Location::Postgres(url) = database.location() else { panic!("a file") };
    assert!(matches!(Store::follow(&url).await, Err(StoreError::Open { .. })));
}

#[tokio::test]
async fn a_file_has_no_log() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    store.put_numbers(vec![entry(0, "Alice")]).await.unwrap();
    assert_eq!(store.prune_changes().await.unwrap(), 0);
}
