//! Opens the database file.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, access};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::directory::SharedDirectory;
use super::file_lock::FileLock;
use super::lost_file::Opened;
use super::writer::Writer;
use super::{Store, StoreError};

/// How long a statement waits for another process's lock. Shorter than an agent waits for its report, so that
/// the agent gets the reason.
const BUSY: Duration = Duration::from_secs(1);
/// How long a read waits for a connection. A decision after the hold is useless.
const ACQUIRE: Duration = Duration::from_millis(250);
/// Factor for opening all of them: the disk may be busy at startup.
const OPENING: u32 = 40;
/// Number of connections for reads.
const READERS: u32 = 3;

impl Store {
    /// Opens the SQLite database at `path`, creates it if necessary, runs migrations, and loads the directory. Fails if the
    /// file isn't a sidecall database, or if another process has it open and doesn't end within seconds.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        let failed = |reason: String| StoreError::Open { path: path.display().to_string(), reason };
        create(path).map_err(|e| failed(e.to_string()))?;
        let lock = FileLock::acquire(path).await?;
        // NORMAL loses nothing if the process dies, since the kernel has the write-ahead log. A power cut may
        // lose the latest commits, but doesn't corrupt the database.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY)
            .pragma("cache_size", "-32768")
            .disable_statement_logging();
        let single = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone());
        let single = single.await.map_err(|e| failed(e.to_string()))?;
        sqlx::migrate!("src/store/migrations").run(&single).await.map_err(|e| failed(e.to_string()))?;
        let mut connection = single.acquire().await.map_err(|e| failed(e.to_string()))?.detach();
        let directory = SharedDirectory::load(&mut connection).await.map_err(|e| failed(e.to_string()))?;
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
                Err(error) => return Err(failed(error.to_string())),
            }
        }
        drop(readers);
        let file = Opened::at(path).map_err(|e| failed(e.to_string()))?.into();
        let writer = Writer::start(connection, directory.clone(), lock);
        Ok(Store { pool, writer, directory, reads: Default::default(), file })
    }
}

/// Creates the file without permissions for others: it contains hashes, names and calls. A file that exists must be
/// writable, but isn't opened: closing it would end SQLite's locks on it.
pub(super) fn create(path: &Path) -> std::io::Result<()> {
    if path.is_file() {
        return Ok(access(path, Access::WRITE_OK)?);
    }
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::{READERS, Store};

    #[tokio::test]
    async fn all_connections_for_reads_are_open_before_the_first_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("sidecall.db")).await.unwrap();
        assert_eq!(store.pool.size(), READERS);
    }
}
