//! Asterisk's manager interface: bytes ↔ messages, a codec that only delimits, a client that owns a connection.
//!
//! [`connect`] logs in and gives three things: an [`AmiClient`] that sends actions, the [`AmiEvents`] that
//! come in, and the [`AmiConnection`] that does the work once it is spawned.
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

pub use auth::{AmiAuth, Method};
pub use client::{AmiClient, AmiOptions, connect, connect_stream};
pub use codec::{AmiCodec, AmiLimits};
pub use command::Action;
pub use connection::AmiConnection;
pub use error::AmiError;
pub use event::AmiEvent;
pub use frame::{AmiFrame, AmiFrameKind};
pub use reply::AmiReply;
pub use scrub::scrub;
pub use tls::Tls;

pub use crate::wire::{Item, Tap};

/// The events of one connection, in the order in which they came.
pub type AmiEvents = crate::wire::Events<AmiEvent>;
