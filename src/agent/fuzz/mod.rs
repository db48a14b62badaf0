//! What must hold for any sequence of events. Compiled with the crate so that it can't fall
//! behind it; run by the fuzzer (`fuzz/`).

mod checks;
mod naive_pbx;
mod reconciled_calls;
mod reports;
mod world;

pub use world::calls;
