//! The database's file: whether the one that is open is still the one at its path.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::open::create;
use super::{Store, StoreError};

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
    /// What has become of the file, if another one or none is at its path: what is written now would be found by
    /// nobody after a restart.
    pub async fn lost_file(&self) -> Option<&'static str> {
        match tokio::fs::metadata(&self.file.path).await {
            Ok(file) if (file.dev(), file.ino()) == self.file.id => None,
            Ok(_) => Some("replaced"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some("deleted"),
            Err(_) => None,
        }
    }

    /// Copies what is open to a new file beside the path, and gives back its name.
    ///
    /// # Errors
    /// If it can't be read, or there is no room.
    pub async fn copy_aside(&self, name: &str) -> Result<PathBuf, StoreError> {
        let mut copy = self.file.path.clone().into_os_string();
        copy.push(name);
        // An empty file is taken, and this one is nobody else's.
        create(Path::new(&copy)).map_err(|error| StoreError::Unavailable(error.to_string().into()))?;
        let into = copy.to_string_lossy().into_owned();
        sqlx::query("VACUUM INTO $1").bind(into).execute(&self.pool).await?;
        Ok(copy.into())
    }
}
