//! A reader of many rows waits for each, and not for ever.

use super::*;
use crate::store::Location;
use crate::store::test_database::TestDatabase;

#[tokio::test]
async fn a_row_that_doesnt_come_ends_the_reading_and_the_connection() {
    let Some(database) = TestDatabase::postgres() else { return };
    let Location::Postgres(url) = database.location() else { panic!("a file") };
    let (mut session, _) = open(url.as_str(), "a database", &Wait::Briefly).await.unwrap();
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

/// Another program's connection to the same server.
async fn connected(url: &str) -> ServerConnection {
    let mut session = ServerConnection::new(PgConnectOptions::from_str(url).unwrap());
    session.connect().await.unwrap();
    session
}

#[tokio::test]
async fn leases_with_two_names_have_two_owners() {
    let Some(database) = TestDatabase::postgres() else { return };
    let Location::Postgres(url) = database.location() else { panic!("a file") };
    let (mut first, _) = open(url.as_str(), "a database", &Wait::Briefly).await.unwrap();
    let mut second = connected(url.as_str()).await;
    let lease = Lease::acquire(&mut second, "another", "a database", &Wait::Briefly).await.unwrap();
    second.must_end_by(Instant::now() + LONG);
    second.fence = Some(Fence::set(&mut second, lease).await.unwrap());
    for session in [&mut first, &mut second] {
        session.must_end_by(Instant::now() + LONG);
        session.begin().await.unwrap();
    }
    first.commit().await.unwrap();
    second.commit().await.unwrap();
}

/// Nobody knows whether it was set if the connection breaks at the commit.
#[tokio::test]
async fn a_fence_that_is_set_twice_is_set() {
    let Some(database) = TestDatabase::postgres() else { return };
    let Location::Postgres(url) = database.location() else { panic!("a file") };
    let (first, _) = open(url.as_str(), "a database", &Wait::Briefly).await.unwrap();
    first.close().await.unwrap();
    let mut session = connected(url.as_str()).await;
    let lease = Lease::acquire(&mut session, WRITER, "a database", &Wait::Briefly).await.unwrap();
    for _ in 0..2 {
        session.must_end_by(Instant::now() + LONG);
        session.fence = Some(Fence::set(&mut session, lease.clone()).await.unwrap());
    }
    session.begin().await.unwrap();
    session.commit().await.unwrap();
}

/// It was stopped between its lease and its fence.
#[tokio::test]
async fn an_owner_that_is_late_keeps_no_later_one_off() {
    let Some(database) = TestDatabase::postgres() else { return };
    let Location::Postgres(url) = database.location() else { panic!("a file") };
    let (next, _) = open(url.as_str(), "a database", &Wait::Briefly).await.unwrap();
    next.close().await.unwrap();
    let mut late = connected(url.as_str()).await;
    let lease = Lease::acquire(&mut late, WRITER, "a database", &Wait::Briefly).await.unwrap();
    database.run("UPDATE leases SET expires = now()").await;
    let (mut next, _) = open(url.as_str(), "a database", &Wait::Briefly).await.unwrap();
    late.must_end_by(Instant::now() + LONG);
    assert!(matches!(Fence::set(&mut late, lease).await, Err(StoreError::Fenced)));
    next.begin().await.unwrap();
    next.commit().await.unwrap();
}
