//! The library's errors as the store's.

use sqlx::migrate::MigrateError;

use crate::store::StoreError;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        let text = error.to_string().into();
        match cause(&error) {
            // The only uniqueness that a request can break; the others are upserts.
            duplicate if is_duplicate(duplicate) => StoreError::CredentialInUse,
            sqlx::Error::Database(e) => match e.code().as_deref().map(class) {
                Some(Class::Contended) => StoreError::Contended(text),
                Some(Class::Locked) => StoreError::Locked(text),
                Some(Class::Late) => StoreError::Late(text),
                Some(Class::Disconnected) => StoreError::Disconnected(text),
                Some(Class::Rejected) => StoreError::Rejected(text),
                None | Some(Class::Other) => StoreError::Unavailable(text),
            },
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => StoreError::Disconnected(text),
            sqlx::Error::WorkerCrashed => StoreError::Crashed,
            // The others of its list can still be read.
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => undecodable(error),
            _ => StoreError::Unavailable(text),
        }
    }
}

/// The error of a statement. A migration wraps it.
fn cause(error: &sqlx::Error) -> &sqlx::Error {
    match error {
        sqlx::Error::Migrate(migration) => match &**migration {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) if !is_duplicate(cause) => cause,
            _ => error,
        },
        _ => error,
    }
}

/// Whether a row was there already. In a migration that is no credential.
fn is_duplicate(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.is_unique_violation())
}

/// The error of a column with another type.
pub(super) fn undecodable(error: impl ToString) -> StoreError {
    StoreError::unreadable("value", error)
}

/// What an error of the database says about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// It collided with another one, and was rolled back.
    Contended,
    /// It waited too long for a lock of another one.
    Locked,
    /// It took longer than it may.
    Late,
    /// Its connection is of no more use.
    Disconnected,
    /// One of its values can't be stored.
    Rejected,
    Other,
}

/// The class of an SQLSTATE of PostgreSQL (<https://www.postgresql.org/docs/current/errcodes-appendix.html>), which has five
/// characters. SQLite's codes are shorter numbers.
fn class(code: &str) -> Class {
    match code {
        // Serialization failure, deadlock.
        "40001" | "40P01" => Class::Contended,
        // Its lock_timeout.
        "55P03" => Class::Locked,
        // The server has cancelled it at its statement_timeout.
        "57014" => Class::Late,
        // Shut down, crashed, not up yet, waited too long within a transaction or outside of one, a transaction that took too
        // long, became a replica, doesn't know whether it was done.
        "57P01" | "57P02" | "57P03" | "25P03" | "57P05" | "25P04" | "25006" | "40003" => Class::Disconnected,
        _ if code.len() != 5 => Class::Other,
        _ => match code.get(..2).unwrap_or_default() {
            "08" => Class::Disconnected,
            // Data exceptions, violated constraints, and limits such as an index row's size.
            "22" | "23" | "54" => Class::Rejected,
            _ => Class::Other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_that_loses_its_connection_is_retried_as_any_transaction() {
        let lost = || sqlx::Error::Io(std::io::ErrorKind::BrokenPipe.into());
        for migration in [MigrateError::Execute(lost()), MigrateError::ExecuteMigration(lost(), 4)] {
            let error = StoreError::from(sqlx::Error::from(migration));
            assert!(error.is_transient() && error.to_string().contains("while executing migration"), "{error}");
        }
        let modified = StoreError::from(sqlx::Error::from(MigrateError::VersionMismatch(4)));
        assert!(!modified.is_transient(), "{modified}");
    }

    #[test]
    fn only_a_collision_is_tried_again_on_the_same_connection() {
        for (code, expected) in [
            ("40001", Class::Contended),
            ("40P01", Class::Contended),
            ("55P03", Class::Locked),
            ("57014", Class::Late),
            ("08006", Class::Disconnected),
            ("57P01", Class::Disconnected),
            ("57P05", Class::Disconnected),
            ("25P04", Class::Disconnected),
            ("40003", Class::Disconnected),
            ("22021", Class::Rejected),
            ("23502", Class::Rejected),
            ("54000", Class::Rejected),
            ("42P01", Class::Other),
            ("53100", Class::Other),
            ("517", Class::Other),
            ("ÄÖ1", Class::Other),
        ] {
            assert_eq!(class(code), expected, "{code}");
        }
    }
}
