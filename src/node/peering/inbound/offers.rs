//! Offers of other nodes: taking them, and finding the calls that they belong to (B11).
//!
//! An offer is kept for as long as its voice call may take to get here. What an answer to one says, and
//! what not: a number that isn't in our directory is said not to be, since the peer would ask in vain; a
//! number that is gets the same answer with a client and without.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::contract::{NumberKind, Offer, OfferRefusal};
use crate::core::base::name::CallId;
use crate::core::base::time::UnixMillis;
use crate::core::call::exchange::Pair;
use crate::core::call::offer_matching::{MatchKind, OfferId, OpenOffer, UnmatchedCall, match_offers};
use crate::core::call::remote_side::{AddressSource, RemoteClient};
use crate::core::call::{Call, Phase};
use crate::core::numbering::number::Number;
use crate::core::routing::portability::ServedBy;
use crate::core::routing::route::Side;
use crate::monitor::{brief, now, wall};
use crate::node::disclosure::CAPABILITIES_MAX;
use crate::node::peering::inbound::Inbound;
use crate::node::peering::inbound::offer_book::{KeptOffer, OFFERS, UsedOffer, said};
use crate::peer::PeerNode;
use crate::store::{StoreError, StoredOffer};

/// How long an offer is kept: no voice call takes longer to arrive.
const KEEP: Duration = Duration::from_secs(180);
/// How far the clocks of two nodes may differ, and how long a request may be on its way.
const FRESH: Duration = Duration::from_secs(60);
/// Nodes that an offer may have passed, and characters of the URL of one.
const HOPS: usize = 8;
const HOP_MAX: usize = 127;

/// Why an offer was not taken.
#[derive(Debug, thiserror::Error)]
pub(in crate::node) enum OfferError {
    /// Something is wrong with it, or with this field of it.
    #[error("{detail}")]
    Refused { reason: OfferRefusal, field: Option<&'static str>, detail: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OfferError {
    pub(in crate::node) fn too_many() -> OfferError {
        let detail = "too many offers; slow down".to_owned();
        OfferError::Refused { reason: OfferRefusal::Limited, field: None, detail }
    }
}

fn refused(reason: OfferRefusal, field: &'static str, detail: impl Into<String>) -> OfferError {
    OfferError::Refused { reason, field: Some(field), detail: detail.into() }
}

impl Inbound {
    /// Takes an offer, for a call that is here already or will be soon.
    pub(in crate::node) async fn accept_offer(&self, peer: &PeerNode, offer: Offer) -> Result<(), OfferError> {
        self.check(&offer)?;
        if !self.may_offer(peer, offer.calling.as_ref()).await {
            return Err(refused(OfferRefusal::NotItsNumber, "calling", "the calling number is not one of yours"));
        }
        let stored = StoredOffer { peer: peer.name().clone(), offer, received: now() };
        let id = stored.id();
        let known = self.offers.lock().repeats(&id, &stored.offer);
        match known {
            Some(true) => {
                // It comes again if it was taken and then something failed.
                if self.offers.lock().waiting.contains_key(&id) {
                    self.match_offers(std::slice::from_ref(&stored.offer.called)).await?;
                }
                return Ok(());
            }
            Some(false) => {
                let detail = "that offer was made before, and said something else";
                return Err(refused(OfferRefusal::Replayed, "id", detail));
            }
            None => {}
        }
        let Some(called) = self.behind_number(&stored.offer.called).await? else {
            let is_theirs = self.peers.serving(&stored.offer.called).is_some_and(|other| other.name() == peer.name());
            return Err(match is_theirs {
                true => refused(OfferRefusal::Loop, "called", "we would offer this number to you"),
                false => refused(OfferRefusal::NotServed, "called", "we don't serve this number"),
            });
        };
        if self.offers.lock().waiting_of(peer.name()) >= OFFERS {
            return Err(OfferError::too_many());
        }
        // Written down before it is taken: the peer won't repeat it.
        self.store.put_offer(stored.clone()).await?;
        tracing::info!(peer = %peer.name(), offer = %id.call, called = %stored.offer.called, "an offer was taken");
        let number = stored.offer.called.clone();
        let kept = self.offers.lock().keep(stored, called);
        match kept {
            true => self.match_offers(&[number]).await?,
            false => self.store.delete_offers(vec![id]).await?,
        }
        Ok(())
    }

    /// Checks what an offer says, without asking anybody.
    fn check(&self, offer: &Offer) -> Result<(), OfferError> {
        let harmless = |text: &String| text.chars().count() <= 100 && !text.chars().any(char::is_control);
        let invalid = |field, detail: String| Err(refused(OfferRefusal::Invalid, field, detail));
        if !offer.name.iter().all(harmless) {
            return invalid("name", "at most 100 characters, and no control characters".to_owned());
        }
        if offer.capabilities.len() > CAPABILITIES_MAX {
            return invalid("capabilities", format!("at most {CAPABILITIES_MAX}"));
        }
        if !self.disclosure.inbox_tokens().allows(&offer.address) {
            return invalid("address", "is one of this very machine".to_owned());
        }
        if offer.via.iter().any(|hop| hop.len() > HOP_MAX) {
            return invalid("via", format!("a URL has at most {HOP_MAX} characters"));
        }
        // Both clocks are the same unless ours was stepped, and then nobody knows which of them is right.
        let stale = |now| now - offer.sent > FRESH || offer.sent - now > FRESH || offer.at - now > FRESH;
        if stale(wall()) && stale(now()) {
            let detail = format!("by our clock it is {}: this is too old, or not yet", wall().0);
            return Err(refused(OfferRefusal::Stale, "sent", detail));
        }
        let own = self.disclosure.inbox_tokens().base();
        if offer.via.len() > HOPS || offer.via.iter().any(|hop| hop.trim_end_matches('/') == own) {
            let detail = "it has been here before, or has passed too many nodes";
            return Err(refused(OfferRefusal::Loop, "via", detail));
        }
        Ok(())
    }

    /// Whether a peer may speak for a calling number: one of its prefixes, or one that a portability source says
    /// it serves, as it does for called numbers.
    async fn may_offer(&self, peer: &PeerNode, calling: Option<&Number>) -> bool {
        let Some(calling) = calling.filter(|calling| !peer.may_offer(calling)) else { return true };
        self.lnp.lookup(calling).await.served_by == ServedBy::Peer(peer.name().clone())
    }

    /// As it is matched. When its call began is reckoned by our clock: the other one may be wrong.
    fn waiting(&self, kept: &KeptOffer) -> OpenOffer {
        let StoredOffer { peer, offer, received } = &kept.stored;
        OpenOffer {
            id: kept.stored.id(),
            calling: offer.calling.clone(),
            called: kept.called.clone(),
            address: offer.address.clone(),
            prefixes: self.peers.get(peer).map(|peer| peer.prefixes().clone()).unwrap_or_default(),
            at: UnixMillis(received.0.saturating_sub(offer.sent.0.saturating_sub(offer.at.0))),
        }
    }

    /// A number of ours, and the extensions that an attendant may find behind it.
    async fn behind_number(&self, number: &Number) -> Result<Option<BTreeSet<Number>>, StoreError> {
        let Some(view) = self.store.number(number).await? else { return Ok(None) };
        let mut behind = BTreeSet::from([number.clone()]);
        if view.entry.kind == NumberKind::Main {
            behind.extend(view.entry.extensions);
        }
        Ok(Some(behind))
    }

    /// Finds the calls to these numbers that offers belong to, and tells their clients if they talk.
    async fn match_offers(&self, called: &[Number]) -> Result<(), StoreError> {
        let (offers, mut calls): (Vec<OpenOffer>, Vec<UnmatchedCall>) = {
            let book = self.offers.lock();
            let (about, wanted) = book.about(called);
            let calls: Vec<UnmatchedCall> = self.live.read(|exchange| {
                let calls = wanted.into_iter().flat_map(|number| exchange.calls_to(number));
                calls.filter(|call| free(call)).map(arrived).collect()
            });
            // Most offers come before their call.
            let offers = about.into_iter().filter(|_| !calls.is_empty()).map(|kept| self.waiting(kept));
            (offers.collect(), calls)
        };
        if offers.is_empty() {
            return Ok(());
        }
        for call in &mut calls {
            if let Some(calling) = call.calling.as_ref().filter(|_| call.answered.is_some()) {
                call.ours = self.store.facts(calling, now()).await?.known.served;
            }
        }
        let matches = match_offers(&offers, &calls);
        {
            let mut book = self.offers.lock();
            for id in &matches.ambiguous {
                book.waiting.entry(id.clone()).and_modify(|kept| kept.ambiguous = true);
            }
        }
        let mut used = Vec::new();
        for (id, call, how) in matches.found {
            if self.use_offer(&id, &call, how) {
                used.push(id);
                self.pairing.reconcile_call_soon(&call).await;
            }
        }
        // Behind the calls that say so: a restart in between doesn't give them to others.
        if used.is_empty() { Ok(()) } else { self.store.delete_offers(used).await }
    }

    /// Gives an offer to a call; false if either was used meanwhile.
    fn use_offer(&self, id: &OfferId, call: &CallId, how: MatchKind) -> bool {
        let mut book = self.offers.lock();
        let Some(kept) = book.waiting.get(id) else { return false };
        let calling = self.live.read(|exchange| {
            let call = exchange.call(call).filter(|call| free(call))?;
            Some(call.calling.clone())
        });
        let Some(calling) = calling else { return false };
        let client = remote_client(&kept.stored, calling, how);
        let said = Some(said(&kept.stored.offer));
        let used = UsedOffer { received: kept.stored.received, call: call.clone(), said };
        let learned = self.live.change_remote(call, |remote| {
            remote.learn(client);
            remote.offered = Some(id.clone());
        });
        if learned.is_none() {
            return false;
        }
        book.waiting.remove(id);
        book.used.insert(id.clone(), used);
        drop(book);
        self.metrics.offer_matched(how.as_str());
        tracing::info!(%call, peer = %id.peer, offer = %id.call, how = how.as_str(), "an offer belongs to a call");
        true
    }

    /// A peer's call is over: its offer is nobody's any more.
    pub(in crate::node) async fn withdraw_offer(&self, peer: &PeerNode, call: CallId) -> Result<(), StoreError> {
        let id = OfferId { peer: peer.name().clone(), call };
        let unused = self.offers.lock().withdraw(&id, now());
        if unused {
            self.metrics.offer_matched("withdrawn");
        }
        self.store.delete_offers(vec![id]).await
    }

    /// Forgets offers that no call will use any more.
    pub(in crate::node) async fn expire_offers(&self) -> Result<(), StoreError> {
        let now = now();
        let mut over = Vec::new();
        {
            let mut book = self.offers.lock();
            for (id, kept) in book.waiting.extract_if(|_, kept| now - kept.stored.received >= KEEP) {
                self.metrics.offer_matched(if kept.ambiguous { "ambiguous" } else { "none" });
                over.push(id);
            }
            book.withdrawn.retain(|_, at| now - *at < KEEP);
            // Written off when they were used, but that may have failed.
            self.live.read(|exchange| {
                let over_too = |used: &UsedOffer| now - used.received >= KEEP && exchange.call(&used.call).is_none();
                over.extend(book.used.extract_if(|_, used| over_too(used)).map(|(id, _)| id));
            });
        }
        if over.is_empty() { Ok(()) } else { self.store.delete_offers(over).await }
    }

    /// Takes up what was waiting before a restart.
    pub(in crate::node) async fn resume_offers(&self) -> Result<(), StoreError> {
        let (mut numbers, mut gone) = (BTreeSet::new(), Vec::new());
        // A call stands alone then: what was said with its offer is gone.
        let used = |call: &Call| {
            Some((call.remote.offered.clone()?, UsedOffer { received: now(), call: call.id.clone(), said: None }))
        };
        let used: HashMap<OfferId, UsedOffer> = self.live.read(|exchange| exchange.calls().filter_map(used).collect());
        self.offers.lock().used.extend(used);
        for stored in self.store.offers().await? {
            let id = stored.id();
            // A call has used it, or its number has left the directory.
            let used = self.offers.lock().used.contains_key(&id);
            let called = if used { None } else { self.behind_number(&stored.offer.called).await? };
            match called {
                Some(called) => {
                    numbers.insert(stored.offer.called.clone());
                    self.offers.lock().keep(stored, called);
                }
                None => gone.push(id),
            }
        }
        if !gone.is_empty() {
            self.store.delete_offers(gone).await?;
        }
        // All are here before any is given away: what can be told apart is judged by all of them.
        for number in numbers {
            self.match_offers(&[number]).await?;
        }
        Ok(())
    }

    /// A call has come in from a trunk: if offers wait, finds its own in the background.
    pub(in crate::node) fn match_new_call(self: &Arc<Self>, call: &Call) {
        if self.offers.lock().waiting.is_empty() {
            return;
        }
        let (inbound, called) = (self.clone(), call.called.clone());
        tokio::spawn(brief("offer", async move {
            if let Err(error) = inbound.match_offers(&[called]).await {
                tracing::warn!(%error, "an offer could not be given to its call");
            }
        }));
    }

    /// A call from a trunk was answered: an offer that didn't fit before may be its own.
    pub(in crate::node) async fn match_answered_call(&self, pair: &Pair) -> Result<(), StoreError> {
        let called = self.live.read(|exchange| {
            let call = exchange.call(&pair.call).filter(|call| free(call))?;
            Some(call.called.clone())
        });
        match called {
            Some(called) => self.match_offers(&[called]).await,
            None => Ok(()),
        }
    }
}

/// Whether a call may use an offer.
fn free(call: &Call) -> bool {
    call.side == Side::Terminating
        && call.phase != Phase::Ended
        && call.remote.offered.is_none()
        && call.remote.linked_call.is_none()
}

fn arrived(call: &Call) -> UnmatchedCall {
    UnmatchedCall {
        call: call.id.clone(),
        calling: call.calling.clone(),
        ours: false,
        called: call.called.clone(),
        received: call.remote.client.as_ref().map(|client| client.address.clone()),
        at: call.decided,
        answered: call.answered,
    }
}

/// The caller's client as ours may be shown it: what the voice call withholds, or says otherwise, is not
/// told by another way.
fn remote_client(stored: &StoredOffer, calling: Option<Number>, how: MatchKind) -> RemoteClient {
    let offer = &stored.offer;
    let named = calling.is_some() && how != MatchKind::Alone;
    // The same number, better written.
    let number = if how == MatchKind::Digits { offer.calling.clone() } else { calling };
    RemoteClient {
        number,
        name: offer.name.clone().filter(|_| named),
        address: offer.address.clone(),
        capabilities: offer.capabilities.clone(),
        source: AddressSource::Offer,
        peer: Some(stored.peer.clone()),
        at: Some(stored.received),
    }
}
