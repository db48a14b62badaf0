//! A lease on a PostgreSQL database: one process has it, and others wait.
//!
//! The lease is a row with a name. It lapses by the server's clock unless its owner renews it. Another process takes it over
//! once it has lapsed, and gives it the next fencing number.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::postgres::ServerConnection;
use super::query::query;
use super::read_pool::ReadPool;
use crate::store::StoreError;

/// How long a lease lasts if nobody renews it. The statements say so, too.
pub(super) const LIFE: Duration = Duration::from_secs(5);
/// How long to wait for an owner that may be about to end, or that was killed and left its lease behind.
const PATIENCE: Duration = Duration::from_secs(7);
/// How often to try meanwhile.
const RETRY: Duration = Duration::from_millis(100);

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(4);
/// How long it waits for a renewal by the owner. If this process is stopped within the attempt, the server ends it before the
/// owner's lease lapses: it keeps the owner from renewing.
const BRIEFLY: &str = "SET LOCAL lock_timeout = 1000; SET LOCAL idle_in_transaction_session_timeout = 2000";
/// Takes the lease if nobody has it.
const TAKE: &str = "INSERT INTO leases (name, owner, fencing, commits, expires)
    VALUES ($1, $2, 1, 0, now() + INTERVAL '5 seconds')
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, fencing = leases.fencing + 1, commits = 0,
        expires = excluded.expires
    WHERE leases.expires <= now() RETURNING fencing";
const RENEW: &str = "UPDATE leases SET expires = now() + INTERVAL '5 seconds' WHERE name = $1 AND fencing = $2";
/// Gives it the next number, so that a renewal that comes late changes nothing.
const RELEASE: &str = "UPDATE leases SET expires = now(), fencing = fencing + 1 WHERE name = $1 AND fencing = $2";

/// A lease of this process.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    name: Arc<str>,
    fencing: i64,
    asked: Duration,
}

impl Lease {
    /// Takes the lease of this name on the database at `path`. Fails if another process has it and doesn't end soon.
    pub(super) async fn acquire(session: &mut ServerConnection, name: &str, path: &str) -> Result<Lease, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        let mut waits = false;
        let mut holder = "another process".to_owned();
        loop {
            let asked = since_boot();
            match take(session, name).await {
                Ok(Some(fencing)) => return Ok(Lease { name: name.into(), fencing, asked }),
                // The owner has it, or renews it just now, or the server has ended the attempt.
                Ok(None) | Err(StoreError::Contended(_) | StoreError::Late(_) | StoreError::Disconnected(_)) => {}
                Err(error) => return Err(error),
            }
            let named = session.fetch_all(query("SELECT owner FROM leases WHERE name = $1").bind(name)).await;
            // An attempt that was late or ended has lost the connection, and the next one connects again.
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
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Which owner this process is: the number grows with each.
    pub(super) fn fencing(&self) -> i64 {
        self.fencing
    }

    /// When this process asked for it, by [`since_boot`].
    pub(super) fn asked(&self) -> Duration {
        self.asked
    }

    /// Renews it. False if another process has taken it over.
    pub(super) async fn renew(&self, pool: &ReadPool) -> Result<bool, StoreError> {
        let rows = pool.execute(query(RENEW).bind(self.name()).bind(self.fencing)).await?;
        Ok(rows > 0)
    }

    /// Lets others take it at once.
    pub(super) async fn release(&self, session: &mut ServerConnection) -> Result<(), StoreError> {
        session.execute(query(RELEASE).bind(self.name()).bind(self.fencing)).await.map(drop)
    }
}

/// Takes the lease if nobody has it. Fails if somebody else has locked its row.
async fn take(session: &mut ServerConnection, name: &str) -> Result<Option<i64>, StoreError> {
    session.must_end_by(Instant::now() + ATTEMPT);
    session.open_transaction().await?;
    session.run(BRIEFLY).await?;
    let taking = session.fetch_all(query(TAKE).bind(name).bind(this_process())).await;
    let fencing = taking.and_then(|rows| rows.first().map(|row| row.try_get(0)).transpose());
    let end = session.run(if fencing.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
    fencing.and_then(|fencing| end.map(|()| fencing))
}

/// The time since the machine was started, which nobody sets, and which goes on while the machine or this process sleeps.
pub(super) fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanos)
}

/// This process, as others name it.
fn this_process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}
