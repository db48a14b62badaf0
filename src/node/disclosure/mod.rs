//! Whose clients take part, and how a number's address is given away: every address that leaves the node,
//! and every message about one, asks here to whom it may go.

pub(in crate::node) mod inbox_token;

use std::collections::BTreeSet;

use crate::contract::{Capability, Peer, Role};
use crate::core::call::Call;
use crate::core::exchange::Pair;
use crate::core::far::FarClient;
use crate::core::name::CallId;
use crate::core::number::Number;
use crate::core::policy::{OfferTo, Receiver};
use crate::monitor::now;
use crate::node::app::App;
use crate::node::pairing::CLIENTS;
use crate::store::{Binding, StoreError};

/// Capabilities that a client names, and that are told of a number.
pub(in crate::node) const CAPABILITIES: usize = 16;

impl App {
    /// Who a number is to the clients of this node's.
    pub(in crate::node) fn receiver(&self, number: &Number, served: bool) -> Receiver<'_> {
        match self.peers.serving(number) {
            _ if served => Receiver::Served,
            Some(peer) => Receiver::Peer(peer.name()),
            None => Receiver::Unknown,
        }
    }

    /// Who another node's client is to this node's.
    pub(in crate::node) fn receiver_far<'a>(&'a self, far: Option<&'a FarClient>) -> Receiver<'a> {
        let listed = far.and_then(|far| far.peer.as_ref());
        let listed = listed.or_else(|| far.and_then(|far| Some(self.peers.at(&far.address)?.name())));
        listed.map_or(Receiver::Unknown, Receiver::Peer)
    }

    /// A number's clients that take part in a call. Those of a number that was ported out don't: the called
    /// person is somebody else's customer now, whoever had the number here. The portability query may come
    /// before the call leaves the originating PBX or, where it is configured so, before it is let in.
    pub(in crate::node) async fn taking_part(
        &self,
        call: &CallId,
        number: &Number,
    ) -> Result<Vec<Binding>, StoreError> {
        // The reason may have become another since: a decision that came too late is still right about this.
        let is_elsewhere = |call: &Call| call.far.served_by.is_elsewhere() && call.called == *number;
        let left = self.live.read(|exchange| exchange.call(call).is_some_and(is_elsewhere));
        if left {
            return Ok(Vec::new());
        }
        let mut clients = self.store.taking_part(number, now(), CLIENTS).await?;
        // Or a number whose clients give their address to nobody would make the other side one of ours.
        clients.retain(|client| client.offer != OfferTo::Never);
        Ok(clients)
    }

    /// Whether a number has a client that offers its address to this one, now.
    pub(in crate::node) async fn gives(&self, number: &Number, to: &Receiver<'_>) -> Result<bool, StoreError> {
        let clients = self.store.taking_part(number, now(), CLIENTS).await?;
        Ok(clients.iter().any(|client| client.offer.allows(to)))
    }

    /// The clients on both sides of a pair that offer their address to the other side; `far` is the other
    /// node's client, if there is one.
    pub(in crate::node) async fn offered(
        &self,
        pair: &Pair,
        far: Option<&FarClient>,
    ) -> Result<(Vec<Binding>, Vec<Binding>), StoreError> {
        let mut first = self.taking_part(&pair.call, &pair.first).await?;
        let mut second = self.taking_part(&pair.call, &pair.second).await?;
        // Who has clients here is served here. Where one side has none, nothing is given to it but by way
        // of its own node.
        let both = !first.is_empty() && !second.is_empty();
        let to = if both { Receiver::Served } else { self.receiver_far(far) };
        first.retain(|client| client.offer.allows(&to));
        second.retain(|client| client.offer.allows(&to));
        Ok((first, second))
    }

    /// The clients behind a number's address in a call: those that would offer it to somebody there.
    pub(in crate::node) async fn addressed(&self, call: &CallId, number: &Number) -> Result<Vec<Binding>, StoreError> {
        let mut clients = self.taking_part(call, number).await?;
        if clients.iter().all(|client| client.offer == OfferTo::Everyone) {
            return Ok(clients);
        }
        let (others, far): (BTreeSet<Number>, _) = self.live.read(|exchange| {
            let call = exchange.call(call);
            let legs = call.into_iter().flat_map(|call| call.legs.values().filter_map(|leg| leg.number.clone()));
            let ends = call.into_iter().flat_map(|call| call.calling.iter().chain([&call.called]).cloned());
            let far = call.and_then(|call| call.far.client.clone());
            (legs.chain(ends).filter(|other| other != number).collect(), far)
        });
        let mut there = vec![self.receiver_far(far.as_ref())];
        for other in &others {
            there.push(self.receiver(other, self.store.facts(other, now()).await?.known.served));
        }
        clients.retain(|client| there.iter().any(|receiver| client.offer.allows(receiver)));
        Ok(clients)
    }

    /// A number was switched on or off, or one of its clients offers its address to others than before.
    pub(in crate::node) async fn reconsider(&self, number: &Number) -> Result<(), StoreError> {
        for pair in self.live.pairs_of(number) {
            let far = self.live.read(|exchange| exchange.far_end(&pair).and_then(|(home, _)| home.far.client.clone()));
            let (first, second) = self.offered(&pair, far.as_ref()).await?;
            let left = if pair.first == *number { first.is_empty() } else { second.is_empty() };
            match left {
                true => self.withdraw(&pair).await?,
                false => self.settle(&pair).await?,
            }
        }
        Ok(())
    }

    /// How a number with these clients is shown to the other side. Its address is the same for all of
    /// them, whatever their form: the node hands on what comes there.
    pub(in crate::node) async fn shown(
        &self,
        call: &CallId,
        role: Role,
        number: &Number,
        clients: &[Binding],
    ) -> Result<Option<Peer>, StoreError> {
        if clients.is_empty() {
            return Ok(None);
        }
        let Some(address) = self.capabilities.address(call, role, number) else { return Ok(None) };
        let mut capabilities: Vec<Capability> = Vec::new();
        for capability in clients.iter().flat_map(|client| &client.capabilities) {
            // As many as a node of another organisation takes.
            if !capabilities.contains(capability) && capabilities.len() < CAPABILITIES {
                capabilities.push(capability.clone());
            }
        }
        if self.live.read(|exchange| exchange.withholds(call, number)) {
            return Ok(Some(Peer { number: None, name: None, address, capabilities }));
        }
        let name = self.store.number(number).await?.and_then(|view| view.entry.name);
        Ok(Some(Peer { number: Some(number.clone()), name, address, capabilities }))
    }
}
