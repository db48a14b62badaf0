//! The agent's metrics.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::contract::LinkState;
use crate::core::name::PbxName;
use crate::core::route::Reason;

/// A call was announced; `age` is how long the announcement was under way.
pub fn announced(pbx: &PbxName, age: Duration) {
    counter!("sidecall_agent_announcements_total", "pbx" => pbx.to_string()).increment(1);
    histogram!("sidecall_agent_announcement_age_seconds", "pbx" => pbx.to_string()).record(age.as_secs_f64());
}

/// A held call was answered, or not; `took` is the time since its announcement arrived.
pub fn answered(pbx: &PbxName, reason: Reason, applied: &'static str, took: Duration) {
    counter!("sidecall_agent_answers_total", "pbx" => pbx.to_string(), "reason" => reason.as_str(), "applied" => applied)
        .increment(1);
    histogram!("sidecall_agent_answer_seconds", "pbx" => pbx.to_string()).record(took.as_secs_f64());
}

/// A link changed.
pub fn link(pbx: &PbxName, state: LinkState) {
    let up = if matches!(state, LinkState::Up | LinkState::Standby) { 1.0 } else { 0.0 };
    gauge!("sidecall_agent_link_up", "pbx" => pbx.to_string()).set(up);
}

/// Events were found to be missing.
pub fn gap(pbx: &PbxName) {
    counter!("sidecall_agent_gaps_total", "pbx" => pbx.to_string()).increment(1);
}

/// A header from a trusted trunk carried no address.
pub fn address_refused(pbx: &PbxName) {
    counter!("sidecall_agent_addresses_refused_total", "pbx" => pbx.to_string()).increment(1);
}

/// A report to the node is tried again.
pub fn report_retried(pbx: &PbxName) {
    counter!("sidecall_agent_report_retries_total", "pbx" => pbx.to_string()).increment(1);
}

/// A SIP MESSAGE was sent, or could not be.
pub fn sip_message(pbx: &PbxName, sent: bool) {
    let result = if sent { "sent" } else { "failed" };
    counter!("sidecall_agent_sip_messages_total", "pbx" => pbx.to_string(), "result" => result).increment(1);
}
