//! What outlives the process: directory, bindings, calls, deliveries, offers, tokens.
//!
//! Reads go to a pool. All writes go through one task, in order, and are committed in groups: a
//! decision hands its call over and doesn't wait, a later report of the same call waits and finds
//! it written. The database is SQLite. No SQLite type appears in the interface, so that another database can be
//! put behind it later; there is none yet.

mod bindings;
mod calls;
mod deliveries;
mod delivery_writes;
mod error;
mod file;
mod numbers;
mod offers;
mod open;
mod prune;
mod record;
mod settings;
mod sip_messages;
mod writer;

pub use bindings::{Binding, Renewal};
pub use calls::CallFilter;
pub use deliveries::{Delivery, DeliveryState, Parted};
pub use error::StoreError;
pub use numbers::{Facts, NumberRow, credential_hash};
pub use offers::StoredOffer;
pub use settings::TokenRole;
pub use sip_messages::SipFailure;
pub use writer::Commit;

use sqlx::SqlitePool;

use writer::Writer;

/// The database, shared by everything that reads or writes it.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
    writer: Writer,
    file: std::sync::Arc<file::Opened>,
}

impl Store {
    /// Whether the last write failed: what is told now could not be kept.
    pub fn is_failing(&self) -> bool {
        self.writer.is_failing()
    }

    /// Why the last write failed, if it did.
    pub fn failure(&self) -> Option<String> {
        self.writer.failure()
    }

    /// Waits until nothing is written any more: the store was closed, or its writer has broken.
    pub async fn ended(&self) {
        self.writer.ended().await;
    }

    /// How many writes have failed since the start.
    pub fn failed_writes(&self) -> u64 {
        self.writer.failed()
    }

    /// Asks the database whether it can be read.
    ///
    /// # Errors
    /// If it can't.
    pub async fn check(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Writes down what is waiting and closes the database.
    pub async fn close(&self) {
        self.writer.close().await;
        self.pool.close().await;
    }
}
