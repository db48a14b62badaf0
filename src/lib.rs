//! sidecall: the multimedia clients of two people on the phone learn each other's address.
//!
//! The library exists for the binary, its tests and its benches. `docs/ARCHITECTURE.md` shows the
//! rooms and the direction of their imports.

pub mod agent;
pub mod ami;
pub mod cli;
pub mod config;
pub mod contract;
pub mod core;
pub mod esl;
pub mod guard;
pub mod lnp;
pub mod media;
pub mod monitor;
pub mod node;
pub mod pbx;
pub mod peer;
pub mod push;
pub mod store;
pub mod web;
pub mod wire;
