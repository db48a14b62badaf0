//! The node as its users meet it: over HTTP, on a loopback port, with a database of its own.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod access;
mod calls;
mod directory;
mod exchange;
mod handover;
mod inbox;
mod legs;
mod monitoring;
mod pairing;
mod peers;
mod policy;
mod portability;
mod restart;
mod streams;
mod support;
mod webhooks;
