//! Offering a call to the node that serves its called number (B11).

use std::sync::Arc;

use crate::contract::{Offer, Role};
use crate::core::address::disclosure::Receiver;
use crate::core::base::time::UnixMillis;
use crate::core::call::Call;
use crate::core::call::remote_side::{PeerDelivery, PeerDeliveryState};
use crate::core::numbering::number::Number;
use crate::core::routing::route::{Reason, Side};
use crate::monitor::clock::step;
use crate::monitor::{now, wall};
use crate::node::peering::outbound::Outbound;
use crate::node::peering::outbound::peer_tasks::{PeerTask, attempted, until_settled};
use crate::peer::PeerNode;
use crate::store::StoreError;

impl Outbound {
    /// Offers a call to the node that serves its called number, behind everything else. A call whose
    /// caller has no client is nobody's business (B2).
    pub(in crate::node) fn offer(self: &Arc<Self>, call: &Call) {
        let wanted = call.side == Side::Originating && call.reason != Reason::CalledHasClient;
        let (Some(peer), Some(calling)) = (self.peers.for_called(&call.called, &call.remote.served_by), &call.calling)
        else {
            return;
        };
        let settled = call.remote.offer.as_ref().is_some_and(|offer| offer.state != PeerDeliveryState::Pending);
        if !wanted || settled {
            return;
        }
        let (outbound, peer, calling, call) = (self.clone(), peer.clone(), calling.clone(), call.clone());
        let id = call.id.clone();
        self.run(&id, PeerTask::Offer, async move {
            match outbound.first_offer(&peer, &calling, &call).await {
                Ok(Some(offer)) => outbound.offer_until_answered(&peer, &calling, offer).await,
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, call = %call.id, "an offer could not be made"),
            }
        });
    }

    async fn first_offer(&self, peer: &PeerNode, calling: &Number, call: &Call) -> Result<Option<Offer>, StoreError> {
        // Served here: whoever it is, we know them better than a peer.
        if !call.remote.served_by.is_elsewhere() && self.store.facts(&call.called, now()).await?.known.served {
            return Ok(None);
        }
        let mut clients = self.disclosure.participating_clients(&call.id, calling).await?;
        clients.retain(|client| client.offer.allows(&Receiver::Peer(peer.name())));
        let Some(own) = self.disclosure.shown_as(&call.id, Role::First, calling, &clients).await? else {
            return Ok(None);
        };
        self.live.change_remote(&call.id, |remote| {
            remote.offer.get_or_insert_with(|| PeerDelivery::pending(Some(peer.name().clone()), now()));
        });
        Ok(Some(Offer {
            id: call.id.clone(),
            calling: own.number,
            called: call.called.clone(),
            address: own.address,
            name: own.name,
            capabilities: own.capabilities,
            // By the wall clock: it is compared with theirs.
            at: UnixMillis(call.decided.0.saturating_add(step() / 1_000)),
            sent: wall(),
            via: vec![self.disclosure.inbox_tokens().base().to_owned()],
        }))
    }

    async fn offer_until_answered(self: &Arc<Self>, peer: &PeerNode, calling: &Number, offer: Offer) {
        let id = offer.id.clone();
        let state = until_settled(
            || async {
                let offer = Offer { sent: wall(), ..offer.clone() };
                self.disclosure.send_if_disclosed(calling, &Receiver::Peer(peer.name()), peer.offer(&offer)).await
            },
            |state, error| _ = self.live.change_remote(&id, |remote| attempted(remote.offer.as_mut(), state, error)),
        )
        .await;
        self.metrics.offer_sent(peer.name(), state);
        tracing::info!(call = %id, peer = %peer.name(), outcome = state.as_str(), "offered");
        self.sync_timeline(&id);
    }
}
