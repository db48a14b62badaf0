//! Commits the writes of a group together: in one transaction, which may have to be made again, and within a time.

use std::time::{Duration, Instant};

use super::{Done, Job, MergedWrites, run};
use crate::store::StoreError;
use crate::store::directory::{DirectoryChanges, SharedDirectory};
use crate::store::sql::Connection;

/// How long a group may take on PostgreSQL. A write waits for the group before its own one at most, so a server that hangs is
/// told by errors, long before the writer counts as hung.
pub const WRITE_BUDGET: Duration = Duration::from_secs(4);

/// The pauses before a transaction is made again that another one, or a lost connection, has undone.
const RETRIES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(40), Duration::from_millis(160)];

/// Commits a group of writes, one by one if the group fails. Once the whole database fails, the rest fails with it.
pub(super) async fn commit_or_one_by_one(
    connection: &mut Connection,
    group: &[Job],
    directory: &SharedDirectory,
) -> Vec<Result<Done, StoreError>> {
    let mut failure = match commit(connection, group, directory).await {
        Ok(results) => return results.into_iter().map(Ok).collect(),
        Err(error) => Some(error).filter(StoreError::is_unavailable),
    };
    let mut results = Vec::with_capacity(group.len());
    for job in group {
        let result = match &failure {
            Some(error) => Err(error.clone()),
            None => commit(connection, std::slice::from_ref(job), directory).await,
        };
        failure = failure.or_else(|| result.as_ref().err().filter(|error| error.is_unavailable()).cloned());
        results.push(result.map(|mut done| done.pop().unwrap_or(Done::Rows(0))));
    }
    results
}

/// Commits a group of writes: all, or none.
pub(super) async fn commit(
    connection: &mut Connection,
    group: &[Job],
    directory: &SharedDirectory,
) -> Result<Vec<Done>, StoreError> {
    let deadline = Instant::now() + WRITE_BUDGET;
    connection.must_end_by(deadline);
    let mut retries = RETRIES.into_iter();
    loop {
        let done = transaction(connection, group, directory).await;
        let Err(error) = &done else { return done };
        // On a full disk SQLite has already rolled back, and this fails.
        let _ = connection.roll_back().await;
        let may_succeed = |pause: &Duration| error.is_transient() && Instant::now() + *pause < deadline;
        let Some(pause) = retries.next().filter(may_succeed) else { return done };
        tracing::debug!(%error, "the transaction is made again");
        tokio::time::sleep(pause).await;
    }
}

async fn transaction(
    connection: &mut Connection,
    group: &[Job],
    directory: &SharedDirectory,
) -> Result<Vec<Done>, StoreError> {
    connection.begin().await?;
    let mut results = Vec::with_capacity(group.len());
    let mut merged = MergedWrites::default();
    let mut changes = DirectoryChanges::default();
    for job in group {
        let done = run(connection, &job.write, &mut merged).await?;
        changes.note(&job.write, &done);
        results.push(done);
    }
    merged.write(connection).await?;
    changes.read(connection, directory).await?;
    connection.commit().await?;
    changes.apply(directory);
    Ok(results)
}
