//! The service node: directory, decisions, and who is told of whom, over HTTP.

mod call;
mod config;
mod delivery;
mod dialled_enrolments;
mod disclosure;
mod error;
mod http;
mod lifecycle;
mod listener;
mod live_calls;
mod new_id;
mod pairing;
mod peering;
mod ringing;
mod run_to_completion;
mod server;
mod services;
mod timeline;

pub use crate::peer::PeerConfig;
pub use config::connections::ConnectionsConfig;
pub use config::ice::IceConfig;
pub use config::tokens::{AgentAccess, BootstrapTokens};
pub use config::{KeepCalls, Monitoring, NodeConfig, PbxRouting, Routing, StorageConfig, TlsFiles};
pub use error::NodeError;
pub use http::api::StatusView;
#[doc(hidden)]
pub use http::api::fuzz;
pub use http::openapi::document;
pub use http::problem::Problem;
pub use http::router::ROUTES;
pub use listener::NodeListener;
pub use server::Node;
