//! The HTTP server and the API: connections, routes, authentication and the handlers.

pub(in crate::node) mod api;
pub(in crate::node) mod auth;
mod client_certificate;
pub(in crate::node) mod configured_tokens;
pub(in crate::node) mod connection_limit;
mod disk_guard;
pub(in crate::node) mod dns_rebinding;
mod extract;
pub(in crate::node) mod failed_logins;
mod middleware;
pub(in crate::node) mod openapi;
pub(in crate::node) mod origins;
pub(in crate::node) mod problem;
pub(in crate::node) mod rate_limits;
pub(in crate::node) mod router;
pub(in crate::node) mod server;
mod socket;
pub(in crate::node) mod stand_by;
pub(in crate::node) mod tls;
