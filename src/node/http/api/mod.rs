//! The handlers, one file for each noun of the API.

pub(in crate::node) mod call_views;
pub(in crate::node) mod calls;
pub(in crate::node) mod clients;
pub mod fuzz;
pub(in crate::node) mod import;
pub(in crate::node) mod inbox;
mod lines;
pub(in crate::node) mod monitoring;
pub(in crate::node) mod numbers;
pub(in crate::node) mod offers;
pub(in crate::node) mod pbxs;
pub(in crate::node) mod stream;

pub use monitoring::StatusView;
