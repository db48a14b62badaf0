//! What everything else is built from: names, times and secrets, waiting and limits.

pub mod backoff;
pub mod breaker;
pub mod characters;
pub mod device_name;
pub mod enrolment_code;
pub mod guest_code;
pub mod guest_name;
pub mod name;
pub mod node_list;
pub mod pbx_clock;
pub mod root_cause;
pub mod secret;
pub mod time;
pub mod token_bucket;
