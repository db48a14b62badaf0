//! A lease on a PostgreSQL database: one process has it, and others wait.
//!
//! The lease is a row with a name. It lapses by the server's clock unless its owner renews it. Another process takes it over
//! once it has lapsed, and gives it the next fencing number.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use super::postgres::ServerConnection;
use super::query::query;
use super::read_pool::ReadPool;
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
/// Locks nothing, so it hinders nobody.
const OWNER: &str = "SELECT owner, expires > now() FROM leases WHERE name = $1";
/// Takes the lease if nobody has it.
const TAKE: &str = "INSERT INTO leases (name, owner, fencing, commits, expires)
    VALUES ($1, $2, 1, 0, now() + INTERVAL '1500 milliseconds')
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, fencing = leases.fencing + 1, commits = 0,
        expires = excluded.expires
    WHERE leases.expires <= now() RETURNING fencing";
const RENEW: &str = "UPDATE leases SET expires = now() + INTERVAL '1500 milliseconds' WHERE name = $1 AND fencing = $2";
/// Gives it the next number, so that a renewal that comes late changes nothing.
const RELEASE: &str = "UPDATE leases SET expires = now(), fencing = fencing + 1 WHERE name = $1 AND fencing = $2";

/// For whom nobody is named.
const SOMEBODY: &str = "another process";

/// How to wait for a lease that another process has.
#[derive(Debug)]
pub(in crate::store) enum Wait {
    /// For an owner that may be about to end, or that has ended and left its lease behind.
    Briefly,
    /// As long as it takes. The channel gets what stands in the way.
    StandBy(watch::Sender<Option<String>>),
}

impl Wait {
    fn tell(&self, reason: &str) {
        if let Wait::StandBy(told) = self {
            told.send_if_modified(|last| {
                let is_new = last.as_deref() != Some(reason);
                *last = Some(reason.to_owned());
                is_new
            });
        }
    }
}

/// What became of an attempt to take a lease.
enum Attempt {
    /// This process has it, with this fencing number.
    Acquired(i64),
    /// The process of this name has it.
    Held(String),
}

/// A lease of this process.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    name: Arc<str>,
    fencing: i64,
    asked: Duration,
}

impl Lease {
    /// Takes the lease of this name on the database at `path`, and waits for it if another process has it. Fails at once if the
    /// server fails the first attempt. Somebody who stands by tries again after later failures.
    pub(super) async fn acquire(
        session: &mut ServerConnection,
        name: &str,
        path: &str,
        wait: &Wait,
    ) -> Result<Lease, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        let mut holder = None;
        loop {
            let asked = since_boot();
            let (trouble, pause) = match attempt(session, name).await {
                Ok(Attempt::Acquired(fencing)) => {
                    wait.tell("it takes over the database");
                    return Ok(Lease { name: name.into(), fencing, asked });
                }
                Ok(Attempt::Held(by)) => {
                    if holder.as_ref() != Some(&by) {
                        tracing::info!("waiting for {by} to close the database {path}");
                    }
                    (format!("{} has the database", holder.insert(by)), RETRY)
                }
                // Another one takes it just now, or the server has ended the attempt.
                Err(StoreError::Contended(_) | StoreError::Late(_) | StoreError::Disconnected(_)) => {
                    (format!("{} has the database", holder.as_deref().unwrap_or(SOMEBODY)), RETRY)
                }
                Err(error) if holder.is_some() && matches!(wait, Wait::StandBy(_)) => {
                    tracing::warn!(%error, "the database {path} can't be waited for: trying again");
                    ("the database isn't available".to_owned(), LATER)
                }
                Err(error) => return Err(error),
            };
            if matches!(wait, Wait::Briefly) && Instant::now() >= deadline {
                let holder = holder.unwrap_or_else(|| SOMEBODY.to_owned());
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
        session.execute(query(RELEASE).bind(self.name()).bind(self.fencing)).await.map(drop)
    }
}

/// Takes the lease if nobody has it.
async fn attempt(session: &mut ServerConnection, name: &str) -> Result<Attempt, StoreError> {
    session.must_end_by(Instant::now() + ATTEMPT);
    session.open_transaction().await?;
    let attempt = take(session, name).await;
    let end = session.run(if matches!(attempt, Ok(Attempt::Acquired(_))) { "COMMIT" } else { "ROLLBACK" }).await;
    attempt.and_then(|attempt| end.map(|()| attempt))
}

async fn take(session: &mut ServerConnection, name: &str) -> Result<Attempt, StoreError> {
    session.run(BRIEFLY).await?;
    let mut owner = SOMEBODY.to_owned();
    if let Some(row) = session.fetch_all(query(OWNER).bind(name)).await?.first() {
        owner = row.try_get(0)?;
        if row.try_get(1)? {
            return Ok(Attempt::Held(owner));
        }
    }
    match session.fetch_all(query(TAKE).bind(name).bind(this_process())).await {
        Ok(taken) => match taken.first() {
            Some(row) => Ok(Attempt::Acquired(row.try_get(0)?)),
            None => Ok(Attempt::Held(owner)),
        },
        // It renews the lease just now.
        Err(StoreError::Contended(_)) => Ok(Attempt::Held(owner)),
        Err(error) => Err(error),
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
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}
