//! Rows that a statement returns.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Sqlite, Type};

use super::error::undecodable;
use crate::store::StoreError;

/// A row.
pub(in crate::store) enum Row {
    /// Of SQLite.
    Sqlite(SqliteRow),
    /// Of PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// The value in a column, counted from 0. Fails with [`StoreError::Unreadable`] if it is of another type.
    pub(in crate::store) fn try_get<T: Column>(&self, column: usize) -> Result<T, StoreError> {
        T::read(self, column)
    }

    fn raw<'r, T>(&'r self, column: usize) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        Ok(match self {
            Row::Sqlite(row) => sqlx::Row::try_get(row, column)?,
            Row::Postgres(row) => sqlx::Row::try_get(row, column)?,
        })
    }
}

/// A type that a column can be read as.
pub(in crate::store) trait Column: Sized {
    fn read(row: &Row, column: usize) -> Result<Self, StoreError>;
}

macro_rules! columns {
    ($($of:ty),*) => {
        $(
            impl Column for $of {
                fn read(row: &Row, column: usize) -> Result<$of, StoreError> {
                    row.raw(column)
                }
            }
        )*
    };
}

columns!(String, Option<String>, Vec<u8>, Option<Vec<u8>>, i64, Option<i64>, bool);

impl Column for u32 {
    fn read(row: &Row, column: usize) -> Result<u32, StoreError> {
        u32::try_from(i64::read(row, column)?).map_err(undecodable)
    }
}
