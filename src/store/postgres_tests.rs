//! What only a server does: it goes away and comes back, and it is stricter than SQLite.

use std::path::PathBuf;

use futures_util::future::join_all;
use lab::Postgres;

use super::test_database::TestDatabase;
use super::{DeliveryState, Location, NumberRow, Store};
use crate::contract::NumberEntry;
use crate::core::numbering::number::Number;

fn row(number: &str, name: &str) -> NumberRow {
    let entry = NumberEntry { name: Some(name.to_owned()), ..NumberEntry::default() };
    NumberRow::new(number.parse().unwrap(), entry)
}

async fn names(store: &Store) -> Vec<(String, String)> {
    let all = store.numbers(None, 10).await.unwrap();
    all.into_iter().map(|view| (view.number.to_string(), view.entry.name.unwrap())).collect()
}

#[tokio::test]
async fn writes_and_reads_go_on_after_a_restart_of_the_server() {
    let Some(mut server) = Postgres::or_skip() else { return };
    let location: Location = PathBuf::from(server.url()).try_into().unwrap();
    let store = Store::open(&location).await.unwrap();
    store.put_numbers(vec![row("+12125550100", "Alice")]).await.unwrap();
    server.stop();
    let refused = store.put_numbers(vec![row("+12125550101", "Bob")]).await.unwrap_err();
    assert!(refused.is_unavailable() && store.is_failing(), "{refused}");
    assert!(store.numbers(None, 10).await.is_err());
    let alice: Number = "+12125550100".parse().unwrap();
    assert!(store.number(&alice).await.unwrap().is_some(), "memory needs no server");
    server.restart().unwrap();
    store.put_numbers(vec![row("+12125550102", "Carol")]).await.unwrap();
    let expected = [("+12125550100", "Alice"), ("+12125550102", "Carol")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(names(&store).await, expected);
    store.close().await;
}

#[tokio::test]
async fn a_database_that_a_newer_version_has_migrated_opens() {
    let Some(database) = TestDatabase::postgres() else { return };
    database.open().await.close().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'later', TRUE, '', 0)";
    database.run(newer).await;
    database.open().await.close().await;
}

#[tokio::test]
async fn a_text_that_postgresql_cant_store_fails_nobody_elses_write() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let hostile = store.attempted("x", DeliveryState::Pending, Some("no\0answer".to_owned())).unwrap();
    let put = store.put_numbers(vec![row("+12125550100", "A\0lice")]);
    let (hostile, put) = tokio::join!(hostile.wait(), put);
    assert!(hostile.is_ok() && put.is_ok());
    assert_eq!(names(&store).await[0].1, "A\u{fffd}lice");
}

#[tokio::test]
async fn one_import_may_name_a_number_twice() {
    let Some(database) = TestDatabase::postgres() else { return };
    let store = database.open().await;
    let rows = ["Alice", "Bob", "Carol"].map(|name| row("+12125550100", name));
    store.put_numbers(rows.into()).await.unwrap();
    assert_eq!(names(&store).await[0].1, "Carol");
}

/// Ids, and lists of numbers, are in the order of their bytes, whatever the server's language says.
#[tokio::test]
async fn lists_are_in_the_order_of_sqlite() {
    let Some(database) = TestDatabase::postgres() else { return };
    let other = TestDatabase::sqlite();
    // People sort a semicolon before a digit.
    let numbers = ["1001;phone-context=pbx.example", "10010;phone-context=pbx.example", "+12125550100"];
    let rows = numbers.map(|number| row(number, "x"));
    let stores = [database.open().await, other.open().await];
    let [postgres, sqlite] = join_all(stores.each_ref().map(async |store| {
        store.put_numbers(rows.to_vec()).await.unwrap();
        names(store).await
    }))
    .await
    .try_into()
    .unwrap();
    assert_eq!(postgres, sqlite);
}
