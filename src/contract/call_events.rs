//! `POST /v1/calls/{call}/events`: the reported events of a call.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SipMessages;
use crate::core::base::name::{LegId, TrunkName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// `POST /v1/calls/{call}/events`: events since the last report, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallEvents {
    /// In order of `seq`.
    #[schema(max_items = 64)]
    pub events: Vec<CallReport>,
}

/// Header with the agent's clock, in milliseconds since 1970. It is a header because earlier nodes refuse unknown
/// fields.
pub const AGENT_CLOCK: &str = "sidecall-clock";

/// Header with the agent's id, at most [`AGENT_ID_BYTES`] long. Replies hand SIP MESSAGEs to this agent, and its `seq`
/// is compared only with its own.
pub const AGENT_ID: &str = "sidecall-agent";

/// Maximum length of an agent's id.
pub const AGENT_ID_BYTES: usize = 500;

impl CallEvents {
    /// Converts the times from a clock that showed `sent` to the one that shows `now`. None is later than `now`.
    pub fn by_clock(mut self, sent: Option<UnixMillis>, now: UnixMillis) -> Vec<CallReport> {
        for event in &mut self.events {
            event.at = event.at.by_clock(sent, now);
        }
        self.events
    }
}

/// One event of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CallReport {
    /// Grows with every report that an agent makes about a PBX, whichever call it is about: of two reports about the same
    /// legs, the one with the lower number is the earlier one. In a call, one that is not above `last_seq` is taken for a
    /// repeat, unless another agent reported the last event and this one happened later. At most 2⁶³ − 1.
    pub seq: u64,
    /// When it happened (agent's clock).
    pub at: UnixMillis,
    /// What happened.
    #[serde(flatten)]
    pub event: CallEvent,
}

impl CallReport {
    /// The largest accepted `seq`; higher numbers remain for the reports that follow.
    pub const SEQ_MAX: u64 = i64::MAX.unsigned_abs();
}

/// What happened to a call on its PBX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "lowercase")]
#[schema(as = Event)]
pub enum CallEvent {
    /// A leg was made to reach the called number.
    Dialled {
        /// The new leg.
        #[schema(value_type = String)]
        leg: LegId,
        /// The device that the PBX names; absent if it names none.
        #[serde(default, rename = "number", skip_serializing_if = "Option::is_none")]
        device: Option<Number>,
        /// The PBX names a device, but by no number that anybody is known to have.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unreadable: bool,
        /// The trunk that it goes over, if the PBX says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trunk: Option<TrunkName>,
    },
    /// A leg turns out to be another phone: picked up, moved there, or joined by a bridge.
    Identified {
        /// Which one.
        #[schema(value_type = String)]
        leg: LegId,
        /// The device that the PBX names; absent if it names none.
        #[serde(default, rename = "number", skip_serializing_if = "Option::is_none")]
        device: Option<Number>,
    },
    /// A leg answered.
    Answered {
        /// Which one.
        #[schema(value_type = String)]
        leg: LegId,
    },
    /// Two legs hear each other.
    Bridged {
        /// In either order.
        #[schema(value_type = [String; 2])]
        legs: [LegId; 2],
    },
    /// Two legs no longer hear each other.
    Unbridged {
        /// In either order.
        #[schema(value_type = [String; 2])]
        legs: [LegId; 2],
    },
    /// A leg is gone.
    Ended {
        /// Which one.
        #[schema(value_type = String)]
        leg: LegId,
        /// The hang-up cause in the PBX's words.
        cause: Option<String>,
    },
}

/// The answer to events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventsReply {
    /// SIP MESSAGEs for the agent to send.
    #[serde(flatten)]
    pub sip: SipMessages,
    /// The call had ended before one of the events, which was dropped. The legs that the agent still has in this call need
    /// another one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_times_become_the_nodes() {
        const DAY: i64 = 86_400_000;
        let now = UnixMillis(100 * DAY);
        let at = |millis: i64| UnixMillis(now.0 + millis);
        for (sent, event, ours) in [
            (None, at(-7_000), at(-7_000)),
            (None, at(DAY), now),
            (Some(at(-300)), at(-7_000), at(-7_000)),
            (Some(at(-4_900)), at(-7_000), at(-7_000)),
            (Some(at(2_000)), at(1_500), at(-500)),
            (Some(at(2_000)), at(2_500), now),
            (Some(at(DAY)), at(DAY - 7_000), at(-7_000)),
            (Some(at(-DAY)), at(-DAY - 7_000), at(-7_000)),
            (Some(UnixMillis(i64::MIN)), UnixMillis(i64::MAX), now),
        ] {
            let leg: LegId = "a-1".parse().unwrap();
            let report = CallReport { seq: 1, at: event, event: CallEvent::Answered { leg } };
            let events = CallEvents { events: vec![report] }.by_clock(sent, now);
            assert_eq!(events[0].at, ours, "{sent:?} {event:?}");
        }
    }

    #[test]
    fn events_keep_their_json() {
        let leg = |name: &str| name.parse().unwrap();
        let number = Some("+12125550101".parse().unwrap());
        let trunk = Some("carrier".parse().unwrap());
        let dialled = |device, unreadable, trunk| CallEvent::Dialled { leg: leg("b"), device, unreadable, trunk };
        let identified = |device| CallEvent::Identified { leg: leg("b"), device };
        let both = || [leg("a"), leg("b")];
        for (event, json) in [
            (dialled(number.clone(), false, trunk), r#"dialled","leg":"b","number":"+12125550101","trunk":"carrier""#),
            (dialled(None, true, None), r#"dialled","leg":"b","unreadable":true"#),
            (identified(number), r#"identified","leg":"b","number":"+12125550101""#),
            (identified(None), r#"identified","leg":"b""#),
            (CallEvent::Answered { leg: leg("b") }, r#"answered","leg":"b""#),
            (CallEvent::Bridged { legs: both() }, r#"bridged","legs":["a","b"]"#),
            (CallEvent::Unbridged { legs: both() }, r#"unbridged","legs":["a","b"]"#),
            (CallEvent::Ended { leg: leg("b"), cause: None }, r#"ended","leg":"b","cause":null"#),
        ] {
            let json = format!(r#"{{"seq":1,"at":2,"event":"{json}}}"#);
            let report = CallReport { seq: 1, at: UnixMillis(2), event };
            assert_eq!(serde_json::to_string(&report).unwrap(), json);
            assert_eq!(serde_json::from_str::<CallReport>(&json).unwrap(), report);
        }
    }
}
