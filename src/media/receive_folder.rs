//! The folder that received files go to, and how much room in it is promised to running transfers.
//!
//! All sessions share one. A transfer gets room for all that it has announced before anything of it is written, so that two
//! transfers don't count on the same room.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that stay free for everything else on this disk.
const FLOOR: u64 = 256 << 20;

/// The folder that received files go to.
#[derive(Debug)]
pub struct ReceiveFolder {
    path: PathBuf,
    free_bytes: fn(&Path) -> io::Result<u64>,
    /// Bytes that running transfers have announced and not written yet.
    promised: Mutex<u64>,
}

impl ReceiveFolder {
    /// The folder at this path. `free_bytes` says how many bytes its disk has room for.
    pub fn new(path: PathBuf, free_bytes: fn(&Path) -> io::Result<u64>) -> ReceiveFolder {
        ReceiveFolder { path, free_bytes, promised: Mutex::new(0) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Promises room for these bytes. Fails if the disk would have too little left.
    pub(super) fn promise(self: &Arc<Self>, bytes: u64) -> io::Result<PromisedRoom> {
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        let needed = FLOOR.saturating_add(*promised).saturating_add(bytes);
        if (self.free_bytes)(&self.path)? < needed {
            return Err(ErrorKind::StorageFull.into());
        }
        *promised += bytes;
        Ok(PromisedRoom { folder: self.clone(), left: bytes })
    }
}

/// Room for one transfer. What is left of it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct PromisedRoom {
    folder: Arc<ReceiveFolder>,
    left: u64,
}

impl PromisedRoom {
    /// These bytes are written: they are no promise any more.
    pub(super) fn use_up(&mut self, bytes: u64) {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        *self.folder.promised.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
    }
}

impl Drop for PromisedRoom {
    fn drop(&mut self) {
        self.use_up(self.left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for a thousand bytes above the floor.
    fn folder() -> Arc<ReceiveFolder> {
        Arc::new(ReceiveFolder::new("/nowhere/at/all".into(), |_| Ok(FLOOR + 1000)))
    }

    #[test]
    fn two_transfers_do_not_get_the_same_room() {
        let folder = folder();
        let mut first = folder.promise(600).unwrap();
        assert_eq!(folder.promise(600).unwrap_err().kind(), ErrorKind::StorageFull);
        // The disk says itself that what is written is no longer free; this one doesn't.
        first.use_up(250);
        let second = folder.promise(600).unwrap();
        assert!(folder.promise(100).is_err());
        drop((first, second));
        assert!(folder.promise(1000).is_ok());
    }

    #[test]
    fn some_room_stays_free_for_everything_else() {
        assert!(folder().promise(1001).is_err() && folder().promise(u64::MAX).is_err());
        assert!(folder().promise(1000).is_ok());
    }

    #[test]
    fn a_disk_that_does_not_say_what_is_free_gets_nothing() {
        let folder = Arc::new(ReceiveFolder::new("/".into(), |_| Err(ErrorKind::PermissionDenied.into())));
        assert_eq!(folder.promise(1).unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
}
