//! FreeSWITCH's event socket: bytes ↔ frames, a codec that only delimits, a client that owns a connection.
//!
//! [`connect`] logs in and gives three things: a [`Client`] that sends commands, the [`Events`] that
//! come in, and the [`Connection`] that does the work once it is spawned. [`outbound`] is the other
//! way round: the `socket` application of the dialplan connects to us.
//!
//! | file | what |
//! |---|---|
//! | `frame` | pure: bytes → frame |
//! | `event`, `json` | pure: lazy access to an event's fields |
//! | `reply` | pure: the answer to a command |
//! | `command` | pure: typed commands → bytes |
//! | `codec` | where a frame ends |
//! | `auth` | log-in |
//! | `queue` | events between connection and consumer: bounded, never blocking |
//! | `tap` | the recorder's view, without secrets |
//! | `connection` | owns the socket; replies are matched in order |
//! | `client` | the handle |
//! | `outbound` | the `socket` application |

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
mod json;
pub mod outbound;
mod queue;
mod reply;
mod tap;

pub use auth::Auth;
pub use client::{Client, Options, connect, connect_stream};
pub use codec::{Codec, Limits};
pub use command::Command;
pub use connection::Connection;
pub use error::Error;
pub use event::{Event, Format};
pub use frame::{Frame, Kind};
pub use queue::{Events, Item};
pub use reply::Reply;
pub use tap::{Tap, scrub};
