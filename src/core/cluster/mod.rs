//! What processes that want the same database must agree on.

pub mod freshness;
