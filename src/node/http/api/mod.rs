//! The handlers, one file for each noun of the API.

pub(in crate::node) mod call_views;
pub(in crate::node) mod calls;
pub(in crate::node) mod claims;
pub(in crate::node) mod client_stream;
pub(in crate::node) mod clients;
mod csv_lines;
pub(in crate::node) mod devices;
pub(in crate::node) mod dialled_enrolments;
pub(in crate::node) mod enrolments;
pub mod fuzz;
pub(in crate::node) mod guests;
pub(in crate::node) mod ice;
pub(in crate::node) mod inbox;
pub(in crate::node) mod monitoring;
pub(in crate::node) mod number_import;
pub(in crate::node) mod numbers;
pub(in crate::node) mod pbxs;
pub(in crate::node) mod peer_offers;
mod stream_reader;
mod stream_start;
pub(in crate::node) mod web_client;

pub use monitoring::StatusView;
