//! The node's totals since its start, for the status page.

use std::sync::{Mutex, MutexGuard, PoisonError};
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
    counts: Mutex<TotalsView>,
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
        Totals { metrics, counts: Mutex::default() }
    }

    /// A call was decided or registered.
    pub fn decided(&self, route: Route, reason: Reason, took: Duration) {
        let mut counts = self.counts();
        match route {
            Route::Packet => counts.packet += 1,
            Route::Local => counts.local += 1,
            Route::Pstn => counts.pstn += 1,
        }
        drop(counts);
        self.metrics.decided(route, reason, took);
    }

    /// Clients were told of a pair.
    pub fn paired(&self) {
        self.counts().pairs += 1;
    }

    /// A message was delivered, this long after it was created.
    pub fn delivered(&self, form: &'static str, took: Option<Duration>) {
        self.counts().delivered += 1;
        self.metrics.delivery(form, "delivered", took);
    }

    /// A message failed.
    pub fn failed(&self, form: &'static str) {
        self.counts().failed += 1;
        self.metrics.delivery(form, "failed", None);
    }

    /// A message was stored and is being sent.
    pub fn sending(&self, form: &'static str) {
        self.metrics.delivery(form, "pending", None);
    }

    /// The current totals.
    pub fn view(&self) -> TotalsView {
        self.counts().clone()
    }

    fn counts(&self) -> MutexGuard<'_, TotalsView> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
