//! `run`, `node` and `agent`: runs the daemons.

use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::start_node::start_node;
use crate::agent::Agent;
use crate::config::Config;
use crate::monitor::{Ended, Metrics, Tasks, clock};

/// Time limit for the shutdown after a part has failed, which the other parts may wait for.
const BROKEN_FAREWELL: Duration = Duration::from_secs(5);
/// How often a stand-alone agent checks the wall clock; a node does so in its database probe.
const CLOCK: Duration = Duration::from_secs(1);

/// The parts that run in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roles {
    /// Agent and node.
    Both,
    /// The node.
    Node,
    /// The agent.
    Agent,
}

/// Runs until SIGTERM or SIGINT. Stops the agent before the node, so that it can still report.
pub(super) async fn serve(config: Config, roles: Roles) -> anyhow::Result<()> {
    let (stop_agent, stop_node) = (CancellationToken::new(), CancellationToken::new());
    let tasks = Tasks::default();
    if roles != Roles::Agent {
        // The agent's first values count, too.
        Metrics::install();
    }
    let agent = match roles {
        Roles::Node => None,
        Roles::Both | Roles::Agent if config.pbx.is_empty() => {
            tracing::warn!("no [[pbx]] is configured: the agent has nothing to attach to");
            None
        }
        Roles::Both | Roles::Agent => {
            let agent = Agent::new(config.agent, config.pbx).context("the agent can't start")?;
            Some(agent.registered_in(tasks.clone()))
        }
    };
    let node = match roles {
        Roles::Agent => None,
        Roles::Both | Roles::Node => {
            Some(start_node(&config.node, &config.tokens, &tasks).await.context("the node can't start")?)
        }
    };
    // If a part ends or panics, the process exits and its supervisor starts it again.
    let serving = node.map(|node| {
        let (tasks, stop) = (tasks.clone(), stop_node.clone());
        tokio::spawn(async move { tasks.run("node", &stop, node.serve(stop.clone())).await })
    });
    let attached = agent.map(|agent| {
        let (tasks, stop) = (tasks.clone(), stop_agent.clone());
        tokio::spawn(async move { tasks.run("agent", &stop, agent.run(stop.clone())).await })
    });
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let watchdog = tokio::spawn(feed_watchdog(tasks.clone(), stop_agent.clone()));
    let broken = tokio::select! {
        ended = wait_for_end() => { ended?; None }
        ended = tasks.failed() => Some(ended),
    };
    tracing::info!("stopping: saying goodbye to the PBXs");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    let farewell = async {
        stop_agent.cancel();
        let attached = match attached {
            Some(attached) => attached.await.context("the agent broke")?,
            None => None,
        };
        stop_node.cancel();
        if let Some(serving) = serving {
            serving.await.context("the node broke")?.transpose().context("the node broke")?;
        }
        attached.transpose().context("the agent can't listen where [[pbx]] says `direct`")?;
        anyhow::Ok(())
    };
    let done = match &broken {
        None => farewell.await,
        Some(ended) => broken_farewell(ended, farewell).await,
    };
    watchdog.abort();
    done
}

/// Shuts down as far as possible after a failure, and returns the failure.
async fn broken_farewell(ended: &Ended, farewell: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    match tokio::time::timeout(BROKEN_FAREWELL, farewell).await {
        Ok(Err(error)) => Err(error.context(ended.to_string())),
        _ => Err(anyhow::anyhow!("{ended}")),
    }
}

async fn wait_for_end() -> anyhow::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}

/// Feeds systemd's watchdog at the interval set in the unit, unless a task makes no progress. If the process hangs,
/// systemd kills it, which frees the calls that wait on a `direct` socket.
async fn feed_watchdog(tasks: Tasks, stopping: CancellationToken) {
    let limit = sd_notify::watchdog_enabled();
    let mut tick = tokio::time::interval(limit.map_or(CLOCK, |limit| (limit / 3).max(Duration::from_millis(100))));
    let mut told = None;
    loop {
        tick.tick().await;
        clock::note_step();
        // A shutdown may take longer than the watchdog allows; the unit's TimeoutStopSec limits it.
        let stalled = tasks.stalled().filter(|_| !stopping.is_cancelled());
        if stalled.is_some() != told.is_some() {
            match &stalled {
                Some(stalled) => tracing::error!(stalled, "a task is hung: the watchdog is not fed"),
                None => tracing::info!("all tasks make progress again"),
            }
            told.clone_from(&stalled);
        }
        if stalled.is_none() && limit.is_some() {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        }
    }
}
