//! Errors of reading and writing the database.

use std::sync::Arc;

/// A failed read or write. Can be cloned, since a failed commit fails every write in its group.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database can't be opened or migrated.
    #[error("the database {path} can't be opened: {reason}")]
    Open {
        /// The file.
        path: String,
        /// The database's error.
        reason: String,
    },
    /// Another process has the database open.
    #[error("the database {path} is in use by {holder}: stop it first, or set node.database to another file")]
    InUse {
        /// The file.
        path: String,
        /// `process 4711`, or `another process` if its id isn't known.
        holder: String,
    },
    /// Locked, full, gone, or too slow.
    #[error("the database is not available: {0}")]
    Unavailable(Arc<str>),
    /// SQLite's thread is gone: no write will succeed.
    #[error("the database's thread has died")]
    Crashed,
    /// The credential belongs to another number. Credentials must be unique, since a client's token identifies its
    /// number.
    #[error("the credential is in use by another number")]
    CredentialInUse,
    /// A row that this version can't read.
    #[error("the database holds a {what} that can't be read: {reason}")]
    Unreadable {
        /// The kind of row.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    /// Whether a retry of the same request may succeed.
    pub fn is_unavailable(&self) -> bool {
        use StoreError::{Crashed, InUse, Open, Unavailable};
        matches!(self, Unavailable(_) | Open { .. } | InUse { .. } | Crashed)
    }

    /// Whether the request collides with what is stored.
    pub fn is_conflict(&self) -> bool {
        matches!(self, StoreError::CredentialInUse)
    }

    pub(super) fn closed() -> StoreError {
        StoreError::Unavailable("it is closed".into())
    }

    pub(super) fn unreadable(what: &'static str, reason: impl ToString) -> StoreError {
        StoreError::Unreadable { what, reason: reason.to_string() }
    }
}

/// A row of a list; none if it is unreadable, so that the list still has the others.
pub(super) fn legible<T>(row: Result<T, StoreError>) -> Option<Result<T, StoreError>> {
    match row {
        Err(error @ StoreError::Unreadable { .. }) => {
            tracing::warn!(%error, "it is passed over");
            None
        }
        row => Some(row),
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        match &error {
            // The only uniqueness that a request can break; the others are upserts.
            sqlx::Error::Database(e) if e.is_unique_violation() => StoreError::CredentialInUse,
            sqlx::Error::WorkerCrashed => StoreError::Crashed,
            // The others of its list can still be read.
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::unreadable("value", error),
            _ => StoreError::Unavailable(error.to_string().into()),
        }
    }
}
