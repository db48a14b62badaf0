//! Nodes of two adjacent versions share one database: what the newer one has added, the older one ignores and leaves as it is.
//!
//! No version has been released before this one. So this one plays the older node on tables of a newer one, and the newer node
//! on the tables as they were before the last migration.

use std::cell::Cell;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::sql::{Builder, scalar};
use super::test_database::{TestDatabase, node_row, on_both_databases};
use super::test_writes::{all_rows, make_all};
use super::{CallFilter, Location, NumberRow, StandByReason, Store};
use crate::core::base::time::{ClockReading, UnixMillis};

on_both_databases! {
    a_record_has_the_fields_of_a_newer_node_until_it_is_saved_again,
}

/// What a later migration may do.
const NEWER: &str = "
    ALTER TABLE settings ADD COLUMN later TEXT NOT NULL DEFAULT 'new';
    ALTER TABLE tokens ADD COLUMN later TEXT NOT NULL DEFAULT 'new';
    ALTER TABLE numbers ADD COLUMN later TEXT NOT NULL DEFAULT 'new';
    ALTER TABLE devices ADD COLUMN later TEXT NOT NULL DEFAULT 'new';
    ALTER TABLE enrolments ADD COLUMN later TEXT NOT NULL DEFAULT 'new';
    ALTER TABLE bindings ADD COLUMN later TEXT NOT NULL DEFAULT 'new';
    ALTER TABLE calls ADD COLUMN later TEXT NOT NULL DEFAULT 'new';
    ALTER TABLE deliveries ADD COLUMN later TEXT NOT NULL DEFAULT 'new';
    ALTER TABLE offers ADD COLUMN later TEXT NOT NULL DEFAULT 'new';
    ALTER TABLE leases ADD COLUMN later TEXT NOT NULL DEFAULT 'new';
    ALTER TABLE fences ADD COLUMN later TEXT NOT NULL DEFAULT 'new';
    CREATE TABLE later (id TEXT NOT NULL PRIMARY KEY, call TEXT NOT NULL);
    CREATE INDEX calls_later ON calls (later);
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'later', TRUE, '', 0);";
/// The newer node has said something of each row.
const KEPT: &str = "
    UPDATE settings SET later = 'kept'; UPDATE numbers SET later = 'kept'; UPDATE devices SET later = 'kept';
    UPDATE calls SET later = 'kept'; UPDATE deliveries SET later = 'kept'; UPDATE offers SET later = 'kept';";
/// Tables whose rows last. The first one has one row.
const LASTING: [&str; 6] = ["settings", "numbers", "devices", "calls", "deliveries", "offers"];

fn all_calls() -> CallFilter {
    CallFilter { limit: 10, ..CallFilter::default() }
}

/// Changes all rows that last.
async fn change(store: &Store) {
    let calls = store.calls(&all_calls()).await.unwrap();
    store.save_calls(calls).unwrap().wait().await.unwrap();
    let numbers = store.numbers(None, 10).await.unwrap();
    let rows = numbers.into_iter().map(|view| NumberRow::new(view.number, view.entry)).collect();
    store.put_numbers(rows).await.unwrap();
    deliver(store).await;
    for device in store.devices(None, UnixMillis(0), 10).await.unwrap() {
        assert!(store.rename_device(&device.id, "Desk".parse().unwrap()).await.unwrap());
    }
    let reading = ClockReading { boot: String::new(), since_boot: 1, at: 1 };
    store.shift(5, &reading).await.unwrap();
}

/// Delivers all messages that wait. Returns their number.
async fn deliver(store: &Store) -> usize {
    let pending = store.pending().await.unwrap();
    for delivery in &pending {
        store.delivered(&delivery.message.id, None, UnixMillis(8)).unwrap().wait().await.unwrap();
    }
    pending.len()
}

/// What the column of the newer node has.
async fn later(store: &Store, table: &str) -> Vec<String> {
    let select = Builder::new(format!("SELECT later FROM {table}")).build_scalar();
    select.fetch_all(&store.pool).await.unwrap()
}

#[tokio::test]
async fn a_node_leaves_what_a_newer_one_has_added_as_it_is() {
    let Some(database) = TestDatabase::postgres() else { return };
    let other = TestDatabase::sqlite();
    let (newer, quiet) = (database.open().await, other.open().await);
    assert_eq!(make_all(&newer, 0).await, make_all(&quiet, 0).await);
    newer.close().await;
    database.run(NEWER).await;
    database.run(KEPT).await;
    let older = database.open().await;
    assert_eq!(all_rows(&older).await, all_rows(&quiet).await);
    for store in [&older, &quiet] {
        change(store).await;
    }
    assert_eq!(all_rows(&older).await, all_rows(&quiet).await);
    for table in LASTING {
        let kept = later(&older, table).await;
        assert!(!kept.is_empty() && kept.iter().all(|value| value == "kept"), "{table}: {kept:?}");
    }
    assert_eq!(make_all(&older, 1).await, make_all(&quiet, 1).await);
    assert_eq!(all_rows(&older).await, all_rows(&quiet).await);
    for table in &LASTING[1..] {
        let values = later(&older, table).await;
        let has = |value: &str| values.iter().any(|found| found == value);
        assert!(has("kept") && has("new"), "{table}: {values:?}");
    }
    older.close().await;
}

/// The number of records with the field of the newer node.
async fn records(store: &Store, table: &str) -> i64 {
    let count = Builder::new(format!("SELECT COUNT(*) FROM {table} WHERE body LIKE '%later%'")).build_scalar();
    count.fetch_one(&store.pool).await.unwrap()
}

/// So a field may only say what the newer node can do without.
async fn a_record_has_the_fields_of_a_newer_node_until_it_is_saved_again(database: &TestDatabase) {
    let store = database.open().await;
    make_all(&store, 0).await;
    let known = async |store: &Store| {
        let calls = store.calls(&all_calls()).await.unwrap();
        (calls, store.pending().await.unwrap(), store.offers().await.unwrap())
    };
    let before = known(&store).await;
    store.close().await;
    let newer = r#"
        UPDATE calls SET body = replace(body, '{"v":1', '{"later":{"a":1},"v":1');
        UPDATE deliveries SET body = replace(body, '{"v":1', '{"later":{"a":1},"v":1');
        UPDATE offers SET body = replace(body, '{"id"', '{"later":{"a":1},"id"');"#;
    database.run(newer).await;
    let store = database.open().await;
    assert_eq!(known(&store).await, before);
    let messages = records(&store, "deliveries").await;
    assert!(deliver(&store).await > 0);
    let left = [records(&store, "calls").await, records(&store, "deliveries").await, records(&store, "offers").await];
    assert_eq!(left, [1, messages, 1]);
    store.save_calls(before.0).unwrap().wait().await.unwrap();
    assert_eq!(records(&store, "calls").await, 0);
    store.close().await;
}

/// Makes the tables of before the last migration, as the version of that time does.
async fn make_earlier_tables(database: &TestDatabase) {
    let Location::Postgres(url) = database.location() else { panic!("a file") };
    let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
    let mut migrator = sqlx::migrate!("src/store/postgres_migrations");
    migrator.set_locking(false);
    let versions: Vec<i64> = migrator.iter().map(|migration| migration.version).collect();
    migrator.run_direct(Some(versions[versions.len() - 2]), &mut connection, false).await.unwrap();
    connection.close().await.unwrap();
}

/// The number of migrations that were made.
async fn migrations(database: &TestDatabase) -> i64 {
    let mut other = database.hold("SELECT 1").await;
    sqlx::query_scalar("SELECT COUNT(*) FROM _sqlx_migrations").fetch_one(&mut other).await.unwrap()
}

#[tokio::test]
async fn a_newer_node_that_stands_by_changes_no_table_of_an_older_one() {
    let Some(database) = TestDatabase::postgres() else { return };
    make_earlier_tables(&database).await;
    let earlier = migrations(&database).await;
    let takes = "INSERT INTO leases (name, owner, fencing, commits, expires)
        VALUES ('writer', 'process 1 on elsewhere', 5, 0, now() + INTERVAL '30 seconds')";
    database.run(takes).await;
    let is_over = Cell::new(false);
    let renews = async {
        while !is_over.get() {
            database.run("UPDATE leases SET expires = now() + INTERVAL '30 seconds' WHERE fencing = 5").await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let (told, mut reasons) = watch::channel(None);
    let newer = tokio::spawn(Store::stand_by(database.location(), node_row(1), told, CancellationToken::new()));
    let hands_over = async {
        let held = StandByReason::Held { by: "process 1 on elsewhere".to_owned() };
        reasons.wait_for(|reason| reason.as_ref() == Some(&held)).await.unwrap();
        database.run("INSERT INTO numbers (number, kind, extensions) VALUES ('+12125550100', 'extension', '[]')").await;
        assert_eq!(migrations(&database).await, earlier);
        database.run("UPDATE leases SET expires = now(), fencing = 6").await;
        is_over.set(true);
    };
    tokio::join!(renews, hands_over);
    let newer = newer.await.unwrap().unwrap();
    assert!(migrations(&database).await > earlier);
    let numbers = newer.numbers(None, 10).await.unwrap();
    assert_eq!(numbers.iter().map(|view| view.number.to_string()).collect::<Vec<_>>(), ["+12125550100"]);
    newer.put_numbers(numbers.into_iter().map(|view| NumberRow::new(view.number, view.entry)).collect()).await.unwrap();
    let fencing = scalar::<i64>("SELECT fencing FROM leases").fetch_one(&newer.pool).await.unwrap();
    assert_eq!(fencing, 7, "the lease is the one of both versions");
    newer.close().await;
}
