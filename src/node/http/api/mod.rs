//! The handlers, one file for each noun of the API.

pub(super) mod calls;
pub(super) mod clients;
pub mod fuzz;
pub(super) mod import;
pub(super) mod inbox;
mod lines;
pub(super) mod monitoring;
pub(super) mod numbers;
pub(super) mod offers;
pub(super) mod pbxs;
pub(super) mod stream;

pub use monitoring::StatusView;
