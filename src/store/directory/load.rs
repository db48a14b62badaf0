//! Loads the directory when the database is opened.

use std::sync::{Arc, RwLock};

use futures_util::TryStreamExt;
use sqlx::SqliteConnection;

use super::DirectoryCache;
use super::tables::DirectoryTables;
use crate::store::error::legible;
use crate::store::{StoreError, bindings, numbers};

impl DirectoryCache {
    /// The directory of a database. A row that can't be read is passed over.
    pub(in crate::store) async fn load(connection: &mut SqliteConnection) -> Result<DirectoryCache, StoreError> {
        let mut tables = DirectoryTables::default();
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM numbers").fetch_one(&mut *connection).await?;
        tables.reserve(usize::try_from(count).unwrap_or(0));
        let mut rows = sqlx::query(numbers::SELECT).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            if let Some(state) = legible(numbers::read(&row)).transpose()? {
                tables.put_number(state);
            }
        }
        drop(rows);
        let mut rows = sqlx::query(bindings::SELECT).fetch(connection);
        while let Some(row) = rows.try_next().await? {
            if let Some(binding) = legible(bindings::read(&row)).transpose()? {
                tables.add_client(binding);
            }
        }
        Ok(DirectoryCache(Arc::new(RwLock::new(tables))))
    }
}
