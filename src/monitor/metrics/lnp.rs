//! Metrics of portability sources.

use std::time::Duration;

use metrics::{counter, histogram};

use super::names::{LNP_QUERIES, LNP_QUERY_SECONDS};
use crate::core::base::name::SourceName;

/// A source was asked for a call; `took` is how long the call waited.
pub fn asked(source: &SourceName, result: &'static str, took: Duration) {
    counter!(LNP_QUERIES, "source" => source.to_string(), "result" => result).increment(1);
    histogram!(LNP_QUERY_SECONDS, "source" => source.to_string()).record(took.as_secs_f64());
}
