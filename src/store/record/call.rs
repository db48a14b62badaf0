//! The record of a call, in `calls.body`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Record;
use super::remote::RemoteRecord;
use super::words::{AlertingRecord, PhaseRecord, ReasonRecord, RouteRecord, SideRecord};
use crate::core::address::Address;
use crate::core::base::name::{AgentId, CallId, LegId, PbxName, TrunkName};
use crate::core::base::time::UnixMillis;
use crate::core::call::remote_side::RemoteSide;
use crate::core::call::report_order::LatestReport;
use crate::core::call::{Bridge, Call, Leg, Membership, Talk};
use crate::core::numbering::number::Number;

/// A call.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct CallRecord {
    pub(in crate::store) id: CallId,
    pub(in crate::store) pbx: PbxName,
    leg: LegId,
    pub(in crate::store) calling: Option<Number>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    withheld: bool,
    pub(in crate::store) called: Number,
    side: SideRecord,
    pub(in crate::store) route: RouteRecord,
    trunk: Option<TrunkName>,
    pub(in crate::store) reason: ReasonRecord,
    #[serde(default, skip_serializing_if = "AlertingRecord::is_nobody")]
    alerting: AlertingRecord,
    carried: Option<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    announced: Option<UnixMillis>,
    pub(in crate::store) decided: UnixMillis,
    answered: Option<UnixMillis>,
    pub(in crate::store) ended: Option<UnixMillis>,
    cause: Option<String>,
    phase: PhaseRecord,
    legs: BTreeMap<LegId, LegRecord>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parted: BTreeMap<Number, UnixMillis>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    talks: Vec<TalkRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    far: Option<RemoteRecord>,
    last_seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_by: Option<(AgentId, UnixMillis)>,
}

impl Record for CallRecord {
    const WHAT: &'static str = "call";
}

/// One leg.
#[derive(Debug, Serialize, Deserialize)]
struct LegRecord {
    number: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trunk: Option<TrunkName>,
    since: UnixMillis,
    answered: Option<UnixMillis>,
    ended: Option<UnixMillis>,
    bridges: Vec<(LegId, BridgeRecord)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reported: Vec<ReportedRecord>,
    #[serde(default, skip_serializing_if = "TieRecord::is_member")]
    tie: TieRecord,
}

/// How a leg belongs to the call.
#[derive(Debug, Default, Serialize, Deserialize)]
enum TieRecord {
    #[default]
    #[serde(rename = "member")]
    Member,
    #[serde(rename = "stranger")]
    Stranger,
    #[serde(rename = "moved")]
    Moved(UnixMillis),
}

impl TieRecord {
    fn is_member(&self) -> bool {
        matches!(self, TieRecord::Member)
    }
}

/// Another leg that it hears.
#[derive(Debug, Serialize, Deserialize)]
struct BridgeRecord {
    call: CallId,
    since: UnixMillis,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    beyond: bool,
}

/// An agent's latest report about another leg, or about its own end.
#[derive(Debug, Serialize, Deserialize)]
struct ReportedRecord {
    leg: LegId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<AgentId>,
    seq: u64,
}

/// Two numbers that heard each other.
#[derive(Debug, Serialize, Deserialize)]
struct TalkRecord {
    first: Number,
    second: Number,
    since: UnixMillis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<UnixMillis>,
}

impl From<Call> for CallRecord {
    fn from(call: Call) -> CallRecord {
        let Call {
            id,
            pbx,
            leg,
            calling,
            withheld,
            called,
            side,
            route,
            trunk,
            reason,
            alerting,
            carried,
            announced,
            decided,
            answered,
            ended,
            cause,
            phase,
            legs,
            parted,
            talks,
            remote,
            last_seq,
            last_by,
        } = call;
        CallRecord {
            id,
            pbx,
            leg,
            calling,
            withheld,
            called,
            side: side.into(),
            route: route.into(),
            trunk,
            reason: reason.into(),
            alerting: alerting.into(),
            carried,
            announced,
            decided,
            answered,
            ended,
            cause,
            phase: phase.into(),
            legs: legs.into_iter().map(|(id, leg)| (id, leg.into())).collect(),
            parted,
            talks: talks.into_iter().map(TalkRecord::from).collect(),
            far: (!remote.is_empty()).then(|| remote.into()),
            last_seq,
            last_by,
        }
    }
}

impl From<CallRecord> for Call {
    fn from(record: CallRecord) -> Call {
        let CallRecord {
            id,
            pbx,
            leg,
            calling,
            withheld,
            called,
            side,
            route,
            trunk,
            reason,
            alerting,
            carried,
            announced,
            decided,
            answered,
            ended,
            cause,
            phase,
            legs,
            parted,
            talks,
            far,
            last_seq,
            last_by,
        } = record;
        Call {
            id,
            pbx,
            leg,
            calling,
            withheld,
            called,
            side: side.into(),
            route: route.into(),
            trunk,
            reason: reason.into(),
            alerting: alerting.into(),
            carried,
            announced,
            decided,
            answered,
            ended,
            cause,
            phase: phase.into(),
            legs: legs.into_iter().map(|(id, leg)| (id, leg.into())).collect(),
            parted,
            talks: talks.into_iter().map(Talk::from).collect(),
            remote: far.map(RemoteSide::from).unwrap_or_default(),
            last_seq,
            last_by,
        }
    }
}

impl From<Leg> for LegRecord {
    fn from(leg: Leg) -> LegRecord {
        let Leg { number, trunk, since, answered, ended, bridges, reported, membership } = leg;
        let bridges = bridges.into_iter().map(|(other, bridge)| (other, bridge.into())).collect();
        let reported = reported.into_iter().map(ReportedRecord::from).collect();
        LegRecord { number, trunk, since, answered, ended, bridges, reported, tie: membership.into() }
    }
}

impl From<LegRecord> for Leg {
    fn from(record: LegRecord) -> Leg {
        let LegRecord { number, trunk, since, answered, ended, bridges, reported, tie } = record;
        let bridges = bridges.into_iter().map(|(other, bridge)| (other, bridge.into())).collect();
        let reported = reported.into_iter().map(LatestReport::from).collect();
        Leg { number, trunk, since, answered, ended, bridges, reported, membership: tie.into() }
    }
}

impl From<Membership> for TieRecord {
    fn from(membership: Membership) -> TieRecord {
        match membership {
            Membership::Member => TieRecord::Member,
            Membership::Stranger => TieRecord::Stranger,
            Membership::Moved(at) => TieRecord::Moved(at),
        }
    }
}

impl From<TieRecord> for Membership {
    fn from(record: TieRecord) -> Membership {
        match record {
            TieRecord::Member => Membership::Member,
            TieRecord::Stranger => Membership::Stranger,
            TieRecord::Moved(at) => Membership::Moved(at),
        }
    }
}

impl From<Bridge> for BridgeRecord {
    fn from(bridge: Bridge) -> BridgeRecord {
        let Bridge { call, since, beyond } = bridge;
        BridgeRecord { call, since, beyond }
    }
}

impl From<BridgeRecord> for Bridge {
    fn from(record: BridgeRecord) -> Bridge {
        let BridgeRecord { call, since, beyond } = record;
        Bridge { call, since, beyond }
    }
}

impl From<LatestReport> for ReportedRecord {
    fn from(reported: LatestReport) -> ReportedRecord {
        let LatestReport { leg, agent, seq } = reported;
        ReportedRecord { leg, agent, seq }
    }
}

impl From<ReportedRecord> for LatestReport {
    fn from(record: ReportedRecord) -> LatestReport {
        let ReportedRecord { leg, agent, seq } = record;
        LatestReport { leg, agent, seq }
    }
}

impl From<Talk> for TalkRecord {
    fn from(talk: Talk) -> TalkRecord {
        let Talk { first, second, since, until } = talk;
        TalkRecord { first, second, since, until }
    }
}

impl From<TalkRecord> for Talk {
    fn from(record: TalkRecord) -> Talk {
        let TalkRecord { first, second, since, until } = record;
        Talk { first, second, since, until }
    }
}
