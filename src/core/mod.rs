//! The pure rules: numbers, addresses, route decision, calls and pairings.
//!
//! Nothing in this room has a clock, a socket or SQL: time, ids and randomness are arguments.
