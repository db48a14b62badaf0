//! A client of the other side makes itself known to a number of ours, or leaves it.

use crate::contract::PeerClient;
use crate::core::address::Address;
use crate::core::base::name::CallId;
use crate::core::call::Phase;
use crate::core::call::remote_side::{AddressSource, Learned, RemoteClient, RemoteSide};
use crate::core::numbering::number::Number;
use crate::core::routing::route::Side;
use crate::monitor::now;
use crate::node::peering::inbound::Inbound;
use crate::store::StoreError;

/// What becomes of another side's client that a number of ours was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum Reception {
    /// It stands in the call, and is told when the two talk.
    Kept,
    /// It is another one than was known by a better way: somebody who has taken over there, perhaps.
    News,
    /// The other side is ours, and this node says itself how it is reached; or the call is over.
    Moot,
}

impl Inbound {
    /// A number of ours was told in a call how the other side's client is reached (B7).
    ///
    /// With `instead`, whoever had that address has connected the two.
    pub(in crate::node) async fn accept_remote_client(
        &self,
        id: &CallId,
        number: &Number,
        peer: &PeerClient,
        instead: Option<&Address>,
    ) -> Result<Reception, StoreError> {
        let known = self.live.read(|exchange| {
            let call = exchange.call(id).filter(|call| call.phase != Phase::Ended)?;
            let linked = call.remote.linked_call.as_ref().and_then(|id| exchange.call(id));
            let linked_has_client = linked.is_some_and(|linked| linked.remote.client.is_some());
            Some((call.clone(), exchange.opposite(call, number), linked_has_client))
        });
        let Some((call, other, linked_has_client)) = known else { return Ok(Reception::Moot) };
        // The remote party is the called one of a call that went out, and the caller of one that came in.
        let is_remote_party = match call.side {
            Side::Originating => Some(&other) != call.caller().as_ref(),
            Side::Terminating => Some(&other) == call.caller().as_ref(),
        };
        if !is_remote_party || !self.disclosure.participating_clients(id, &other).await?.is_empty() {
            // Where the number was withheld on its way from one of our PBXs to another, the address is all that is
            // known of the linked call, and its client makes itself known as anybody's does.
            return Ok(if linked_has_client { Reception::News } else { Reception::Moot });
        }
        let told = RemoteClient {
            number: peer.number.clone(),
            name: peer.name.clone(),
            address: peer.address.clone(),
            capabilities: peer.capabilities.clone(),
            source: if instead.is_some() { AddressSource::Introduced } else { AddressSource::Message },
            peer: self.peers.at(&peer.address).map(|peer| peer.name().clone()),
            at: Some(now()),
        };
        let known = call.remote.client.as_ref().is_some_and(|known| known.address == told.address);
        let learn = |remote: &mut RemoteSide| match instead {
            Some(instead) => remote.introduce(number, told, instead),
            None => remote.learn(told),
        };
        let learned = self.live.change_remote(id, learn).unwrap_or(Learned::Same);
        if !known && learned == Learned::Same {
            return Ok(Reception::News);
        }
        let pairs = self.live.pairs_in(id);
        for pair in pairs.iter().filter(|pair| pair.first == *number || pair.second == *number) {
            if learned != Learned::Replaced {
                // Said again, it may be because the first time something failed.
                self.pairing.reconcile(pair).await?;
            } else if let Err(error) = self.pairing.replace_remote_client(pair).await {
                // Said again, it is to be another one again.
                self.live.change_remote(id, |remote| remote.client.clone_from(&call.remote.client));
                return Err(error);
            }
        }
        Ok(Reception::Kept)
    }

    /// The client behind `address` no longer talks to this number of ours.
    pub(in crate::node) async fn remote_client_left(
        &self,
        id: &CallId,
        number: &Number,
        address: &Address,
    ) -> Result<(), StoreError> {
        let pairs = self.live.read(|exchange| {
            let known = exchange.call(id)?.remote.client.as_ref()?;
            (known.address == *address).then(|| exchange.pairs_in(id))
        });
        let Some(pairs) = pairs else { return Ok(()) };
        let own = || pairs.iter().filter(|pair| pair.first == *number || pair.second == *number);
        for pair in own() {
            self.pairing.withdraw(pair).await?;
        }
        self.live.change_remote(id, |remote| _ = remote.client.take_if(|client| client.address == *address));
        for pair in own() {
            // The voice goes on, as far as this node knows.
            self.ringing.tell_answered(pair).await?;
        }
        Ok(())
    }
}
