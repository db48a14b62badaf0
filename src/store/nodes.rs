//! The nodes that share a database: a row for each, where the database is PostgreSQL.

use super::Store;
use crate::contract::NodeView;
use crate::core::base::time::UnixMillis;

impl Store {
    /// The nodes, the active one first, by a clock that shows `now`. From memory, and so as old as the last answer of the
    /// database: empty before the first one. None if the database is a file, or if this process isn't a node.
    pub fn nodes(&self, now: UnixMillis) -> Option<Vec<NodeView>> {
        self.nodes.as_ref().map(|known| known.views(now))
    }
}
