//! Which way a call goes: the route decision, and who serves a number that was ported.

pub mod naptr;
pub mod portability;
pub mod route;
