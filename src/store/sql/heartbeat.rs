//! The heartbeat by which a node shows others that it is there: its row in `nodes`.
//!
//! Nothing depends on it, and nothing waits for it. What fails is tried again, and the log of the node that serves says so.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::lease::{machine, since_boot};
use super::query::{Query, query};
use super::read_pool::ReadPool;
use super::row::Row;
use crate::contract::{NodeRole, NodeView};
use crate::core::base::time::UnixMillis;
use crate::store::StoreError;

/// The pause between two heartbeats.
const EVERY: Duration = Duration::from_secs(1);
/// The pause after a failure that may last: the tables may be those of an earlier version. A node that is silent for longer
/// counts as gone.
const LATER: Duration = Duration::from_secs(3);
/// How long an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);
/// A node that stands by and hasn't seen the lease for so long may not be able to take it.
const UNSEEN: Duration = Duration::from_secs(2);

const REFRESH: &str = "INSERT INTO nodes (id, machine, process, url, version, role, started, heartbeat)
    VALUES ($1, $2, $3, $4, $5, $6, now() - CAST($7 AS BIGINT) * INTERVAL '1 millisecond', now())
    ON CONFLICT (id) DO UPDATE SET role = excluded.role, started = excluded.started, heartbeat = excluded.heartbeat";
const REMOVE: &str = "DELETE FROM nodes WHERE id = $1";
/// Rows of nodes that are long gone, those that a clock set wrong has left behind, and those of nodes in whose place another
/// process has started since: before they count as gone.
const FORGET: &str =
    "DELETE FROM nodes WHERE heartbeat < now() - INTERVAL '1 day' OR heartbeat > now() + INTERVAL '1 day' OR
    (heartbeat < now() - INTERVAL '4 seconds' AND EXISTS (SELECT 1 FROM nodes AS later
        WHERE later.machine = nodes.machine AND later.url = nodes.url AND later.started > nodes.heartbeat))";
/// With times in milliseconds before now. A heartbeat that is still to come was before the server's clock was set back. The
/// rows are other processes' text: there may be any number of them, of any length.
const LIST: &str = "SELECT left(machine, 255), process, left(url, 255), left(version, 255), left(role, 255),
        CAST(EXTRACT(EPOCH FROM now() - started) * 1000 AS BIGINT),
        CAST(ABS(EXTRACT(EPOCH FROM now() - heartbeat)) * 1000 AS BIGINT)
    FROM (SELECT * FROM nodes ORDER BY heartbeat DESC LIMIT 100) AS freshest ORDER BY role, machine, url, id";

/// This process, as other nodes on its database see it.
#[derive(Debug, Clone)]
pub struct NodeRow {
    /// Its own: a process in a container may have the number, the name and the port of another one.
    id: Uuid,
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
        NodeRow { id: Uuid::now_v7(), machine, url, started: since_boot() }
    }

    fn refresh(&self, role: NodeRole) -> Query {
        let age = millis(since_boot().saturating_sub(self.started));
        let described = self.identified(REFRESH).bind(self.machine.as_str()).bind(std::process::id());
        described.bind(self.url.as_str()).bind(env!("CARGO_PKG_VERSION")).bind(role.as_str()).bind(age)
    }

    fn removal(&self) -> Query {
        self.identified(REMOVE)
    }

    /// A statement whose first parameter is the key of the row.
    fn identified(&self, statement: &'static str) -> Query {
        query(statement).bind(self.id.to_string())
    }
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// It may never be able to serve.
    Starts,
    /// It saw the lease of another one then, by [`since_boot`], and waits for it.
    StandsBy(Duration),
    Serves,
    Leaves,
}

impl Doing {
    /// The role in which others may count on it by now.
    fn role(self) -> Option<NodeRole> {
        match self {
            Doing::StandsBy(seen) if since_boot().saturating_sub(seen) < UNSEEN => Some(NodeRole::StandBy),
            Doing::Serves => Some(NodeRole::Active),
            Doing::Starts | Doing::StandsBy(_) | Doing::Leaves => None,
        }
    }
}

/// The heartbeat of a node, on a connection of its own. That of the node that serves also lists others, and forgets those
/// that are gone.
pub(super) struct Heartbeat {
    known: KnownNodes,
    doing: watch::Sender<Doing>,
    beating: AbortOnDropHandle<()>,
}

impl Heartbeat {
    /// Refreshes the row by the connections of `pool`, once the node stands by or serves.
    pub(super) fn start(row: NodeRow, pool: ReadPool) -> Heartbeat {
        let (known, (doing, seen)) = (KnownNodes::default(), watch::channel(Doing::Starts));
        let beating = tokio::spawn(beat(row, pool, known.clone(), seen));
        Heartbeat { known, doing, beating: AbortOnDropHandle::new(beating) }
    }

    /// The node waits for a lease, which it has just seen.
    pub(super) fn stands_by(&self) {
        self.doing.send_replace(Doing::StandsBy(since_boot()));
    }

    /// The node has the lease.
    pub(super) fn serves(&self) {
        self.doing.send_replace(Doing::Serves);
    }

    /// The nodes that there are, as the one that serves knows.
    pub(super) fn nodes(&self) -> KnownNodes {
        self.known.clone()
    }

    /// Removes the row, and ends.
    pub(super) async fn stop(self) {
        self.doing.send_replace(Doing::Leaves);
        // It may wait for the server already.
        let _ = tokio::time::timeout(2 * ATTEMPT, self.beating).await;
    }
}

async fn beat(row: NodeRow, pool: ReadPool, known: KnownNodes, mut doing: watch::Receiver<Doing>) {
    let mut is_told = false;
    loop {
        let now = *doing.borrow();
        if now == Doing::Leaves {
            break;
        }
        let role = now.role();
        let pause = match role {
            Some(role) => {
                let refreshed = in_time(refresh(&row, role, &pool, &known)).await;
                log_refresh(&refreshed, role, &mut is_told);
                pause_after(&refreshed)
            }
            None => EVERY,
        };
        // It shows at once that it does something else.
        let changes = doing.wait_for(|now| *now == Doing::Leaves || now.role() != role);
        if tokio::time::timeout(pause, changes).await.is_ok_and(|seen| seen.is_err()) {
            return;
        }
    }
    log_failure(&in_time(pool.execute(row.removal())).await);
}

async fn refresh(row: &NodeRow, role: NodeRole, pool: &ReadPool, known: &KnownNodes) -> Result<(), StoreError> {
    pool.execute(row.refresh(role)).await?;
    if role != NodeRole::Active {
        return Ok(());
    }
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
    match refreshed {
        Err(StoreError::Unavailable(_)) => LATER,
        _ => EVERY,
    }
}

/// Tells administrators once that the node that serves can't refresh the list. `is_told`: they know that, and it still fails.
fn log_refresh(refreshed: &Result<(), StoreError>, role: NodeRole, is_told: &mut bool) {
    match refreshed {
        Err(error) if role == NodeRole::Active && !*is_told => {
            *is_told = true;
            tracing::warn!(%error, "the list of nodes can't be refreshed: calls don't need it");
        }
        Ok(()) if *is_told => {
            *is_told = false;
            tracing::info!("the list of nodes is refreshed again");
        }
        _ => log_failure(refreshed),
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
