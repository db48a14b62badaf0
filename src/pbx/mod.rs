//! One vocabulary of calls over both PBXs, and a dictionary for each.
//!
//! `freeswitch/` and `asterisk/` have the same files with the same names, so that a missing word
//! shows: `dictionary.rs` (events → [`Happened`]), `snapshot.rs` (channel lists → [`Snapshot`]),
//! `commands.rs` (our words → commands), `messages.rs` (SIP MESSAGEs), `inspection.rs` (a person's questions → commands), `mod.rs`
//! (connect).

pub mod asterisk;
mod error;
pub mod freeswitch;
mod fuzz;
mod hearing;
mod inspection;
mod link;
mod on_demand;
mod recording;
mod vocabulary;

pub use error::Error;
pub use hearing::Hearing;
pub use inspection::{Dialplan, Inspection, Messaging, Settings, Trunk};
pub use link::{Commands, Events, Link, Raw};
pub use recording::Recording;
pub use vocabulary::{Announcement, Answer, Device, Happened, LiveLeg, Mark, Release, Snapshot, Written};

/// How long a PBX may take to say what became of a SIP MESSAGE: FreeSWITCH waits 20 s for the phone's answer
/// (`sofia_presence_chat_send` in sofia_presence.c).
pub const MESSAGE_WITHIN: std::time::Duration = std::time::Duration::from_secs(25);

/// How long a PBX may take to reply to a command before its outcome counts as unknown.
pub const REPLY_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);
