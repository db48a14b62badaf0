//! Asterisk's manager interface: bytes ↔ messages, a codec that only delimits, a client that owns a connection.
//!
//! [`connect`] logs in and gives three things: a [`Client`] that sends actions, the [`Events`] that
//! come in, and the [`Connection`] that does the work once it is spawned.
//!
//! | file | what |
//! |---|---|
//! | `frame` | pure: bytes → frame |
//! | `event` | pure: lazy access to an event's fields |
//! | `reply` | pure: the answer to an action |
//! | `command` | pure: typed actions → bytes |
//! | `codec` | where a frame ends |
//! | `auth` | log-in, plain or by challenge |
//! | `scrub` | what a recording or a log shows: no secrets |
//! | `connection` | owns the socket; replies and lists are matched by `ActionID` |
//! | `client` | the handle |
//! | `tls` | TLS, whose trust the caller decides on |

mod auth;
mod client;
mod codec;
mod command;
mod connection;
mod error;
mod event;
mod frame;
#[doc(hidden)]
pub mod fuzz;
mod reply;
mod scrub;
mod tls;

pub use auth::{Auth, Method};
pub use client::{Client, Options, connect, connect_stream};
pub use codec::{Codec, Limits};
pub use command::Action;
pub use connection::Connection;
pub use error::Error;
pub use event::Event;
pub use frame::{Frame, Kind};
pub use reply::Reply;
pub use scrub::scrub;
pub use tls::Tls;

pub use crate::wire::Tap;

/// The events of one connection, in the order in which they came.
pub type Events = crate::wire::Events<Event>;

/// What comes out of [`Events`].
pub type Item = crate::wire::Item<Event>;
