//! Other nodes' offers that were taken lately: which wait, which calls have used, which were taken back, and which
//! of them share a number.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::contract::Offer;
use crate::core::name::{CallId, PeerName};
use crate::core::number::Number;
use crate::core::offer::OfferId;
use crate::core::time::UnixMillis;
use crate::store::StoredOffer;

/// Offers of one peer that wait for their calls: none locks out the others.
pub(in crate::node) const OFFERS: usize = 2_000;

/// Those that were taken lately.
#[derive(Debug, Default)]
pub(in crate::node) struct Offers(Mutex<Taken>);

/// The offers that wait for their calls, and what became of others.
#[derive(Debug, Default)]
pub(in crate::node) struct Taken {
    pub(in crate::node) waiting: HashMap<OfferId, Kept>,
    /// Those that calls have used, while the calls are up at least: a repeat is told from a replay by them.
    pub(in crate::node) used: HashMap<OfferId, Used>,
    /// Those that were taken back, and since when: the offer itself may come, or be written down, after that.
    pub(in crate::node) withdrawn: HashMap<OfferId, UnixMillis>,
}

#[derive(Debug)]
pub(in crate::node) struct Kept {
    pub(in crate::node) stored: StoredOffer,
    /// The called number, and the extensions behind it: one list for all offers to that number.
    pub(in crate::node) called: Arc<BTreeSet<Number>>,
    pub(in crate::node) ambiguous: bool,
}

#[derive(Debug)]
pub(in crate::node) struct Used {
    pub(in crate::node) received: UnixMillis,
    pub(in crate::node) call: CallId,
    /// None if that was before a restart.
    pub(in crate::node) said: Option<[u8; 32]>,
}

impl Offers {
    pub(in crate::node) fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Whether an offer was taken before; if so, whether it said the same.
    pub(in crate::node) fn repeats(&self, id: &OfferId, offer: &Offer) -> Option<bool> {
        let waiting = self.waiting.get(id).map(|kept| offer.repeats(&kept.stored.offer));
        waiting.or_else(|| self.used.get(id).map(|used| used.said.is_none_or(|before| before == said(offer))))
    }

    pub(in crate::node) fn waiting_of(&self, peer: &PeerName) -> usize {
        self.waiting.keys().filter(|id| id.peer == *peer).count()
    }

    /// False if it was taken back meanwhile, or a call has used it: it came twice.
    pub(in crate::node) fn keep(&mut self, stored: StoredOffer, called: BTreeSet<Number>) -> bool {
        if self.withdrawn.contains_key(&stored.id()) || self.used.contains_key(&stored.id()) {
            return false;
        }
        let same = |kept: &&Kept| kept.stored.offer.called == stored.offer.called && *kept.called == called;
        let shared = self.waiting.values().find(same).map(|kept| kept.called.clone());
        let called = shared.unwrap_or_else(|| Arc::new(called));
        self.waiting.entry(stored.id()).or_insert(Kept { stored, called, ambiguous: false });
        true
    }

    /// Whether there was one that no call has used.
    pub(in crate::node) fn withdraw(&mut self, id: &OfferId, now: UnixMillis) -> bool {
        let of_peer = self.withdrawn.keys().filter(|other| other.peer == id.peer).count();
        if !self.used.contains_key(id) && of_peer < OFFERS {
            self.withdrawn.insert(id.clone(), now);
        }
        self.waiting.remove(id).is_some()
    }

    /// The offers to these numbers, and all that share a number with one of them, directly or through others:
    /// what can be told apart is judged by all. And all these numbers.
    pub(in crate::node) fn about<'a>(&'a self, called: &'a [Number]) -> (Vec<&'a Kept>, BTreeSet<&'a Number>) {
        let (mut wanted, mut found) = (BTreeSet::from_iter(called), Vec::new());
        let mut rest: Vec<&Kept> = self.waiting.values().collect();
        loop {
            // One list stands for many offers.
            let mut met: HashMap<*const BTreeSet<Number>, bool> = HashMap::new();
            let meets = |kept: &mut &Kept| {
                let lists = || kept.called.iter().any(|number| wanted.contains(number));
                *met.entry(Arc::as_ptr(&kept.called)).or_insert_with(lists)
            };
            let more: Vec<&Kept> = rest.extract_if(.., meets).collect();
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
pub(in crate::node) fn said(offer: &Offer) -> [u8; 32] {
    // Each attempt says anew when it was sent.
    let once = Offer { sent: UnixMillis(0), ..offer.clone() };
    Sha256::digest(serde_json::to_vec(&once).unwrap_or_default()).into()
}

#[cfg(test)]
#[path = "offer_book_tests.rs"]
mod tests;
