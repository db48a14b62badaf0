//! The lease on a PostgreSQL database: one process writes, and each of its transactions checks that it still may.
//!
//! The lease is a row. It expires by the server's clock, and each transaction of its owner renews it. Another process takes it
//! over once it has expired, and gives it the next fencing number. An owner that was stopped meanwhile changes nothing any
//! more: its transactions look for the row with its own number, and don't find it.

use std::time::{Duration, Instant};

use super::postgres::ServerConnection;
use super::query::{Query, query};
use super::read_pool::ReadPool;
use crate::store::StoreError;

/// How often an owner that has nothing to write renews the lease, which lasts five seconds.
pub(in crate::store) const RENEWAL: Duration = Duration::from_secs(1);
/// How long to wait for an owner that may be about to end, or that was killed and left its lease behind.
const PATIENCE: Duration = Duration::from_secs(7);
/// How often to try meanwhile.
const RETRY: Duration = Duration::from_millis(100);
/// The name of its row, as in the statements below.
const NAME: &str = "writer";
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(4);
/// How long it waits for a transaction of the owner. One who was stopped in the middle of it holds the row for longer.
const BRIEFLY: &str = "SET LOCAL lock_timeout = 1000";
/// Takes the lease if nobody has it.
const TAKE: &str = "INSERT INTO leases (name, owner, fencing, commits, expires)
    VALUES ('writer', $1, 1, 0, now() + INTERVAL '5 seconds')
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, fencing = leases.fencing + 1, commits = 0,
        expires = excluded.expires
    WHERE leases.expires <= now() RETURNING fencing";
/// Keeps others from taking the lease until the transaction ends, and renews it.
const CHECK: &str = "UPDATE leases SET commits = commits + 1, expires = now() + INTERVAL '5 seconds'
    WHERE name = 'writer' AND fencing = $1 RETURNING commits";
/// Waits for the end of the transaction that has changed the row.
const COMMITS: &str = "SELECT commits FROM leases WHERE name = 'writer' AND fencing = $1 FOR UPDATE";
/// Renews it outside of the transactions of its owner.
const RENEW: &str = "UPDATE leases SET expires = now() + INTERVAL '5 seconds' WHERE name = 'writer' AND fencing = $1";
const RELEASE: &str = "UPDATE leases SET expires = now() WHERE name = 'writer' AND fencing = $1";

/// A lease of this process.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Lease {
    fencing: i64,
    /// The number of the transaction that was begun last.
    commits: i64,
}

impl Lease {
    /// Takes the lease on the database at `path`. Fails if another process has it and doesn't end soon.
    pub(super) async fn acquire(session: &mut ServerConnection, path: &str) -> Result<Lease, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        let mut waits = false;
        let mut holder = "another process".to_owned();
        loop {
            match take(session).await {
                Ok(Some(fencing)) => return Ok(Lease { fencing, commits: 0 }),
                // The owner has it, or is in the middle of a transaction.
                Ok(None) | Err(StoreError::Contended(_) | StoreError::Late(_)) => {}
                Err(error) => return Err(error),
            }
            let named = session.fetch_all(query("SELECT owner FROM leases WHERE name = 'writer'")).await;
            // An attempt that was late has lost the connection, and the next one connects again.
            if let Some(row) = named.unwrap_or_default().first() {
                holder = row.try_get(0)?;
            }
            if Instant::now() >= deadline {
                return Err(StoreError::InUse { path: path.to_owned(), holder });
            }
            if !waits {
                tracing::info!("waiting for {holder} to close the database {path}");
            }
            waits = true;
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Its name.
    pub(in crate::store) fn name(&self) -> &'static str {
        NAME
    }

    /// The number of this owner, which grows with each.
    pub(in crate::store) fn run(&self) -> i64 {
        self.fencing
    }

    /// The number of the owner's transaction that was begun last.
    pub(in crate::store) fn transaction(&self) -> i64 {
        self.commits
    }

    /// Checks within a transaction that this process still has the lease, until the transaction ends.
    pub(super) async fn check(&mut self, session: &mut ServerConnection) -> Result<(), StoreError> {
        let found = number(session, query(CHECK).bind(self.fencing)).await?;
        self.commits = found.ok_or(StoreError::Fenced)?;
        Ok(())
    }

    /// Whether the transaction that was begun last has been committed.
    pub(super) async fn is_committed(&self, session: &mut ServerConnection) -> Result<bool, StoreError> {
        let found = number(session, query(COMMITS).bind(self.fencing)).await?;
        Ok(found.ok_or(StoreError::Fenced)? == self.commits)
    }

    /// Renews it by other connections until `work` is done. Fails if another process has taken it over.
    pub(super) async fn keep<T>(
        &self,
        pool: &ReadPool,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::select! {
            done = work => done,
            error = self.renew(pool) => Err(error),
        }
    }

    /// Until another process has taken it over.
    async fn renew(&self, pool: &ReadPool) -> StoreError {
        loop {
            tokio::time::sleep(RENEWAL).await;
            match pool.execute(query(RENEW).bind(self.fencing)).await {
                Ok(0) => return StoreError::Fenced,
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "the lease is not renewed"),
            }
        }
    }

    /// Lets others take it at once.
    pub(super) async fn release(&self, session: &mut ServerConnection) -> Result<(), StoreError> {
        session.execute(query(RELEASE).bind(self.fencing)).await.map(drop)
    }
}

/// Takes the lease if nobody has it. Fails if its owner is in the middle of a transaction.
async fn take(session: &mut ServerConnection) -> Result<Option<i64>, StoreError> {
    session.must_end_by(Instant::now() + ATTEMPT);
    session.open_transaction().await?;
    session.run(BRIEFLY).await?;
    let taken = number(session, query(TAKE).bind(this_process())).await;
    let end = session.run(if taken.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
    taken.and_then(|taken| end.map(|()| taken))
}

/// The number that a statement returns, if it returns one.
async fn number(session: &mut ServerConnection, query: Query) -> Result<Option<i64>, StoreError> {
    session.fetch_all(query).await?.first().map(|row| row.try_get(0)).transpose()
}

/// This process, as others name it.
fn this_process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}
