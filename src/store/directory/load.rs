//! Loads the directory: when the database is opened, and when another program has written to it.

use futures_util::TryStreamExt;

use super::SharedDirectory;
use super::tables::DirectoryTables;
use crate::store::sql::{self, Connection, Retries, Row};
use crate::store::{StoreError, bindings, devices, numbers, settings};

/// The writer's [`Connection::data_version`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DataVersion(i64);

impl DataVersion {
    pub(super) async fn read(connection: &mut Connection) -> Result<DataVersion, StoreError> {
        Ok(DataVersion(connection.data_version().await?))
    }
}

impl SharedDirectory {
    /// The directory of a database.
    pub(in crate::store) async fn load(connection: &mut Connection) -> Result<SharedDirectory, StoreError> {
        let mut retries = Retries::patient();
        let tables = loop {
            connection.connect_if_lost().await?;
            let tables = DirectoryTables::load(connection).await;
            if let Some(tables) = retries.result_or_pause(tables).await {
                break tables?;
            }
        };
        let (numbers, clients, devices) = tables.counts();
        tracing::info!(numbers, clients, devices, "loaded the directory");
        Ok(SharedDirectory::new(tables))
    }
}

impl DirectoryTables {
    /// What the database has. A row that can't be read is skipped.
    pub(super) async fn load(connection: &mut Connection) -> Result<DirectoryTables, StoreError> {
        // First: what is written by others while this reads is then found by the next comparison.
        let mut tables = DirectoryTables::new(DataVersion::read(connection).await?);
        let count: i64 = sql::scalar("SELECT COUNT(*) FROM numbers").fetch_one(&mut *connection).await?;
        tables.reserve(usize::try_from(count).unwrap_or(0));
        let skipped =
            for_each_row(connection, numbers::SELECT, numbers::read, |number| tables.put_number(number)).await?;
        tables.note_skipped_numbers(skipped);
        for_each_row(connection, bindings::SELECT, bindings::read, |binding| tables.add_client(binding)).await?;
        for_each_row(connection, devices::SELECT, devices::read, |device| tables.add_device(device)).await?;
        tables.set_tokens(settings::tokens(connection).await?);
        Ok(tables)
    }
}

/// Reads a table row by row. Returns how many rows it skipped.
async fn for_each_row<T>(
    connection: &mut Connection,
    select: &'static str,
    read: fn(&Row) -> Result<T, StoreError>,
    mut add: impl FnMut(T),
) -> Result<usize, StoreError> {
    let mut skipped = 0;
    let mut rows = sql::query(select).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        match read_row(&row, read)? {
            Some(found) => add(found),
            None => skipped += 1,
        }
    }
    Ok(skipped)
}

/// Reads a row, whose key is in its first column. None if it is unreadable.
pub(super) fn read_row<T>(row: &Row, read: fn(&Row) -> Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read(row) {
        Err(error @ StoreError::Unreadable { .. }) => {
            let key = row.try_get::<String>(0).unwrap_or_default();
            tracing::warn!(key, %error, "is skipped");
            Ok(None)
        }
        read => read.map(Some),
    }
}
