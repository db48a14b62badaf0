//! Starts a node: at once, or when no other one has its database any more.

use std::pin::{Pin, pin};

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::monitor::Tasks;
use crate::node::{BootstrapTokens, Node, NodeConfig, NodeError, NodeListener};
use crate::store::{StandByReason, Store, StoreError};

/// A node that is about to serve.
pub(super) enum StartedNode {
    /// It has its database.
    Ready(Box<Node>),
    /// Another one has it.
    StandBy(Box<StandBy>),
}

pub(super) struct StandBy {
    listener: NodeListener,
    opening: Pin<Box<dyn Future<Output = Result<Store, StoreError>> + Send>>,
    /// What it waits for.
    reasons: watch::Receiver<Option<StandByReason>>,
    tokens: BootstrapTokens,
    tasks: Tasks,
    /// Stops the opening.
    cancel: CancellationToken,
}

/// Takes the database if it is free, and binds. Only PostgreSQL can be waited for.
pub(super) async fn start_node(
    config: &NodeConfig,
    tokens: &BootstrapTokens,
    tasks: &Tasks,
) -> Result<StartedNode, NodeError> {
    let (told, mut reasons) = watch::channel(None);
    let cancel = CancellationToken::new();
    let mut opening = Box::pin(Store::stand_by(config.database.clone(), config.row(), told, cancel.clone()));
    let opened = tokio::select! {
        opened = &mut opening => Some(opened?),
        Ok(()) = reasons.changed() => None,
    };
    // Until now clients were refused, and waited for nothing.
    let listener = NodeListener::bind(config);
    if let (Err(_), Some(store)) = (&listener, &opened) {
        store.close().await;
    }
    let listener = listener?;
    let (tokens, tasks) = (tokens.clone(), tasks.clone());
    Ok(match opened {
        Some(store) => StartedNode::Ready(Box::new(node(&listener, &tokens, store, tasks).await?)),
        None => StartedNode::StandBy(Box::new(StandBy { listener, opening, reasons, tokens, tasks, cancel })),
    })
}

/// A node with this database, which others get at once if the node can't be.
async fn node(
    listener: &NodeListener,
    tokens: &BootstrapTokens,
    store: Store,
    tasks: Tasks,
) -> Result<Node, NodeError> {
    let node = Node::at(listener, tokens, store.clone(), tasks).await;
    if node.is_err() {
        store.close().await;
    }
    node
}

impl StartedNode {
    /// Serves until `stop` is cancelled. Stands by before that, if it must.
    pub(super) async fn serve(self, stop: CancellationToken) -> Result<(), NodeError> {
        let node = match self {
            StartedNode::Ready(node) => *node,
            StartedNode::StandBy(waiting) => {
                let _ = sd_notify::notify(&[NotifyState::Status("stands by: another node serves")]);
                match waiting.node(&stop).await? {
                    Some(node) => node,
                    None => return Ok(()),
                }
            }
        };
        let _ = sd_notify::notify(&[NotifyState::Status("serves")]);
        node.serve(stop).await
    }
}

impl StandBy {
    /// Answers requests until there is a node. None if `stop` is cancelled before: then others get the database at once.
    async fn node(self: Box<StandBy>, stop: &CancellationToken) -> Result<Option<Node>, NodeError> {
        let StandBy { listener, opening, reasons, tokens, tasks, cancel } = *self;
        let mut starting = pin!(async {
            let store = opening.await?;
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    store.close().await;
                    Ok(None)
                }
                node = node(&listener, &tokens, store.clone(), tasks) => node.map(Some),
            }
        });
        let started_or_stopped = async {
            tokio::select! {
                started = &mut starting => started,
                () = stop.cancelled() => {
                    // It no longer becomes a node, but answers requests until it has ended.
                    cancel.cancel();
                    let _ = (&mut starting).await;
                    Ok(None)
                }
            }
        };
        match listener.stand_by(reasons, started_or_stopped).await {
            Ok(started) => started,
            Err(broken) => {
                cancel.cancel();
                let _ = starting.await;
                Err(broken)
            }
        }
    }
}
