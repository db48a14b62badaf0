//! What other organisations' nodes tell this one.

mod offer_book;
mod offers;
pub(in crate::node) mod remote_client;

use std::sync::Arc;

use crate::contract::SharedTimeline;
use crate::core::base::name::CallId;
use crate::core::call::Call;
use crate::core::call::offer_matching::OfferId;
use crate::lnp::Lnp;
use crate::monitor::Metrics;
use crate::node::disclosure::Disclosure;
use crate::node::live_calls::LiveCalls;
use crate::node::pairing::Pairing;
use crate::node::peering::outbound::Outbound;
use crate::peer::{PeerNode, Peers};
use crate::store::{Store, StoreError};
use offer_book::OfferBook;

pub(in crate::node) use offers::OfferError;

/// Learns from other nodes, and from clients of theirs, how the other side of a call is reached.
pub(in crate::node) struct Inbound {
    offers: OfferBook,
    live: LiveCalls,
    disclosure: Arc<Disclosure>,
    pairing: Arc<Pairing>,
    outbound: Arc<Outbound>,
    store: Store,
    peers: Arc<Peers>,
    lnp: Lnp,
    metrics: Metrics,
}

impl Inbound {
    #[allow(clippy::too_many_arguments, reason = "they are put together in one place")]
    pub(in crate::node) fn new(
        live: LiveCalls,
        disclosure: Arc<Disclosure>,
        pairing: Arc<Pairing>,
        outbound: Arc<Outbound>,
        store: Store,
        peers: Arc<Peers>,
        lnp: Lnp,
        metrics: Metrics,
    ) -> Inbound {
        Inbound { offers: OfferBook::default(), live, disclosure, pairing, outbound, store, peers, lnp, metrics }
    }

    /// A peer tells its part of a call that it has offered; ours, if one of our calls has used the offer.
    pub(in crate::node) async fn sync_timeline(
        &self,
        peer: &PeerNode,
        call: CallId,
        part: SharedTimeline,
    ) -> Result<SharedTimeline, StoreError> {
        let offered = Some(OfferId { peer: peer.name().clone(), call });
        let has_used = |call: &&Call| call.remote.offered == offered;
        let ours = self.live.read(|exchange| exchange.calls().find(has_used).map(|call| call.id.clone()));
        let Some(ours) = ours else { return Ok(SharedTimeline::default()) };
        self.outbound.keep_remote_timeline(&ours, part);
        self.outbound.own_timeline(&ours).await
    }
}
