//! Follows the directory of a PostgreSQL database that other processes write to.
//!
//! It keeps a place in the change log of each node, and reads again the rows that the entries after it name. It reads entries
//! and rows in one snapshot: the rows have what the entries say, or the next entries name them again. If its place in a log is
//! gone, or too far behind, it reads everything again. It also does so for a node that had no entries before: the first ones
//! may be gone already.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::log::{self, Change, LogPlace, NodeLog, PAGE};
use super::tables::DirectoryTables;
use super::{DirectoryChanges, SharedDirectory};
use crate::store::StoreError;
use crate::store::sql::{self, Connection};

/// How often to look for new entries.
const PAUSE: Duration = Duration::from_millis(200);
/// How often to try again while the database fails.
const RETRY: Duration = Duration::from_secs(1);
/// How long a page may take. A server that hangs is noticed then.
const STEP: Duration = Duration::from_secs(5);
/// Pages that are read one after the other: about 100,000 entries. Reading everything takes less time than reading more.
const PAGES: usize = 25;

/// How far a step has come.
enum Step {
    /// Memory is up to date.
    Done,
    /// There may be more entries.
    Page,
    /// Some entries are gone, or one says that anything may have changed.
    Lost,
}

/// Brings a directory up to date with what others write.
pub(in crate::store) struct DirectoryFollower {
    /// Reads, and has no lease.
    connection: Connection,
    directory: SharedDirectory,
    /// For each node the newest entry that is in memory.
    places: HashMap<String, LogPlace>,
}

impl DirectoryFollower {
    /// Loads the directory, to be followed from there on.
    pub(in crate::store) async fn load(connection: Connection) -> Result<DirectoryFollower, StoreError> {
        let mut follower =
            DirectoryFollower { connection, directory: SharedDirectory::default(), places: HashMap::new() };
        follower.reload().await?;
        Ok(follower)
    }

    /// What it brings up to date.
    pub(in crate::store) fn directory(&self) -> SharedDirectory {
        self.directory.clone()
    }

    /// Follows until the token is cancelled.
    pub(in crate::store) async fn run(mut self, closed: CancellationToken) {
        tokio::select! {
            () = closed.cancelled() => {}
            () = self.keep_up() => {}
        }
    }

    /// For ever.
    async fn keep_up(&mut self) {
        let mut is_failing = false;
        loop {
            tokio::time::sleep(if is_failing { RETRY } else { PAUSE }).await;
            let caught_up = self.catch_up().await;
            if let (Err(error), false) = (&caught_up, is_failing) {
                tracing::warn!(%error, "the directory gets out of date");
            } else if caught_up.is_ok() && is_failing {
                tracing::info!("the directory is up to date again");
            }
            is_failing = caught_up.is_err();
        }
    }

    /// Brings memory up to date. What it has of the directory stays there if this fails.
    pub(in crate::store) async fn catch_up(&mut self) -> Result<(), StoreError> {
        for _ in 0..PAGES {
            let step = self.step().await;
            self.end().await;
            match step? {
                Step::Done => return Ok(()),
                Step::Page => {}
                Step::Lost => break,
            }
        }
        self.reload().await
    }

    /// Follows a page of each node's entries, in a transaction that the caller ends.
    async fn step(&mut self) -> Result<Step, StoreError> {
        self.connection.must_end_by(Instant::now() + STEP);
        begin_snapshot(&mut self.connection).await?;
        let (mut logged, mut places, mut is_over) = (Vec::<Change>::new(), Vec::new(), true);
        let nodes = log::nodes(&mut self.connection).await?;
        for NodeLog { name, oldest, newest } in nodes {
            // A place beyond the newest entry is one of another history.
            let Some(place) = self.places.get(&name).filter(|place| (&oldest..=&newest).contains(place)) else {
                return Ok(Step::Lost);
            };
            if newest == *place {
                continue;
            }
            let entries = log::after(&mut self.connection, &name, place).await?;
            is_over &= entries.len() < PAGE;
            places.extend(entries.last().map(|entry| (name, entry.place.clone())));
            logged.extend(entries.into_iter().filter_map(|entry| entry.change));
        }
        if logged.contains(&Change::Everything) {
            return Ok(Step::Lost);
        }
        let mut changes = DirectoryChanges::default();
        logged.iter().for_each(|change| changes.note_logged(change));
        changes.read(&mut self.connection, &self.directory).await?;
        changes.apply(&self.directory);
        self.places.extend(places);
        Ok(if is_over { Step::Done } else { Step::Page })
    }

    /// Reads everything again.
    async fn reload(&mut self) -> Result<(), StoreError> {
        let read = self.read_all().await;
        self.end().await;
        read
    }

    async fn read_all(&mut self) -> Result<(), StoreError> {
        self.connection.may_take_long();
        begin_snapshot(&mut self.connection).await?;
        let nodes = log::nodes(&mut self.connection).await?;
        let tables = DirectoryTables::load(&mut self.connection).await?;
        self.directory.replace(tables);
        self.places = nodes.into_iter().map(|node| (node.name, node.newest)).collect();
        Ok(())
    }

    /// Ends the transaction, which may have failed. The next one gets a new connection if this one is lost.
    async fn end(&mut self) {
        let _ = self.connection.roll_back().await;
    }
}

/// Begins a transaction that sees the database as it is at its first query, and changes nothing.
async fn begin_snapshot(connection: &mut Connection) -> Result<(), StoreError> {
    connection.begin().await?;
    let snapshot = sql::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    snapshot.execute(connection).await.map(drop)
}
