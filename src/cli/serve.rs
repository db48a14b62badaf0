//! `run`, `node` and `agent`: the daemons.

use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::config::Config;
use crate::node::Node;
use crate::store::Store;

/// What runs in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roles {
    /// Agent and node.
    Both,
    /// The node.
    Node,
    /// The agent.
    Agent,
}

/// Serves until SIGTERM or SIGINT. The agent goes first, so that it can still report its goodbye.
pub(super) async fn serve(config: Config, roles: Roles) -> anyhow::Result<()> {
    let (stop_agent, stop_node) = (CancellationToken::new(), CancellationToken::new());
    let node = match roles {
        Roles::Agent => None,
        Roles::Both | Roles::Node => {
            let store = Store::open(&config.node.database).await.context("the node can't start")?;
            Some(Node::bind(&config.node, &config.tokens, store).await.context("the node can't start")?)
        }
    };
    let agent = match roles {
        Roles::Node => None,
        Roles::Both | Roles::Agent if config.pbx.is_empty() => {
            tracing::warn!("no [[pbx]] is configured: the agent has nothing to attach to");
            None
        }
        Roles::Both | Roles::Agent => Some(Agent::new(config.agent, config.pbx).context("the agent can't start")?),
    };
    // Half a program is none: when a part has ended, by itself or by a panic, its supervisor starts a whole one.
    let broken = CancellationToken::new();
    let serving = node.map(|node| {
        let (stop, ended) = (stop_node.clone(), broken.clone().drop_guard());
        tokio::spawn(async move { (node.serve(stop).await, ended).0 })
    });
    let attached = agent.map(|agent| {
        let (stop, ended) = (stop_agent.clone(), broken.clone().drop_guard());
        tokio::spawn(async move { (agent.run(stop).await, ended).0 })
    });
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let watchdog = tokio::spawn(feed_watchdog());
    tokio::select! {
        ended = wait_for_end() => ended?,
        () = broken.cancelled() => {}
    }
    tracing::info!("stopping: saying goodbye to the PBXs");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    stop_agent.cancel();
    let attached = match attached {
        Some(attached) => Some(attached.await),
        None => None,
    };
    stop_node.cancel();
    if let Some(serving) = serving {
        serving.await.context("the node broke")?.context("the node broke")?;
    }
    watchdog.abort();
    if let Some(attached) = attached {
        attached.context("the agent broke")?.context("the agent can't listen where [[pbx]] says `direct`")?;
    }
    Ok(())
}

async fn wait_for_end() -> anyhow::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

/// Tells systemd that this process is not hung, as often as its unit asks for it: calls that wait on
/// a `direct` socket are freed when it kills us.
async fn feed_watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut tick = tokio::time::interval((limit / 3).max(Duration::from_millis(100)));
    loop {
        tick.tick().await;
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
    }
}
