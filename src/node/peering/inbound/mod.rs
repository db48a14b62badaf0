//! What other organisations' nodes tell this one.

mod offer_book;
mod offers;
pub(in crate::node) mod remote_client;

use std::sync::Arc;

use crate::contract::SharedTimeline;
use crate::core::base::name::CallId;
use crate::core::call::offer_matching::OfferId;
use crate::lnp::Lnp;
use crate::monitor::Metrics;
use crate::node::disclosure::Disclosure;
use crate::node::live_calls::LiveCalls;
use crate::node::pairing::Pairing;
use crate::node::peering::outbound::Outbound;
use crate::node::ringing::Ringing;
use crate::peer::{PeerNode, Peers};
use crate::store::{Store, StoreError};
use offer_book::OfferBook;

pub(in crate::node) use offers::OfferError;

/// Learns from other nodes, and from clients of theirs, how the other side of a call is reached.
pub(in crate::node) struct Inbound {
    pub(in crate::node) offers: OfferBook,
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) disclosure: Arc<Disclosure>,
    pub(in crate::node) pairing: Arc<Pairing>,
    pub(in crate::node) outbound: Arc<Outbound>,
    pub(in crate::node) ringing: Arc<Ringing>,
    pub(in crate::node) store: Store,
    pub(in crate::node) peers: Arc<Peers>,
    pub(in crate::node) lnp: Lnp,
    pub(in crate::node) metrics: Metrics,
}

impl Inbound {
    /// Keeps what a peer shares of the timeline of a call that it has offered. Returns ours, if one of our calls has used
    /// the offer.
    pub(in crate::node) async fn sync_timeline(
        &self,
        peer: &PeerNode,
        call: CallId,
        theirs: SharedTimeline,
    ) -> Result<SharedTimeline, StoreError> {
        let offer = OfferId { peer: peer.name().clone(), call };
        let ours = self.live.read(|exchange| exchange.call_of_offer(&offer).map(|call| call.id.clone()));
        let Some(ours) = ours else { return Ok(SharedTimeline::default()) };
        self.outbound.keep_remote_timeline(&ours, theirs);
        self.outbound.own_timeline(&ours).await
    }
}
