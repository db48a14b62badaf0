//! Asks the database every second, so that `/readyz` knows before a call does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::monitor::{Beat, Tasks, clock};
use crate::store::{CallFilter, Store, StoreError, WRITE_BUDGET};

const EVERY: Duration = Duration::from_secs(1);
/// An answer that takes longer is told by `/readyz`.
const ANSWER: Duration = Duration::from_secs(2);
/// A writer that says nothing for so long is hung. A slow disk isn't: one `fsync` may take seconds.
const HUNG: Duration = Duration::from_secs(10);
// A writer shows after each group that it isn't hung.
const _: () = assert!(2 * WRITE_BUDGET.as_secs() + EVERY.as_secs() < HUNG.as_secs());
/// Every so many times the clock is written down; the other times ask for the lock alone.
const WRITE: u64 = 5;
/// A wall clock that differs by less was slewed, or read a moment later.
const STEP: i64 = 1_000_000;

/// Goes on by the clock of the last run, so that nothing expires by a step of the wall clock between the two. While no
/// call is up, the wall clock is believed again, and what expires by the clock is moved along.
pub(in crate::node) async fn set_clock(store: &Store) -> Result<(), StoreError> {
    let Some(reading) = store.clock().await? else { return Ok(()) };
    clock::carry_on(&reading);
    let step = clock::step();
    if step.abs() < STEP || !store.calls(&CallFilter { live: Some(true), pbx: None, limit: 1 }).await?.is_empty() {
        return Ok(());
    }
    let reading = clock::wall_reading();
    store.shift(step / 1_000, &reading).await?;
    clock::carry_on(&reading);
    tracing::info!(seconds = step / 1_000_000, "the wall clock was stepped since the last run: it is believed again");
    Ok(())
}

/// Does work that may take minutes and isn't hung: the copy of a large database, and counts of all there is.
pub(super) async fn beating<T>(beat: &Beat, work: impl Future<Output = T>) -> T {
    beating_while(beat, || true, work).await
}

/// Does work that isn't hung while this holds.
pub(super) async fn beating_while<T>(beat: &Beat, holds: impl Fn() -> bool, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        if let Ok(done) = tokio::time::timeout(EVERY, &mut work).await {
            return done;
        }
        if holds() {
            beat.tick();
        }
    }
}

/// Probes the database, and keeps the last fault that the store itself doesn't report.
pub(in crate::node) struct DatabaseProbe {
    store: Store,
    tasks: Tasks,
    trouble: Mutex<Option<String>>,
}

impl DatabaseProbe {
    pub(in crate::node) fn new(store: Store, tasks: Tasks) -> DatabaseProbe {
        DatabaseProbe { store, tasks, trouble: Mutex::default() }
    }

    /// What is wrong with the database. Everybody may read it: it names no file.
    pub(in crate::node) fn trouble(&self) -> Option<String> {
        let probed = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stale = || "another process may have taken over the database".to_owned();
        probed.or_else(|| self.store.failure()).or_else(|| (!self.store.is_fresh()).then(stale))
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Until it is aborted.
    pub(in crate::node) async fn run(self: Arc<Self>) {
        let beat = self.tasks.beat("store writer", HUNG);
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for n in 0u64.. {
            ticks.tick().await;
            clock::note_step();
            if let Some(what) = self.store.lost_file().await {
                self.lost_database(what, &beat).await;
                return std::future::pending().await;
            }
            let reading = (n.is_multiple_of(WRITE) || self.store.is_failing()).then(clock::reading);
            let mut asked = std::pin::pin!(self.store.probe(reading.as_ref()));
            let answered = match tokio::time::timeout(ANSWER, &mut asked).await {
                Ok(answered) => answered,
                Err(_) => {
                    tracing::warn!("the database does not answer");
                    self.set_trouble(Some("the database does not answer".to_owned()));
                    asked.await
                }
            };
            if answered {
                beat.tick();
                self.set_trouble(None);
            }
        }
    }

    /// Another file is in the database's place, or none. Both at once can't be served: the process ends, and the next one
    /// takes the file that is there by then.
    async fn lost_database(&self, what: &'static str, beat: &Beat) {
        self.set_trouble(Some(format!("the database's file was {what}")));
        let name = format!(".kept-{}", clock::wall().0 / 1_000);
        match beating(beat, self.store.copy_aside(&name)).await {
            Ok(copy) => {
                tracing::error!(copy = %copy.display(), "the database's file was {what}; what it held was kept")
            }
            Err(error) => tracing::error!(%error, "the database's file was {what}; what it held could not be kept"),
        }
        self.tasks.end("database", &format!("its file was {what} while it was in use"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_copy_is_not_taken_for_a_hang() {
        let tasks = Tasks::default();
        let beat = tasks.beat("store writer", 2 * EVERY);
        beating(&beat, tokio::time::sleep(3 * EVERY)).await;
        assert_eq!(tasks.stalled(), None);
        tokio::time::sleep(3 * EVERY).await;
        assert!(tasks.stalled().is_some(), "work that isn't a copy is watched as ever");
    }
}
