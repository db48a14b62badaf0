//! An agent's link against a scripted FreeSWITCH and a scripted node: what happens in the wrong moment.

#![allow(clippy::unwrap_used, reason = "what a script can't do fails its test")]

mod announcements;
mod enrolment;
mod nodes;
mod numbers;
mod ownership;
mod questions;
#[path = "../scripted/mod.rs"]
mod scripted;
mod snapshots;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

fn is(link: &'static str) -> impl Fn(&Value) -> bool {
    move |report| report["link"] == link
}

/// A number of a report that no clock reaches today.
fn tomorrow() -> u64 {
    let tomorrow = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(86_400);
    u64::try_from(tomorrow.as_micros()).unwrap()
}
