//! What clients may take of a node: connections, time, attempts, and space on its disk.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod caps;
mod hosts;
mod logins;
mod scopes;
mod stalls;
mod storage;
#[allow(dead_code, reason = "the other tests of the node have more uses for it")]
#[path = "../node_http/support.rs"]
mod support;
