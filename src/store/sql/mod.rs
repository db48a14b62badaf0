//! Statements, their parameters, rows and connections. The rest of the store writes SQL and names no type of the library
//! that runs it.
//!
//! Statements keep to what SQLite and PostgreSQL have in common. A statement with a fixed text numbers its parameters: `$1`,
//! `$2`. [`Builder`] writes the others.

mod builder;
mod connection;
mod error;
mod fence;
mod heartbeat;
mod keeper;
mod lease;
mod postgres;
mod query;
mod read_pool;
mod retries;
mod row;
mod server_url;
mod sqlite;
mod value;
mod wait;

pub(super) use builder::Builder;
pub(super) use connection::{Connection, Pool, open_file, open_url};
pub(super) use heartbeat::KnownNodes;
pub use heartbeat::NodeRow;
pub(super) use keeper::LeaseWatch;
pub(super) use query::{Query, Target, query, scalar};
pub(super) use retries::Retries;
#[cfg(test)]
pub(super) use row::Column;
pub(super) use row::Row;
pub(super) use server_url::check_url;
pub(super) use value::Value;
pub(super) use wait::Wait;
