//! Asterisk's manager interface: frames, codec, actions, client.
//!
//! [`connect`] logs in and returns an [`AmiClient`] that sends actions, the received [`AmiEvents`], and the
//! [`AmiConnection`], which must be spawned.
//!
//! `frame`, `event`, `reply` and `command` are pure; `codec` only delimits.

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

/// The events of one connection, in order.
pub type AmiEvents = crate::wire::Events<AmiEvent>;
