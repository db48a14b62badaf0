//! What clients may take of a node: connections, time, attempts, and space on its disk.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[allow(unreachable_pub, dead_code, reason = "the lab's as well")]
#[path = "../lab/age.rs"]
mod age;
#[allow(unreachable_pub, reason = "the lab's as well")]
#[path = "../lab/ca.rs"]
mod ca;
mod caps;
mod hosts;
mod logins;
mod scopes;
mod stalls;
mod storage;
#[allow(dead_code, reason = "the other tests of the node have more uses for it")]
#[path = "../node_http/support.rs"]
mod support;
