//! The process's metrics, and what the node counts.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::names::{
    CALLS_LIVE, CLIENTS_CONNECTED, CONNECTIONS_OPEN, CONNECTIONS_REFUSED, DECISION_SECONDS, DECISIONS, DELIVERIES,
    DELIVERY_SECONDS, FAILED_LOGINS, HTTP_REQUESTS, INBOX_POSTS, NAMES, PBX_UP, PEER_ANSWERS, PEER_OFFERS_MATCHED,
    PEER_OFFERS_RECEIVED, PEER_OFFERS_SENT, SIP_DROPPED, STORE_FAILED_WRITES, STORE_FREE_BYTES, STORE_LOW_SPACE,
};
use crate::contract::{LinkState, OfferRefusal};
use crate::core::far::SentState;
use crate::core::name::{PbxName, PeerName};
use crate::core::route::{Reason, Route};

/// Bounds of the histograms: the budgets are 1 ms for a decision and 100 ms for a delivery.
const SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// The process's metrics. They are one set, however many nodes and agents run in it.
#[derive(Debug, Clone, Copy)]
pub struct Metrics(());

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

impl Metrics {
    /// Makes the process's recorder, once.
    pub fn install() -> Metrics {
        HANDLE.get_or_init(|| {
            let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS);
            let handle = builder.ok().and_then(|b| b.install_recorder().ok());
            for (name, meaning) in NAMES {
                match *name {
                    _ if name.ends_with("_total") => describe_counter!(*name, *meaning),
                    _ if name.ends_with("_seconds") => describe_histogram!(*name, *meaning),
                    _ => describe_gauge!(*name, *meaning),
                }
            }
            handle
        });
        Metrics(())
    }

    /// All of them, in the Prometheus text format.
    pub fn render(self) -> String {
        let handle = HANDLE.get().and_then(Option::as_ref);
        handle.map(PrometheusHandle::render).unwrap_or_default()
    }

    /// To be called every few seconds: histograms are folded up.
    pub fn upkeep(self) {
        if let Some(handle) = HANDLE.get().and_then(Option::as_ref) {
            handle.run_upkeep();
        }
    }

    /// A call was decided or registered.
    pub fn decided(self, route: Route, reason: Reason, took: Duration) {
        counter!(DECISIONS, "route" => route.as_str(), "reason" => reason.as_str()).increment(1);
        histogram!(DECISION_SECONDS).record(took);
    }

    /// So many calls are live.
    pub fn calls_live(self, calls: usize) {
        gauge!(CALLS_LIVE).set(calls as f64);
    }

    /// A delivery came to this state; `took` if the client has it.
    pub fn delivery(self, form: &'static str, state: &'static str, took: Option<Duration>) {
        counter!(DELIVERIES, "form" => form, "state" => state).increment(1);
        if let Some(took) = took {
            histogram!(DELIVERY_SECONDS, "form" => form).record(took);
        }
    }

    /// SIP MESSAGEs were dropped before an agent was given them.
    pub fn sip_dropped(self, why: &'static str, messages: usize) {
        counter!(SIP_DROPPED, "why" => why).increment(messages as u64);
    }

    /// So many streams are open.
    pub fn clients_connected(self, streams: usize) {
        gauge!(CLIENTS_CONNECTED).set(streams as f64);
    }

    /// How the link to a PBX is.
    pub fn pbx(self, pbx: &PbxName, link: LinkState) {
        let up = matches!(link, LinkState::Up | LinkState::Standby);
        gauge!(PBX_UP, "pbx" => pbx.to_string()).set(if up { 1.0 } else { 0.0 });
    }

    /// Somebody posted to a call-scoped address.
    pub fn inbox_post(self, result: &'static str) {
        counter!(INBOX_POSTS, "result" => result).increment(1);
    }

    /// An offer to a peer was taken or refused.
    pub fn offer_sent(self, peer: &PeerName, state: SentState) {
        counter!(PEER_OFFERS_SENT, "peer" => peer.to_string(), "result" => state.as_str()).increment(1);
    }

    /// A peer made an offer.
    pub fn offer_received(self, peer: &PeerName, result: &'static str) {
        counter!(PEER_OFFERS_RECEIVED, "peer" => peer.to_string(), "result" => result).increment(1);
    }

    /// Somebody who is no peer made one.
    pub fn offer_from_nobody(self) {
        let result = OfferRefusal::UnknownPeer.as_str();
        counter!(PEER_OFFERS_RECEIVED, "peer" => "", "result" => result).increment(1);
    }

    /// A peer's offer has found its call, or never will.
    pub fn offer_matched(self, how: &'static str) {
        counter!(PEER_OFFERS_MATCHED, "how" => how).increment(1);
    }

    /// The other side was told of a client of ours, or won't be.
    pub fn peer_answer(self, state: SentState) {
        counter!(PEER_ANSWERS, "result" => state.as_str()).increment(1);
    }

    /// A request was answered. `route` is the pattern, never the path that was asked for.
    pub fn http_request(self, method: &'static str, route: String, status: u16) {
        counter!(HTTP_REQUESTS, "method" => method, "route" => route, "status" => status.to_string()).increment(1);
    }

    /// So many HTTP connections are open.
    pub fn connections_open(self, open: usize) {
        gauge!(CONNECTIONS_OPEN).set(open as f64);
    }

    /// A connection was closed at once, since a limit was reached.
    pub fn connection_refused(self, why: &'static str) {
        counter!(CONNECTIONS_REFUSED, "why" => why).increment(1);
    }

    /// A request came with a wrong token.
    pub fn failed_login(self, answer: &'static str) {
        counter!(FAILED_LOGINS, "answer" => answer).increment(1);
    }

    /// So many bytes are free on the database's disk, and whether that is too little.
    pub fn store_space(self, free: u64, low: bool) {
        gauge!(STORE_FREE_BYTES).set(free as f64);
        gauge!(STORE_LOW_SPACE).set(if low { 1.0 } else { 0.0 });
    }

    /// So many writes have failed in all.
    pub fn store_failed_writes(self, writes: u64) {
        counter!(STORE_FAILED_WRITES).absolute(writes);
    }
}
