//! What both PBX connections are made of, whatever protocol they speak.
//!
//! | file | what |
//! |---|---|
//! | `queue` | events between connection and consumer: bounded, never blocking |
//! | `tap` | the recorder's view |
//! | `fuzz` | what the fuzz bodies of both share |

pub(crate) mod fuzz;
mod queue;
mod tap;

pub use queue::{Events, Item};
pub(crate) use queue::{Sender, queue};
pub use tap::Tap;
pub(crate) use tap::Tapped;
