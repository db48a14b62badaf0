//! Other nodes' offers that were taken lately: which wait, which calls have used, which were taken back, and which
//! of them share a number.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::contract::Offer;
use crate::core::base::name::{CallId, PeerName};
use crate::core::base::time::UnixMillis;
use crate::core::call::offer_matching::OfferId;
use crate::core::numbering::number::Number;
use crate::store::StoredOffer;

/// Offers of one peer that wait for their calls: none locks out the others.
pub(super) const OFFERS: usize = 2_000;

/// The offers of other nodes, behind a lock.
#[derive(Debug, Default)]
pub(in crate::node) struct OfferBook(Mutex<InboundOffers>);

/// The offers that wait for their calls, and what became of others.
#[derive(Debug, Default)]
pub(super) struct InboundOffers {
    pub(super) waiting: HashMap<OfferId, KeptOffer>,
    /// Those that calls have used, while the calls are up at least: a repeat is told from a replay by them.
    pub(super) used: HashMap<OfferId, UsedOffer>,
    /// Those that were taken back, and since when: the offer itself may come, or be written down, after that.
    pub(super) withdrawn: HashMap<OfferId, UnixMillis>,
}

#[derive(Debug)]
pub(super) struct KeptOffer {
    pub(super) stored: StoredOffer,
    /// The called number, and the extensions behind it: one list for all offers to that number.
    pub(super) called: Arc<BTreeSet<Number>>,
    pub(super) ambiguous: bool,
}

#[derive(Debug)]
pub(super) struct UsedOffer {
    pub(super) received: UnixMillis,
    pub(super) call: CallId,
    /// None if that was before a restart.
    pub(super) said: Option<[u8; 32]>,
}

impl OfferBook {
    pub(super) fn lock(&self) -> MutexGuard<'_, InboundOffers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InboundOffers {
    /// Whether an offer was taken before; if so, whether it said the same.
    pub(super) fn repeats(&self, id: &OfferId, offer: &Offer) -> Option<bool> {
        let waiting = self.waiting.get(id).map(|kept| offer.repeats(&kept.stored.offer));
        waiting.or_else(|| self.used.get(id).map(|used| used.said.is_none_or(|before| before == said(offer))))
    }

    pub(super) fn waiting_of(&self, peer: &PeerName) -> usize {
        self.waiting.keys().filter(|id| id.peer == *peer).count()
    }

    /// False if it was taken back meanwhile, or a call has used it: it came twice.
    pub(super) fn keep(&mut self, stored: StoredOffer, called: BTreeSet<Number>) -> bool {
        if self.withdrawn.contains_key(&stored.id()) || self.used.contains_key(&stored.id()) {
            return false;
        }
        let same = |kept: &&KeptOffer| kept.stored.offer.called == stored.offer.called && *kept.called == called;
        let shared = self.waiting.values().find(same).map(|kept| kept.called.clone());
        let called = shared.unwrap_or_else(|| Arc::new(called));
        self.waiting.entry(stored.id()).or_insert(KeptOffer { stored, called, ambiguous: false });
        true
    }

    /// Whether there was one that no call has used.
    pub(super) fn withdraw(&mut self, id: &OfferId, now: UnixMillis) -> bool {
        let of_peer = self.withdrawn.keys().filter(|other| other.peer == id.peer).count();
        if !self.used.contains_key(id) && of_peer < OFFERS {
            self.withdrawn.insert(id.clone(), now);
        }
        self.waiting.remove(id).is_some()
    }

    /// The offers to these numbers, and all that share a number with one of them, directly or through others:
    /// what can be told apart is judged by all. And all these numbers.
    pub(super) fn about<'a>(&'a self, called: &'a [Number]) -> (Vec<&'a KeptOffer>, BTreeSet<&'a Number>) {
        let (mut wanted, mut found) = (BTreeSet::from_iter(called), Vec::new());
        let mut rest: Vec<&KeptOffer> = self.waiting.values().collect();
        loop {
            // One list stands for many offers.
            let mut met: HashMap<*const BTreeSet<Number>, bool> = HashMap::new();
            let meets = |kept: &mut &KeptOffer| {
                let lists = || kept.called.iter().any(|number| wanted.contains(number));
                *met.entry(Arc::as_ptr(&kept.called)).or_insert_with(lists)
            };
            let more: Vec<&KeptOffer> = rest.extract_if(.., meets).collect();
            if more.is_empty() {
                return (found, wanted);
            }
            let mut lists: Vec<&Arc<BTreeSet<Number>>> = more.iter().map(|kept| &kept.called).collect();
            lists.sort_by_key(|list| Arc::as_ptr(list));
            lists.dedup_by(|a, b| Arc::ptr_eq(a, b));
            wanted.extend(lists.into_iter().flat_map(|list| list.iter()));
            found.extend(more);
        }
    }
}

/// What an offer says, in short.
pub(super) fn said(offer: &Offer) -> [u8; 32] {
    // Each attempt says anew when it was sent.
    let once = Offer { sent: UnixMillis(0), ..offer.clone() };
    Sha256::digest(serde_json::to_vec(&once).unwrap_or_default()).into()
}

#[cfg(test)]
#[path = "offer_book_tests.rs"]
mod tests;
