//! The event-socket client: attaches to PBXs, holds calls for a decision, follows them and tells the
//! node.
//!
//! | module | what |
//! |---|---|
//! | `link` | one PBX: connect, reconnect, and what is done on a connection |
//! | `follow` | its calls: what events and snapshots mean to them |
//! | `call` | one call: decide, answer, register, report in order |
//! | `enrolment` | codes that phones dial to enrol a page |
//! | `sip_messages` | SIP MESSAGEs that the node asks for |
//! | `direct_listener` | FreeSWITCH's outbound sockets |
//! | `node_client` | the nodes, over HTTP |
//! | `node_client_error` | why they gave no answer |
//! | `nodes` | which of them is used, and which is asked for a decision |

mod call;
mod config;
mod direct_listener;
mod enrolment;
mod follow;
#[doc(hidden)]
pub mod fuzz;
mod link;
mod node_client;
mod node_client_error;
mod nodes;
mod sip_messages;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{AgentConfig, PbxConfig};
pub use node_client::NodeClient;
pub use node_client_error::NodeClientError;

use crate::monitor::{Tasks, micros, now};

/// How often each node is asked for a sign of life while calls are up, or while the node in use fails.
const PROBE_EVERY: Duration = Duration::from_millis(300);

/// How long reports that are under way may take after a shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(2);

/// What all links and calls of an agent share.
#[derive(Debug)]
struct Shared {
    id: String,
    node: NodeClient,
    deadline: Duration,
    calls: TaskTracker,
    tasks: Tasks,
    /// Fires when reports must stop too.
    stop: CancellationToken,
}

/// An agent, ready to run.
#[derive(Debug)]
pub struct Agent {
    shared: Arc<Shared>,
    pbxs: Vec<PbxConfig>,
}

impl Agent {
    /// An agent for the PBXs of a configuration. Fails if the HTTP client can't be made.
    pub fn new(config: AgentConfig, pbxs: Vec<PbxConfig>) -> Result<Agent, NodeClientError> {
        let id = uuid::Uuid::now_v7().simple().to_string();
        let shared = Shared {
            node: NodeClient::new(&config, id.clone())?,
            id,
            deadline: Duration::from_millis(config.deadline_ms),
            calls: TaskTracker::new(),
            tasks: Tasks::default(),
            stop: CancellationToken::new(),
        };
        Ok(Agent { shared: Arc::new(shared), pbxs })
    }

    /// Registers its internal tasks there, with those of the node in the same process.
    #[must_use]
    pub fn registered_in(mut self, tasks: Tasks) -> Agent {
        // Nobody else has it yet.
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.tasks = tasks;
        }
        self
    }

    /// Its internal tasks.
    pub fn tasks(&self) -> Tasks {
        self.shared.tasks.clone()
    }

    /// Attaches to every PBX and serves until `shutdown`. Then says goodbye, so that no call waits
    /// for us any more, and gives reports that are under way a moment. Fails if a `direct` listener can't be bound.
    pub async fn run(self, shutdown: CancellationToken) -> std::io::Result<()> {
        // All before the first link is made: an agent that can't start must not have attached.
        let mut listeners = Vec::new();
        for pbx in &self.pbxs {
            listeners.push(match pbx.direct {
                Some(address) => Some(tokio::net::TcpListener::bind(address).await?),
                None => None,
            });
        }
        let mut links = JoinSet::new();
        if self.shared.node.used().is_some() {
            let (shared, stop) = (Arc::clone(&self.shared), shutdown.clone());
            links.spawn(async move {
                let probe = probe(&shared, &stop).map(Ok::<(), Infallible>);
                let _ = shared.tasks.run("probe of the nodes", &stop, probe).await;
            });
        }
        for (pbx, listener) in self.pbxs.into_iter().zip(listeners) {
            let (shared, tasks, stop) = (Arc::clone(&self.shared), self.shared.tasks.clone(), shutdown.clone());
            links.spawn(async move {
                let name = format!("link to {}", pbx.name);
                let link = link::supervise(shared, pbx, listener, stop.clone());
                let _ = tasks.run(name, &stop, link.map(Ok::<(), Infallible>)).await;
            });
        }
        // A PBX without its link would be silently left alone: whoever watches the tasks ends this agent then.
        while links.join_next().await.is_some() {}
        self.shared.calls.close();
        if tokio::time::timeout(DRAIN, self.shared.calls.wait()).await.is_err() {
            self.shared.stop.cancel();
            self.shared.calls.wait().await;
        }
        Ok(())
    }
}

/// Finds out which nodes work before a call does, until `shutdown`. While no call is up, the reports of the links find out that
/// the node in use does not.
async fn probe(shared: &Shared, shutdown: &CancellationToken) {
    // Each by itself: one that is silent takes no time from the others.
    let probes = join_all((0..shared.node.count()).map(|node| probe_one(shared, node)));
    let _ = shutdown.run_until_cancelled(probes).await;
}

async fn probe_one(shared: &Shared, node: usize) -> Infallible {
    let mut tick = tokio::time::interval(PROBE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if !shared.calls.is_empty() || shared.node.has_failed() {
            shared.node.probe(node).await;
        }
    }
}
