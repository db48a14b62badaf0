//! Whose clients take part, and how a number's address is given away: every address that leaves the node,
//! and every message about one, asks here to whom it may go.

pub(in crate::node) mod inbox_token;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::contract::{Capability, MessageBody, PeerClient, Role};
use crate::core::address::disclosure::{OfferTo, Receiver};
use crate::core::base::name::CallId;
use crate::core::call::Call;
use crate::core::call::exchange::Pair;
use crate::core::call::remote_side::RemoteClient;
use crate::core::numbering::number::Number;
use crate::monitor::now;
use crate::node::live_calls::LiveCalls;
use crate::peer::{Outcome, Peers};
use crate::store::{Binding, Delivery, Store, StoreError};
use inbox_token::{InboxToken, InboxTokens};

/// Capabilities that a client names, and that are told of a number.
pub(in crate::node) const CAPABILITIES_MAX: usize = 16;
/// Clients of one number: all of them are told.
pub(in crate::node) const CLIENTS_MAX: u32 = 64;
/// Why something was not sent in the end.
const KEPT: &str = "no client gives its address to them any more";

/// Decides who learns a number's address.
pub(in crate::node) struct Disclosure {
    store: Store,
    live: LiveCalls,
    peers: Arc<Peers>,
    inbox_tokens: InboxTokens,
}

impl Disclosure {
    pub(in crate::node) fn new(
        store: Store,
        live: LiveCalls,
        peers: Arc<Peers>,
        inbox_tokens: InboxTokens,
    ) -> Disclosure {
        Disclosure { store, live, peers, inbox_tokens }
    }

    /// The addresses themselves.
    pub(in crate::node) fn inbox_tokens(&self) -> &InboxTokens {
        &self.inbox_tokens
    }

    /// Who a number is to the clients of this node's.
    pub(in crate::node) fn receiver(&self, number: &Number, served: bool) -> Receiver<'_> {
        match self.peers.serving(number) {
            _ if served => Receiver::Served,
            Some(peer) => Receiver::Peer(peer.name()),
            None => Receiver::Unknown,
        }
    }

    /// Who another node's client is to this node's.
    pub(in crate::node) fn remote_receiver<'a>(&'a self, remote: Option<&'a RemoteClient>) -> Receiver<'a> {
        let listed = remote.and_then(|remote| remote.peer.as_ref());
        let listed = listed.or_else(|| remote.and_then(|remote| Some(self.peers.at(&remote.address)?.name())));
        listed.map_or(Receiver::Unknown, Receiver::Peer)
    }

    /// A number's clients that take part in a call. Those of a number that was ported out don't: the called
    /// person is somebody else's customer now, whoever had the number here. The portability query may come
    /// before the call leaves the originating PBX or, where it is configured so, before it is let in.
    pub(in crate::node) async fn participating_clients(
        &self,
        call: &CallId,
        number: &Number,
    ) -> Result<Vec<Binding>, StoreError> {
        // The reason may have become another since: a decision that came too late is still right about this.
        let is_elsewhere = |call: &Call| call.remote.served_by.is_elsewhere() && call.called == *number;
        let left = self.live.read(|exchange| exchange.call(call).is_some_and(is_elsewhere));
        if left {
            return Ok(Vec::new());
        }
        let mut clients = self.store.taking_part(number, now(), CLIENTS_MAX).await?;
        // Or a number whose clients give their address to nobody would make the other side one of ours.
        clients.retain(|client| client.offer != OfferTo::Never);
        Ok(clients)
    }

    /// Whether a number has a client that offers its address to this one, now.
    pub(in crate::node) async fn discloses_to(&self, number: &Number, to: &Receiver<'_>) -> Result<bool, StoreError> {
        let clients = self.store.taking_part(number, now(), CLIENTS_MAX).await?;
        Ok(clients.iter().any(|client| client.offer.allows(to)))
    }

    /// Sends it if the number still gives its address: it may have been switched off since.
    pub(in crate::node) async fn send_if_disclosed(
        &self,
        number: &Number,
        to: &Receiver<'_>,
        send: impl Future<Output = Outcome>,
    ) -> Outcome {
        match self.discloses_to(number, to).await {
            Ok(true) => send.await,
            Ok(false) => Outcome::Refused(KEPT.to_owned()),
            Err(error) => Outcome::Again { error: error.to_string(), after: None },
        }
    }

    /// The clients on both sides of a pair that offer their address to the other side; `remote` is the other
    /// node's client, if there is one.
    pub(in crate::node) async fn clients_of_pair(
        &self,
        pair: &Pair,
        remote: Option<&RemoteClient>,
    ) -> Result<(Vec<Binding>, Vec<Binding>), StoreError> {
        let mut first = self.participating_clients(&pair.call, &pair.first).await?;
        let mut second = self.participating_clients(&pair.call, &pair.second).await?;
        // Who has clients here is served here. Where one side has none, nothing is given to it but by way
        // of its own node.
        let both = !first.is_empty() && !second.is_empty();
        let to = if both { Receiver::Served } else { self.remote_receiver(remote) };
        first.retain(|client| client.offer.allows(&to));
        second.retain(|client| client.offer.allows(&to));
        Ok((first, second))
    }

    /// The clients behind an address of a number. A client's own address has none but that client behind it.
    pub(in crate::node) async fn inbox_clients(
        &self,
        claim: &InboxToken,
        number: &Number,
    ) -> Result<Vec<Binding>, StoreError> {
        let mut clients = self.disclosing_clients(&claim.call, number).await?;
        clients.retain(|client| self.inbox_tokens.reaches(claim, &client.id));
        Ok(clients)
    }

    /// The clients of a number that would offer its address to somebody in the call.
    pub(in crate::node) async fn disclosing_clients(
        &self,
        call: &CallId,
        number: &Number,
    ) -> Result<Vec<Binding>, StoreError> {
        let mut clients = self.participating_clients(call, number).await?;
        if clients.iter().all(|client| client.offer == OfferTo::Everyone) {
            return Ok(clients);
        }
        let (others, remote): (BTreeSet<Number>, _) = self.live.read(|exchange| {
            let call = exchange.call(call);
            let legs = call.into_iter().flat_map(|call| call.legs.values().filter_map(|leg| leg.number.clone()));
            let ends = call.into_iter().flat_map(|call| call.calling.iter().chain([&call.called]).cloned());
            let remote = call.and_then(|call| call.remote.client.clone());
            (legs.chain(ends).filter(|other| other != number).collect(), remote)
        });
        let mut there = vec![self.remote_receiver(remote.as_ref())];
        for other in &others {
            there.push(self.receiver(other, self.store.facts(other, now()).await?.known.served));
        }
        clients.retain(|client| there.iter().any(|receiver| client.offer.allows(receiver)));
        Ok(clients)
    }

    /// How a number with these clients is shown to the other side. Its address is the same for all of
    /// them, whatever their form: the node hands on what comes there.
    pub(in crate::node) async fn shown_as(
        &self,
        call: &CallId,
        role: Role,
        number: &Number,
        clients: &[Binding],
    ) -> Result<Option<PeerClient>, StoreError> {
        if clients.is_empty() {
            return Ok(None);
        }
        let Some(address) = self.inbox_tokens.address(call, role, number) else { return Ok(None) };
        let mut capabilities: Vec<Capability> = Vec::new();
        for capability in clients.iter().flat_map(|client| &client.capabilities) {
            // As many as a node of another organisation takes.
            if !capabilities.contains(capability) && capabilities.len() < CAPABILITIES_MAX {
                capabilities.push(capability.clone());
            }
        }
        if self.live.read(|exchange| exchange.withholds(call, number)) {
            return Ok(Some(PeerClient { number: None, name: None, address, capabilities }));
        }
        let name = self.store.number(number).await?.and_then(|view| view.entry.name);
        Ok(Some(PeerClient { number: Some(number.clone()), name, address, capabilities }))
    }
}

/// In whose name a message goes out: the other party's, unless that one is withheld.
pub(in crate::node) fn sender_of(delivery: &Delivery) -> Number {
    let call = &delivery.message.call;
    let hidden = match &delivery.message.body {
        MessageBody::Peer { peer, .. } => peer.number.is_none(),
        // As they were shown when it began.
        MessageBody::Ended { number } => number.is_none(),
        MessageBody::Missed { peer, .. } => peer.number.is_none(),
        // Decided when it was posted.
        MessageBody::Message { .. } => false,
    };
    if hidden { Number::withheld(call) } else { delivery.other.clone() }
}
