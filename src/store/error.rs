//! Errors of reading and writing the database.

use std::sync::Arc;

/// A failed read or write. Can be cloned, since a failed commit fails every write in its group.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database can't be opened or migrated.
    #[error("the database {path} can't be opened: {reason}")]
    Open {
        /// The file, or the URL without its password.
        path: String,
        /// The database's error.
        reason: String,
    },
    /// Another process has the database open.
    #[error("the database {path} is in use by {holder}: stop it first, or set node.database to another one")]
    InUse {
        /// The file, or the URL without its password.
        path: String,
        /// `process 4711`, or `another process` if its id isn't known.
        holder: String,
    },
    /// Locked, full, gone, or too slow.
    #[error("the database is not available: {0}")]
    Unavailable(Arc<str>),
    /// The database has aborted the transaction because of another one. The same one may succeed if it is retried.
    #[error("the database is busy with another transaction: {0}")]
    Contended(Arc<str>),
    /// Another transaction holds a lock for longer than this one waits.
    #[error("the database is busy: another transaction holds a lock: {0}")]
    Locked(Arc<str>),
    /// The database didn't answer in time.
    #[error("the database takes too long: {0}")]
    Late(Arc<str>),
    /// The connection to the database is lost.
    #[error("the database can't be reached: {0}")]
    Disconnected(Arc<str>),
    /// The connection was lost at a commit, and the database couldn't be asked in time what became of it.
    #[error("it isn't known whether the last writes were made: {0}")]
    Doubtful(Arc<str>),
    /// The database refuses a value of this write. Others succeed.
    #[error("the database refuses a value: {0}")]
    Rejected(Arc<str>),
    /// The database can't be copied.
    #[error("nothing was copied: {0}")]
    Copy(String),
    /// Another process has taken over the database: no write will succeed.
    #[error("another process has taken over the database")]
    Fenced,
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
        use StoreError::{Contended, Disconnected, Doubtful, InUse, Late, Locked, Open, Unavailable};
        let passes =
            matches!(self, Unavailable(_) | Contended(_) | Locked(_) | Late(_) | Disconnected(_) | Doubtful(_));
        passes || matches!(self, Open { .. } | InUse { .. }) || self.is_final()
    }

    /// Whether the request collides with what is stored.
    pub fn is_conflict(&self) -> bool {
        matches!(self, StoreError::CredentialInUse)
    }

    /// Whether no later write can succeed.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, StoreError::Crashed | StoreError::Fenced)
    }

    /// Whether a transaction that fails so left nothing behind, and may succeed at once if it is retried. One that is late
    /// would only be later.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, StoreError::Contended(_) | StoreError::Locked(_) | StoreError::Disconnected(_))
    }

    /// Whether the connection is of no more use: it is lost, or may still wait for an answer.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, StoreError::Disconnected(_) | StoreError::Late(_))
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
            tracing::warn!(%error, "is skipped");
            None
        }
        row => Some(row),
    }
}
