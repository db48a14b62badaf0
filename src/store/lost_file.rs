//! Checks that the open database file is still the one at its path.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::open::create;
use super::{Store, StoreError, sql};

/// The suffix of an incomplete copy.
const UNFINISHED: &str = ".unfinished";

/// The file that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl Opened {
    pub(super) fn at(path: &Path) -> std::io::Result<Opened> {
        let file = std::fs::metadata(path)?;
        Ok(Opened { path: path.to_owned(), id: (file.dev(), file.ino()) })
    }
}

impl Store {
    /// Says what happened to the file if another one or none is at its path: a restart would lose all later writes.
    pub async fn lost_file(&self) -> Option<&'static str> {
        let opened = self.file.as_ref()?;
        match tokio::fs::metadata(&opened.path).await {
            Ok(file) if (file.dev(), file.ino()) == opened.id => None,
            Ok(_) => Some("replaced"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some("deleted"),
            Err(_) => None,
        }
    }

    /// Copies the open database to a new file beside the path, and returns its name. The file gets this name once it is
    /// complete and synced.
    pub async fn copy_aside(&self, name: &str) -> Result<PathBuf, StoreError> {
        let opened = self.file.as_ref().ok_or_else(|| StoreError::Unavailable("it is not a file".into()))?;
        let beside = |suffix: &str| {
            let mut path = opened.path.clone().into_os_string();
            path.push(suffix);
            PathBuf::from(path)
        };
        let (copy, unfinished) = (beside(name), beside(&format!("{name}{UNFINISHED}")));
        let copied = self.copy_to(&unfinished, &copy).await;
        if copied.is_err() {
            let _ = tokio::fs::remove_file(&unfinished).await;
        }
        copied.map(|()| copy)
    }

    async fn copy_to(&self, unfinished: &Path, copy: &Path) -> Result<(), StoreError> {
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string().into());
        // SQLite accepts an empty file as the target.
        create(unfinished).map_err(failed)?;
        let into = unfinished.to_string_lossy().into_owned();
        sql::query("VACUUM INTO $1").bind(into).execute(&self.pool).await?;
        let (from, to) = (unfinished.to_owned(), copy.to_owned());
        // A large file may take minutes, which must not block a thread of the runtime.
        let kept = tokio::task::spawn_blocking(move || keep(&from, &to)).await;
        kept.map_err(std::io::Error::other).and_then(|kept| kept).map_err(failed)
    }
}

/// Syncs a complete file and renames it.
fn keep(unfinished: &Path, copy: &Path) -> std::io::Result<()> {
    File::open(unfinished)?.sync_all()?;
    std::fs::rename(unfinished, copy)?;
    let folder = copy.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains(".kept")).collect()
    }

    #[tokio::test]
    async fn a_copy_that_is_not_complete_is_never_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.db")).await.unwrap();
        assert!(store.copy_aside(".kept-1").await.unwrap().ends_with("a.db.kept-1"));
        assert_eq!(files(folder.path()), ["a.db.kept-1"]);
        // An interrupted copy has none of the names that a person looks for.
        std::fs::write(folder.path().join("a.db.kept-2.unfinished"), "half").unwrap();
        assert!(store.copy_aside(".kept-2").await.is_err());
        assert_eq!(files(folder.path()), ["a.db.kept-1"]);
        store.close().await;
        assert!(store.copy_aside(".kept-3").await.is_err());
        assert_eq!(files(folder.path()), ["a.db.kept-1"], "a copy that failed leaves nothing");
    }
}
