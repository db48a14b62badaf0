//! Statements, their parameters, and what runs them.

use std::borrow::Cow;
use std::marker::PhantomData;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};

use super::connection::{Connection, Pool};
use super::row::{Column, Row};
use super::sqlite;
use super::value::Value;
use crate::store::StoreError;

/// A statement and its parameters.
#[derive(Clone)]
pub(in crate::store) struct Query {
    pub(super) text: Text,
    pub(super) values: Vec<Value>,
}

/// The text of a statement.
#[derive(Clone)]
pub(super) enum Text {
    /// Parameters are numbered.
    Fixed(&'static str),
    /// Parameters are question marks, at these places.
    Built { text: String, places: Vec<usize> },
}

impl Text {
    /// The text as SQLite likes it: it looks for each numbered parameter among all those before it.
    pub(super) fn unnumbered(self) -> Cow<'static, str> {
        match self {
            Text::Fixed(text) => text.into(),
            Text::Built { text, .. } => text.into(),
        }
    }

    /// The text with numbered parameters, as PostgreSQL needs it.
    pub(super) fn numbered(self) -> Cow<'static, str> {
        let (text, places) = match self {
            Text::Fixed(text) => return text.into(),
            Text::Built { text, places } => (text, places),
        };
        let mut numbered = String::with_capacity(text.len() + 3 * places.len());
        let mut rest = 0;
        for (n, place) in places.into_iter().enumerate() {
            numbered.push_str(&text[rest..place]);
            numbered.push_str(&format!("${}", n + 1));
            rest = place + 1;
        }
        numbered.push_str(&text[rest..]);
        numbered.into()
    }
}

/// A statement whose parameters are numbered in its text.
pub(in crate::store) fn query(text: &'static str) -> Query {
    Query { text: Text::Fixed(text), values: Vec::new() }
}

/// A statement that returns one column.
pub(in crate::store) fn scalar<T: Column>(text: &'static str) -> Scalar<T> {
    query(text).into_scalar()
}

/// What runs a statement.
pub(in crate::store) enum Target<'a> {
    /// Any connection for reads that somebody waits for.
    Pool(&'a Pool),
    /// Any connection for reads. The statement may take a minute.
    Patient(&'a Pool),
    /// This connection.
    Connection(&'a mut Connection),
}

impl<'a> From<&'a Pool> for Target<'a> {
    fn from(pool: &'a Pool) -> Target<'a> {
        Target::Pool(pool)
    }
}

impl<'a> From<&'a mut Connection> for Target<'a> {
    fn from(connection: &'a mut Connection) -> Target<'a> {
        Target::Connection(connection)
    }
}

impl Query {
    /// Adds a parameter.
    pub(in crate::store) fn bind(mut self, value: impl Into<Value>) -> Query {
        self.values.push(value.into());
        self
    }

    pub(super) fn into_scalar<T: Column>(self) -> Scalar<T> {
        Scalar { query: self, column: PhantomData }
    }

    /// Runs it. Returns the number of rows that it changed.
    pub(in crate::store) async fn execute(self, on: impl Into<Target<'_>>) -> Result<u64, StoreError> {
        Ok(match on.into() {
            Target::Pool(Pool::Sqlite(pool)) | Target::Patient(Pool::Sqlite(pool)) => {
                sqlite::bound(self).execute(pool).await?.rows_affected()
            }
            Target::Pool(Pool::Postgres(pool)) => pool.execute(self).await?,
            Target::Patient(Pool::Postgres(pool)) => pool.patient().execute(self).await?,
            Target::Connection(Connection::Sqlite(connection)) => {
                sqlite::bound(self).execute(connection).await?.rows_affected()
            }
            Target::Connection(Connection::Postgres(session)) => session.execute(self).await?,
        })
    }

    /// All rows.
    pub(in crate::store) async fn fetch_all(self, on: impl Into<Target<'_>>) -> Result<Vec<Row>, StoreError> {
        let rows = match on.into() {
            Target::Pool(Pool::Sqlite(pool)) | Target::Patient(Pool::Sqlite(pool)) => {
                sqlite::bound(self).fetch_all(pool).await?
            }
            Target::Connection(Connection::Sqlite(connection)) => sqlite::bound(self).fetch_all(connection).await?,
            Target::Pool(Pool::Postgres(pool)) => return pool.fetch_all(self).await,
            Target::Patient(Pool::Postgres(pool)) => return pool.patient().fetch_all(self).await,
            Target::Connection(Connection::Postgres(session)) => return session.fetch_all(self).await,
        };
        Ok(rows.into_iter().map(Row::Sqlite).collect())
    }

    /// The first row, if there is one.
    pub(in crate::store) async fn fetch_optional(self, on: impl Into<Target<'_>>) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch_all(on).await?.into_iter().next())
    }

    /// The rows, one by one.
    pub(in crate::store) fn fetch(self, on: &mut Connection) -> BoxStream<'_, Result<Row, StoreError>> {
        match on {
            Connection::Sqlite(connection) => {
                sqlite::bound(self).fetch(connection).map_ok(Row::Sqlite).map_err(StoreError::from).boxed()
            }
            Connection::Postgres(session) => session.fetch(self),
        }
    }
}

/// A statement that returns one column.
pub(in crate::store) struct Scalar<T> {
    query: Query,
    column: PhantomData<fn() -> T>,
}

impl<T: Column> Scalar<T> {
    /// Adds a parameter.
    pub(in crate::store) fn bind(self, value: impl Into<Value>) -> Scalar<T> {
        self.query.bind(value).into_scalar()
    }

    /// The column of all rows.
    pub(in crate::store) async fn fetch_all(self, on: impl Into<Target<'_>>) -> Result<Vec<T>, StoreError> {
        self.query.fetch_all(on).await?.iter().map(|row| row.try_get(0)).collect()
    }

    /// The column of the first row, if there is one.
    pub(in crate::store) async fn fetch_optional(self, on: impl Into<Target<'_>>) -> Result<Option<T>, StoreError> {
        self.query.fetch_optional(on).await?.map(|row| row.try_get(0)).transpose()
    }

    /// The column of the row.
    pub(in crate::store) async fn fetch_one(self, on: impl Into<Target<'_>>) -> Result<T, StoreError> {
        self.fetch_optional(on).await?.ok_or_else(|| StoreError::Unavailable("a query returned no row".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Builder;

    #[test]
    fn parameters_are_numbered_in_their_order() {
        let mut query = Builder::new("SELECT '?' FROM calls WHERE id");
        query.push_in(["a".to_owned(), "b".to_owned()]).push(" LIMIT ").push_bind(1u32);
        let text = query.build().text.numbered();
        assert_eq!(text, "SELECT '?' FROM calls WHERE id IN ($1, $2) LIMIT $3");
    }
}
