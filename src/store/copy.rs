//! Copies an installation from one database to another.

use futures_util::TryStreamExt;

use super::open::{OpenDatabase, open_database};
use super::sql::{Builder, Connection, Row, Value, Wait};
use super::{Location, StoreError};

/// Rows in one statement: PostgreSQL takes 65,535 parameters, and SQLite 32,766.
const ROWS: usize = 500;

/// A table, and its columns.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Kind)],
}

/// What a column holds, or NULL.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Bytes,
    Integer,
}

use Kind::{Bytes, Integer, Text};

pub(super) const TABLES: [Table; 9] = [
    Table { name: "settings", columns: &[("name", Text), ("value", Bytes)] },
    Table { name: "tokens", columns: &[("hash", Bytes), ("role", Text), ("name", Text)] },
    Table {
        name: "numbers",
        columns: &[
            ("number", Text),
            ("name", Text),
            ("pbx", Text),
            ("kind", Text),
            ("extensions", Text),
            ("credential", Bytes),
            ("enabled", Integer),
        ],
    },
    Table {
        name: "devices",
        columns: &[("id", Text), ("number", Text), ("name", Text), ("token", Bytes), ("enrolled", Integer)],
    },
    Table {
        name: "enrolments",
        columns: &[("code", Bytes), ("number", Text), ("device", Text), ("credential", Bytes), ("expires", Integer)],
    },
    Table {
        name: "bindings",
        columns: &[
            ("id", Text),
            ("number", Text),
            ("form", Text),
            ("address", Text),
            ("secret", Text),
            ("capabilities", Text),
            ("lifetime", Integer),
            ("expires", Integer),
            ("offer", Text),
            ("device", Text),
        ],
    },
    Table {
        name: "calls",
        columns: &[
            ("id", Text),
            ("pbx", Text),
            ("calling", Text),
            ("called", Text),
            ("route", Text),
            ("reason", Text),
            ("decided", Integer),
            ("ended", Integer),
            ("body", Text),
        ],
    },
    Table {
        name: "deliveries",
        columns: &[
            ("id", Text),
            ("call", Text),
            ("number", Text),
            ("other", Text),
            ("client", Text),
            ("form", Text),
            ("kind", Text),
            ("body", Text),
            ("is_open", Integer),
            ("state", Text),
            ("attempts", Integer),
            ("created", Integer),
            ("delivered", Integer),
            ("error", Text),
        ],
    },
    Table { name: "offers", columns: &[("peer", Text), ("id", Text), ("received", Integer), ("body", Text)] },
];

/// A table that was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct CopiedTable {
    /// Its name.
    pub table: &'static str,
    /// The number of its rows.
    pub rows: u64,
}

/// Copies all rows of a database to an empty one: all, or none. Brings the schema of both up to date. Calls `progress` after
/// each table.
///
/// # Errors
/// If a process uses one of the two, or the target isn't empty.
pub async fn copy(
    from: &Location,
    to: &Location,
    mut progress: impl FnMut(CopiedTable),
) -> Result<Vec<CopiedTable>, StoreError> {
    if from.file().is_some_and(|file| !file.is_file()) {
        return Err(StoreError::Copy(format!("there is no database {from}")));
    }
    let mut source = open_database(from, &Wait::Briefly).await?;
    let mut target = match open_database(to, &Wait::Briefly).await {
        Ok(target) => target,
        Err(error) => {
            close(source, from).await;
            return Err(error);
        }
    };
    let copied = in_transactions(&mut source, &mut target, to, &mut progress).await;
    close(source, from).await;
    close(target, to).await;
    copied
}

/// Whether everything was copied is known by now, whatever happens here.
async fn close(mut database: OpenDatabase, location: &Location) {
    // Fails if the transaction has been committed.
    let _ = database.connection.roll_back().await;
    database.pool.close().await;
    if let Err(error) = database.connection.close().await {
        tracing::warn!(%error, "the database {location} was not closed cleanly");
    }
}

async fn in_transactions(
    source: &mut OpenDatabase,
    target: &mut OpenDatabase,
    to: &Location,
    progress: &mut impl FnMut(CopiedTable),
) -> Result<Vec<CopiedTable>, StoreError> {
    // Nobody else writes to either meanwhile.
    source.connection.begin().await?;
    target.connection.begin().await?;
    let mut copied = Vec::with_capacity(TABLES.len());
    for table in &TABLES {
        if !table.is_empty(&mut target.connection).await? {
            return Err(StoreError::Copy(format!("{to} isn't empty: it has {}", table.name)));
        }
    }
    for table in &TABLES {
        let rows = table.copy(&mut source.connection, &mut target.connection).await?;
        progress(CopiedTable { table: table.name, rows });
        copied.push(CopiedTable { table: table.name, rows });
    }
    target.connection.commit().await?;
    Ok(copied)
}

impl Table {
    async fn is_empty(&self, connection: &mut Connection) -> Result<bool, StoreError> {
        let first = Builder::new(format!("SELECT 1 FROM {} LIMIT 1", self.name)).build();
        Ok(first.fetch_all(connection).await?.is_empty())
    }

    pub(super) fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// Copies the rows, in the order in which the source has them. Returns their number.
    async fn copy(&self, source: &mut Connection, target: &mut Connection) -> Result<u64, StoreError> {
        let select = Builder::new(format!("SELECT {} FROM {}", self.names(), self.name)).build();
        let mut chunks = select.fetch(source).try_chunks(ROWS);
        let (mut read, mut written) = (0, 0);
        while let Some(rows) = chunks.try_next().await.map_err(|error| error.1)? {
            let rows = rows.iter().map(|row| self.values(row)).collect::<Result<Vec<_>, _>>()?;
            read += rows.len() as u64;
            let mut insert = Builder::new(format!("INSERT INTO {} ({}) ", self.name, self.names()));
            insert.push_values(rows, |columns, row| {
                for value in row {
                    columns.push_bind(value);
                }
            });
            written += insert.build().execute(&mut *target).await?;
        }
        match read == written {
            true => Ok(written),
            false => Err(StoreError::Copy(format!("the numbers of {} differ", self.name))),
        }
    }

    pub(super) fn values(&self, row: &Row) -> Result<Vec<Value>, StoreError> {
        let value = |(n, (_, kind)): (usize, &(&str, Kind))| {
            Ok::<_, StoreError>(match kind {
                Text => Value::Text(row.try_get(n)?),
                Bytes => Value::Bytes(row.try_get(n)?),
                Integer => Value::Integer(row.try_get(n)?),
            })
        };
        self.columns.iter().enumerate().map(value).collect()
    }
}
