//! The wall clock, for the rooms that have one.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::core::time::UnixMillis;

/// Now, in milliseconds since 1970.
pub fn now() -> UnixMillis {
    UnixMillis(micros() / 1_000)
}

/// Now, in microseconds since 1970.
pub fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
