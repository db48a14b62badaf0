//! The directory: numbers, and the credentials of their clients.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::directory::NumberState;
use super::sql::{self, Builder, Connection, Row};
use super::writer::{Done, Removed, Write};
use super::{Store, StoreError, legible_ids};
use crate::contract::{NumberEntry, NumberKind, NumberView};
use crate::core::address::disclosure::OfferTo;
use crate::core::base::name::{ClientId, PbxName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::routing::route::NumberFacts;

/// Maximum number of rows in one statement: databases limit its parameters.
const ROWS: usize = 500;

/// A directory entry to store, with its credential hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberRow {
    /// The number.
    pub number: Number,
    /// The name shown to peers.
    pub name: Option<String>,
    /// The PBX of its phone.
    pub pbx: Option<PbxName>,
    /// Its kind.
    pub kind: NumberKind,
    /// The extensions behind a main number.
    pub extensions: Vec<Number>,
    /// Whether its clients are switched on; `None` keeps the value.
    pub enabled: Option<bool>,
    /// The hash of its clients' credential; `None` keeps the value.
    pub credential: Option<[u8; 32]>,
}

impl NumberRow {
    /// The row for an entry.
    pub fn new(number: Number, entry: NumberEntry) -> NumberRow {
        let NumberEntry { name, pbx, kind, extensions, enabled, credential } = entry;
        let credential = credential.as_deref().map(credential_hash);
        NumberRow { number, name, pbx, kind, extensions, enabled, credential }
    }

    /// The entry's state once this row is put, as [`put`] does it.
    pub(super) fn state(&self, before: Option<&NumberState>) -> NumberState {
        NumberState {
            number: self.number.clone(),
            name: self.name.as_deref().map(Box::from),
            pbx: self.pbx.clone(),
            kind: self.kind,
            extensions: self.extensions.as_slice().into(),
            is_enabled: self.enabled.unwrap_or_else(|| before.is_none_or(|before| before.is_enabled)),
            credential: self.credential.or_else(|| before.and_then(|before| before.credential)),
        }
    }
}

/// The hash by which a token is stored and looked up. Comparing hashes leaks nothing about the token.
pub fn credential_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// What a decision needs to know about one number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// For the route.
    pub known: NumberFacts,
    /// Who may get its clients' addresses, newest client first; empty if the number is switched off.
    pub offers: Vec<OfferTo>,
}

impl Store {
    /// The facts about a number, from memory.
    pub async fn facts(&self, number: &Number, now: UnixMillis) -> Result<Facts, StoreError> {
        Ok(self.directory.read().facts(number, now))
    }

    /// Adds or replaces entries: all, or none if a credential belongs to another number.
    pub async fn put_numbers(&self, rows: Vec<NumberRow>) -> Result<(), StoreError> {
        self.writer.run(Write::Numbers(rows)).await.map(drop)
    }

    /// Removes a number, its clients, its devices and their codes. Returns the clients, or `None` if the number doesn't
    /// exist.
    pub async fn delete_number(&self, number: &Number) -> Result<Option<Vec<ClientId>>, StoreError> {
        Ok(self.writer.run(Write::DeleteNumber(number.clone())).await?.removed_clients())
    }

    /// Switches a number's clients on or off; false if the number doesn't exist.
    pub async fn enable(&self, number: &Number, enabled: bool) -> Result<bool, StoreError> {
        Ok(self.writer.run(Write::Enable(number.clone(), enabled)).await?.rows() > 0)
    }

    /// One entry, from memory.
    pub async fn number(&self, number: &Number) -> Result<Option<NumberView>, StoreError> {
        Ok(self.directory.read().number(number).map(NumberState::view))
    }

    /// At most `limit` entries after `after`, in order.
    pub async fn numbers(&self, after: Option<&Number>, limit: u32) -> Result<Vec<NumberView>, StoreError> {
        let mut query = Builder::new(SELECT);
        query.push(" WHERE number > ").push_bind(after.map(Number::to_string).unwrap_or_default());
        query.push(" ORDER BY number LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(self.reader()).await?;
        rows.iter().map(|row| read(row).map(|state| state.view())).collect()
    }

    /// The numbers whose credential these rows would replace, from memory.
    pub async fn credentials_changed(&self, rows: &[NumberRow]) -> Result<Vec<Number>, StoreError> {
        let directory = self.directory.read();
        let is_changed = |row: &&NumberRow| {
            let old = directory.number(&row.number).and_then(|state| state.credential);
            old.is_some() && row.credential.is_some() && row.credential != old
        };
        Ok(rows.iter().filter(is_changed).map(|row| row.number.clone()).collect())
    }

    /// The numbers whose wanted credential belongs to another number, from memory.
    pub async fn credentials_in_use(&self, wanted: &[(Number, [u8; 32])]) -> Result<Vec<Number>, StoreError> {
        let directory = self.directory.read();
        let in_use =
            wanted.iter().filter(|(number, hash)| directory.holder(hash).is_some_and(|holder| holder != number));
        Ok(in_use.map(|(number, _)| number.clone()).collect())
    }
}

/// Selects what [`read`] reads.
pub(super) const SELECT: &str =
    "SELECT number, name, pbx, kind, extensions, COALESCE(enabled, 1), credential FROM numbers";

pub(super) fn read(row: &Row) -> Result<NumberState, StoreError> {
    let bad = |e: &dyn std::fmt::Display| StoreError::unreadable("number", e);
    let credential = row.try_get::<Option<Vec<u8>>>(6)?.map(<[u8; 32]>::try_from).transpose();
    Ok(NumberState {
        number: row.try_get::<String>(0)?.parse().map_err(|e| bad(&e))?,
        name: row.try_get::<Option<String>>(1)?.map(String::into_boxed_str),
        pbx: row.try_get::<Option<String>>(2)?.and_then(|name| name.parse().ok()),
        kind: if row.try_get::<String>(3)? == "main" { NumberKind::Main } else { NumberKind::Extension },
        extensions: serde_json::from_str(&row.try_get::<String>(4)?).map_err(|e| bad(&e))?,
        is_enabled: row.try_get::<i64>(5)? != 0,
        credential: credential.map_err(|_| bad(&"its credential's hash is not 32 bytes long"))?,
    })
}

/// The rows of each statement. PostgreSQL changes no row twice in one.
fn statements(rows: &[NumberRow]) -> Vec<&[NumberRow]> {
    let (mut statements, mut numbers, mut start) = (Vec::new(), HashSet::new(), 0);
    for (n, row) in rows.iter().enumerate() {
        if n - start == ROWS || numbers.contains(&row.number) {
            statements.push(&rows[start..n]);
            numbers.clear();
            start = n;
        }
        numbers.insert(&row.number);
    }
    statements.push(&rows[start..]);
    statements.retain(|rows| !rows.is_empty());
    statements
}

pub(super) async fn put(connection: &mut Connection, rows: &[NumberRow]) -> Result<Done, StoreError> {
    for chunk in statements(rows) {
        let mut query = Builder::new("INSERT INTO numbers (number, name, pbx, kind, extensions, enabled, credential) ");
        query.push_values(chunk, |columns, row| {
            let kind = if row.kind == NumberKind::Main { "main" } else { "extension" };
            let extensions = if row.extensions.is_empty() {
                "[]".to_owned()
            } else {
                serde_json::to_string(&row.extensions).unwrap_or_else(|_| "[]".to_owned())
            };
            columns
                .push_bind(row.number.to_string())
                .push_bind(row.name.clone())
                .push_bind(row.pbx.as_ref().map(PbxName::to_string))
                .push_bind(kind)
                .push_bind(extensions)
                .push_bind(row.enabled.map(i64::from))
                .push_bind(row.credential.map(|hash| hash.to_vec()));
        });
        query.push(
            " ON CONFLICT (number) DO UPDATE SET name = excluded.name, pbx = excluded.pbx, kind = excluded.kind,
              extensions = excluded.extensions, enabled = COALESCE(excluded.enabled, numbers.enabled),
              credential = COALESCE(excluded.credential, numbers.credential)",
        );
        query.build().execute(&mut *connection).await?;
    }
    Ok(Done::Rows(rows.len() as u64))
}

pub(super) async fn enable(connection: &mut Connection, number: &Number, enabled: bool) -> Result<Done, StoreError> {
    let update = sql::query("UPDATE numbers SET enabled = $2 WHERE number = $1");
    let done = update.bind(number.to_string()).bind(i64::from(enabled)).execute(connection).await?;
    Ok(Done::Rows(done))
}

pub(super) async fn delete(connection: &mut Connection, number: &Number) -> Result<Done, StoreError> {
    let number = number.to_string();
    let clients = sql::scalar("DELETE FROM bindings WHERE number = $1 RETURNING id");
    let clients = legible_ids(clients.bind(number.clone()).fetch_all(&mut *connection).await?);
    let devices = super::devices::delete_all_of(connection, &number).await?;
    let done = sql::query("DELETE FROM numbers WHERE number = $1").bind(number).execute(connection).await?;
    Ok(Done::Removed(Removed { existed: done > 0, clients, devices }))
}
