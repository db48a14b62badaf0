//! Parts shared by the connections to both PBXs.

mod command;
pub(crate) mod fuzz;
mod queue;
mod socket;
mod tap;

pub use command::CommandError;
pub(crate) use command::refuse;
pub(crate) use queue::{EventSender, queue};
pub use queue::{Events, Item};
pub use socket::ByteStream;
pub(crate) use socket::{Next, PbxSocket};
pub use tap::Tap;
