//! The pure rules: numbers, addresses, the route decision, calls and pairings.
//!
//! Nothing here has a clock, a socket or SQL: time, ids and randomness are arguments. Text from outside becomes one of
//! these types before anything else is done with it.

pub mod address;
pub mod base;
pub mod call;
pub mod cluster;
pub mod enrolment;
#[doc(hidden)]
pub mod fuzz;
pub mod ice;
pub mod numbering;
pub mod routing;
