//! What keeps a process that has lost its lease from writing: each transaction checks the number of the lease.
//!
//! It locks the row of that number until it ends, so the next owner, who changes the row, waits for it. The lease has a row of
//! its own: it must be renewed while a transaction runs.

use super::lease::Lease;
use super::postgres::ServerConnection;
use super::query::{Query, query};
use super::retries::Retries;
use crate::store::StoreError;

/// Keeps earlier owners off, and waits for a transaction of theirs. A later owner is not one. It may be retried if nobody
/// knows whether it was made.
const SET: &str = "INSERT INTO fences (name, fencing, commits) VALUES ($1, $2, 0)
    ON CONFLICT (name) DO UPDATE SET fencing = excluded.fencing, commits = 0
    WHERE fences.fencing <= excluded.fencing";
/// Keeps later owners off until the transaction ends. An earlier version of the program takes the lease alone: it doesn't wait
/// for a transaction that has come this far.
const CHECK: &str = "UPDATE fences SET commits = commits + 1 WHERE name = $1 AND fencing = $2
    AND EXISTS (SELECT 1 FROM leases WHERE leases.name = $1 AND leases.fencing = $2) RETURNING commits";
/// Waits for the end of the transaction that has changed the row.
const COMMITS: &str = "SELECT commits FROM fences WHERE name = $1 AND fencing = $2 FOR UPDATE";

/// The fence of a lease that this process has.
#[derive(Debug, Clone)]
pub(super) struct Fence {
    pub(super) lease: Lease,
    /// The number of the transaction that was begun last.
    commits: i64,
}

impl Fence {
    /// From now on no earlier owner commits anything. Waits for one that is in the middle of a transaction.
    pub(super) async fn set(session: &mut ServerConnection, lease: Lease) -> Result<Fence, StoreError> {
        let mut retries = Retries::patient();
        let rows = loop {
            let rows = set_once(session, &lease).await;
            if rows.is_err() {
                // Fails if the connection is lost, and with it the transaction.
                let _ = session.run("ROLLBACK").await;
            }
            if let Some(rows) = retries.result_or_pause(rows).await {
                break rows?;
            }
        };
        match rows {
            0 => Err(StoreError::Fenced),
            _ => Ok(Fence { lease, commits: 0 }),
        }
    }

    /// Checks within a transaction that this process still has the lease, until the transaction ends.
    pub(super) async fn check(&mut self, session: &mut ServerConnection) -> Result<(), StoreError> {
        self.commits = self.number(session, CHECK).await?;
        Ok(())
    }

    /// Whether the transaction that was begun last has been committed.
    pub(super) async fn is_committed(&self, session: &mut ServerConnection) -> Result<bool, StoreError> {
        Ok(self.number(session, COMMITS).await? == self.commits)
    }

    async fn number(&self, session: &mut ServerConnection, statement: &'static str) -> Result<i64, StoreError> {
        let rows = session.fetch_all(of(statement, &self.lease)).await?;
        rows.first().ok_or(StoreError::Fenced)?.try_get(0)
    }
}

/// Returns the number of rows: none if a later owner has set it.
async fn set_once(session: &mut ServerConnection, lease: &Lease) -> Result<u64, StoreError> {
    session.open_transaction().await?;
    // If this process is stopped here, it keeps others from the row no longer than a write does.
    session.run("SET LOCAL idle_in_transaction_session_timeout = 1500").await?;
    let rows = session.execute(of(SET, lease)).await?;
    session.run("COMMIT").await?;
    Ok(rows)
}

/// A statement about the fence of a lease.
fn of(statement: &'static str, lease: &Lease) -> Query {
    query(statement).bind(lease.name()).bind(lease.fencing())
}
