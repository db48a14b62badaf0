//! What a node waits for that stands by.

use std::fmt;

use crate::contract::StandByState;

/// An owner of the database that isn't known.
pub(super) const SOMEBODY: &str = "another process";

/// Why a node that stands by doesn't serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandByReason {
    /// Another process has the database.
    Held {
        /// `process 4711 on node-a`.
        by: String,
    },
    /// Other transactions keep it from taking the database over.
    Busy,
    /// The server can't be reached, or fails.
    Unavailable,
    /// It has taken the database over, and loads it.
    TakesOver,
}

impl StandByReason {
    /// Another process has the database, and nobody knows which one.
    pub fn held_by_somebody() -> StandByReason {
        StandByReason::Held { by: SOMEBODY.to_owned() }
    }

    /// What the node can do meanwhile.
    pub fn state(&self) -> StandByState {
        match self {
            StandByReason::Held { .. } => StandByState::Waits,
            StandByReason::Busy | StandByReason::Unavailable => StandByState::Unable,
            StandByReason::TakesOver => StandByState::TakesOver,
        }
    }
}

impl fmt::Display for StandByReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StandByReason::Held { by } => write!(f, "{by} has the database"),
            StandByReason::Busy => f.write_str("the database is busy with other transactions"),
            StandByReason::Unavailable => f.write_str("the database isn't available"),
            StandByReason::TakesOver => f.write_str("it takes over the database"),
        }
    }
}
