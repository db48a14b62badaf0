//! Waits for a lease that another process has: what is known of it, and what stands in the way.
//!
//! Times are by [`since_boot`](super::lease::since_boot).

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::heartbeat::NodeRow;
use crate::store::stand_by::SOMEBODY;
use crate::store::{StandByReason, StoreError};

/// How long to wait for an owner that may be about to end, or that was killed and left its lease behind.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two attempts.
const RETRY: Duration = Duration::from_millis(100);
/// The pause after an attempt that the server has failed.
const LATER: Duration = Duration::from_secs(1);
/// For how long an owner who is well can't leave its lease as it is, by any clock.
const SILENT: Duration = Duration::from_secs(2);

/// How to wait for a lease that another process has.
#[derive(Debug)]
pub(in crate::store) enum Wait {
    /// For an owner that may be about to end, or that has ended and left its lease behind.
    Briefly,
    /// As long as it takes.
    StandBy {
        /// Gets what stands in the way.
        told: watch::Sender<Option<StandByReason>>,
        /// Shows others that this node is there.
        row: NodeRow,
        /// Ends it: what it has by then is given back.
        stop: CancellationToken,
    },
}

impl Wait {
    /// Tells somebody who stands by what stands in the way.
    pub(super) fn tell(&self, reason: StandByReason) {
        if let Wait::StandBy { told, .. } = self {
            told.send_if_modified(|last| {
                let is_new = last.as_ref() != Some(&reason);
                if is_new {
                    tracing::debug!(%reason, "waiting for the database");
                }
                *last = Some(reason);
                is_new
            });
        }
    }

    /// Whether somebody stands by, and was told so.
    pub(super) fn stands_by(&self) -> bool {
        matches!(self, Wait::StandBy { told, .. } if told.borrow().is_some())
    }

    /// Waits until somebody who stands by must stop.
    pub(in crate::store) async fn stopped(&self) {
        match self {
            Wait::Briefly => std::future::pending().await,
            Wait::StandBy { stop, .. } => stop.cancelled().await,
        }
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
pub(super) struct HeldLease {
    pub(super) owner: String,
    pub(super) fencing: i64,
    /// In microseconds, by the server's clock.
    pub(super) expires: i64,
}

/// What somebody who waits knows of the lease.
pub(super) struct KnownLease<'a> {
    wait: &'a Wait,
    /// The database.
    path: &'a str,
    deadline: Duration,
    /// The lease of another process as it was seen last, and since when it has been so.
    last: Option<(HeldLease, Duration)>,
    /// Whether another process had the lease when the server last said who has it.
    is_held: bool,
    /// When the server last said that.
    checked: Duration,
    /// Whether an attempt has failed since the lease was seen.
    has_failed: bool,
}

/// What to do before the next attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// What stands in the way. None: nothing is told yet.
    pub(super) reason: Option<StandByReason>,
    pub(super) lasts: Duration,
}

impl<'a> KnownLease<'a> {
    /// Waits from `now` on for the lease on the database at `path`.
    pub(super) fn new(wait: &'a Wait, path: &'a str, now: Duration) -> KnownLease<'a> {
        let (deadline, checked) = (now + PATIENCE, Duration::ZERO);
        KnownLease { wait, path, deadline, last: None, is_held: false, checked, has_failed: false }
    }

    /// The lease, if its owner hasn't renewed it for so long that it doesn't rely on it. It may seem to last: the server's clock
    /// may have been set back.
    pub(super) fn silent(&self, now: Duration) -> Option<&HeldLease> {
        self.last.as_ref().filter(|(_, since)| now.saturating_sub(*since) > SILENT).map(|(seen, _)| seen)
    }

    /// Another process has the lease.
    pub(super) fn held(&mut self, by: HeldLease, now: Duration) -> Result<Pause, StoreError> {
        if self.last.as_ref().is_none_or(|(seen, _)| seen.owner != by.owner) {
            tracing::info!("waiting for {} to close the database {}", by.owner, self.path);
        }
        let reason = StandByReason::Held { by: by.owner.clone() };
        if self.last.as_ref().is_none_or(|(seen, _)| *seen != by) {
            self.last = Some((by, now));
        }
        (self.is_held, self.checked, self.has_failed) = (true, now, false);
        self.wait_for(reason, now)
    }

    /// Another process is taking the lease.
    pub(super) fn missed(&self, now: Duration) -> Result<Pause, StoreError> {
        self.wait_for(StandByReason::held_by_somebody(), now)
    }

    /// Nobody had the lease, and the server has failed to give it to this process.
    pub(super) fn could_not_take(&mut self, error: StoreError, now: Duration) -> Result<Pause, StoreError> {
        (self.is_held, self.checked) = (false, now);
        self.failed(error, now)
    }

    /// The server has failed an attempt. Before anything was told, this fails: soon if the failure may pass, else at once. But
    /// somebody who stands by waits for other transactions.
    pub(super) fn failed(&mut self, error: StoreError, now: Duration) -> Result<Pause, StoreError> {
        let is_busy = matches!(error, StoreError::Contended(_) | StoreError::Locked(_));
        let may_pass = error.is_transient() || matches!(error, StoreError::Late(_));
        let is_recent = now.saturating_sub(self.checked) < SILENT;
        match &self.last {
            // As far as anybody knows.
            Some((seen, _)) if self.is_held && is_recent && may_pass => {
                return self.wait_for(StandByReason::Held { by: seen.owner.clone() }, now);
            }
            _ if self.wait.stands_by() => {}
            _ if may_pass && now < self.deadline => return Ok(Pause { reason: None, lasts: RETRY }),
            _ if is_busy && matches!(self.wait, Wait::StandBy { .. }) => {}
            _ => return Err(error),
        }
        // The first failure only: they may alternate, ten times a second.
        if !std::mem::replace(&mut self.has_failed, true) {
            tracing::warn!(%error, "the database {} can't be taken over: trying again", self.path);
        }
        let reason = if is_busy { StandByReason::Busy } else { StandByReason::Unavailable };
        let lasts = if is_busy || may_pass && is_recent { RETRY } else { LATER };
        Ok(Pause { reason: Some(reason), lasts })
    }

    fn wait_for(&self, reason: StandByReason, now: Duration) -> Result<Pause, StoreError> {
        if matches!(self.wait, Wait::Briefly) && now >= self.deadline {
            let holder = self.last.as_ref().map_or_else(|| SOMEBODY.to_owned(), |(seen, _)| seen.owner.clone());
            return Err(StoreError::InUse { path: self.path.to_owned(), holder });
        }
        Ok(Pause { reason: Some(reason), lasts: RETRY })
    }
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
