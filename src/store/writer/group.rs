//! Commits the writes of a group together: in one transaction, which may have to be made again, and within a time.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Done, Job, MergedWrites, State, note, run};
use crate::store::StoreError;
use crate::store::directory::DirectoryChanges;
use crate::store::sql::{Connection, Retries};

/// How long a group may take on PostgreSQL until it fails, so that a server that hangs is told by errors, long before the
/// writer counts as hung.
pub const WRITE_BUDGET: Duration = Duration::from_secs(4);

/// The pause before a server is asked again whether it has committed.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// What waits for the group.
pub(super) struct Waiting<'a> {
    pub(super) queue: &'a mut mpsc::Receiver<Job>,
    pub(super) state: &'a State,
}

impl Waiting<'_> {
    /// Fails all that waits. One group after the other would take as long as this one.
    pub(super) fn fail(&mut self, error: &StoreError) {
        while let Ok(job) = self.queue.try_recv() {
            let failed = Err(error.clone());
            note(&failed, self.state);
            let _ = job.done.send(failed);
        }
    }
}

/// Commits a group of writes, and those that can be committed without the others if it fails. Once the whole database fails,
/// the rest fails with it.
pub(super) async fn commit_all(
    connection: &mut Connection,
    group: &[Job],
    waiting: &mut Waiting<'_>,
) -> Vec<Result<Done, StoreError>> {
    let mut deadline = Instant::now() + WRITE_BUDGET;
    let mut results = Vec::with_capacity(group.len());
    // The first one is the last in the list.
    let mut parts = vec![group];
    while let Some(part) = parts.pop() {
        match commit(deadline, connection, part, waiting).await {
            Ok(done) => {
                results.extend(done.into_iter().map(Ok));
                if Instant::now() >= deadline {
                    // It was in doubt, and the server is back.
                    deadline = Instant::now() + WRITE_BUDGET;
                }
            }
            Err(error) if error.is_unavailable() => {
                results.resize_with(group.len(), || Err(error.clone()));
                break;
            }
            Err(error) if part.len() == 1 => results.push(Err(error)),
            Err(_) => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
        }
    }
    results
}

/// Commits writes: all, or none.
async fn commit(
    deadline: Instant,
    connection: &mut Connection,
    jobs: &[Job],
    waiting: &mut Waiting<'_>,
) -> Result<Vec<Done>, StoreError> {
    let mut retries = Retries::until(deadline);
    loop {
        connection.must_end_by(deadline);
        let done = transaction(connection, jobs, waiting).await;
        if done.is_err() {
            // On a full disk SQLite has already rolled back, and this fails.
            let _ = connection.roll_back().await;
        }
        if let Some(done) = retries.result_or_pause(done).await {
            return done;
        }
    }
}

async fn transaction(
    connection: &mut Connection,
    jobs: &[Job],
    waiting: &mut Waiting<'_>,
) -> Result<Vec<Done>, StoreError> {
    let directory = &waiting.state.directory;
    connection.begin().await?;
    let mut results = Vec::with_capacity(jobs.len());
    let mut merged = MergedWrites::default();
    let mut changes = DirectoryChanges::default();
    for job in jobs {
        let done = run(connection, &job.write, &mut merged).await?;
        changes.note(&job.write, &done);
        results.push(done);
    }
    merged.write(connection).await?;
    changes.read(connection, directory).await?;
    match connection.commit().await {
        Err(doubt @ StoreError::Doubtful(_)) => resolve(doubt, connection, waiting).await?,
        done => done?,
    }
    waiting.state.commits.fetch_add(1, Ordering::Relaxed);
    waiting.state.writes.fetch_add(jobs.len() as u64, Ordering::Relaxed);
    changes.apply(&waiting.state.directory);
    Ok(results)
}

/// Waits until the server says whether it has committed the transaction: clients must be told of what it has committed.
async fn resolve(doubt: StoreError, connection: &mut Connection, waiting: &mut Waiting<'_>) -> Result<(), StoreError> {
    waiting.state.in_doubt.store(true, Ordering::Relaxed);
    waiting.state.fail(&doubt);
    let fate = ask(doubt, connection, waiting).await;
    waiting.state.in_doubt.store(false, Ordering::Relaxed);
    fate
}

/// Asks until there is an answer, or the store closes. Nothing else can be written meanwhile, so what waits fails. The writer
/// shows that it isn't hung.
async fn ask(doubt: StoreError, connection: &mut Connection, waiting: &mut Waiting<'_>) -> Result<(), StoreError> {
    let unavailable = StoreError::Unavailable(doubt.to_string().into());
    while !waiting.state.leaving.is_cancelled() {
        waiting.fail(&unavailable);
        waiting.state.alive.notify_waiters();
        connection.must_end_by(Instant::now() + WRITE_BUDGET);
        match connection.is_committed().await {
            Ok(true) => return Ok(()),
            Ok(false) => return Err(StoreError::Disconnected("the last writes were not committed".into())),
            Err(error) if error.is_final() => return Err(error),
            Err(_) => tokio::time::sleep(ASK_AGAIN).await,
        }
    }
    Err(doubt)
}
