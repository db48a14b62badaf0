//! Opens an SQLite file, and gives parameters to its statements.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use sqlx::query::Query as SqlxQuery;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Sqlite, SqliteConnection, SqlitePool};

use super::query::Query;
use super::value::Value;

/// How long a statement waits for another process's lock. Shorter than an agent waits for its report, so that
/// the agent gets the reason.
const BUSY: Duration = Duration::from_secs(1);
/// How long a read waits for a connection. A decision after the hold is useless.
const ACQUIRE: Duration = Duration::from_millis(250);
/// Factor for opening all of them: the disk may be busy at startup.
const OPENING: u32 = 40;
/// Number of connections for reads.
const READERS: u32 = 3;

/// Opens the existing file at `path` and runs migrations. Returns the connection for writes, and those for reads.
pub(super) async fn open(path: &Path) -> Result<(SqliteConnection, SqlitePool), sqlx::Error> {
    // NORMAL loses nothing if the process dies, since the kernel has the write-ahead log. A power cut may
    // lose the latest commits, but doesn't corrupt the database.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY)
        .pragma("cache_size", "-32768")
        .disable_statement_logging();
    let single = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    sqlx::migrate!("src/store/migrations").run(&single).await?;
    let connection = single.acquire().await?.detach();
    let pool = SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(READERS)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None)
        .max_lifetime(None)
        // Testing would cost a round trip to the connection's thread for each read.
        .test_before_acquire(false)
        .connect_lazy_with(options.read_only(true).optimize_on_close(false, None));
    // A read has no time to open a connection on a busy disk, so all are opened here, and stay open.
    let mut readers = Vec::new();
    let mut attempts = 0..OPENING;
    while readers.len() < READERS as usize {
        match pool.acquire().await {
            Ok(reader) => readers.push(reader),
            Err(sqlx::Error::PoolTimedOut) if attempts.next().is_some() => {}
            Err(error) => return Err(error),
        }
    }
    drop(readers);
    Ok((connection, pool))
}

/// The statement with its parameters.
pub(super) fn bound(query: Query) -> SqlxQuery<'static, Sqlite, SqliteArguments> {
    let statement = match query.text.unnumbered() {
        Cow::Borrowed(text) => sqlx::query(text),
        Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
    };
    query.values.into_iter().fold(statement, |statement, value| match value {
        Value::Text(text) => statement.bind(text),
        Value::Bytes(bytes) => statement.bind(bytes),
        Value::Integer(number) => statement.bind(number),
        Value::Bool(condition) => statement.bind(condition),
    })
}

#[cfg(test)]
mod tests {
    use super::{READERS, open};

    #[tokio::test]
    async fn all_connections_for_reads_are_open_before_the_first_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sidecall.db");
        std::fs::write(&path, "").unwrap();
        let (_, pool) = open(&path).await.unwrap();
        assert_eq!(pool.size(), READERS);
    }
}
