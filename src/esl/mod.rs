//! FreeSWITCH's event socket: frames, codec, commands, client.
//!
//! [`connect`] logs in and returns an [`EslClient`] that sends commands, the received [`EslEvents`], and the
//! [`EslConnection`], which must be spawned. In [`outbound`], the `socket` application of the dialplan connects to us.
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
pub mod outbound;
mod reply;
mod scrub;

pub use auth::EslAuth;
pub use client::{EslClient, EslOptions, Job, connect, connect_stream};
pub use codec::{EslCodec, EslLimits};
pub use command::Command;
pub use connection::EslConnection;
pub use error::EslError;
pub use event::EslEvent;
pub use frame::{EslFrame, EslFrameKind};
pub use reply::EslReply;
pub use scrub::scrub;

pub use crate::wire::{Item, Tap};

/// The events of one connection, in order.
pub type EslEvents = crate::wire::Events<EslEvent>;
