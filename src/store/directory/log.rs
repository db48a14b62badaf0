//! The change log of a PostgreSQL database: which rows of the directory each transaction has changed. Other processes that keep
//! the directory in memory read these rows again.
//!
//! An entry belongs to a node, and the entries of a node are in the order of its commits. So a reader keeps one place for each
//! node. It has missed nothing as long as its place isn't older than the node's oldest entry.

use crate::core::base::name::{ClientId, DeviceId};
use crate::core::numbering::number::Number;
use crate::store::sql::{self, Builder, Connection, Row};
use crate::store::writer::{Done, Write};
use crate::store::{Store, StoreError};

/// Maximum number of entries of one transaction. One that changes more has a single entry, which says that anything may have
/// changed.
pub(super) const ENTRIES: usize = 1_000;
/// Maximum number of entries of one node that are read at once.
pub(super) const PAGE: usize = 4_096;
/// Maximum number of entries of one node that one write deletes.
const PRUNED: i64 = 2_000;
/// Entries in one statement, each with five parameters: PostgreSQL takes 65,535.
const ROWS: usize = 500;

/// Each node that has entries, with its oldest and its newest one.
const NODES: &str = "SELECT leases.name, oldest.run, oldest.seq, oldest.kind, oldest.key,
        newest.run, newest.seq, newest.kind, newest.key
    FROM leases
    CROSS JOIN LATERAL (SELECT run, seq, kind, key FROM changes WHERE node = leases.name
        ORDER BY run, seq, kind, key LIMIT 1) AS oldest
    CROSS JOIN LATERAL (SELECT run, seq, kind, key FROM changes WHERE node = leases.name
        ORDER BY run DESC, seq DESC, kind DESC, key DESC LIMIT 1) AS newest";
const AFTER: &str = "SELECT run, seq, kind, key FROM changes
    WHERE node = $1 AND (run, seq, kind, key) > ($2, $3, $4, $5) ORDER BY run, seq, kind, key LIMIT $6";
/// Deletes what comes before an entry that is old, too. That one stays, and with it the oldest place that a reader may have.
const PRUNE: &str = "DELETE FROM changes WHERE node = $1 AND (run, seq, kind, key) < (
    SELECT run, seq, kind, key
    FROM (SELECT run, seq, kind, key, at FROM changes WHERE node = $1 ORDER BY run, seq, kind, key LIMIT 1 OFFSET $2) AS line
    WHERE at < now() - INTERVAL '10 minutes')";

/// What a transaction has changed in the directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The entry of a number.
    Number(Number),
    /// A client.
    Client(ClientId),
    /// A device.
    Device(DeviceId),
    /// The tokens.
    Tokens,
    /// Anything.
    Everything,
}

impl Change {
    fn kind(&self) -> &'static str {
        match self {
            Change::Number(_) => "number",
            Change::Client(_) => "client",
            Change::Device(_) => "device",
            Change::Tokens => "tokens",
            Change::Everything => "reload",
        }
    }

    fn key(&self) -> String {
        match self {
            Change::Number(number) => number.to_string(),
            Change::Client(id) => id.to_string(),
            Change::Device(id) => id.to_string(),
            Change::Tokens | Change::Everything => String::new(),
        }
    }

    /// None if it isn't one of the directory. Memory has no row whose key can't be read.
    fn read(place: &LogPlace) -> Option<Change> {
        match place.kind.as_str() {
            "number" => place.key.parse().ok().map(Change::Number),
            "client" => place.key.parse().ok().map(Change::Client),
            "device" => place.key.parse().ok().map(Change::Device),
            "tokens" => Some(Change::Tokens),
            "reload" => Some(Change::Everything),
            _ => None,
        }
    }
}

/// Where an entry is among those of its node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogPlace {
    run: i64,
    seq: i64,
    kind: String,
    key: String,
}

impl LogPlace {
    /// From this column on.
    fn read(row: &Row, column: usize) -> Result<LogPlace, StoreError> {
        Ok(LogPlace {
            run: row.try_get(column)?,
            seq: row.try_get(column + 1)?,
            kind: row.try_get(column + 2)?,
            key: row.try_get(column + 3)?,
        })
    }
}

/// The entries of a node.
pub(super) struct NodeLog {
    pub(super) name: String,
    pub(super) oldest: LogPlace,
    pub(super) newest: LogPlace,
}

impl NodeLog {
    fn read(row: &Row) -> Result<NodeLog, StoreError> {
        Ok(NodeLog { name: row.try_get(0)?, oldest: LogPlace::read(row, 1)?, newest: LogPlace::read(row, 5)? })
    }
}

/// An entry that was read.
pub(super) struct Entry {
    pub(super) place: LogPlace,
    /// None if it isn't about the directory.
    pub(super) change: Option<Change>,
}

impl Entry {
    fn read(row: &Row) -> Result<Entry, StoreError> {
        let place = LogPlace::read(row, 0)?;
        Ok(Entry { change: Change::read(&place), place })
    }
}

/// Adds entries in the transaction that makes the changes. There is no log in an SQLite file, which has one reader.
pub(super) async fn append(connection: &mut Connection, changes: &[Change]) -> Result<(), StoreError> {
    let Some(lease) = connection.lease() else { return Ok(()) };
    for chunk in changes.chunks(ROWS) {
        let mut insert = Builder::new("INSERT INTO changes (node, run, seq, kind, key) ");
        insert.push_values(chunk, |columns, change| {
            columns
                .push_bind(lease.name())
                .push_bind(lease.run())
                .push_bind(lease.transaction())
                .push_bind(change.kind())
                .push_bind(change.key());
        });
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Adds an entry in a transaction that changes rows without [`super::DirectoryChanges`].
pub(in crate::store) async fn append_everything(connection: &mut Connection) -> Result<(), StoreError> {
    append(connection, &[Change::Everything]).await
}

/// The nodes that have entries.
pub(super) async fn nodes(connection: &mut Connection) -> Result<Vec<NodeLog>, StoreError> {
    sql::query(NODES).fetch_all(connection).await?.iter().map(NodeLog::read).collect()
}

/// The entries of a node after a place: the first ones, if there are more than [`PAGE`].
pub(super) async fn after(connection: &mut Connection, node: &str, place: &LogPlace) -> Result<Vec<Entry>, StoreError> {
    let rows = sql::query(AFTER)
        .bind(node)
        .bind(place.run)
        .bind(place.seq)
        .bind(place.kind.as_str())
        .bind(place.key.as_str())
        .bind(PAGE as i64)
        .fetch_all(connection)
        .await?;
    rows.iter().map(Entry::read).collect()
}

impl Store {
    /// Deletes one batch of the entries of the change log that are older than ten minutes. Returns the number of deleted rows,
    /// which is 0 once nothing is left. Other writes may run between batches.
    pub async fn prune_changes(&self) -> Result<u64, StoreError> {
        if self.file.is_some() {
            return Ok(0);
        }
        Ok(self.writer.run(Write::PruneChanges).await?.rows())
    }
}

/// Deletes entries of all nodes.
pub(in crate::store) async fn prune(connection: &mut Connection) -> Result<Done, StoreError> {
    let nodes = sql::scalar::<String>("SELECT name FROM leases").fetch_all(&mut *connection).await?;
    let mut pruned = 0;
    for node in nodes {
        pruned += sql::query(PRUNE).bind(node).bind(PRUNED).execute(&mut *connection).await?;
    }
    Ok(Done::Rows(pruned))
}
