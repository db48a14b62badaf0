//! Loads the directory when the database is opened.

use std::sync::{Arc, RwLock};

use futures_util::TryStreamExt;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::DirectoryCache;
use super::tables::DirectoryTables;
use crate::store::error::legible;
use crate::store::{StoreError, bindings, devices, numbers, settings};

impl DirectoryCache {
    /// The directory of a database. A row that can't be read is passed over.
    pub(in crate::store) async fn load(connection: &mut SqliteConnection) -> Result<DirectoryCache, StoreError> {
        let mut tables = DirectoryTables::default();
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM numbers").fetch_one(&mut *connection).await?;
        tables.reserve(usize::try_from(count).unwrap_or(0));
        each(connection, numbers::SELECT, numbers::read, |number| tables.put_number(number)).await?;
        each(connection, bindings::SELECT, bindings::read, |binding| tables.add_client(binding)).await?;
        each(connection, devices::SELECT, devices::read, |device| tables.add_device(device)).await?;
        tables.set_tokens(settings::tokens(connection).await?);
        Ok(DirectoryCache(Arc::new(RwLock::new(tables))))
    }
}

/// Reads a table row by row.
async fn each<T>(
    connection: &mut SqliteConnection,
    select: &'static str,
    read: fn(&SqliteRow) -> Result<T, StoreError>,
    mut add: impl FnMut(T),
) -> Result<(), StoreError> {
    let mut rows = sqlx::query(select).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        if let Some(found) = legible(read(&row)).transpose()? {
            add(found);
        }
    }
    Ok(())
}
