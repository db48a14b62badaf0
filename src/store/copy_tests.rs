//! A copy has everything, or there is none.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use lab::Postgres;

use super::copy::{TABLES, copy};
use super::sql::{Builder, scalar};
use super::test_database::TestDatabase;
use super::{Location, Store};

const ROW_IN_EACH_TABLE: &str = "
    INSERT INTO numbers (number, name, kind, extensions, enabled) VALUES ('+1', 'Zoë', 'main', '[]', 0);
    INSERT INTO numbers (number, kind, extensions) VALUES ('+2', 'extension', '[]');
    INSERT INTO bindings (id, number, form, capabilities, lifetime, expires) VALUES ('b', '+1', 'sip', '[]', 1, 2);
    INSERT INTO calls VALUES ('c', 'pbx', NULL, '+1', 'pstn', 'late', 1, NULL, '{}');
    INSERT INTO deliveries VALUES ('d', 'c', '+1', '+2', 'x', 'sip', 'peer', '', 0, 'failed', 1, 1, NULL, 'no');
    INSERT INTO offers VALUES ('p', 'o', 1, '{}');";

/// All rows, as text.
async fn rows(database: &TestDatabase) -> Vec<String> {
    let store = database.open().await;
    let mut all = Vec::new();
    for table in &TABLES {
        let select = Builder::new(format!("SELECT {} FROM {} ORDER BY 1", table.names(), table.name)).build();
        let found = select.fetch_all(&store.pool).await.unwrap();
        all.extend(found.iter().map(|row| format!("{} {:?}", table.name, table.values(row).unwrap())));
    }
    store.close().await;
    all
}

#[tokio::test]
async fn an_installation_moves_to_postgresql_and_back() {
    let Some(postgres) = TestDatabase::postgres() else { return };
    let (first, last) = (TestDatabase::sqlite(), TestDatabase::sqlite());
    let store = first.open().await;
    store.secret([7; 32]).await.unwrap();
    store.put_token(crate::store::TokenRole::Agent, "agent", Some([1; 32])).await.unwrap();
    store.close().await;
    first.run(ROW_IN_EACH_TABLE).await;
    first.run("INSERT INTO devices VALUES ('e', '+1', 'Tablet', x'0102', 1)").await;
    first.run("INSERT INTO enrolments VALUES (x'03', '+1', NULL, NULL, 1)").await;
    let expected = rows(&first).await;
    assert_eq!(expected.len(), TABLES.len() + 1);
    let mut seen = Vec::new();
    let copied = copy(&first.location(), &postgres.location(), |table| seen.push(table)).await.unwrap();
    assert_eq!((copied.iter().map(|table| table.rows).sum::<u64>(), &seen), (10, &copied));
    assert_eq!(rows(&postgres).await, expected);
    copy(&postgres.location(), &last.location(), |_| {}).await.unwrap();
    assert_eq!(rows(&last).await, expected);
    let refused = copy(&last.location(), &postgres.location(), |_| {}).await.unwrap_err();
    assert!(refused.to_string().ends_with("isn't empty: it has settings"), "{refused}");
    assert_eq!(rows(&postgres).await, expected);
}

#[tokio::test]
async fn a_row_that_cant_be_read_leaves_the_target_empty() {
    let (first, last) = (TestDatabase::sqlite(), TestDatabase::sqlite());
    first.open().await.close().await;
    first.run(ROW_IN_EACH_TABLE).await;
    first.run("UPDATE offers SET received = 'x'").await;
    copy(&first.location(), &last.location(), |_| {}).await.unwrap_err();
    assert_eq!(rows(&last).await, [] as [&str; 0]);
}

#[tokio::test]
async fn a_database_that_isnt_there_is_not_made() {
    let (first, last) = (TestDatabase::sqlite(), TestDatabase::sqlite());
    let missing = copy(&first.location(), &last.location(), |_| {}).await.unwrap_err();
    assert!(missing.to_string().contains("there is no database"), "{missing}");
    assert!(!first.location().file().unwrap().exists());
}

/// What a migration adds is copied, too.
async fn all_columns_of_the_schema_are_copied(database: &TestDatabase, schema: &'static str) {
    let store = database.open().await;
    let mut found = scalar::<String>(schema).fetch_all(&store.pool).await.unwrap();
    // One is of the library, and the others are of the processes that have the database open.
    let of_processes = ["_sqlx_migrations.", "leases.", "fences.", "nodes."];
    found.retain(|column| !of_processes.iter().any(|table| column.starts_with(table)));
    let columns = TABLES.iter().flat_map(|table| table.columns.iter().map(move |column| (table.name, column)));
    let mut copied: Vec<String> = columns.map(|(table, (name, kind))| format!("{table}.{name} {kind:?}")).collect();
    found.sort();
    copied.sort();
    assert_eq!(copied, found);
}

#[tokio::test]
async fn all_columns_of_sqlite_are_copied() {
    let schema = "SELECT tables.name || '.' || columns.name || ' ' ||
            CASE columns.type WHEN 'TEXT' THEN 'Text' WHEN 'BLOB' THEN 'Bytes'
                WHEN 'INTEGER' THEN 'Integer' WHEN 'BIGINT' THEN 'Integer' ELSE '?' END
        FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
        WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite%'";
    all_columns_of_the_schema_are_copied(&TestDatabase::sqlite(), schema).await;
}

#[tokio::test]
async fn all_columns_of_postgresql_are_copied() {
    let Some(database) = TestDatabase::postgres() else { return };
    let schema = "SELECT table_name || '.' || column_name || ' ' ||
            CASE data_type WHEN 'text' THEN 'Text' WHEN 'bytea' THEN 'Bytes' WHEN 'bigint' THEN 'Integer' ELSE '?' END
        FROM information_schema.columns WHERE table_schema = current_schema()";
    all_columns_of_the_schema_are_copied(&database, schema).await;
}

/// Longer than a call waits for a statement, and than the server waits for the next one of a call's transaction.
#[tokio::test]
async fn a_copy_may_take_its_time() {
    let (Some(first), Some(last)) = (TestDatabase::postgres(), TestDatabase::postgres()) else { return };
    for database in [&first, &last] {
        database.open().await.close().await;
    }
    first.run(ROW_IN_EACH_TABLE).await;
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(6); RETURN NULL; END $$;
        CREATE TRIGGER slow BEFORE INSERT ON numbers FOR EACH STATEMENT EXECUTE FUNCTION slow()";
    last.run(slow).await;
    copy(&first.location(), &last.location(), |_| {}).await.unwrap();
    assert_eq!(rows(&last).await, rows(&first).await);
}

#[tokio::test]
async fn the_result_is_reported_even_if_the_source_cant_be_closed() {
    let Some(mut server) = Postgres::or_skip() else { return };
    let source: Location = PathBuf::from(server.url()).try_into().unwrap();
    let target = TestDatabase::sqlite();
    Store::open(&source).await.unwrap().close().await;
    let goes_away = |table: super::CopiedTable| {
        if table.table == TABLES[TABLES.len() - 1].name {
            server.stop();
        }
    };
    let copied = copy(&source, &target.location(), goes_away).await.unwrap();
    assert_eq!(copied.len(), TABLES.len());
    // It was closed, too.
    target.open().await.close().await;
}

#[tokio::test]
async fn a_target_that_cant_be_opened_leaves_the_source_free() {
    let Some(source) = TestDatabase::postgres() else { return };
    source.open().await.close().await;
    let nowhere: Location = PathBuf::from("postgres:///x?host=/nowhere").try_into().unwrap();
    copy(&source.location(), &nowhere, |_| {}).await.unwrap_err();
    // The copy's lease would last for five seconds.
    let begun = Instant::now();
    source.open().await.close().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}
