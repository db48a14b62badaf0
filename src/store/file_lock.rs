//! Keeps a second process off the database.
//!
//! The lock is on a file of its own beside the database, `sidecall.db-lock`. `sqlite3` knows nothing of it, so it can read
//! and back up the database meanwhile. A lock on the database itself would do harm: when a process closes any descriptor of a
//! file, it loses all the locks that SQLite has on it (<https://sqlite.org/howtocorrupt.html>, 2.2).
//!
//! The kernel frees the lock when the process ends, however it ends. So the file is never deleted, and one that was left
//! behind refuses nobody. The lock stands for the path: if the database is replaced, the next process waits until the one
//! that still has the old file ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::StoreError;

/// How long to wait for a process that may be about to end, as at a restart.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often to try meanwhile.
const RETRY: Duration = Duration::from_millis(50);

/// The lock on a database. Dropping it frees it.
#[derive(Debug)]
pub(super) struct FileLock(File);

impl FileLock {
    /// Locks the existing database at `path`. Fails if another process has it locked and doesn't end soon.
    pub(super) async fn acquire(path: &Path) -> Result<FileLock, StoreError> {
        FileLock::acquire_within(PATIENCE, path).await
    }

    async fn acquire_within(patience: Duration, path: &Path) -> Result<FileLock, StoreError> {
        let database = || path.display().to_string();
        let failed = |error: io::Error| StoreError::Open { path: database(), reason: format!("its lock: {error}") };
        let lock = FileLock::open(path).map_err(failed)?;
        let deadline = Instant::now() + patience;
        let mut waits = false;
        while !lock.try_lock().map_err(failed)? {
            let holder = lock.holder();
            if Instant::now() >= deadline {
                return Err(StoreError::InUse { path: database(), holder });
            }
            if !waits {
                tracing::info!("waiting for {holder} to close the database {}", path.display());
            }
            waits = true;
            tokio::time::sleep(RETRY).await;
        }
        lock.name_holder();
        Ok(lock)
    }

    fn open(database: &Path) -> io::Result<FileLock> {
        // All links to the database share one lock.
        let database = database.canonicalize()?;
        let owner = database.metadata()?;
        let mut path = database.into_os_string();
        path.push("-lock");
        // No link: a user who can write to this folder must not choose the file that root overwrites.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = FileLock(File::from(open(PathBuf::from(path), flags, Mode::RUSR | Mode::WUSR)?));
        if geteuid().is_root() && lock.has_one_name() {
            // As SQLite does with its own files: a start by root must not lock out the service's user.
            let _ = fchown(&lock.0, Some(owner.uid()), Some(owner.gid()));
        }
        Ok(lock)
    }

    /// Whether this file has no other name. One that has may be any file: it is locked, and nothing else happens to it.
    fn has_one_name(&self) -> bool {
        self.0.metadata().is_ok_and(|file| file.nlink() == 1)
    }

    fn try_lock(&self) -> io::Result<bool> {
        match flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Names this process to those it refuses. If that fails, they learn no name.
    fn name_holder(&self) {
        if !self.has_one_name() {
            return;
        }
        let id = format!("{}\n", std::process::id());
        let _ = self.0.set_len(0).and_then(|()| self.0.write_all_at(id.as_bytes(), 0));
    }

    fn holder(&self) -> String {
        if !self.has_one_name() {
            return "another process".to_owned();
        }
        let mut text = [0; 16];
        let length = self.0.read_at(&mut text, 0).unwrap_or(0);
        let id = std::str::from_utf8(&text[..length]).ok().and_then(|text| text.trim_end().parse::<u32>().ok());
        id.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::TempDir;

    use super::*;
    use crate::store::Store;

    /// A folder, and an empty database in it.
    fn database() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        File::create(&path).unwrap();
        (folder, path)
    }

    async fn lock(path: &Path) -> Result<FileLock, StoreError> {
        FileLock::acquire_within(Duration::ZERO, path).await
    }

    fn refused(path: &Path, holder: &str) -> String {
        format!(
            "the database {} is in use by {holder}: stop it first, or set node.database to another one",
            path.display()
        )
    }

    fn this_process() -> String {
        format!("process {}", std::process::id())
    }

    #[tokio::test]
    async fn a_lock_is_refused_by_file_and_process_until_it_is_freed() {
        let (_folder, path) = database();
        let held = lock(&path).await.unwrap();
        assert_eq!(lock(&path).await.unwrap_err().to_string(), refused(&path, &this_process()));
        drop(held);
        lock(&path).await.unwrap();
    }

    #[tokio::test]
    async fn links_to_one_database_share_its_lock() {
        let (folder, path) = database();
        let link = folder.path().join("link.db");
        symlink("a.db", &link).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(folder.path(), elsewhere.path().join("data")).unwrap();
        let folder_link = elsewhere.path().join("data/a.db");
        let held = lock(&link).await.unwrap();
        for other in [&path, &folder_link] {
            assert_eq!(lock(other).await.unwrap_err().to_string(), refused(other, &this_process()));
        }
        drop(held);
        let _held = lock(&folder_link).await.unwrap();
        assert!(lock(&link).await.is_err());
        // Another database in the same folder is another matter.
        fs::write(folder.path().join("b.db"), "").unwrap();
        lock(&folder.path().join("b.db")).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_was_left_behind_refuses_nobody() {
        let (folder, path) = database();
        let file = folder.path().join("a.db-lock");
        fs::write(&file, "1\nand more than any process writes").unwrap();
        let _held = lock(&path).await.unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{}\n", std::process::id()));
    }

    #[tokio::test]
    async fn a_holder_without_a_name_refuses_too() {
        let (folder, path) = database();
        let _held = lock(&path).await.unwrap();
        for text in ["", "-1\n", "\u{1b}[31m\n", "4294967296\n", "12345678901234567890\n"] {
            fs::write(folder.path().join("a.db-lock"), text).unwrap();
            assert_eq!(lock(&path).await.unwrap_err().to_string(), refused(&path, "another process"), "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_process_that_is_about_to_end_is_waited_for() {
        let (_folder, path) = database();
        let held = lock(&path).await.unwrap();
        let (next, ()) = tokio::join!(FileLock::acquire_within(Duration::from_secs(60), &path), async {
            tokio::time::sleep(2 * RETRY).await;
            drop(held);
        });
        next.unwrap();
    }

    #[tokio::test]
    async fn a_database_that_was_replaced_stays_locked() {
        let (folder, path) = database();
        let held = lock(&path).await.unwrap();
        fs::rename(&path, folder.path().join("old.db")).unwrap();
        File::create(&path).unwrap();
        assert!(lock(&path).await.is_err());
        drop(held);
        lock(&path).await.unwrap();
    }

    #[tokio::test]
    async fn the_lock_is_private_and_follows_no_link() {
        let (folder, path) = database();
        let file = folder.path().join("a.db-lock");
        drop(lock(&path).await.unwrap());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(&file).unwrap();
        fs::write(folder.path().join("victim"), "4711").unwrap();
        symlink("victim", &file).unwrap();
        assert!(matches!(lock(&path).await, Err(StoreError::Open { .. })));
        assert_eq!(fs::read_to_string(folder.path().join("victim")).unwrap(), "4711");
        // A backup may have made this link, so the file still serves as a lock.
        fs::remove_file(&file).unwrap();
        fs::hard_link(folder.path().join("victim"), &file).unwrap();
        let _held = lock(&path).await.unwrap();
        assert_eq!(lock(&path).await.unwrap_err().to_string(), refused(&path, "another process"));
        assert_eq!(fs::read_to_string(folder.path().join("victim")).unwrap(), "4711");
    }

    #[tokio::test]
    async fn an_open_store_holds_the_lock_and_other_programs_can_read() {
        let (folder, path) = database();
        let store = Store::open(&path).await.unwrap();
        assert!(matches!(lock(&path).await, Err(StoreError::InUse { .. })));
        let other = sqlx::SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        let backup = folder.path().join("backup.db").display().to_string();
        sqlx::query("VACUUM INTO $1").bind(backup).execute(&other).await.unwrap();
        other.close().await;
        store.close().await;
        // Clones of a closed store don't hold it.
        lock(&path).await.unwrap();
    }

    #[tokio::test]
    async fn a_store_that_is_dropped_frees_the_lock() {
        let (_folder, path) = database();
        drop(Store::open(&path).await.unwrap());
        FileLock::acquire_within(Duration::from_secs(60), &path).await.unwrap();
    }
}
