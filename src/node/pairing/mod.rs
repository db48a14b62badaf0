//! Telling the clients of two numbers of each other.
//!
//! What is to be told follows from what is: a pair that talks is told, one that doesn't is told that
//! it is over. So a pair can be looked at any number of times, late, twice, or after a restart.

mod missed_calls;
mod pair_locks;
mod peer_messages;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::contract::{ClientForm, PeerClient, Role};
use crate::core::address::AddressKind;
use crate::core::base::name::{CallId, PbxName};
use crate::core::call::Call;
use crate::core::call::exchange::{Effect, Pair};
use crate::core::numbering::number::Number;
use crate::core::routing::route::Side;
use crate::monitor::{Totals, brief, now};
use crate::node::delivery::Deliveries;
use crate::node::disclosure::Disclosure;
use crate::node::live_calls::LiveCalls;
use crate::node::peering::outbound::Outbound;
use crate::node::ringing::Ringing;
use crate::push::{Push, SipRoute, sip_route};
use crate::store::{Binding, Delivery, Store, StoreError};
use pair_locks::PairLocks;
use peer_messages::{Party, messages};

/// How long what could not be told waits for the database.
const AGAIN: Duration = Duration::from_secs(1);

/// Tells clients of each other.
pub(in crate::node) struct Pairing {
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) disclosure: Arc<Disclosure>,
    pub(in crate::node) deliveries: Arc<Deliveries>,
    pub(in crate::node) outbound: Arc<Outbound>,
    pub(in crate::node) ringing: Arc<Ringing>,
    pub(in crate::node) store: Store,
    pub(in crate::node) push: Push,
    pub(in crate::node) locks: PairLocks,
    pub(in crate::node) totals: Arc<Totals>,
}

impl Pairing {
    /// Brings what clients know of a pair in line with whether it talks.
    pub(in crate::node) async fn reconcile(&self, pair: &Pair) -> Result<(), StoreError> {
        self.reconcile_for_softphones(pair).await.map(drop)
    }

    /// As [`Pairing::reconcile`]; returns the softphones for which that made a delivery.
    async fn reconcile_for_softphones(&self, pair: &Pair) -> Result<HashSet<SipRoute>, StoreError> {
        let _lock = self.locks.of(&pair.call).await;
        let (talks, place, remote) = self.live.read(|exchange| {
            let call = exchange.call(&pair.call);
            let talks = exchange.talks(pair);
            let talks = talks && !call.is_some_and(|call| exchange.continues_at_another_pbx(call, pair));
            let remote = exchange.remote_party(pair).map(|(home, number)| (home.clone(), number.clone()));
            (talks, call.map(|call| (call.pbx.clone(), call.side)), remote)
        });
        match place {
            Some((pbx, side)) if talks => self.tell(pair, (&pbx, side), remote.as_ref()).await,
            place => {
                let told = self.end_pair(pair, place.as_ref().map(|(pbx, _)| pbx)).await?;
                // One side alone was told here: the other one is another node's.
                if let [ours] = &Vec::from_iter(told)[..] {
                    self.outbound.tell_pair_over(pair, ours);
                }
                Ok(HashSet::new())
            }
        }
    }

    /// `remote` is the call in which the pair has another node's client, and that one's number. Returns the softphones for
    /// which a delivery was made.
    async fn tell(
        &self,
        pair: &Pair,
        (pbx, side): (&PbxName, Side),
        remote: Option<&(Call, Number)>,
    ) -> Result<HashSet<SipRoute>, StoreError> {
        let (first, second) =
            self.disclosure.clients_of_pair(pair, remote.and_then(|(home, _)| home.remote.client.as_ref())).await?;
        let first = Party { number: &pair.first, role: Role::First, clients: first };
        let second = Party { number: &pair.second, role: Role::Second, clients: second };
        let tokens = self.disclosure.inbox_tokens();
        let mut wanted = Vec::new();
        let mut answer = None;
        match (first.clients.is_empty(), second.clients.is_empty()) {
            (false, false) => {
                for (ours, other) in [(&first, &second), (&second, &first)] {
                    if let Some(peer) = self.shown_party(&pair.call, other).await? {
                        wanted.extend(messages(tokens, &pair.call, ours, other.number, &peer, None));
                    }
                }
            }
            (false, true) | (true, false) => {
                let (ours, other) = if second.clients.is_empty() { (&first, &second) } else { (&second, &first) };
                match remote.filter(|(_, number)| number == other.number) {
                    // B6, B7: one side is another node's.
                    Some((home, _)) => (wanted, answer) = self.tell_with_remote(&pair.call, home, ours, other).await?,
                    // Our client came after the call had begun.
                    None if side == Side::Originating => {
                        if let Some(call) = self.live.call(&pair.call) {
                            self.outbound.offer(&call);
                        }
                    }
                    None => {}
                }
            }
            // Or neither is ours.
            (true, true) => self.outbound.introduce(pair),
        }
        if wanted.is_empty() {
            self.ringing.tell_answered(pair).await?;
        }
        let mut routed = self.deliveries.route(wanted, pbx).await?;
        routed.retain(|routed| !self.push.skip_unreachable(&routed.client, &routed.via, pair));
        let new = self.store.add_deliveries(routed.iter().map(|routed| routed.delivery.clone()).collect()).await?;
        if !new.is_empty() {
            self.totals.paired();
            tracing::info!(call = %pair.call, first = %pair.first, second = %pair.second, messages = new.len(), "paired");
        }
        let new: HashSet<String> = new.into_iter().collect();
        routed.retain(|routed| new.contains(&routed.delivery.message.id));
        let told = routed.iter().filter_map(|routed| sip_route(&routed.client, &routed.via)).collect();
        self.deliveries.push(routed);
        if let (Some((number, own)), Some((home, _))) = (answer, remote) {
            self.outbound.answer(&home.id, &number, own);
        }
        Ok(told)
    }

    /// What our clients are told of another node's, and what this node tells that one for them.
    #[allow(clippy::type_complexity, reason = "it is taken apart where it is made")]
    async fn tell_with_remote(
        &self,
        call: &CallId,
        home: &Call,
        ours: &Party<'_>,
        other: &Party<'_>,
    ) -> Result<(Vec<(Delivery, Binding)>, Option<(Number, PeerClient)>), StoreError> {
        let Some(remote) = &home.remote.client else { return Ok((Vec::new(), None)) };
        let peer = PeerClient::from(remote);
        // Its node has the caller's address already: that is where we were told of it.
        let knows = home.side == Side::Originating && home.caller().as_ref() == Some(ours.number);
        let knows = !home.remote.left && (knows || home.remote.was_introduced(ours.number));
        let own = if knows { None } else { self.shown_party(call, ours).await? };
        let ourselves =
            remote.address.kind() == AddressKind::Sip || ours.clients.iter().any(|c| c.form != ClientForm::Hosted);
        if own.is_some() {
            self.outbound.switch_announced_client(&home.id, ours.number);
        }
        let tokens = self.disclosure.inbox_tokens();
        Ok(if ourselves {
            (messages(tokens, call, ours, other.number, &peer, None), own.map(|own| (ours.number.clone(), own)))
        } else {
            (messages(tokens, call, ours, other.number, &peer, own.as_ref()), None)
        })
    }

    async fn shown_party(&self, call: &CallId, party: &Party<'_>) -> Result<Option<PeerClient>, StoreError> {
        self.disclosure.shown_as(call, party.role, party.number, &party.clients).await
    }

    /// Tells those who were told of each other; the numbers whose clients were.
    async fn end_pair(&self, pair: &Pair, pbx: Option<&PbxName>) -> Result<BTreeSet<Number>, StoreError> {
        let parted = self.store.part(&pair.call, [pair.first.clone(), pair.second.clone()], now()).await?;
        self.push.forget(&parted.dropped);
        if !parted.ended.is_empty() {
            tracing::info!(call = %pair.call, first = %pair.first, second = %pair.second, "parted");
        }
        let told = parted.ended.iter().map(|delivery| delivery.number.clone()).collect();
        let mut ended = Vec::new();
        for delivery in parted.ended {
            let binding = self.store.binding(&delivery.client, now()).await?;
            ended.extend(binding.map(|binding| (delivery, binding)));
        }
        if let Some(pbx) = pbx {
            self.deliveries.send(ended, pbx).await?;
        }
        Ok(told)
    }

    /// Tells those who talk that it is over for their clients, though they go on talking.
    pub(in crate::node) async fn withdraw(&self, pair: &Pair) -> Result<(), StoreError> {
        let _lock = self.locks.of(&pair.call).await;
        let pbx = self.live.pbx_of(&pair.call);
        self.end_pair(pair, pbx.as_ref()).await.map(drop)
    }

    /// The other side has another client than the one that was told of: the old one is over.
    pub(in crate::node) async fn replace_remote_client(&self, pair: &Pair) -> Result<(), StoreError> {
        self.withdraw(pair).await?;
        self.reconcile(pair).await
    }

    /// A number was switched on or off, or one of its clients offers its address to others than before.
    pub(in crate::node) async fn reconsider(&self, number: &Number) -> Result<(), StoreError> {
        for pair in self.live.pairs_of(number) {
            let remote = self
                .live
                .read(|exchange| exchange.remote_party(&pair).and_then(|(home, _)| home.remote.client.clone()));
            let (first, second) = self.disclosure.clients_of_pair(&pair, remote.as_ref()).await?;
            let left = if pair.first == *number { first.is_empty() } else { second.is_empty() };
            match left {
                true => {
                    self.withdraw(&pair).await?;
                    self.ringing.tell_answered(&pair).await?;
                }
                false => self.reconcile(&pair).await?,
            }
        }
        Ok(())
    }

    /// Reconciles all pairs in which a number talks: it has a new client.
    pub(in crate::node) async fn reconcile_number(&self, number: &Number) -> Result<(), StoreError> {
        for pair in self.live.pairs_of(number) {
            self.reconcile(&pair).await?;
        }
        Ok(())
    }

    /// Tells the clients of a call that has used an offer, now or as soon as that works.
    pub(in crate::node) async fn reconcile_call_soon(&self, call: &CallId) {
        for pair in self.live.pairs_in(call) {
            if let Err(error) = self.reconcile(&pair).await {
                tracing::warn!(%error, %call, "a client could not be told of an offer yet");
                self.live.retry_later(&[], call, vec![Effect::Paired(pair)]);
            }
        }
    }

    /// Reconciles pairs in the background, and tries again while the database is not available.
    pub(in crate::node) fn reconcile_all_in_background(self: &Arc<Self>, pairs: Vec<Pair>, stop: CancellationToken) {
        tokio::spawn(brief("resume", self.clone().reconcile_all(pairs, stop)));
    }

    async fn reconcile_all(self: Arc<Self>, mut pairs: Vec<Pair>, stop: CancellationToken) {
        loop {
            let mut failed = Vec::new();
            for pair in pairs {
                if let Err(error) = self.reconcile(&pair).await {
                    tracing::warn!(%error, call = %pair.call, "the clients of a call of before can't be told yet");
                    failed.extend(error.is_unavailable().then_some(pair));
                }
            }
            if failed.is_empty() {
                return;
            }
            pairs = failed;
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
