//! The pure rules: numbers, addresses, route decision, calls and pairings.
//!
//! Nothing in this room has a clock, a socket or SQL: time, ids and randomness are arguments. All
//! text that comes from outside becomes one of the types here before anything else is done with it.

pub mod address;
pub mod age;
pub mod backoff;
pub mod breaker;
pub mod bucket;
pub mod call;
pub mod capability;
pub mod cause;
pub mod client_policy;
pub mod emergency;
mod emergency_numbers;
pub mod endpoint;
mod ends;
pub mod exchange;
pub mod far;
#[doc(hidden)]
pub mod fuzz;
pub mod identity;
pub mod mapping;
pub mod name;
pub mod naptr;
pub mod network;
pub mod number;
pub mod offer;
pub mod overtaken;
pub mod plan;
pub mod policy;
pub mod portability;
pub mod prefix;
pub mod route;
pub mod secret;
mod strangers;
mod talks;
pub mod tel;
pub mod time;
pub mod uui;
