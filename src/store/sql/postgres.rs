//! PostgreSQL: the connection for writes. Connects, gives parameters to statements, and notices a connection that is lost or
//! hangs.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::postgres::{PgArguments, PgConnectOptions};
use sqlx::query::Query as SqlxQuery;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Executor, PgConnection, Postgres};

use super::fence::Fence;
use super::heartbeat::{Heartbeat, KnownNodes};
use super::keeper::{Keeper, LeaseWatch};
use super::lease::Lease;
use super::query::{Query, query};
use super::read_pool::ReadPool;
use super::retries::Retries;
use super::row::Row;
use super::value::Value;
use super::wait::Wait;
use crate::store::StoreError;

/// How long a connection may take to be made.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// How long a statement may take that somebody waits for. Far shorter than what counts as a hung writer, so that the agent
/// gets the reason.
pub(super) const ANSWER: Duration = Duration::from_secs(3);
/// How long the migrations may take, and a statement, or each row, at startup, in a copy, and in housekeeping: nobody waits for
/// it.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// The beginning of a transaction. If this process is stopped within one, the server ends it, since it would keep others from
/// its rows. The server cancels a statement a little before nobody waits for its answer any more: the next one would wait for
/// the same locks behind it. The settings end with the transaction.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 1500; SET LOCAL statement_timeout = 2800";
/// The beginning of a transaction that reads or writes all there is.
const BEGIN_LONG: &str =
    "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 60000; SET LOCAL statement_timeout = 0";

/// Whether there is a lease.
const LEASES: &str =
    "SELECT 1 FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'leases'";

/// The lease of the one process that uses a database.
const WRITER: &str = "writer";

/// How long a connection waits.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// As long as somebody waits for each answer, and for none beyond this time.
    Until(Instant),
    /// So long for each answer, and for each row.
    Each(Duration),
}

/// Connects, takes the lease and runs migrations. Returns the connection for writes, and those for reads. `name` is the URL
/// without its password. `wait` says how to wait for another process.
pub(super) async fn open(url: &str, name: &str, wait: &Wait) -> Result<(ServerConnection, ReadPool), StoreError> {
    let options = options(url)?;
    let mut session = ServerConnection::new(options.clone());
    session.heartbeat = wait.row().map(|row| Heartbeat::start(row.clone(), ReadPool::new(options.clone())));
    session.connect().await?;
    // The schema isn't changed while another process uses it. An empty database has no lease yet.
    let is_new = session.is_new().await?;
    if is_new {
        session.migrate().await?;
    }
    let lease = match Lease::acquire(&mut session, WRITER, name, wait).await {
        Ok(lease) => lease,
        Err(error) => {
            let _ = session.close().await;
            return Err(error);
        }
    };
    let keeper = Keeper::start(lease.clone(), ReadPool::new(options.clone()));
    session.patience = Patience::Each(LONG);
    let prepared = tokio::select! {
        prepared = session.prepare(&keeper, lease.clone(), is_new) => prepared,
        () = wait.stopped() => Err(StoreError::closed()),
    };
    match prepared {
        Ok(fence) => session.fence = Some(fence),
        Err(error) => {
            // Others get it at once. In either case a transaction may be open, or a statement under way.
            drop(keeper);
            session.give_up_connection();
            // A server that hasn't answered wouldn't answer the rest either.
            if lease.release(&mut session).await.is_ok() {
                let _ = session.close().await;
            }
            return Err(error);
        }
    }
    session.keeper = Some(keeper);
    if let Some(heartbeat) = &session.heartbeat {
        heartbeat.serves();
    }
    Ok((session, ReadPool::new(options)))
}

/// How to connect.
fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url)?.application_name("sidecall").disable_statement_logging())
}

/// The connection for writes. It is made again at the next transaction after it was lost.
pub(in crate::store) struct ServerConnection {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    /// Whether it was lost while rows were read one by one.
    is_lost: Arc<AtomicBool>,
    fence: Option<Fence>,
    keeper: Option<Keeper>,
    /// None if this process isn't a node.
    heartbeat: Option<Heartbeat>,
    patience: Patience,
}

impl ServerConnection {
    fn new(options: PgConnectOptions) -> ServerConnection {
        ServerConnection {
            options,
            connection: None,
            is_lost: Arc::default(),
            fence: None,
            keeper: None,
            heartbeat: None,
            patience: Patience::Each(ANSWER),
        }
    }

    /// Fails as a database that isn't available: the next attempt wouldn't succeed either.
    async fn connect(&mut self) -> Result<(), StoreError> {
        let connected = within(CONNECT.min(self.limit()), self.options.connect()).await;
        self.connection = Some(connected.map_err(|error| match error {
            StoreError::Disconnected(reason) => StoreError::Unavailable(reason),
            error => error,
        })?);
        Ok(())
    }

    /// Runs migrations unless they have been run, and keeps earlier owners of the lease off.
    async fn prepare(&mut self, keeper: &Keeper, lease: Lease, is_migrated: bool) -> Result<Fence, StoreError> {
        if !is_migrated {
            keeper.watch().during(self.migrate()).await?;
        }
        Fence::set(self, lease).await
    }

    /// Connects again if the connection is lost.
    pub(super) async fn connect_if_lost(&mut self) -> Result<(), StoreError> {
        if self.connected().is_err() {
            self.connect().await?;
        }
        Ok(())
    }

    /// Whether the database is empty.
    async fn is_new(&mut self) -> Result<bool, StoreError> {
        let mut retries = Retries::patient();
        loop {
            self.connect_if_lost().await?;
            let is_new = self.fetch_all(query(LEASES)).await.map(|rows| rows.is_empty());
            if let Some(is_new) = retries.result_or_pause(is_new).await {
                return is_new;
            }
        }
    }

    /// Each migration is a transaction, and knows those that were made.
    async fn migrate(&mut self) -> Result<(), StoreError> {
        let mut retries = Retries::patient();
        loop {
            self.connect_if_lost().await?;
            let migrated = self.migrate_once().await;
            if let Some(migrated) = retries.result_or_pause(migrated).await {
                return migrated;
            }
        }
    }

    async fn migrate_once(&mut self) -> Result<(), StoreError> {
        let mut migrator = sqlx::migrate!("src/store/postgres_migrations");
        // Its lock is one that engines such as CockroachDB don't have.
        migrator.set_locking(false);
        // After a rollback of the program the tables are those of a newer one. Migrations only add to them.
        migrator.set_ignore_missing(true);
        let connection = self.connected()?;
        // `run` itself makes a future that a spawned task can't await.
        let migrating = async { migrator.run_direct(None, connection, false).await.map_err(sqlx::Error::from) };
        let done = within(LONG, migrating).await;
        self.checked(done)
    }

    fn connected(&mut self) -> Result<&mut PgConnection, StoreError> {
        if self.is_lost.swap(false, Ordering::Relaxed) {
            self.connection = None;
        }
        self.connection.as_mut().ok_or_else(|| StoreError::Disconnected("the connection was lost".into()))
    }

    /// Gives up a connection that is lost.
    fn checked<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if done.as_ref().is_err_and(StoreError::is_lost) {
            self.connection = None;
        }
        done
    }

    /// Gives up the connection: a statement may be under way on it. What comes next connects again.
    pub(super) fn give_up_connection(&mut self) {
        self.connection = None;
    }

    /// How long the next answer may take.
    fn limit(&self) -> Duration {
        match self.patience {
            Patience::Until(deadline) => ANSWER.min(deadline.saturating_duration_since(Instant::now())),
            Patience::Each(limit) => limit,
        }
    }

    /// From now on, nothing is waited for beyond this time.
    pub(super) fn must_end_by(&mut self, deadline: Instant) {
        self.patience = Patience::Until(deadline);
    }

    /// What is known of the lease of this process.
    pub(super) fn lease(&self) -> Option<LeaseWatch> {
        self.keeper.as_ref().map(Keeper::watch)
    }

    /// Shows others, if this process is a node, that it waits for a lease, which it has just seen.
    pub(super) fn stands_by(&self) {
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.stands_by();
        }
    }

    /// The nodes that share the database, if this process is one.
    pub(super) fn nodes(&self) -> Option<KnownNodes> {
        self.heartbeat.as_ref().map(Heartbeat::nodes)
    }

    /// Runs statements that have no parameters.
    pub(super) async fn run(&mut self, statements: &'static str) -> Result<(), StoreError> {
        let limit = self.limit();
        let done = within(limit, self.connected()?.execute(sqlx::raw_sql(statements))).await;
        self.checked(done).map(drop)
    }

    /// Begins a transaction. Connects first if the connection is lost.
    pub(super) async fn open_transaction(&mut self) -> Result<(), StoreError> {
        self.connect_if_lost().await?;
        self.run(match self.patience {
            Patience::Until(_) => BEGIN,
            Patience::Each(_) => BEGIN_LONG,
        })
        .await
    }

    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.open_transaction().await?;
        let Some(mut fence) = self.fence.clone() else { return Ok(()) };
        fence.check(self).await?;
        self.fence = Some(fence);
        Ok(())
    }

    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        match self.run("COMMIT").await {
            Err(lost) if lost.is_lost() => match self.is_committed().await {
                Ok(true) => Ok(()),
                Ok(false) => Err(lost),
                Err(StoreError::Fenced) => Err(StoreError::Fenced),
                Err(_) => Err(StoreError::Doubtful(lost.to_string().into())),
            },
            done => done,
        }
    }

    /// Whether the transaction that was begun last has been committed: the connection was lost before the answer came.
    pub(super) async fn is_committed(&mut self) -> Result<bool, StoreError> {
        let answer = self.ask_for_commit().await;
        if answer.is_err() {
            // It may be in a transaction that has failed.
            self.connection = None;
        }
        answer
    }

    async fn ask_for_commit(&mut self) -> Result<bool, StoreError> {
        self.open_transaction().await?;
        let Some(fence) = self.fence.clone() else { return Ok(false) };
        let is_committed = fence.is_committed(self).await?;
        self.run("ROLLBACK").await?;
        Ok(is_committed)
    }

    pub(super) async fn execute(&mut self, query: Query) -> Result<u64, StoreError> {
        let limit = self.limit();
        let done = within(limit, bound(query).execute(self.connected()?)).await;
        Ok(self.checked(done)?.rows_affected())
    }

    pub(super) async fn fetch_all(&mut self, query: Query) -> Result<Vec<Row>, StoreError> {
        let limit = self.limit();
        let rows = within(limit, bound(query).fetch_all(self.connected()?)).await;
        Ok(self.checked(rows)?.into_iter().map(Row::Postgres).collect())
    }

    pub(super) fn fetch(&mut self, query: Query) -> BoxStream<'_, Result<Row, StoreError>> {
        let (limit, is_lost) = (self.limit(), self.is_lost.clone());
        let rows = match self.connected() {
            Ok(connection) => bound(query).fetch(connection),
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let next = stream::try_unfold(rows, move |mut rows| {
            let is_lost = is_lost.clone();
            async move {
                let row = within(limit, rows.try_next()).await;
                if row.as_ref().is_err_and(StoreError::is_lost) {
                    is_lost.store(true, Ordering::Relaxed);
                }
                row.map(|row| row.map(|row| (Row::Postgres(row), rows)))
            }
        });
        next.boxed()
    }

    pub(super) async fn close(mut self) -> Result<(), StoreError> {
        self.patience = Patience::Each(ANSWER);
        self.keeper = None;
        let released = match self.fence.take() {
            Some(fence) => fence.lease.release(&mut self).await,
            None => Ok(()),
        };
        // Only now: the next owner doesn't wait for it. A server that hasn't answered wouldn't answer this either.
        if let Some(heartbeat) = self.heartbeat.take().filter(|_| released.is_ok()) {
            heartbeat.stop().await;
        }
        match self.connection {
            Some(connection) => released.and(within(ANSWER, connection.close()).await),
            None => released,
        }
    }
}

/// Without the options, which have the password.
impl fmt::Debug for ServerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConnection").finish_non_exhaustive()
    }
}

/// Fails if there is no answer in time.
pub(super) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StoreError::Late(format!("there was no answer within {:.1} s", limit.as_secs_f64()).into())),
    }
}

/// The statement with its parameters. PostgreSQL stores no NUL character, which a caller may have sent.
pub(super) fn bound(query: Query) -> SqlxQuery<'static, Postgres, PgArguments> {
    let statement = match query.text.numbered() {
        Cow::Borrowed(text) => sqlx::query(text),
        Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
    };
    query.values.into_iter().fold(statement, |statement, value| match value {
        Value::Text(Some(text)) if text.contains('\0') => statement.bind(text.replace('\0', "\u{fffd}")),
        Value::Text(text) => statement.bind(text),
        Value::Bytes(bytes) => statement.bind(bytes),
        Value::Integer(number) => statement.bind(number),
        Value::Bool(condition) => statement.bind(condition),
    })
}

#[cfg(test)]
#[path = "postgres_tests.rs"]
mod tests;
