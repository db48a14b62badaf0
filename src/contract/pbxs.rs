//! `PUT /v1/pbxs/{pbx}`: an agent tells how its link to a PBX is. It does so at each change and
//! every two seconds; the reply may hold SIP MESSAGEs to send.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{SipMessageOutcome, legacy};
use crate::core::base::name::PbxName;
use crate::core::base::time::UnixMillis;

/// Which PBX it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PbxKind {
    /// Event socket (ESL).
    Freeswitch,
    /// Manager interface (AMI).
    Asterisk,
}

impl PbxKind {
    /// The word, as config and API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            PbxKind::Freeswitch => "freeswitch",
            PbxKind::Asterisk => "asterisk",
        }
    }
}

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Not there; trying.
    Down,
    /// Connected, reading the snapshot.
    Syncing,
    /// Calls are announced to us and followed.
    Up,
    /// Another agent has attached to this PBX after us: we follow, it decides.
    Standby,
}

impl LinkState {
    /// Whether SIP MESSAGEs can be sent over it.
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
    /// How the link is.
    pub link: LinkState,
    /// Since when.
    pub since: UnixMillis,
    /// Why it is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The PBX's own words for its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Addresses in headers that were not taken, since the agent's start: from phones and trunks that
    /// aren't trusted, or unreadable.
    #[serde(default)]
    pub refused: u64,
    /// SIP MESSAGEs that were sent since the last report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<SipMessageOutcome>,
}

impl PbxReport {
    /// The report with the times of messages by the clock that shows `now`, if the agent's showed `sent`.
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
    /// When it came.
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
