//! The service node: directory, decisions, and who is told of whom, over HTTP.

mod api;
mod app;
mod auth;
mod capability;
mod certificate;
mod config;
mod decision;
mod error;
mod extract;
mod far;
mod handover;
mod identity;
mod limit;
mod middleware;
mod offering;
mod offers;
mod openapi;
mod pairing;
mod parts;
mod problem;
mod report;
mod resume;
mod router;
mod server;
mod story;
mod sweep;
mod taken;

pub use crate::peer::PeerConfig;
pub use api::StatusView;
#[doc(hidden)]
pub use api::fuzz;
pub use config::{KeepCalls, Monitoring, NodeConfig, PbxRouting, Routing, TlsFiles};
pub use error::NodeError;
pub use openapi::document;
pub use problem::Problem;
pub use router::ROUTES;
pub use server::{BootstrapTokens, Node};
