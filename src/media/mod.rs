//! What two clients of one call do beside the voice: they agree on a session, connect directly, and send each other files.
//!
//! `web/PROTOCOL.md` defines what they say to each other, and `web/src/core` has the same rules for browsers. This is the side
//! that accepts: it answers offers and receives files.

mod description;
mod digits;
mod fields;
pub mod file_name;
pub mod fuzz;
pub mod invitations;
mod session;
pub mod signal;
pub mod transfer;
pub mod words;

pub use session::MediaSession;

/// The greatest integer that every client counts exactly: 2⁵³ − 1.
const INTEGER_MAX: u64 = (1 << 53) - 1;
