//! What this node says to the other side's node.
//!
//! An offer (B11) when a call goes out to a number that a peer serves; an answer (B7) for clients that
//! can't answer themselves. Both stand in the call while they are pending, so a restart takes them up.

mod answer;
mod offer;
mod peer_tasks;
mod peer_updates;
mod timeline_sync;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::core::base::name::CallId;
use crate::core::call::remote_side::{PeerDelivery, PeerDeliveryState};
use crate::monitor::{Metrics, brief};
use crate::node::disclosure::Disclosure;
use crate::node::live_calls::{GRACE, LiveCalls};
use crate::peer::{PeerNode, Peers};
use crate::push::Push;
use crate::store::Store;
use peer_tasks::{PeerTasks, until_settled};
use timeline_sync::TimelineSyncs;

pub(in crate::node) use timeline_sync::STEPS_MAX;

/// Tells other nodes of this node's calls.
pub(in crate::node) struct Outbound {
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) disclosure: Arc<Disclosure>,
    pub(in crate::node) store: Store,
    pub(in crate::node) push: Push,
    pub(in crate::node) peers: Arc<Peers>,
    pub(in crate::node) tasks: PeerTasks,
    pub(in crate::node) syncs: TimelineSyncs,
    pub(in crate::node) metrics: Metrics,
    pub(in crate::node) shutdown: CancellationToken,
}

impl Outbound {
    /// The call is over, and so is what is sent for it.
    pub(in crate::node) fn end_call(&self, call: &CallId) {
        self.tasks.end(call);
        let unused = self.live.change_remote(call, |remote| {
            let unused = remote
                .offer
                .as_ref()
                .filter(|offer| remote.client.is_none() && offer.state != PeerDeliveryState::Refused);
            let peer = unused.and_then(|offer| offer.peer.clone());
            remote.offer.iter_mut().chain(remote.answers.values_mut()).for_each(PeerDelivery::drop_pending);
            peer
        });
        if let Some(peer) = unused.flatten().and_then(|name| self.peers.get(&name).cloned()) {
            self.withdraw_offer(peer, call.clone());
        }
    }

    /// Takes back an offer that, for all we know, no call has used: another call there might.
    fn withdraw_offer(&self, peer: Arc<PeerNode>, call: CallId) {
        let Some(permit) = peer.withdrawal() else { return };
        let stop = self.shutdown.child_token();
        tokio::spawn(brief("peer", async move {
            let _permit = permit;
            let asking = tokio::time::timeout(GRACE, until_settled(|| peer.withdraw(&call), |_, _| ()));
            let _ = stop.run_until_cancelled(asking).await;
        }));
    }
}
