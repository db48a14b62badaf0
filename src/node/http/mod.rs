//! The HTTP server and the API: connections, routes, authentication and the handlers.

pub(in crate::node) mod api;
pub(in crate::node) mod auth;
mod certificate;
pub(in crate::node) mod connections;
mod disk_guard;
mod extract;
pub(in crate::node) mod hosts;
pub(in crate::node) mod limit;
pub(in crate::node) mod logins;
mod middleware;
pub(in crate::node) mod openapi;
pub(in crate::node) mod problem;
pub(in crate::node) mod router;
pub(in crate::node) mod server;
mod socket;
pub(in crate::node) mod tls;
pub(in crate::node) mod tokens;
