//! An agent between a scripted FreeSWITCH and a scripted node. Used by tests (`mod scripted;`) and by a bench (`#[path]`).

// Each user has its own part of this.
#![allow(dead_code, unreachable_pub, unused_imports, missing_docs, clippy::unwrap_used)]

pub mod node;

use std::net::SocketAddr;

pub use lab::scripted::{Freeswitch, Heard, micros, until, until_within};
pub use node::Node;
use serde_json::{Value, json};
use sidecall::agent::{Agent, AgentConfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An agent between the two.
pub fn agent(freeswitch: SocketAddr, node: SocketAddr) -> Agent {
    agent_with(freeswitch, node, json!({}))
}

/// An agent whose `[[pbx]]` has more keys.
pub fn agent_with(freeswitch: SocketAddr, node: SocketAddr, keys: Value) -> Agent {
    agent_of(freeswitch, &[node], keys)
}

/// What an agent knows of its nodes.
pub fn config(nodes: &[SocketAddr]) -> AgentConfig {
    // As the binary does; it may have been done by another test.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let nodes = nodes.iter().map(|node| format!("http://{node}").parse().unwrap()).collect();
    AgentConfig { nodes, token: Some("token".into()), ..AgentConfig::default() }
}

/// An agent that knows these nodes.
pub fn agent_of(freeswitch: SocketAddr, nodes: &[SocketAddr], keys: Value) -> Agent {
    let mut pbx = json!({ "name": "office", "kind": "freeswitch",
        "address": freeswitch.to_string(), "password": "secret", "context": "pbx.example", "region": "US" });
    for (key, value) in keys.as_object().unwrap() {
        pbx[key] = value.clone();
    }
    Agent::new(config(nodes), vec![serde_json::from_value(pbx).unwrap()]).unwrap()
}

/// An agent that runs.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    pub fn start(agent: Agent) -> Running {
        let stop = CancellationToken::new();
        Running { task: tokio::spawn(agent.run(stop.clone())), stop }
    }

    /// Waits for its goodbye.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Kills it.
    pub fn abort(self) {
        self.task.abort();
    }
}

/// An agent whose link to both is up.
pub async fn linked() -> (Freeswitch, Node, Running) {
    linked_with(json!({})).await
}

/// The same with more keys in its `[[pbx]]`.
pub async fn linked_with(keys: Value) -> (Freeswitch, Node, Running) {
    let freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let agent = Running::start(agent_with(freeswitch.address, node.address, keys));
    until(&mut node.links, |report| report["link"] == "up").await;
    (freeswitch, node, agent)
}
