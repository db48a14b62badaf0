//! What can go wrong with the database.

use std::sync::Arc;

/// A failed read or write. It can be cloned: one failed commit is the failure of all in its group.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database could not be opened or brought up to date.
    #[error("the database {path} can't be opened: {reason}")]
    Open {
        /// The file.
        path: String,
        /// The database's own words.
        reason: String,
    },
    /// Locked, full, gone, or too slow.
    #[error("the database is not available: {0}")]
    Unavailable(Arc<str>),
    /// SQLite's thread is gone: no write will ever work again.
    #[error("the database's thread has died")]
    Crashed,
    /// Two numbers can't have the same credential: a client's token says which number it is for.
    #[error("the credential is in use by another number")]
    CredentialInUse,
    /// A row that this version can't read.
    #[error("the database holds a {what} that can't be read: {reason}")]
    Unreadable {
        /// Which kind of row.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    /// Whether it may work later without anybody changing the request.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, StoreError::Unavailable(_) | StoreError::Open { .. } | StoreError::Crashed)
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

/// A row of a list, unless it can't be read: one such row keeps the others from nobody.
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
            _ => StoreError::Unavailable(error.to_string().into()),
        }
    }
}
