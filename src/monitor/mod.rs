//! Health, metrics and status: what an administrator watches.

pub mod agent;
