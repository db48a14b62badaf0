//! Databases for tests. The suite runs on SQLite, and on a real PostgreSQL.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lab::Postgres;
use sqlx::{Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use super::{Location, NodeRow, Store, WRITE_BUDGET};

/// A database, empty at first.
pub(in crate::store) enum TestDatabase {
    Sqlite(TempDir),
    Postgres(Box<Postgres>),
}

impl TestDatabase {
    pub(in crate::store) fn sqlite() -> TestDatabase {
        TestDatabase::Sqlite(tempfile::tempdir().unwrap())
    }

    /// None where there is no PostgreSQL, and one line says that the test was skipped.
    pub(in crate::store) fn postgres() -> Option<TestDatabase> {
        Postgres::or_skip().map(|server| TestDatabase::Postgres(Box::new(server)))
    }

    fn url(&self) -> String {
        match self {
            TestDatabase::Sqlite(folder) => folder.path().join("sidecall.db").display().to_string(),
            TestDatabase::Postgres(server) => server.url(),
        }
    }

    pub(in crate::store) fn location(&self) -> Location {
        PathBuf::from(self.url()).try_into().unwrap()
    }

    pub(in crate::store) async fn open(&self) -> Store {
        Store::open(&self.location()).await.unwrap()
    }

    /// Runs statements as another program does.
    pub(in crate::store) async fn run(&self, sql: &'static str) {
        match self {
            TestDatabase::Sqlite(_) => {
                let mut other = SqliteConnection::connect(&format!("sqlite://{}", self.url())).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
                other.close().await.unwrap();
            }
            TestDatabase::Postgres(_) => {
                let mut other = PgConnection::connect(&self.url()).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
                other.close().await.unwrap();
            }
        }
    }

    /// Runs statements in a transaction of another program. It ends when the connection is dropped.
    pub(in crate::store) async fn hold(&self, sql: &'static str) -> PgConnection {
        let mut other = PgConnection::connect(&self.url()).await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut other).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
        other
    }

    /// The number of statements that wait for a lock.
    pub(in crate::store) async fn waiting(&self) -> i64 {
        let mut other = PgConnection::connect(&self.url()).await.unwrap();
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        sqlx::query_scalar(waiting).fetch_one(&mut other).await.unwrap()
    }

    /// Until a statement waits for a lock.
    pub(in crate::store) async fn until_waiting(&self) {
        let deadline = Instant::now() + 3 * WRITE_BUDGET;
        while self.waiting().await == 0 {
            assert!(Instant::now() < deadline, "no statement waits for a lock");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A node of this process that listens on a port.
pub(in crate::store) fn node_row(port: u16) -> NodeRow {
    NodeRow::new("http", SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// Until the store says so.
pub(in crate::store) async fn until(store: &Store, says: fn(&Store) -> bool) {
    let deadline = Instant::now() + 3 * WRITE_BUDGET;
    while !says(store) {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Tests named after functions that take a [`TestDatabase`]: one on each database.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(&$crate::store::test_database::TestDatabase::sqlite()).await;
                }
            )*
        }

        mod postgres {
            $(
                #[tokio::test]
                async fn $name() {
                    let Some(database) = $crate::store::test_database::TestDatabase::postgres() else { return };
                    super::$name(&database).await;
                }
            )*
        }
    };
}

pub(in crate::store) use on_both_databases;
