//! The events and commands of both PBXs in our words, and a translator for each.
//!
//! A [`Pbx`] is one or the other; nobody who has one needs to know which. `event_reader.rs` takes events from the
//! connection for both.
//!
//! `freeswitch/` and `asterisk/` have the same files with the same names, so that a missing word
//! shows: `translator.rs` (events → [`PbxEvent`]), `snapshot.rs` (channel lists → [`Snapshot`]),
//! `enrolment.rs` (codes that phones dial), `commands.rs` (our words → commands), `sip_messages.rs` (SIP MESSAGEs),
//! `inspection.rs` (a person's questions → commands), `mod.rs` (connect).

pub mod asterisk;
mod error;
mod event;
mod event_reader;
pub mod freeswitch;
mod fuzz;
mod inspection;
mod interface;
mod lazy_connection;
mod recording;
mod snapshot;
mod topology;

pub use error::PbxError;
pub use event::{Announcement, CallTags, Device, DialStrings, DialplanAnswer, EnrolmentCall, PbxEvent, Release};
pub use inspection::{Dialplan, Inspection, Messaging, Settings, Trunk};
pub use interface::{Pbx, PbxCommands, PbxEvents, PbxLink, PbxQuirks, Slots};
pub use recording::Recording;
pub(crate) use snapshot::sorted;
pub use snapshot::{LiveLeg, Shown, Snapshot};
pub use topology::Topology;

/// How long a PBX may take to say what became of a SIP MESSAGE: FreeSWITCH waits 20 s for the phone's answer
/// (`sofia_presence_chat_send` in sofia_presence.c).
pub const MESSAGE_WITHIN: std::time::Duration = std::time::Duration::from_secs(25);
