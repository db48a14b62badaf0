//! The heartbeat by which a node shows others that it is there: its row in `nodes`.
//!
//! Nothing depends on it. What fails is tried again, and logged for those who debug.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::lease::{machine, since_boot};
use super::postgres::{ServerConnection, options};
use super::query::{Query, query};
use super::read_pool::ReadPool;
use super::row::Row;
use crate::contract::{NodeRole, NodeView};
use crate::core::base::time::UnixMillis;
use crate::store::StoreError;

/// The pause between two heartbeats.
const EVERY: Duration = Duration::from_secs(1);
/// The pause after a failure that may last: the tables may be those of an earlier version.
const LATER: Duration = Duration::from_secs(10);
/// How long a node that serves, or that leaves, waits for the server.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How long a node that stands by waits: it doesn't look at the lease meanwhile.
const BRIEF_ATTEMPT: Duration = Duration::from_millis(300);
/// The server gives up a little earlier.
const BRIEFLY: &str = "SET LOCAL lock_timeout = 200; SET LOCAL statement_timeout = 250;
    SET LOCAL idle_in_transaction_session_timeout = 500";

const REFRESH: &str = "INSERT INTO nodes (machine, process, url, version, role, started, heartbeat)
    VALUES ($1, $2, $3, $4, $5, now() - CAST($6 AS BIGINT) * INTERVAL '1 millisecond', now())
    ON CONFLICT (machine, process, url) DO UPDATE SET version = excluded.version, role = excluded.role,
        started = excluded.started, heartbeat = excluded.heartbeat";
const REMOVE: &str = "DELETE FROM nodes WHERE machine = $1 AND process = $2 AND url = $3";
/// Rows of nodes that are long gone, and of those in whose place another process has started since.
const FORGET: &str = "DELETE FROM nodes WHERE heartbeat < now() - INTERVAL '1 day' OR
    (heartbeat < now() - INTERVAL '10 seconds' AND EXISTS (SELECT 1 FROM nodes AS later
        WHERE later.machine = nodes.machine AND later.url = nodes.url AND later.started > nodes.heartbeat))";
/// With times in milliseconds before now. A heartbeat that is still to come was before the server's clock was set back. The
/// rows are other processes' text: there may be any number of them.
const LIST: &str = "SELECT machine, process, url, version, role,
        CAST(EXTRACT(EPOCH FROM now() - started) * 1000 AS BIGINT),
        CAST(ABS(EXTRACT(EPOCH FROM now() - heartbeat)) * 1000 AS BIGINT)
    FROM nodes ORDER BY role, machine, process, url LIMIT 100";

/// This process, as other nodes on its database see it.
#[derive(Debug, Clone)]
pub struct NodeRow {
    machine: String,
    url: String,
    /// By [`since_boot`].
    started: Duration,
}

impl NodeRow {
    /// A node that starts now. `scheme` and `listen` say where it is reached.
    pub fn new(scheme: &str, listen: SocketAddr) -> NodeRow {
        let machine = machine();
        let url = match listen.ip().is_unspecified() && !machine.is_empty() {
            true => format!("{scheme}://{machine}:{}", listen.port()),
            false => format!("{scheme}://{listen}"),
        };
        NodeRow { machine, url, started: since_boot() }
    }

    fn refresh(&self, role: NodeRole) -> Query {
        let age = millis(since_boot().saturating_sub(self.started));
        self.identified(REFRESH).bind(env!("CARGO_PKG_VERSION")).bind(role.as_str()).bind(age)
    }

    fn removal(&self) -> Query {
        self.identified(REMOVE)
    }

    /// A statement whose first parameters are the key of the row.
    fn identified(&self, statement: &'static str) -> Query {
        query(statement).bind(self.machine.as_str()).bind(std::process::id()).bind(self.url.as_str())
    }
}

/// Removes the row of a node that has no connection any more.
pub(in crate::store) async fn remove_node(url: &str, row: &NodeRow) {
    let removing = async {
        let pool = ReadPool::new(options(url)?);
        pool.execute(row.removal()).await
    };
    log_failure(&in_time(removing).await);
}

/// The heartbeat of a node that stands by, on the session by which it looks at the lease.
pub(super) struct StandByHeartbeat<'a> {
    /// None if the process that waits isn't a node.
    row: Option<&'a NodeRow>,
    due: Instant,
}

impl<'a> StandByHeartbeat<'a> {
    pub(super) fn new(row: Option<&'a NodeRow>) -> StandByHeartbeat<'a> {
        StandByHeartbeat { row, due: Instant::now() }
    }

    /// Refreshes the row if it is time.
    pub(super) async fn beat(&mut self, session: &mut ServerConnection) {
        let Some(row) = self.row.filter(|_| Instant::now() >= self.due) else { return };
        let refreshed = refresh_on(session, row).await;
        self.due = Instant::now() + pause_after(&refreshed);
    }
}

async fn refresh_on(session: &mut ServerConnection, row: &NodeRow) -> Result<(), StoreError> {
    session.must_end_by(Instant::now() + BRIEF_ATTEMPT);
    session.open_transaction().await?;
    let refreshed = refresh_briefly(session, row).await;
    let end = session.run(if refreshed.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
    refreshed.and(end)
}

async fn refresh_briefly(session: &mut ServerConnection, row: &NodeRow) -> Result<u64, StoreError> {
    session.run(BRIEFLY).await?;
    session.execute(row.refresh(NodeRole::StandBy)).await
}

/// The heartbeat of a node that serves, on a connection of its own. It forgets the rows of others that are gone.
pub(super) struct Heartbeat {
    known: KnownNodes,
    leaving: CancellationToken,
    beating: AbortOnDropHandle<()>,
}

impl Heartbeat {
    /// Refreshes the row by the connections of `pool`.
    pub(super) fn start(row: NodeRow, pool: ReadPool) -> Heartbeat {
        let (known, leaving) = (KnownNodes::default(), CancellationToken::new());
        let beating = tokio::spawn(beat(row, pool, known.clone(), leaving.clone()));
        Heartbeat { known, leaving, beating: AbortOnDropHandle::new(beating) }
    }

    /// The nodes that there are.
    pub(super) fn nodes(&self) -> KnownNodes {
        self.known.clone()
    }

    /// Removes the row, and ends.
    pub(super) async fn stop(self) {
        self.leaving.cancel();
        // It may wait for the server already.
        let _ = tokio::time::timeout(2 * ATTEMPT, self.beating).await;
    }
}

async fn beat(row: NodeRow, pool: ReadPool, known: KnownNodes, leaving: CancellationToken) {
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = leaving.cancelled() => break,
        }
        pause = pause_after(&in_time(refresh(&row, &pool, &known)).await);
    }
    log_failure(&in_time(pool.execute(row.removal())).await);
}

async fn refresh(row: &NodeRow, pool: &ReadPool, known: &KnownNodes) -> Result<(), StoreError> {
    pool.execute(row.refresh(NodeRole::Active)).await?;
    pool.execute(query(FORGET)).await?;
    let asked = since_boot();
    let rows = pool.fetch_all(query(LIST)).await?;
    // A later version may have other roles.
    let nodes = rows.iter().filter_map(|row| read(row).ok()).collect();
    *known.lock() = FoundNodes { asked, nodes };
    Ok(())
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| Err(StoreError::Late("the server takes too long".into()));
    tokio::time::timeout(ATTEMPT, work).await.unwrap_or_else(late)
}

fn pause_after(refreshed: &Result<(), StoreError>) -> Duration {
    log_failure(refreshed);
    match refreshed {
        Err(StoreError::Unavailable(_)) => LATER,
        _ => EVERY,
    }
}

fn log_failure<T>(done: &Result<T, StoreError>) {
    if let Err(error) = done {
        tracing::debug!(%error, "the list of nodes doesn't show this one as it is");
    }
}

/// The nodes, as the database listed them last.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct KnownNodes(Arc<Mutex<FoundNodes>>);

#[derive(Debug, Default)]
struct FoundNodes {
    /// When the database was asked, by [`since_boot`].
    asked: Duration,
    nodes: Vec<FoundNode>,
}

#[derive(Debug)]
struct FoundNode {
    machine: String,
    process: u32,
    url: String,
    version: String,
    role: NodeRole,
    /// Milliseconds from its start, and from its heartbeat, until the database was asked.
    age: i64,
    silence: i64,
}

impl KnownNodes {
    /// By a clock that shows `now`.
    pub(in crate::store) fn views(&self, now: UnixMillis) -> Vec<NodeView> {
        let found = self.lock();
        let asked = now.0.saturating_sub(millis(since_boot().saturating_sub(found.asked)));
        found.nodes.iter().map(|node| node.view(asked)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, FoundNodes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FoundNode {
    fn view(&self, asked: i64) -> NodeView {
        NodeView {
            machine: self.machine.clone(),
            process: self.process,
            url: self.url.clone(),
            version: self.version.clone(),
            role: self.role,
            started: UnixMillis(asked.saturating_sub(self.age)),
            heartbeat: UnixMillis(asked.saturating_sub(self.silence)),
        }
    }
}

fn read(row: &Row) -> Result<FoundNode, StoreError> {
    let role: String = row.try_get(4)?;
    let role = NodeRole::ALL.into_iter().find(|known| known.as_str() == role);
    Ok(FoundNode {
        machine: row.try_get(0)?,
        process: row.try_get(1)?,
        url: row.try_get(2)?,
        version: row.try_get(3)?,
        role: role.ok_or_else(|| StoreError::unreadable("node", "its role isn't known"))?,
        age: row.try_get(5)?,
        silence: row.try_get(6)?,
    })
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_listens_on_all_addresses_is_reached_by_its_name() {
        let url = |scheme, listen: &str| NodeRow::new(scheme, listen.parse().unwrap()).url;
        assert_eq!(url("http", "127.0.0.1:8600"), "http://127.0.0.1:8600");
        assert_eq!(url("https", "[2001:db8::1]:8600"), "https://[2001:db8::1]:8600");
        let named = format!("https://{}:8600", machine());
        assert_eq!([url("https", "0.0.0.0:8600"), url("https", "[::]:8600")], [named.clone(), named]);
    }
}
