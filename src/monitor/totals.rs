//! The node's totals since its start, for the status page.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Metrics;
use crate::core::routing::route::{Reason, Route};

/// Counts events here and in the metrics.
#[derive(Debug)]
pub struct Totals {
    /// The metrics, which have more labels.
    pub metrics: Metrics,
    packet: AtomicU64,
    local: AtomicU64,
    pstn: AtomicU64,
    pairs: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
}

/// The totals in `/v1/status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TotalsView {
    /// Calls sent to a packet trunk.
    pub packet: u64,
    /// Calls to a phone on the same PBX.
    pub local: u64,
    /// Calls left to the dialplan.
    pub pstn: u64,
    /// Pairs of numbers whose clients were told of each other.
    pub pairs: u64,
    /// Messages delivered to clients.
    pub delivered: u64,
    /// Messages that failed.
    pub failed: u64,
}

impl Totals {
    /// All at zero.
    pub fn new(metrics: Metrics) -> Totals {
        let zero = AtomicU64::default;
        Totals {
            metrics,
            packet: zero(),
            local: zero(),
            pstn: zero(),
            pairs: zero(),
            delivered: zero(),
            failed: zero(),
        }
    }

    /// A call was decided or registered.
    pub fn decided(&self, route: Route, reason: Reason, took: Duration) {
        let count = match route {
            Route::Packet => &self.packet,
            Route::Local => &self.local,
            Route::Pstn => &self.pstn,
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.metrics.decided(route, reason, took);
    }

    /// Clients were told of a pair.
    pub fn paired(&self) {
        self.pairs.fetch_add(1, Ordering::Relaxed);
    }

    /// A message was delivered, this long after it was created.
    pub fn delivered(&self, form: &'static str, took: Option<Duration>) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
        self.metrics.delivery(form, "delivered", took);
    }

    /// A message failed.
    pub fn failed(&self, form: &'static str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.metrics.delivery(form, "failed", None);
    }

    /// A message was stored and is being sent.
    pub fn sending(&self, form: &'static str) {
        self.metrics.delivery(form, "pending", None);
    }

    /// The current totals.
    pub fn view(&self) -> TotalsView {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        TotalsView {
            packet: read(&self.packet),
            local: read(&self.local),
            pstn: read(&self.pstn),
            pairs: read(&self.pairs),
            delivered: read(&self.delivered),
            failed: read(&self.failed),
        }
    }
}
