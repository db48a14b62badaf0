//! The record of a call's remote side, in `calls.body` under `far`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words::{HowRecord, ReasonRecord, RouteRecord, SentStateRecord};
use crate::contract::Capability;
use crate::core::address::Address;
use crate::core::base::name::{CallId, PeerName};
use crate::core::base::time::UnixMillis;
use crate::core::call::offer_matching::OfferId;
use crate::core::call::remote_side::{Milestone, PeerDelivery, RemoteClient, RemoteEvent, RemoteSide};
use crate::core::numbering::number::Number;
use crate::core::routing::portability::ServedBy;

/// The remote side.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RemoteRecord {
    #[serde(skip_serializing_if = "ServedByRecord::is_unknown")]
    served_by: ServedByRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<RemoteClientRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offered: Option<OfferIdRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offer: Option<SentRecord>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    answers: BTreeMap<Number, SentRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<Number>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    left: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    half: Option<CallId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    there: Vec<ThereRecord>,
}

/// Who serves the called number.
#[derive(Debug, Default, Serialize, Deserialize)]
enum ServedByRecord {
    #[default]
    #[serde(rename = "unknown")]
    Unknown,
    #[serde(rename = "ours")]
    Ours,
    #[serde(rename = "peer")]
    Peer(PeerName),
    #[serde(rename = "other")]
    Other,
}

impl ServedByRecord {
    fn is_unknown(&self) -> bool {
        matches!(self, ServedByRecord::Unknown)
    }
}

/// The remote side's client.
#[derive(Debug, Serialize, Deserialize)]
struct RemoteClientRecord {
    number: Option<Number>,
    name: Option<String>,
    address: Address,
    capabilities: Vec<Capability>,
    how: HowRecord,
    peer: Option<PeerName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<UnixMillis>,
}

/// The offer that was matched with the call.
#[derive(Debug, Serialize, Deserialize)]
struct OfferIdRecord {
    peer: PeerName,
    call: CallId,
}

/// The state of an offer or an answer to another node.
#[derive(Debug, Serialize, Deserialize)]
struct SentRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<PeerName>,
    state: SentStateRecord,
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made: Option<UnixMillis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settled: Option<UnixMillis>,
}

/// An event in the other node's timeline.
#[derive(Debug, Serialize, Deserialize)]
struct ThereRecord {
    at: UnixMillis,
    #[serde(flatten)]
    what: MilestoneRecord,
}

/// The kind of an event.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what")]
enum MilestoneRecord {
    #[serde(rename = "announced")]
    Announced,
    #[serde(rename = "decided")]
    Decided {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        route: Option<RouteRecord>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ReasonRecord>,
    },
    #[serde(rename = "answered")]
    Answered,
    #[serde(rename = "paired")]
    Paired,
    #[serde(rename = "pushed")]
    Pushed,
    #[serde(rename = "ended")]
    Ended,
}

impl From<RemoteSide> for RemoteRecord {
    fn from(remote: RemoteSide) -> RemoteRecord {
        let RemoteSide { served_by, client, offered, offer, answers, announced, left, linked_call, events } = remote;
        RemoteRecord {
            served_by: served_by.into(),
            client: client.map(RemoteClientRecord::from),
            offered: offered.map(OfferIdRecord::from),
            offer: offer.map(SentRecord::from),
            answers: answers.into_iter().map(|(number, sent)| (number, sent.into())).collect(),
            told: announced,
            left,
            half: linked_call,
            there: events.into_iter().map(ThereRecord::from).collect(),
        }
    }
}

impl From<RemoteRecord> for RemoteSide {
    fn from(record: RemoteRecord) -> RemoteSide {
        let RemoteRecord { served_by, client, offered, offer, answers, told, left, half, there } = record;
        RemoteSide {
            served_by: served_by.into(),
            client: client.map(RemoteClient::from),
            offered: offered.map(OfferId::from),
            offer: offer.map(PeerDelivery::from),
            answers: answers.into_iter().map(|(number, sent)| (number, sent.into())).collect(),
            announced: told,
            left,
            linked_call: half,
            events: there.into_iter().map(RemoteEvent::from).collect(),
        }
    }
}

impl From<ServedBy> for ServedByRecord {
    fn from(served_by: ServedBy) -> ServedByRecord {
        match served_by {
            ServedBy::Unknown => ServedByRecord::Unknown,
            ServedBy::Ours => ServedByRecord::Ours,
            ServedBy::Peer(peer) => ServedByRecord::Peer(peer),
            ServedBy::Other => ServedByRecord::Other,
        }
    }
}

impl From<ServedByRecord> for ServedBy {
    fn from(record: ServedByRecord) -> ServedBy {
        match record {
            ServedByRecord::Unknown => ServedBy::Unknown,
            ServedByRecord::Ours => ServedBy::Ours,
            ServedByRecord::Peer(peer) => ServedBy::Peer(peer),
            ServedByRecord::Other => ServedBy::Other,
        }
    }
}

impl From<RemoteClient> for RemoteClientRecord {
    fn from(client: RemoteClient) -> RemoteClientRecord {
        let RemoteClient { number, name, address, capabilities, source, peer, at } = client;
        RemoteClientRecord { number, name, address, capabilities, how: source.into(), peer, at }
    }
}

impl From<RemoteClientRecord> for RemoteClient {
    fn from(record: RemoteClientRecord) -> RemoteClient {
        let RemoteClientRecord { number, name, address, capabilities, how, peer, at } = record;
        RemoteClient { number, name, address, capabilities, source: how.into(), peer, at }
    }
}

impl From<OfferId> for OfferIdRecord {
    fn from(id: OfferId) -> OfferIdRecord {
        let OfferId { peer, call } = id;
        OfferIdRecord { peer, call }
    }
}

impl From<OfferIdRecord> for OfferId {
    fn from(record: OfferIdRecord) -> OfferId {
        let OfferIdRecord { peer, call } = record;
        OfferId { peer, call }
    }
}

impl From<PeerDelivery> for SentRecord {
    fn from(sent: PeerDelivery) -> SentRecord {
        let PeerDelivery { peer, state, attempts, error, made, settled } = sent;
        SentRecord { peer, state: state.into(), attempts, error, made, settled }
    }
}

impl From<SentRecord> for PeerDelivery {
    fn from(record: SentRecord) -> PeerDelivery {
        let SentRecord { peer, state, attempts, error, made, settled } = record;
        PeerDelivery { peer, state: state.into(), attempts, error, made, settled }
    }
}

impl From<RemoteEvent> for ThereRecord {
    fn from(there: RemoteEvent) -> ThereRecord {
        let RemoteEvent { at, what } = there;
        let what = match what {
            Milestone::Announced => MilestoneRecord::Announced,
            Milestone::Decided { route, reason } => {
                MilestoneRecord::Decided { route: route.map(Into::into), reason: reason.map(Into::into) }
            }
            Milestone::Answered => MilestoneRecord::Answered,
            Milestone::Paired => MilestoneRecord::Paired,
            Milestone::Pushed => MilestoneRecord::Pushed,
            Milestone::Ended => MilestoneRecord::Ended,
        };
        ThereRecord { at, what }
    }
}

impl From<ThereRecord> for RemoteEvent {
    fn from(record: ThereRecord) -> RemoteEvent {
        let ThereRecord { at, what } = record;
        let what = match what {
            MilestoneRecord::Announced => Milestone::Announced,
            MilestoneRecord::Decided { route, reason } => {
                Milestone::Decided { route: route.map(Into::into), reason: reason.map(Into::into) }
            }
            MilestoneRecord::Answered => Milestone::Answered,
            MilestoneRecord::Paired => Milestone::Paired,
            MilestoneRecord::Pushed => Milestone::Pushed,
            MilestoneRecord::Ended => Milestone::Ended,
        };
        RemoteEvent { at, what }
    }
}
