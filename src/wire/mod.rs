//! What both PBX connections are made of, whatever protocol they speak.
//!
//! | file | what |
//! |---|---|
//! | `queue` | events between connection and consumer: bounded, never blocking |
//! | `stream` | what carries the bytes |
//! | `tap` | the recorder's view |
//! | `fuzz` | what the fuzz bodies of both share |

pub(crate) mod fuzz;
mod queue;
mod stream;
mod tap;

pub(crate) use queue::{EventSender, queue};
pub use queue::{Events, Item};
pub(crate) use stream::ByteStream;
pub use tap::Tap;
pub(crate) use tap::Tapped;
