//! Parts shared by the connections to both PBXs.

mod command;
mod event_queue;
mod fields;
pub(crate) mod fuzz;
mod socket;
mod tap;

pub use command::CommandError;
pub(crate) use command::refuse;
pub(crate) use event_queue::{EventSender, queue};
pub use event_queue::{Events, Item};
pub(crate) use fields::{find_fields, lines, value_of};
pub use socket::ByteStream;
pub(crate) use socket::{Next, PbxSocket};
pub use tap::Tap;
