//! Connections, of either database.

use std::path::Path;
use std::time::Instant;

use sqlx::{Connection as _, SqliteConnection, SqlitePool};

use super::heartbeat::KnownNodes;
use super::keeper::LeaseWatch;
use super::postgres::ServerConnection;
use super::query::{query, scalar};
use super::read_pool::ReadPool;
use super::wait::Wait;
use super::{postgres, sqlite};
use crate::store::StoreError;

/// The connections for reads.
#[derive(Debug, Clone)]
pub(in crate::store) enum Pool {
    /// To an SQLite file.
    Sqlite(SqlitePool),
    /// To PostgreSQL.
    Postgres(ReadPool),
}

impl Pool {
    /// Closes all connections.
    pub(in crate::store) async fn close(&self) {
        match self {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close(),
        }
    }
}

/// One connection: the writer's.
#[derive(Debug)]
pub(in crate::store) enum Connection {
    /// To an SQLite file.
    Sqlite(SqliteConnection),
    /// To PostgreSQL.
    Postgres(Box<ServerConnection>),
}

/// Opens the SQLite file at `path`, which exists, and runs migrations. Returns the connection for writes, and those for reads.
pub(in crate::store) async fn open_file(path: &Path) -> Result<(Connection, Pool), StoreError> {
    match sqlite::open(path).await {
        Ok((connection, pool)) => Ok((Connection::Sqlite(connection), Pool::Sqlite(pool))),
        Err(error) => Err(StoreError::Open { path: path.display().to_string(), reason: error.to_string() }),
    }
}

/// Connects to PostgreSQL, takes the lease and runs migrations. Returns the connection for writes, and those for reads.
/// `name` is the URL without its password. `wait` says how to wait for another process that has the lease.
pub(in crate::store) async fn open_url(url: &str, name: &str, wait: &Wait) -> Result<(Connection, Pool), StoreError> {
    let (session, pool) = postgres::open(url, name, wait).await?;
    Ok((Connection::Postgres(Box::new(session)), Pool::Postgres(pool)))
}

impl Connection {
    /// Says until when the next transaction must be made, with its retries. An SQLite file has its own limits.
    pub(in crate::store) fn must_end_by(&mut self, deadline: Instant) {
        if let Connection::Postgres(session) = self {
            session.must_end_by(deadline);
        }
    }

    /// Connects again if the connection to PostgreSQL is lost.
    pub(in crate::store) async fn connect_if_lost(&mut self) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(_) => Ok(()),
            Connection::Postgres(session) => session.connect_if_lost().await,
        }
    }

    /// Gives up the connection to PostgreSQL: a statement may be under way on it.
    pub(in crate::store) fn give_up(&mut self) {
        if let Connection::Postgres(session) = self {
            session.give_up_connection();
        }
    }

    /// What is known of the lease on the database, if it has one.
    pub(in crate::store) fn lease(&self) -> Option<LeaseWatch> {
        match self {
            Connection::Sqlite(_) => None,
            Connection::Postgres(session) => session.lease(),
        }
    }

    /// The nodes that share the database. None if it is a file, or if this process isn't a node.
    pub(in crate::store) fn nodes(&self) -> Option<KnownNodes> {
        match self {
            Connection::Sqlite(_) => None,
            Connection::Postgres(session) => session.nodes(),
        }
    }

    /// Begins a transaction that writes. Connects first if the connection to PostgreSQL is lost.
    ///
    /// On a full disk SQLite has already rolled back when [`Connection::roll_back`] is called, which fails then. That would
    /// break the transaction count of sqlx, so this doesn't use sqlx's transactions.
    pub(in crate::store) async fn begin(&mut self) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(_) => query("BEGIN IMMEDIATE").execute(self).await.map(drop),
            Connection::Postgres(session) => session.begin().await,
        }
    }

    /// Commits the transaction.
    pub(in crate::store) async fn commit(&mut self) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(_) => query("COMMIT").execute(self).await.map(drop),
            Connection::Postgres(session) => session.commit().await,
        }
    }

    /// Rolls the transaction back.
    pub(in crate::store) async fn roll_back(&mut self) -> Result<(), StoreError> {
        query("ROLLBACK").execute(self).await.map(drop)
    }

    /// Whether the transaction that was begun last has been committed, if [`StoreError::Doubtful`] came of it.
    pub(in crate::store) async fn is_committed(&mut self) -> Result<bool, StoreError> {
        match self {
            // Its commits are never in doubt.
            Connection::Sqlite(_) => Ok(false),
            Connection::Postgres(session) => session.is_committed().await,
        }
    }

    /// A number that changes when another connection has written to the SQLite file, and, rarely, after a write that has
    /// failed. The lease keeps others from writing to a PostgreSQL database.
    pub(in crate::store) async fn data_version(&mut self) -> Result<i64, StoreError> {
        match self {
            Connection::Sqlite(_) => scalar("PRAGMA data_version").fetch_one(self).await,
            Connection::Postgres(_) => Ok(0),
        }
    }

    /// Closes it.
    pub(in crate::store) async fn close(self) -> Result<(), StoreError> {
        match self {
            Connection::Sqlite(connection) => Ok(connection.close().await?),
            Connection::Postgres(session) => session.close().await,
        }
    }
}
