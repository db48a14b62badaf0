//! The node as its users meet it: over HTTP, on a loopback port, with a database of its own.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod access;
mod calls;
mod claims;
mod client_policy;
mod devices;
mod dialled_enrolments;
mod directory;
mod enrolments;
mod ephemeral;
mod exchange;
mod failures;
mod flood;
mod guest_codes;
mod guest_transfers;
mod guests;
mod https;
mod ice;
mod inbox;
mod legs;
mod messages;
mod monitoring;
mod origins;
mod pairing;
mod peer_refusals;
mod peer_updates;
mod peers;
mod policy;
mod portability;
mod progress;
mod renewal;
mod reply_addresses;
mod restart;
mod rests;
mod revocation;
mod ringing;
mod senders;
mod streams;
mod support;
mod timeline;
mod two_nodes;
mod web_client;
mod webhooks;
