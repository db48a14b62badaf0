//! The node's secret, and bearer tokens.

use std::collections::HashMap;

use super::error::legible;
use super::record::{self, ClockRecord};
use super::sql::{self, Connection};
use super::writer::{Done, Write};
use super::{Store, StoreError};
use crate::core::base::time::ClockReading;

/// The role of a stored token. Clients use the credential of their number instead, and peers the tokens of the
/// configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenRole {
    /// May do everything.
    Admin,
    /// May report calls and ask for decisions.
    Agent,
}

impl TokenRole {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            TokenRole::Admin => "admin",
            TokenRole::Agent => "agent",
        }
    }

    fn read(word: &str) -> Option<TokenRole> {
        [TokenRole::Admin, TokenRole::Agent].into_iter().find(|role| role.as_str() == word)
    }
}

const SECRET: &str = "secret";
const CLOCK: &str = "clock";

impl Store {
    /// The node's secret. At the first start, stores `fresh` as the secret.
    pub async fn secret(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let query = sql::scalar::<Vec<u8>>("SELECT value FROM settings WHERE name = $1");
        if let Some(found) = query.bind(SECRET).fetch_optional(self.reader()).await? {
            let secret = found.try_into();
            return secret.map_err(|_| StoreError::unreadable("secret", "it is not 32 bytes long"));
        }
        self.writer.run(Write::Setting { name: SECRET, value: fresh.to_vec() }).await?;
        Ok(fresh)
    }

    /// The clock reading of the last run, if known.
    pub async fn clock(&self) -> Result<Option<ClockReading>, StoreError> {
        let query = sql::scalar::<Vec<u8>>("SELECT value FROM settings WHERE name = $1");
        let found = query.bind(CLOCK).fetch_optional(self.reader()).await?;
        let clock = found.and_then(|value| legible(record::read::<ClockRecord>(value))).transpose()?;
        Ok(clock.map(ClockReading::from))
    }

    /// Shifts the expiry of clients and codes and the age of offers when the clock is set, and stores the new clock reading in
    /// the same transaction: an interrupted start must not shift twice.
    pub async fn shift(&self, millis: i64, reading: &ClockReading) -> Result<(), StoreError> {
        let clock = record::write(&ClockRecord::from(reading.clone()))?;
        self.writer.run(Write::Shift { millis, clock: clock.into_bytes() }).await.map(drop)
    }

    /// Checks that the writer responds, and stores a clock reading if given. Returns true even if the write fails.
    pub async fn probe(&self, reading: Option<&ClockReading>) -> bool {
        let value = reading.and_then(|reading| record::write(&ClockRecord::from(reading.clone())).ok());
        let write = value.map_or(Write::Probe, |value| Write::Setting { name: CLOCK, value: value.into_bytes() });
        self.writer.is_alive(write).await
    }

    /// Replaces the token with this name, or removes it if `hash` is `None`.
    pub async fn put_token(
        &self,
        role: TokenRole,
        name: &'static str,
        hash: Option<[u8; 32]>,
    ) -> Result<(), StoreError> {
        self.writer.run(Write::Token { role, name, hash }).await.map(drop)
    }

    /// The role of the token with this hash, from memory.
    pub async fn token(&self, hash: &[u8; 32]) -> Result<Option<TokenRole>, StoreError> {
        Ok(self.directory.read().role(hash))
    }
}

/// The roles of all tokens, by hash. One that can't be read, or whose role this version doesn't know, is skipped.
pub(super) async fn tokens(connection: &mut Connection) -> Result<HashMap<[u8; 32], TokenRole>, StoreError> {
    let rows = sql::query("SELECT hash, role FROM tokens").fetch_all(connection).await?;
    let known = rows.iter().filter_map(|row| {
        let (hash, word): (Vec<u8>, String) = (row.try_get(0).ok()?, row.try_get(1).ok()?);
        Some((hash.try_into().ok()?, TokenRole::read(&word)?))
    });
    Ok(known.collect())
}

pub(super) async fn put(connection: &mut Connection, name: &str, value: &[u8]) -> Result<Done, StoreError> {
    sql::query(
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name.to_owned())
    .bind(value.to_vec())
    .execute(connection)
    .await?;
    Ok(Done::Rows(1))
}

pub(super) async fn shift(connection: &mut Connection, millis: i64, reading: &[u8]) -> Result<Done, StoreError> {
    sql::query("UPDATE bindings SET expires = expires + $1").bind(millis).execute(&mut *connection).await?;
    sql::query("UPDATE enrolments SET expires = expires + $1").bind(millis).execute(&mut *connection).await?;
    sql::query("UPDATE offers SET received = received + $1").bind(millis).execute(&mut *connection).await?;
    put(connection, CLOCK, reading).await
}

pub(super) async fn put_token(
    connection: &mut Connection,
    role: TokenRole,
    name: &str,
    hash: Option<&[u8; 32]>,
) -> Result<Done, StoreError> {
    sql::query("DELETE FROM tokens WHERE name = $1").bind(name.to_owned()).execute(&mut *connection).await?;
    let Some(hash) = hash else { return Ok(Done::Rows(0)) };
    sql::query("INSERT INTO tokens (hash, role, name) VALUES ($1, $2, $3) ON CONFLICT (hash) DO UPDATE SET role = excluded.role, name = excluded.name")
        .bind(hash.to_vec())
        .bind(role.as_str())
        .bind(name.to_owned())
        .execute(connection)
        .await?;
    Ok(Done::Rows(1))
}
