//! A reader of many rows waits for each, and not for ever.

use super::*;
use crate::store::Location;
use crate::store::test_database::TestDatabase;

#[tokio::test]
async fn a_row_that_doesnt_come_ends_the_reading_and_the_connection() {
    let Some(database) = TestDatabase::postgres() else { return };
    let Location::Postgres(url) = database.location() else { panic!("a file") };
    let (mut session, _) = open(url.as_str(), "a database").await.unwrap();
    session.patience = Patience::Each(Duration::from_secs(1));
    // Each row fills what the server keeps before it sends it.
    let rows = "SELECT repeat('x', 20000), pg_sleep(CASE n WHEN 5 THEN 600 ELSE 0 END) FROM generate_series(1, 9) AS n";
    let mut rows = session.fetch(query(rows));
    let mut read = 0;
    let error = loop {
        match rows.try_next().await {
            Ok(row) => read += usize::from(row.is_some()),
            Err(error) => break error,
        }
    };
    drop(rows);
    assert!(matches!(error, StoreError::Late(_)) && (1..5).contains(&read), "{error} after {read}");
    // It waits for no row of before.
    session.begin().await.unwrap();
    session.commit().await.unwrap();
}
