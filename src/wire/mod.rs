//! Parts shared by the connections to both PBXs.

mod command;
mod event_queue;
pub(crate) mod fuzz;
mod socket;
mod tap;

pub use command::CommandError;
pub(crate) use command::refuse;
pub(crate) use event_queue::{EventSender, queue};
pub use event_queue::{Events, Item};
pub use socket::ByteStream;
pub(crate) use socket::{Next, PbxSocket};
pub use tap::Tap;
