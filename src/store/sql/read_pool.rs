//! The connections to PostgreSQL for reads.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection as _, Executor, PgConnection};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::postgres::{ANSWER, CONNECT, LONG, bound, within};
use super::query::Query;
use super::retries::Retries;
use super::row::Row;
use crate::store::StoreError;

/// How long a read waits until fewer than [`READERS`] others run.
const ACQUIRE: Duration = Duration::from_secs(1);
/// How long a connection may be idle. What lies between may forget it, and say so to nobody.
const IDLE: Duration = Duration::from_secs(60);
/// Number of connections.
const READERS: usize = 4;

/// The limits of reads on the server: shorter than [`ANSWER`] and [`LONG`].
const BRIEF_READS: &str = "SET statement_timeout = 2800";
const LONG_READ: &str = "SET LOCAL statement_timeout = 58000";

/// The connections for reads. They are made when they are needed.
#[derive(Debug, Clone)]
pub(in crate::store) struct ReadPool {
    readers: Arc<Readers>,
    is_patient: bool,
}

/// What the pools share. A connection in use belongs to its read, and goes with it.
struct Readers {
    options: PgConnectOptions,
    permits: Semaphore,
    /// With the time of the last use, the newest last.
    idle: Mutex<Vec<(Instant, PgConnection)>>,
}

impl ReadPool {
    pub(super) fn new(options: PgConnectOptions) -> ReadPool {
        let readers = Readers { options, permits: Semaphore::new(READERS), idle: Mutex::default() };
        ReadPool { readers: Arc::new(readers), is_patient: false }
    }

    /// The same connections, for statements that may take long.
    pub(super) fn patient(&self) -> ReadPool {
        ReadPool { readers: self.readers.clone(), is_patient: true }
    }

    /// Runs a statement that may be run twice.
    pub(super) async fn execute(&self, query: Query) -> Result<u64, StoreError> {
        self.run(move |connection| bound(query.clone()).execute(connection).map_ok(|done| done.rows_affected()).boxed())
            .await
    }

    pub(super) async fn fetch_all(&self, query: Query) -> Result<Vec<Row>, StoreError> {
        let rows = self.run(move |connection| bound(query.clone()).fetch_all(connection).boxed()).await?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    /// Retries the work if the server has aborted it. All attempts together take no longer than one may.
    async fn run<T>(
        &self,
        work: impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + Sync,
    ) -> Result<T, StoreError> {
        let _permit = self.readers.permit().await?;
        let (begun, limit) = (Instant::now(), if self.is_patient { LONG } else { ANSWER });
        let deadline = begun + limit;
        // A retry that begins later would be late for want of time, and seem to show that the connections are lost.
        let mut retries = Retries::until(begun + limit / 2);
        loop {
            let done = self.attempt(deadline, &work).await;
            if !is_aborted(&done) {
                return done;
            }
            if let Some(done) = retries.result_or_pause(done).await {
                return done;
            }
        }
    }

    /// Does the work again on a new connection if the server has closed the one that was idle.
    async fn attempt<T>(
        &self,
        deadline: Instant,
        work: &(impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + Sync),
    ) -> Result<T, StoreError> {
        if let Some(connection) = self.readers.take_idle() {
            match self.answer(connection, deadline, work).await {
                Err(StoreError::Disconnected(_)) => {}
                done => return done,
            }
        }
        let connection = within(CONNECT.min(until(deadline)), connect(&self.readers.options)).await?;
        self.answer(connection, deadline, work).await
    }

    async fn answer<T>(
        &self,
        mut connection: PgConnection,
        deadline: Instant,
        work: &(impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + Sync),
    ) -> Result<T, StoreError> {
        let done = match self.is_patient {
            true => within(until(deadline), patiently(&mut connection, work)).await,
            false => within(until(deadline), work(&mut connection)).await,
        };
        match &done {
            // If a transaction was aborted, its ROLLBACK is the next thing that is sent.
            done if done.is_ok() || is_aborted(done) => self.readers.put_back(connection),
            // The others are probably lost, too.
            Err(error) if error.is_lost() => self.readers.idle().clear(),
            _ => {}
        }
        done
    }

    /// Closes all connections. Those of reads that still run are closed after them.
    pub(super) fn close(&self) {
        self.readers.permits.close();
        self.readers.idle().clear();
    }
}

impl Readers {
    async fn permit(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        match tokio::time::timeout(ACQUIRE, self.permits.acquire()).await {
            Ok(permit) => permit.map_err(|_| StoreError::closed()),
            Err(_) => Err(StoreError::Unavailable("all connections for reads are in use".into())),
        }
    }

    fn take_idle(&self) -> Option<PgConnection> {
        let mut idle = self.idle();
        let (used, connection) = idle.pop()?;
        if used.elapsed() < IDLE {
            return Some(connection);
        }
        idle.clear();
        None
    }

    fn put_back(&self, connection: PgConnection) {
        let mut idle = self.idle();
        if !self.permits.is_closed() {
            idle.push((Instant::now(), connection));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Instant, PgConnection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without the options, which have the password.
impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Whether the server has aborted the work because of another transaction. The connection is as good as before.
fn is_aborted<T>(done: &Result<T, StoreError>) -> bool {
    matches!(done, Err(StoreError::Contended(_) | StoreError::Locked(_)))
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    connection.execute(BRIEF_READS).await?;
    Ok(connection)
}

/// Reads in a transaction, since only there a limit of its own ends with it.
async fn patiently<T>(
    connection: &mut PgConnection,
    work: &(impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + Sync),
) -> Result<T, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    transaction.execute(LONG_READ).await?;
    let done = work(&mut transaction).await?;
    transaction.commit().await?;
    Ok(done)
}

#[cfg(test)]
#[path = "read_pool_tests.rs"]
mod tests;
