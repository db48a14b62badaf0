//! What everything else is built from: names, times and secrets, waiting and limits.

pub mod backoff;
pub mod breaker;
pub mod cause;
pub mod event_age;
pub mod name;
pub mod secret;
pub mod time;
pub mod token_bucket;
