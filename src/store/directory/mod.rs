//! The directory in memory: numbers, their clients and devices, and the tokens. Decisions, lookups, pairs and logins read
//! nothing else of the directory.
//!
//! It is loaded when the database is opened. Before the writer commits a group of writes, it reads again the rows that the
//! group has touched, except entries that it has put once and not changed otherwise: what their rows have is known. It changes
//! the memory after the commit, and answers the writes after that. So memory never has what may still be rolled back, and an
//! answered write can be found. Each lookup passes over clients that have expired by then. Every second the writer checks
//! whether another program has written to the SQLite file, and if so, reads it all again. No other program writes to a
//! PostgreSQL database.

mod changes;
mod devices;
mod load;
mod newest_first;
mod tables;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(super) use changes::DirectoryChanges;
pub(super) use devices::DeviceState;
use tables::DirectoryTables;
pub(super) use tables::NumberState;

/// Maximum number of rows that one statement reads, and of changes under one lock.
const ROWS: usize = 500;

/// The directory in memory, shared by the store and its writer.
#[derive(Clone, Default)]
pub(super) struct SharedDirectory(Arc<RwLock<DirectoryTables>>);

impl SharedDirectory {
    fn new(tables: DirectoryTables) -> SharedDirectory {
        SharedDirectory(Arc::new(RwLock::new(tables)))
    }

    /// The tables, for a lookup.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, DirectoryTables> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, DirectoryTables> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without the contents: there may be a million numbers.
impl fmt::Debug for SharedDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedDirectory").finish_non_exhaustive()
    }
}
