//! The nodes that share a database: a row for each, where the database is PostgreSQL.

use super::sql::{self, NodeRow};
use super::{Location, Store};
use crate::contract::NodeView;
use crate::core::base::time::UnixMillis;

impl Store {
    /// The nodes, the active one first, by a clock that shows `now`. From memory, and so as old as the last answer of the
    /// database. None if the database is a file, or if this process isn't a node.
    pub fn nodes(&self, now: UnixMillis) -> Option<Vec<NodeView>> {
        self.nodes.as_ref().map(|known| known.views(now))
    }
}

impl NodeRow {
    /// Removes the row of a node that stops while it stands by. A node that serves removes its row when its store is closed.
    pub async fn remove_from(self, database: Location) {
        if let Location::Postgres(url) = database {
            sql::remove_node(url.as_str(), &self).await;
        }
    }
}
