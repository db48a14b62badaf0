//! The process's metrics recorder and the node's metrics.

pub mod agent;
pub mod lnp;
pub(super) mod names;

pub use names::NAMES;

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::contract::{LinkState, NodeRole, OfferRefusal};
use crate::core::base::name::{PbxName, PeerName};
use crate::core::call::remote_side::PeerDeliveryState;
use crate::core::routing::route::{Reason, Route};
use names::{
    CALLS_LIVE, CLIENTS_CONNECTED, CONNECTIONS_OPEN, CONNECTIONS_REFUSED, DECISION_SECONDS, DECISIONS, DELIVERIES,
    DELIVERY_SECONDS, FAILED_LOGINS, HTTP_REQUESTS, INBOX_POSTS, NODES, PBX_UP, PEER_ANSWERS, PEER_OFFERS_MATCHED,
    PEER_OFFERS_RECEIVED, PEER_OFFERS_SENT, SIP_DROPPED, STAND_BY, STORE_COMMITS, STORE_FAILED_WRITES,
    STORE_FREE_BYTES, STORE_LOW_SPACE, STORE_READS, STORE_WRITES,
};

/// Buckets of the histograms. The budgets are 1 ms for a decision and 100 ms for a delivery.
const SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// The process's metrics, shared by all nodes and agents in it.
#[derive(Debug, Clone, Copy)]
pub struct Metrics(());

static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

impl Metrics {
    /// Installs the process's recorder, once.
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

    /// All metrics in the Prometheus text format.
    pub fn render(self) -> String {
        let handle = HANDLE.get().and_then(Option::as_ref);
        handle.map(PrometheusHandle::render).unwrap_or_default()
    }

    /// Whether the node stands by, and nothing else, in the same format.
    pub fn render_stand_by(self) -> String {
        let all = self.render();
        all.lines().filter(|line| line.starts_with(STAND_BY)).map(|line| format!("{line}\n")).collect()
    }

    /// Compacts the histograms. Call it every few seconds.
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

    /// The number of live calls.
    pub fn calls_live(self, calls: usize) {
        gauge!(CALLS_LIVE).set(calls as f64);
    }

    /// A delivery reached this state; `took` is its duration if it was delivered.
    pub fn delivery(self, form: &'static str, state: &'static str, took: Option<Duration>) {
        counter!(DELIVERIES, "form" => form, "state" => state).increment(1);
        if let Some(took) = took {
            histogram!(DELIVERY_SECONDS, "form" => form).record(took);
        }
    }

    /// SIP MESSAGEs were dropped before an agent got them.
    pub fn sip_dropped(self, why: &'static str, messages: usize) {
        counter!(SIP_DROPPED, "why" => why).increment(messages as u64);
    }

    /// The number of open streams.
    pub fn clients_connected(self, streams: usize) {
        gauge!(CLIENTS_CONNECTED).set(streams as f64);
    }

    /// Whether the node waits for a database that another one has.
    pub fn stands_by(self, waits: bool) {
        gauge!(STAND_BY).set(if waits { 1.0 } else { 0.0 });
    }

    /// The number of nodes on the database that are there.
    pub fn nodes(self, role: NodeRole, nodes: usize) {
        gauge!(NODES, "role" => role.as_str()).set(nodes as f64);
    }

    /// The state of the link to a PBX.
    pub fn pbx(self, pbx: &PbxName, link: LinkState) {
        let up = matches!(link, LinkState::Up | LinkState::Standby);
        gauge!(PBX_UP, "pbx" => pbx.to_string()).set(if up { 1.0 } else { 0.0 });
    }

    /// Somebody posted to a call-scoped address.
    pub fn inbox_post(self, result: &'static str) {
        counter!(INBOX_POSTS, "result" => result).increment(1);
    }

    /// An offer to a peer was accepted or refused.
    pub fn offer_sent(self, peer: &PeerName, state: PeerDeliveryState) {
        counter!(PEER_OFFERS_SENT, "peer" => peer.to_string(), "result" => state.as_str()).increment(1);
    }

    /// A peer made an offer.
    pub fn offer_received(self, peer: &PeerName, result: &'static str) {
        counter!(PEER_OFFERS_RECEIVED, "peer" => peer.to_string(), "result" => result).increment(1);
    }

    /// An unknown node made an offer.
    pub fn offer_from_nobody(self) {
        let result = OfferRefusal::UnknownPeer.as_str();
        counter!(PEER_OFFERS_RECEIVED, "peer" => "", "result" => result).increment(1);
    }

    /// A peer's offer was matched with its call, or expired.
    pub fn offer_matched(self, how: &'static str) {
        counter!(PEER_OFFERS_MATCHED, "how" => how).increment(1);
    }

    /// The remote side learnt a client of ours, or can't.
    pub fn peer_answer(self, state: PeerDeliveryState) {
        counter!(PEER_ANSWERS, "result" => state.as_str()).increment(1);
    }

    /// A request was answered. `route` is the pattern, never the requested path.
    pub fn http_request(self, method: &'static str, route: String, status: u16) {
        counter!(HTTP_REQUESTS, "method" => method, "route" => route, "status" => status.to_string()).increment(1);
    }

    /// The number of open HTTP connections.
    pub fn connections_open(self, open: usize) {
        gauge!(CONNECTIONS_OPEN).set(open as f64);
    }

    /// A connection was closed because of a limit.
    pub fn connection_refused(self, why: &'static str) {
        counter!(CONNECTIONS_REFUSED, "why" => why).increment(1);
    }

    /// A request came with a wrong token.
    pub fn failed_login(self, answer: &'static str) {
        counter!(FAILED_LOGINS, "answer" => answer).increment(1);
    }

    /// Free space on the database's disk, and whether that is too little.
    pub fn store_space(self, free: u64, low: bool) {
        gauge!(STORE_FREE_BYTES).set(free as f64);
        gauge!(STORE_LOW_SPACE).set(if low { 1.0 } else { 0.0 });
    }

    /// The total number of failed writes.
    pub fn store_failed_writes(self, writes: u64) {
        counter!(STORE_FAILED_WRITES).absolute(writes);
    }

    /// The total number of queries.
    pub fn store_reads(self, reads: u64) {
        counter!(STORE_READS).absolute(reads);
    }

    /// The total number of writes, and of the transactions that committed them.
    pub fn store_writes(self, writes: u64, commits: u64) {
        counter!(STORE_WRITES).absolute(writes);
        counter!(STORE_COMMITS).absolute(commits);
    }
}
