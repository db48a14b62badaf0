//! What an agent says of a call: the announcement, which the node answers with a decision, and the events that follow.

pub(in crate::node) mod decide;
pub(in crate::node) mod events;
mod identify;
