//! A lease on a PostgreSQL database: one process has it, and others wait.
//!
//! The lease is a row with a name. It lapses by the server's clock unless its owner renews it. Another process takes it over
//! once it has lapsed, and gives it the next fencing number.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use super::heartbeat::NodeRow;
use super::postgres::{ANSWER, ServerConnection};
use super::query::query;
use super::read_pool::ReadPool;
use super::retries::Retries;
use crate::store::StoreError;

/// How long a lease lasts if nobody renews it. The statements say so, too.
pub(super) const LIFE: Duration = Duration::from_millis(1500);
/// How long to wait for an owner that may be about to end, or that was killed and left its lease behind.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two attempts.
const RETRY: Duration = Duration::from_millis(100);
/// The pause after an attempt that the server has failed.
const LATER: Duration = Duration::from_secs(1);

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How long it waits for a renewal by the owner. If this process is stopped within the attempt, the server ends it before the
/// owner's lease lapses: it keeps the owner from renewing.
const BRIEFLY: &str = "SET LOCAL lock_timeout = 500; SET LOCAL idle_in_transaction_session_timeout = 500";
/// For how long an owner who is well can't leave its lease as it is, by any clock.
const SILENT: Duration = Duration::from_secs(2);
/// Locks nothing, so it hinders nobody.
const OWNER: &str = "SELECT owner, expires > now(), fencing, CAST(EXTRACT(EPOCH FROM expires) * 1000000 AS BIGINT)
    FROM leases WHERE name = $1";
/// Takes the lease if nobody has it, or if it is still as it was seen.
const TAKE: &str = "INSERT INTO leases (name, owner, fencing, commits, expires)
    VALUES ($1, $2, 1, 0, now() + INTERVAL '1500 milliseconds')
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, fencing = leases.fencing + 1, commits = 0,
        expires = excluded.expires
    WHERE leases.expires <= now() OR
        (leases.fencing = $3 AND CAST(EXTRACT(EPOCH FROM leases.expires) * 1000000 AS BIGINT) = $4)
    RETURNING fencing";
const RENEW: &str = "UPDATE leases SET expires = now() + INTERVAL '1500 milliseconds' WHERE name = $1 AND fencing = $2";
/// Gives it the next number, so that a renewal that comes late changes nothing.
const RELEASE: &str = "UPDATE leases SET expires = now(), fencing = fencing + 1 WHERE name = $1 AND fencing = $2";

/// An owner whose name isn't known.
const SOMEBODY: &str = "another process";
/// Why somebody waits who can't see who has the lease.
const UNAVAILABLE: &str = "the database isn't available";
/// Why somebody waits whose attempts the server aborts.
const BUSY: &str = "the database is busy with other transactions";

/// How to wait for a lease that another process has.
#[derive(Debug)]
pub(in crate::store) enum Wait {
    /// For an owner that may be about to end, or that has ended and left its lease behind.
    Briefly,
    /// As long as it takes.
    StandBy {
        /// Gets what stands in the way.
        told: watch::Sender<Option<String>>,
        /// Shows others that this node is there.
        row: NodeRow,
    },
}

impl Wait {
    /// Tells somebody who stands by what stands in the way. True if that is new.
    fn tell(&self, reason: &str) -> bool {
        let Wait::StandBy { told, .. } = self else { return false };
        told.send_if_modified(|last| {
            let is_new = last.as_deref() != Some(reason);
            *last = Some(reason.to_owned());
            is_new
        })
    }

    /// Whether somebody stands by, and was told so.
    fn stands_by(&self) -> bool {
        matches!(self, Wait::StandBy { told, .. } if told.borrow().is_some())
    }

    /// The row of this process, if it is a node.
    pub(super) fn row(&self) -> Option<&NodeRow> {
        match self {
            Wait::Briefly => None,
            Wait::StandBy { row, .. } => Some(row),
        }
    }
}

/// A lease of another process, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HeldLease {
    owner: String,
    fencing: i64,
    /// In microseconds, by the server's clock.
    expires: i64,
}

/// What became of an attempt to take a lease.
enum Attempt {
    /// This process has it, with this fencing number.
    Acquired(i64),
    /// Another process has it.
    Held(HeldLease),
    /// Another process is taking it.
    Missed,
}

/// A lease of this process.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    name: Arc<str>,
    fencing: i64,
    asked: Duration,
}

impl Lease {
    /// Takes the lease of this name on the database at `path`, and waits for it if another process has it. Fails if the server
    /// fails before it has said who has it. Somebody who stands by tries again after later failures.
    pub(super) async fn acquire(
        session: &mut ServerConnection,
        name: &str,
        path: &str,
        wait: &Wait,
    ) -> Result<Lease, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        // What was seen last, and since when; and when anything was seen last.
        let (mut seen, mut looked): (Option<(HeldLease, Duration)>, Duration) = (None, Duration::ZERO);
        loop {
            let asked = since_boot();
            // The server's clock may have been set back. An owner who hasn't renewed its lease for so long doesn't rely on it.
            let silent = seen.as_ref().filter(|(_, since)| asked.saturating_sub(*since) > SILENT).map(|(seen, _)| seen);
            let (trouble, pause) = match attempt(session, name, silent).await {
                Ok(Attempt::Acquired(fencing)) => {
                    if wait.stands_by() {
                        wait.tell("it takes over the database");
                    }
                    return Ok(Lease { name: name.into(), fencing, asked });
                }
                Ok(Attempt::Held(by)) => {
                    if seen.as_ref().is_none_or(|(seen, _)| seen.owner != by.owner) {
                        tracing::info!("waiting for {} to close the database {path}", by.owner);
                    }
                    let trouble = format!("{} has the database", by.owner);
                    looked = since_boot();
                    if seen.as_ref().is_none_or(|(seen, _)| *seen != by) {
                        seen = Some((by, since_boot()));
                    }
                    // Not the first time: by now it listens, or has ended because it can't.
                    if wait.stands_by() {
                        session.stands_by();
                    }
                    (trouble, RETRY)
                }
                Ok(Attempt::Missed) => (format!("{SOMEBODY} has the database"), RETRY),
                // Another one takes it just now, or the server has ended the attempt.
                Err(
                    error @ (StoreError::Contended(_)
                    | StoreError::Locked(_)
                    | StoreError::Late(_)
                    | StoreError::Disconnected(_)),
                ) if since_boot().saturating_sub(looked) < SILENT || seen.is_none() && !wait.stands_by() => match &seen
                {
                    _ if !wait.stands_by() && Instant::now() >= deadline => return Err(error),
                    Some((seen, _)) => (format!("{} has the database", seen.owner), RETRY),
                    None => {
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                },
                Err(error) if wait.stands_by() => {
                    let (trouble, pause) = match error {
                        StoreError::Contended(_) => (BUSY, RETRY),
                        _ => (UNAVAILABLE, LATER),
                    };
                    if wait.tell(trouble) {
                        tracing::warn!(%error, "the database {path} can't be taken over: trying again");
                    }
                    (trouble.to_owned(), pause)
                }
                Err(error) => return Err(error),
            };
            if matches!(wait, Wait::Briefly) && Instant::now() >= deadline {
                let holder = seen.map_or_else(|| SOMEBODY.to_owned(), |(seen, _)| seen.owner);
                return Err(StoreError::InUse { path: path.to_owned(), holder });
            }
            wait.tell(&trouble);
            tokio::time::sleep(pause).await;
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
        let deadline = Instant::now() + ANSWER;
        let mut retries = Retries::until(deadline);
        session.must_end_by(deadline);
        loop {
            session.connect_if_lost().await?;
            let released = session.execute(query(RELEASE).bind(self.name()).bind(self.fencing)).await.map(drop);
            // A renewal may still be on its way.
            if let Some(released) = retries.result_or_pause(released).await {
                return released;
            }
        }
    }
}

/// Takes the lease if nobody has it, or if it is still the `silent` one.
async fn attempt(
    session: &mut ServerConnection,
    name: &str,
    silent: Option<&HeldLease>,
) -> Result<Attempt, StoreError> {
    session.must_end_by(Instant::now() + ATTEMPT);
    let attempt = match session.open_transaction().await {
        Ok(()) => take(session, name, silent).await,
        Err(error) => Err(error),
    };
    let end = session.run(if matches!(attempt, Ok(Attempt::Acquired(_))) { "COMMIT" } else { "ROLLBACK" }).await;
    attempt.and_then(|attempt| end.map(|()| attempt))
}

async fn take(session: &mut ServerConnection, name: &str, silent: Option<&HeldLease>) -> Result<Attempt, StoreError> {
    session.run(BRIEFLY).await?;
    let held = match session.fetch_all(query(OWNER).bind(name)).await?.first() {
        None => None,
        Some(row) => {
            let held = HeldLease { owner: row.try_get(0)?, fencing: row.try_get(2)?, expires: row.try_get(3)? };
            if row.try_get(1)? && silent != Some(&held) {
                return Ok(Attempt::Held(held));
            }
            Some(held)
        }
    };
    let (fencing, expires) = silent.map_or((-1, -1), |seen| (seen.fencing, seen.expires));
    let taking = query(TAKE).bind(name).bind(this_process()).bind(fencing).bind(expires);
    match session.fetch_all(taking).await {
        Ok(rows) => match (rows.first(), held) {
            (Some(row), _) => Ok(Attempt::Acquired(row.try_get(0)?)),
            (None, Some(held)) => Ok(Attempt::Held(held)),
            (None, None) => Ok(Attempt::Missed),
        },
        Err(error) => match (error, held) {
            // Its owner renews it just now.
            (StoreError::Locked(_), Some(held)) => Ok(Attempt::Held(held)),
            (error, _) => Err(error),
        },
    }
}

/// The time since the machine was started, which nobody sets, and which goes on while the machine or this process sleeps.
pub(super) fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanos)
}

/// This process, as others name it.
fn this_process() -> String {
    format!("process {} on {}", std::process::id(), machine())
}

/// The name of this machine.
pub(super) fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}
