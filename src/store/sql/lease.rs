//! A lease on a PostgreSQL database: one process has it, and others wait.
//!
//! The lease is a row with a name. It lapses by the server's clock unless its owner renews it. Another process takes it over
//! once it has lapsed, and gives it the next fencing number.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::postgres::{ANSWER, ServerConnection};
use super::query::query;
use super::read_pool::ReadPool;
use super::retries::Retries;
use super::wait::{HeldLease, KnownLease, Wait};
use crate::store::{StandByReason, StoreError};

/// How long a lease lasts if nobody renews it. The statements say so, too.
pub(super) const LIFE: Duration = Duration::from_millis(1500);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How long it waits for a renewal by the owner. If this process is stopped within the attempt, the server ends it before the
/// owner's lease lapses: it keeps the owner from renewing.
const BRIEFLY: &str = "SET LOCAL lock_timeout = 500; SET LOCAL idle_in_transaction_session_timeout = 500";
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

/// What became of an attempt to take a lease.
enum Attempt {
    /// This process has it, with this fencing number.
    Acquired(i64),
    /// Another process has it.
    Held(HeldLease),
    /// Another process is taking it.
    Missed,
    /// Nobody has it, or its owner is silent. The server has failed to give it to this process.
    Failed(StoreError),
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
    /// fails before it has said who has it. Somebody who stands by waits for other transactions, too, and tries again after later
    /// failures, until it must stop.
    pub(super) async fn acquire(
        session: &mut ServerConnection,
        name: &str,
        path: &str,
        wait: &Wait,
    ) -> Result<Lease, StoreError> {
        let mut known = KnownLease::new(wait, path, since_boot());
        loop {
            let asked = since_boot();
            let attempted = attempt(session, name, known.silent(asked)).await;
            let now = since_boot();
            let pause = match attempted {
                Ok(Attempt::Acquired(fencing)) => {
                    if wait.stands_by() {
                        wait.tell(StandByReason::TakesOver);
                    }
                    return Ok(Lease { name: name.into(), fencing, asked });
                }
                Ok(Attempt::Held(by)) => {
                    // Not the first time: by now it listens, or has ended because it can't.
                    if wait.stands_by() {
                        session.stands_by();
                    }
                    known.held(by, now)?
                }
                Ok(Attempt::Missed) => known.missed(now)?,
                Ok(Attempt::Failed(error)) => known.could_not_take(error, now)?,
                Err(error) => known.failed(error, now)?,
            };
            if let Some(reason) = pause.reason {
                wait.tell(reason);
            }
            // Not in the middle of an attempt, which may give it the lease.
            tokio::select! {
                () = tokio::time::sleep(pause.lasts) => {}
                () = wait.stopped() => return Err(StoreError::closed()),
            }
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
    match (attempt, end) {
        (Ok(Attempt::Failed(error)), _) | (Ok(Attempt::Acquired(_)), Err(error)) => Ok(Attempt::Failed(error)),
        (attempt, end) => attempt.and_then(|attempt| end.map(|()| attempt)),
    }
}

async fn take(session: &mut ServerConnection, name: &str, silent: Option<&HeldLease>) -> Result<Attempt, StoreError> {
    session.run(BRIEFLY).await?;
    let held = match session.fetch_all(query(OWNER).bind(name)).await?.first() {
        None => None,
        Some(row) => {
            let held = HeldLease { owner: row.try_get(0)?, fencing: row.try_get(2)?, expires: row.try_get(3)? };
            match row.try_get(1)? {
                true if silent != Some(&held) => return Ok(Attempt::Held(held)),
                true => Some(held),
                // It has lapsed.
                false => None,
            }
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
            // Its owner renews it just now, or something else has it locked.
            (StoreError::Locked(_), Some(held)) => Ok(Attempt::Held(held)),
            (error, _) => Ok(Attempt::Failed(error)),
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
