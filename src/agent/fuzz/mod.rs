//! What must hold for any header and for any sequence of events. Compiled with the crate so that it can't fall
//! behind it; run by the fuzzer (`fuzz/`).

mod checks;
mod naive_pbx;
mod reconciled_calls;
mod reports;
mod world;

pub use world::calls;

use crate::core::address::uui::received;
use crate::core::fuzz::passes_on;

/// `User-to-User` and `Call-Info` from a trusted trunk: an address that may be passed on, or a reason why not.
pub fn header(data: &[u8]) {
    if let Ok(address) = received(&String::from_utf8_lossy(data)) {
        passes_on(&address);
    }
}
