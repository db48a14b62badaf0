//! What the node does by itself: it takes up live calls after a restart, does the housekeeping, and watches its
//! database and its disk.

pub(in crate::node) mod database_probe;
pub(in crate::node) mod disk_space;
mod housekeeping;
mod resume;
