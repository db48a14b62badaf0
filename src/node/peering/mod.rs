//! What this node and the nodes of other organisations tell each other of their calls.

pub(in crate::node) mod inbound;
pub(in crate::node) mod outbound;
