//! `nodes` in `/v1/status`: the nodes that share a database.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::base::time::UnixMillis;

/// A node whose last heartbeat is older may be gone.
const SILENT: Duration = Duration::from_secs(5);

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// It has the database, and serves.
    Active,
    /// It waits for the database.
    StandBy,
    /// What a later version calls otherwise.
    #[serde(other)]
    Other,
}

impl NodeRole {
    /// Those that this version knows.
    pub const ALL: [NodeRole; 2] = [NodeRole::Active, NodeRole::StandBy];

    /// The word in database, API and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeRole::Active => "active",
            NodeRole::StandBy => "stand_by",
            NodeRole::Other => "other",
        }
    }
}

/// A node that shares the database, as its own row in the database describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    /// The name of its machine.
    pub machine: String,
    /// The id of its process.
    pub process: u32,
    /// Where it listens. If it listens on all addresses, this has the name of its machine.
    pub url: String,
    /// The program's version.
    pub version: String,
    /// What it did at its last heartbeat.
    pub role: NodeRole,
    /// When its process was started.
    pub started: UnixMillis,
    /// Its last heartbeat. There is one every second.
    pub heartbeat: UnixMillis,
}

impl NodeView {
    /// Whether it is there, as far as its heartbeat tells.
    pub fn is_here(&self, now: UnixMillis) -> bool {
        now - self.heartbeat <= SILENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_one_word() {
        for role in NodeRole::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!(serde_json::from_str::<NodeRole>("\"arbiter\"").unwrap(), NodeRole::Other);
    }

    #[test]
    fn a_node_that_is_silent_for_seconds_may_be_gone() {
        let node = |heartbeat| NodeView {
            machine: "node-b".to_owned(),
            process: 1,
            url: "http://node-b:8600".to_owned(),
            version: "0.1.0".to_owned(),
            role: NodeRole::StandBy,
            started: UnixMillis(0),
            heartbeat: UnixMillis(heartbeat),
        };
        let now = UnixMillis(100_000);
        assert!(node(95_000).is_here(now) && !node(94_999).is_here(now));
        assert!(node(100_001).is_here(now), "the heartbeat came after the time was read");
    }
}
