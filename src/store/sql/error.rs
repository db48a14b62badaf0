//! The library's errors as the store's.

use crate::store::StoreError;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        let text = error.to_string().into();
        match &error {
            // The only uniqueness that a request can break; the others are upserts.
            sqlx::Error::Database(e) if e.is_unique_violation() => StoreError::CredentialInUse,
            sqlx::Error::Database(e) => match e.code().as_deref().map(class) {
                Some(Class::Contended) => StoreError::Contended(text),
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

/// The error of a column with another type.
pub(super) fn undecodable(error: impl ToString) -> StoreError {
    StoreError::unreadable("value", error)
}

/// What an error of the database says about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// It collided with another one, and was rolled back.
    Contended,
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
        // Serialization failure, deadlock, a lock that somebody else has.
        "40001" | "40P01" | "55P03" => Class::Contended,
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
    fn only_a_collision_is_tried_again_on_the_same_connection() {
        for (code, expected) in [
            ("40001", Class::Contended),
            ("40P01", Class::Contended),
            ("55P03", Class::Contended),
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
