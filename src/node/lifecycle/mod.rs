//! What the node does by itself: it takes up live calls after a restart, does the housekeeping, and watches its
//! database and its disk.

pub(in crate::node) mod database_probe;
pub(in crate::node) mod disk_space;
pub(in crate::node) mod housekeeping;
mod resume;

use std::sync::Arc;

use crate::monitor::Metrics;
use crate::node::call::events::Reports;
use crate::node::delivery::Deliveries;
use crate::node::delivery::pbx_links::PbxLinks;
use crate::node::delivery::post_budget::PostBudget;
use crate::node::live_calls::LiveCalls;
use crate::node::pairing::Pairing;
use crate::node::peering::inbound::Inbound;
use crate::node::peering::outbound::Outbound;
use crate::node::ringing::Ringing;
use crate::push::Push;
use crate::store::Store;
use disk_space::Space;
use housekeeping::OldCalls;

/// Takes up what was going on before a restart, and does the housekeeping from then on.
pub(in crate::node) struct Upkeep {
    pub(in crate::node) store: Store,
    pub(in crate::node) push: Push,
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) deliveries: Arc<Deliveries>,
    pub(in crate::node) posts: Arc<PostBudget>,
    pub(in crate::node) links: Arc<PbxLinks>,
    pub(in crate::node) outbound: Arc<Outbound>,
    pub(in crate::node) pairing: Arc<Pairing>,
    pub(in crate::node) inbound: Arc<Inbound>,
    pub(in crate::node) ringing: Arc<Ringing>,
    pub(in crate::node) reports: Reports,
    pub(in crate::node) space: Arc<Space>,
    pub(in crate::node) old_calls: OldCalls,
    pub(in crate::node) metrics: Metrics,
}
