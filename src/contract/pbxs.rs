//! `PUT /v1/pbxs/{pbx}`: an agent reports the state of its link to a PBX, at each change and every two seconds. The reply
//! may hold SIP MESSAGEs to send.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{SipMessageOutcome, legacy};
use crate::core::base::name::PbxName;
use crate::core::base::time::UnixMillis;

/// The kind of a PBX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PbxKind {
    /// Event socket (ESL).
    Freeswitch,
    /// Manager interface (AMI).
    Asterisk,
}

impl PbxKind {
    /// The word in configuration and API.
    pub fn as_str(self) -> &'static str {
        match self {
            PbxKind::Freeswitch => "freeswitch",
            PbxKind::Asterisk => "asterisk",
        }
    }
}

/// The state of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Disconnected; trying to connect.
    Down,
    /// Connected, reading the snapshot.
    Syncing,
    /// The agent decides and follows calls.
    Up,
    /// Another agent attached later and decides. This one follows calls.
    Standby,
}

impl LinkState {
    /// Whether SIP MESSAGEs can be sent over the link.
    pub fn sends(self) -> bool {
        matches!(self, LinkState::Up | LinkState::Standby)
    }
}

/// The agent's report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PbxReport {
    /// Which PBX it is.
    pub kind: PbxKind,
    /// The agent's id.
    pub agent: String,
    /// The state of the link.
    pub link: LinkState,
    /// When it entered this state.
    pub since: UnixMillis,
    /// Why it is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The version that the PBX reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The URL of the node that the agent uses, if it knows several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Addresses in headers refused since the agent started: unreadable, or from untrusted phones and trunks.
    #[serde(default)]
    pub refused: u64,
    /// SIP MESSAGEs that were sent since the last report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<SipMessageOutcome>,
}

impl PbxReport {
    /// Converts the times of messages from the agent's clock, which showed `sent`, to the one that shows `now`.
    #[must_use]
    pub fn by_clock(mut self, sent: Option<UnixMillis>, now: UnixMillis) -> PbxReport {
        for outcome in &mut self.sent {
            outcome.at = outcome.at.map(|at| at.by_clock(sent, now));
        }
        self
    }
}

/// A PBX link as `/v1/status` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PbxView {
    /// Its name.
    pub pbx: PbxName,
    /// The last report.
    #[serde(flatten)]
    pub report: PbxReport,
    /// When the node received it.
    #[serde(flatten, with = "legacy::reported")]
    #[schema(value_type = legacy::ReportedNames)]
    pub reported: UnixMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_messages_time_becomes_the_nodes() {
        let now = UnixMillis(1_000_000_000);
        let ahead = UnixMillis(now.0 + 60_000);
        let report = serde_json::json!({"kind": "asterisk", "agent": "a", "link": "up", "since": 1,
            "sent": [{"id": "1", "at": ahead.0 - 300}, {"id": "2", "error": "no"}]});
        let report: PbxReport = serde_json::from_value(report).unwrap();
        let times: Vec<_> = report.by_clock(Some(ahead), now).sent.iter().map(|outcome| outcome.at).collect();
        assert_eq!(times, [Some(UnixMillis(now.0 - 300)), None]);
    }
}
