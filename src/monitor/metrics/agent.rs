//! The agent's metrics.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::names::{
    AGENT_ADDRESSES_REFUSED, AGENT_ANNOUNCEMENT_AGE, AGENT_ANNOUNCEMENTS, AGENT_ANSWER_SECONDS, AGENT_ANSWERS,
    AGENT_GAPS, AGENT_LINK_UP, AGENT_NODE_USED, AGENT_REPORT_RETRIES, AGENT_SIP_DROPPED, AGENT_SIP_MESSAGES,
};
use crate::contract::LinkState;
use crate::core::base::name::PbxName;
use crate::core::routing::route::Reason;

/// A call was announced; `age` is the delay of the announcement.
pub fn announced(pbx: &PbxName, age: Duration) {
    counter!(AGENT_ANNOUNCEMENTS, "pbx" => pbx.to_string()).increment(1);
    histogram!(AGENT_ANNOUNCEMENT_AGE, "pbx" => pbx.to_string()).record(age.as_secs_f64());
}

/// A held call was answered or not; `took` is the time since its announcement arrived.
pub fn answered(pbx: &PbxName, reason: Reason, applied: &'static str, took: Duration) {
    counter!(AGENT_ANSWERS, "pbx" => pbx.to_string(), "reason" => reason.as_str(), "applied" => applied).increment(1);
    histogram!(AGENT_ANSWER_SECONDS, "pbx" => pbx.to_string()).record(took.as_secs_f64());
}

/// A link changed.
pub fn link(pbx: &PbxName, state: LinkState) {
    let up = if matches!(state, LinkState::Up | LinkState::Standby) { 1.0 } else { 0.0 };
    gauge!(AGENT_LINK_UP, "pbx" => pbx.to_string()).set(up);
}

/// Whether the agent uses this node.
pub fn node_used(node: &str, is_used: bool) {
    gauge!(AGENT_NODE_USED, "node" => node.to_owned()).set(if is_used { 1.0 } else { 0.0 });
}

/// Events were lost.
pub fn gap(pbx: &PbxName) {
    counter!(AGENT_GAPS, "pbx" => pbx.to_string()).increment(1);
}

/// An address in a header was dropped: `unreadable`, or from an `untrusted` source.
pub fn address_refused(pbx: &PbxName, why: &'static str) {
    counter!(AGENT_ADDRESSES_REFUSED, "pbx" => pbx.to_string(), "why" => why).increment(1);
}

/// A report to the node is retried.
pub fn report_retried(pbx: &PbxName) {
    counter!(AGENT_REPORT_RETRIES, "pbx" => pbx.to_string()).increment(1);
}

/// The outcome of a SIP MESSAGE: `sent`, `failed`, `unknown` or `unsent`.
pub fn sip_message(pbx: &PbxName, result: &'static str) {
    counter!(AGENT_SIP_MESSAGES, "pbx" => pbx.to_string(), "result" => result).increment(1);
}

/// A SIP MESSAGE was dropped before the PBX got it.
pub fn sip_dropped(pbx: &PbxName, why: &'static str) {
    counter!(AGENT_SIP_DROPPED, "pbx" => pbx.to_string(), "why" => why).increment(1);
}
