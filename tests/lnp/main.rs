//! Portability as a call meets it: against a real DNS server with a zone of the tests' own, and an HTTP
//! service that is really asked.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cli;
mod enum_records;
mod hostile;
mod http_source;
mod sources;
mod support;
