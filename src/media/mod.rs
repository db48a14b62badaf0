//! What two clients of one call do beside the voice: they agree on a session, connect directly, and send each other files.
//!
//! `web/PROTOCOL.md` defines what they say to each other, and `web/src/core` has the same rules for browsers. This is the side
//! that accepts: it answers offers and receives files. Not all of it is pure: `connection` has the WebRTC library;
//! `receive_folder`, `staging` and `download` have the disk; `session_task` is the loop with the socket, and `transfers` its part
//! about files. Nothing here speaks HTTP: a session says what it wants posted, and gets what the other device posts.

mod connection;
mod crypto;
mod description;
mod digits;
mod download;
pub mod error;
mod fields;
pub mod file_name;
pub mod fuzz;
pub mod identity;
pub mod invitations;
#[cfg(test)]
mod offerer;
pub mod receive_folder;
pub mod remote_addresses;
mod session;
pub mod session_events;
pub mod session_task;
pub mod signal;
mod staging;
pub mod transfer;
mod transfers;
pub mod words;

pub use session::MediaSession;
pub use staging::{SavedFile, remove_leftovers};
pub use transfers::TRANSFERS_MAX;

/// The greatest integer that every client counts exactly: 2⁵³ − 1.
const INTEGER_MAX: u64 = (1 << 53) - 1;
