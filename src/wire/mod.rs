//! Parts shared by the connections to both PBXs.
//!
//! | file | what |
//! |---|---|
//! | `queue` | events between connection and consumer: bounded, never blocking |
//! | `stream` | the byte stream of a connection |
//! | `tap` | the recorder's view |
//! | `fuzz` | helpers for fuzzing both protocols |

pub(crate) mod fuzz;
mod queue;
mod stream;
mod tap;

pub(crate) use queue::{EventSender, queue};
pub use queue::{Events, Item};
pub(crate) use stream::ByteStream;
pub use tap::Tap;
pub(crate) use tap::Tapped;
