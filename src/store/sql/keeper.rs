//! Renews a lease beside all other work: a group of writes may take nearly as long as the lease lasts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::lease::{LIFE, Lease, since_boot};
use super::read_pool::ReadPool;
use crate::core::cluster::freshness::Freshness;
use crate::store::StoreError;

/// How often a lease is renewed.
const RENEWAL: Duration = Duration::from_millis(300);
/// How long an attempt may take, so that there is time for another one.
const ATTEMPT: Duration = Duration::from_millis(500);
/// The pause after an attempt that has failed.
const RETRY: Duration = Duration::from_millis(100);

/// Renews a lease until it is dropped, on a connection that nothing else uses.
pub(super) struct Keeper {
    watch: LoseAtEnd,
    _renewing: AbortOnDropHandle<()>,
}

/// Once nobody renews a lease any more, others may take it.
struct LoseAtEnd(LeaseWatch);

impl Drop for LoseAtEnd {
    fn drop(&mut self) {
        self.0.lose();
    }
}

impl Keeper {
    /// Renews the lease by the connections of `pool`.
    pub(super) fn start(lease: Lease, pool: ReadPool) -> Keeper {
        let watch = LeaseWatch::of(&lease);
        let renewing = tokio::spawn(renew(lease, pool, LoseAtEnd(watch.clone())));
        Keeper { watch: LoseAtEnd(watch), _renewing: AbortOnDropHandle::new(renewing) }
    }

    /// What others may know of the lease.
    pub(super) fn watch(&self) -> LeaseWatch {
        self.watch.0.clone()
    }
}

/// Until another process has taken the lease over.
async fn renew(lease: Lease, pool: ReadPool, watched: LoseAtEnd) {
    let watch = &watched.0;
    // The connection is made at once: it may take a while.
    let (mut was_fresh, mut pause) = (true, Duration::ZERO);
    loop {
        tokio::time::sleep(pause).await;
        let asked = since_boot();
        let renewed = tokio::time::timeout(ATTEMPT, lease.renew(&pool)).await;
        let late = || StoreError::Late("the server takes too long".into());
        let renewed = renewed.unwrap_or_else(|_| Err(late()));
        pause = if renewed.is_ok() { RENEWAL } else { RETRY };
        match renewed {
            Ok(true) => watch.renewed(asked),
            Ok(false) => return,
            Err(error) if was_fresh && !watch.is_fresh() => {
                tracing::warn!(%error, "the lease on the database isn't renewed, and another process may take it");
            }
            Err(error) => tracing::debug!(%error, "the lease on the database isn't renewed"),
        }
        if watch.is_fresh() && !was_fresh {
            tracing::info!("the lease on the database is renewed again");
        }
        was_fresh = watch.is_fresh();
    }
}

/// What is known of a lease of this process by now.
#[derive(Debug, Clone)]
pub(in crate::store) struct LeaseWatch(Arc<Known>);

#[derive(Debug)]
struct Known {
    freshness: Mutex<Freshness>,
    lost: CancellationToken,
}

impl LeaseWatch {
    fn of(lease: &Lease) -> LeaseWatch {
        let freshness = Mutex::new(Freshness::new(LIFE, lease.asked()));
        LeaseWatch(Arc::new(Known { freshness, lost: CancellationToken::new() }))
    }

    /// Whether no other process can have the lease.
    pub(in crate::store) fn is_fresh(&self) -> bool {
        self.freshness().is_fresh(since_boot())
    }

    /// Waits until another process has the lease, or nothing renews it any more.
    pub(in crate::store) async fn lost(&self) {
        self.0.lost.cancelled().await;
    }

    /// Does work that may take long. Fails once another process has the lease.
    pub(in crate::store) async fn during<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::select! {
            done = work => done,
            () = self.lost() => Err(StoreError::Fenced),
        }
    }

    fn renewed(&self, asked: Duration) {
        self.freshness().renewed(asked);
    }

    fn lose(&self) {
        self.freshness().lose();
        self.0.lost.cancel();
    }

    fn freshness(&self) -> MutexGuard<'_, Freshness> {
        self.0.freshness.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
