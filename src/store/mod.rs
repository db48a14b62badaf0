//! The database: directory, bindings, devices, calls, deliveries, offers, tokens.
//!
//! Numbers, clients, devices and tokens are in memory, too; other reads use a pool. All writes go through one task, in
//! order, and are committed in groups. A decision queues its call and doesn't wait; a later report of the same call waits for
//! its commit. The database is SQLite or PostgreSQL, and no type of either appears in the interface.

mod bindings;
mod calls;
mod copy;
#[cfg(test)]
mod copy_tests;
mod deliveries;
mod delivery_writes;
mod devices;
mod directory;
mod error;
mod file_lock;
#[cfg(test)]
mod hang_tests;
#[cfg(test)]
mod lease_tests;
mod location;
mod lost_file;
mod nodes;
#[cfg(test)]
mod nodes_tests;
mod numbers;
mod offers;
mod open;
#[cfg(test)]
mod postgres_tests;
mod prune;
mod record;
#[cfg(test)]
mod retry_tests;
mod settings;
mod sip_messages;
mod sql;
mod stand_by;
#[cfg(test)]
mod test_database;
#[cfg(test)]
mod test_protocol;
#[cfg(test)]
mod test_proxy;
#[cfg(test)]
mod test_writes;
#[cfg(test)]
mod upgrade_tests;
mod writer;

pub use bindings::{Binding, Renewal};
pub use calls::CallFilter;
pub use copy::{CopiedTable, copy};
pub use deliveries::{Delivery, DeliveryState, Parted};
pub use devices::{DeviceRow, EnrolOutcome, EnrolledDevice, Enrolment, EnrolmentAuthor};
pub use error::StoreError;
pub use location::{Location, PostgresUrl};
pub use numbers::{Facts, NumberRow, credential_hash};
pub use offers::StoredOffer;
pub use settings::TokenRole;
pub use sip_messages::SipFailure;
pub use sql::NodeRow;
pub use stand_by::StandByReason;
pub use writer::{Commit, WRITE_BUDGET};

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use directory::SharedDirectory;
use sql::{KnownNodes, LeaseWatch, Pool, Target};
use writer::Writer;

/// The ids of rows that were removed. Memory doesn't have a row whose id can't be read.
fn legible_ids<Id: FromStr>(ids: Vec<String>) -> Vec<Id> {
    ids.iter().filter_map(|id| id.parse().ok()).collect()
}

/// The database, shared by everything that reads or writes it. A method that reads fails if the database can't be read; one
/// that reads from memory doesn't fail. A method that waits for a write fails if the write fails. A method that returns a
/// [`Commit`] fails if the queue is full or the store is closed.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
    writer: Writer,
    directory: SharedDirectory,
    reads: Arc<AtomicU64>,
    /// None if the database is a server's.
    file: Option<Arc<lost_file::Opened>>,
    /// None if the database is a file, which has a lock.
    lease: Option<LeaseWatch>,
    /// None if the database is a file, or if this process isn't a node.
    nodes: Option<KnownNodes>,
}

impl Store {
    /// Checks that the database can be read.
    pub async fn check(&self) -> Result<(), StoreError> {
        sql::query("SELECT 1").execute(self.reader()).await?;
        Ok(())
    }

    /// Whether no other process can have taken over the database. False once this one was stopped, or didn't reach the server,
    /// for longer than others wait.
    pub fn is_fresh(&self) -> bool {
        self.lease.as_ref().is_none_or(LeaseWatch::is_fresh)
    }

    /// Fails if another process may have taken over the database.
    pub fn check_lease(&self) -> Result<(), StoreError> {
        match self.is_fresh() {
            true => Ok(()),
            false => Err(StoreError::Unavailable("another process may have taken over the database".into())),
        }
    }

    /// The number of queries since the start. Those of the writer don't count.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// The connections for queries. Counts one.
    fn reader(&self) -> &Pool {
        self.reads.fetch_add(1, Ordering::Relaxed);
        &self.pool
    }

    /// The connections for queries that may take a minute: at startup, and in housekeeping. Counts one.
    fn patient_reader(&self) -> Target<'_> {
        Target::Patient(self.reader())
    }

    /// Commits pending writes and closes the database.
    pub async fn close(&self) {
        self.writer.close().await;
        self.pool.close().await;
    }
}
