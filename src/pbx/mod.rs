//! One vocabulary of calls over both PBXs, and a dictionary for each.
//!
//! A [`Pbx`] is one or the other; nobody who has one needs to know which. `reader.rs` takes events from the
//! connection for both.
//!
//! `freeswitch/` and `asterisk/` have the same files with the same names, so that a missing word
//! shows: `dictionary.rs` (events → [`Happened`]), `snapshot.rs` (channel lists → [`Snapshot`]),
//! `commands.rs` (our words → commands), `messages.rs` (SIP MESSAGEs), `inspection.rs` (a person's questions → commands),
//! `mod.rs` (connect).

mod adapter;
pub mod asterisk;
mod error;
pub mod freeswitch;
mod fuzz;
mod hearing;
mod inspection;
mod on_demand;
mod reader;
mod recording;
mod vocabulary;

pub use adapter::{Pbx, PbxCommands, PbxEvents, PbxLink, PbxQuirks, Slots};
pub use error::Error;
pub use hearing::Hearing;
pub use inspection::{Dialplan, Inspection, Messaging, Settings, Trunk};
pub use recording::Recording;
pub use vocabulary::{Announcement, Answer, Device, Happened, LiveLeg, Mark, Release, Snapshot, Written};

/// How long a PBX may take to say what became of a SIP MESSAGE: FreeSWITCH waits 20 s for the phone's answer
/// (`sofia_presence_chat_send` in sofia_presence.c).
pub const MESSAGE_WITHIN: std::time::Duration = std::time::Duration::from_secs(25);

/// How long a PBX may take to reply to a command before its outcome counts as unknown.
pub const REPLY_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);
