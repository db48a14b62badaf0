//! Offers of other nodes: taking them, and finding the calls that they belong to (B11).
//!
//! An offer is kept for as long as its voice call may take to get here. What an answer to one says, and
//! what not: a number that isn't in our directory is said not to be, since the peer would ask in vain; a
//! number that is gets the same answer with a client and without.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

use super::Problem;
use super::app::App;
use super::offering::CAPABILITIES;
use crate::contract::{NumberKind, Offer, OfferRefusal};
use crate::core::call::{Call, Phase};
use crate::core::exchange::Pair;
use crate::core::far::{FarClient, How};
use crate::core::name::CallId;
use crate::core::number::Number;
use crate::core::offer::{Arrived, Likeness, OfferId, Waiting, match_up};
use crate::core::route::Side;
use crate::monitor::now;
use crate::peer::Peer;
use crate::store::{StoreError, StoredOffer};

/// How long an offer is kept: no voice call takes longer to arrive.
const KEEP: Duration = Duration::from_secs(180);
/// How far the clocks of two nodes may differ, and how long a request may be on its way.
const FRESH: Duration = Duration::from_secs(60);
/// Offers that are kept.
const OFFERS: usize = 10_000;
/// Nodes that an offer may have passed, and characters of the URL of one.
const HOPS: usize = 8;
const HOP_MAX: usize = 127;

/// Those that were taken lately.
#[derive(Debug, Default)]
pub(super) struct Offers(Mutex<HashMap<OfferId, Kept>>);

#[derive(Debug)]
struct Kept {
    stored: StoredOffer,
    /// The called number, and the extensions behind it.
    called: Vec<Number>,
    used: bool,
    ambiguous: bool,
}

impl Offers {
    fn lock(&self) -> MutexGuard<'_, HashMap<OfferId, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wrong with an offer.
pub(super) struct Refusal {
    pub(super) reason: OfferRefusal,
    pub(super) problem: Problem,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        refusal.problem
    }
}

fn refuse(reason: OfferRefusal, problem: Problem) -> Result<(), Refusal> {
    Err(Refusal { reason, problem: problem.because(reason) })
}

impl App {
    /// Whether any offer may still be used.
    pub(super) fn has_offers(&self) -> bool {
        !self.offers.lock().is_empty()
    }

    /// Takes an offer, for a call that is here already or will be soon.
    pub(super) async fn take_offer(&self, peer: &Peer, offer: Offer) -> Result<Result<(), Refusal>, StoreError> {
        if let Err(refusal) = self.judge(peer, &offer) {
            return Ok(Err(refusal));
        }
        let stored = StoredOffer { peer: peer.name().clone(), offer, received: now() };
        let id = stored.id();
        let known = self.offers.lock().get(&id).map(|kept| stored.offer.repeats(&kept.stored.offer));
        // After a restart, one that was used stands with its call alone.
        let used = || self.exchange().calls().any(|call| call.far.offered.as_ref() == Some(&id)).then_some(true);
        match known.or_else(used) {
            Some(true) => return Ok(Ok(())),
            Some(false) => {
                let problem =
                    Problem::field(StatusCode::CONFLICT, "id", "that offer was made before, and said something else");
                return Ok(refuse(OfferRefusal::Replayed, problem));
            }
            None => {}
        }
        let Some(called) = self.behind_number(&stored.offer.called).await? else {
            if self.peers.serving(&stored.offer.called).is_some_and(|other| other.name() == peer.name()) {
                let problem = Problem::field(StatusCode::CONFLICT, "called", "we would offer this number to you");
                return Ok(refuse(OfferRefusal::Loop, problem));
            }
            let problem = Problem::field(StatusCode::NOT_FOUND, "called", "we don't serve this number");
            return Ok(refuse(OfferRefusal::NotServed, problem));
        };
        if self.offers.lock().len() >= OFFERS {
            return Ok(refuse(OfferRefusal::Limited, too_many()));
        }
        // Written down before it is taken: the peer won't repeat it.
        self.store.put_offer(stored.clone()).await?;
        tracing::info!(peer = %peer.name(), offer = %id.call, called = %stored.offer.called, "an offer was taken");
        self.offers.lock().entry(id).or_insert(Kept { stored, called: called.clone(), used: false, ambiguous: false });
        self.match_offers(&called).await?;
        Ok(Ok(()))
    }

    /// What can be said against it without asking anybody.
    fn judge(&self, peer: &Peer, offer: &Offer) -> Result<(), Refusal> {
        if !self.limits.take_offer(peer.name(), Instant::now()) {
            return refuse(OfferRefusal::Limited, too_many());
        }
        let harmless = |text: &String| text.chars().count() <= 100 && !text.chars().any(char::is_control);
        let wrong = if !offer.name.iter().all(harmless) {
            Some(("name", "at most 100 characters, and no control characters".to_owned()))
        } else if offer.capabilities.len() > CAPABILITIES {
            Some(("capabilities", format!("at most {CAPABILITIES}")))
        } else if !self.capabilities.allows(&offer.address) {
            Some(("address", "is one of this very machine".to_owned()))
        } else if offer.via.iter().any(|hop| hop.len() > HOP_MAX) {
            Some(("via", format!("a URL has at most {HOP_MAX} characters")))
        } else {
            None
        };
        if let Some((field, detail)) = wrong {
            return refuse(OfferRefusal::Invalid, Problem::invalid(field, detail));
        }
        let now = now();
        if now - offer.sent > FRESH || offer.sent - now > FRESH || offer.at - now > FRESH {
            let detail = format!("by our clock it is {}: this is too old, or not yet", now.0);
            return refuse(OfferRefusal::Stale, Problem::invalid("sent", detail));
        }
        if offer.via.len() > HOPS || offer.via.iter().any(|hop| hop.trim_end_matches('/') == self.capabilities.base()) {
            let detail = "it has been here before, or has passed too many nodes";
            return refuse(OfferRefusal::Loop, Problem::field(StatusCode::CONFLICT, "via", detail));
        }
        if offer.calling.as_ref().is_some_and(|calling| !peer.may_offer(calling)) {
            let detail = "the calling number is not one of yours";
            return refuse(OfferRefusal::NotItsNumber, Problem::field(StatusCode::FORBIDDEN, "calling", detail));
        }
        Ok(())
    }

    /// A number of ours, and the extensions that an attendant may find behind it.
    async fn behind_number(&self, number: &Number) -> Result<Option<Vec<Number>>, StoreError> {
        let Some(view) = self.store.number(number).await? else { return Ok(None) };
        let mut behind = vec![number.clone()];
        if view.entry.kind == NumberKind::Main {
            behind.extend(view.entry.extensions);
        }
        Ok(Some(behind))
    }

    /// Finds the calls to these numbers that offers belong to, and tells their clients if they talk.
    pub(super) async fn match_offers(&self, called: &[Number]) -> Result<(), StoreError> {
        let offers: Vec<Waiting> = {
            let kept = self.offers.lock();
            let unused = kept.values().filter(|kept| !kept.used && kept.called.iter().any(|n| called.contains(n)));
            unused.map(Kept::waiting).collect()
        };
        if offers.is_empty() {
            return Ok(());
        }
        let wanted: BTreeSet<&Number> = offers.iter().flat_map(|offer| &offer.called).collect();
        let mut calls: Vec<Arrived> = {
            let exchange = self.exchange();
            exchange.calls().filter(|call| free(call) && wanted.contains(&call.called)).map(arrived).collect()
        };
        for call in &mut calls {
            if let Some(calling) = call.calling.as_ref().filter(|_| call.answered) {
                call.ours = self.store.facts(calling, now()).await?.known.served;
            }
        }
        let matches = match_up(&offers, &calls);
        for id in &matches.ambiguous {
            self.offers.lock().entry(id.clone()).and_modify(|kept| kept.ambiguous = true);
        }
        for (id, call, how) in matches.found {
            if self.use_offer(&id, &call, how) {
                let pairs = self.exchange().pairs_in(&call);
                for pair in pairs {
                    self.settle(&pair).await?;
                }
                self.store.delete_offers(vec![id]).await?;
            }
        }
        Ok(())
    }

    /// Gives an offer to a call; false if either was used meanwhile.
    fn use_offer(&self, id: &OfferId, call: &CallId, how: Likeness) -> bool {
        let mut offers = self.offers.lock();
        let Some(kept) = offers.get_mut(id).filter(|kept| !kept.used) else { return false };
        let Some(calling) = self.exchange().call(call).filter(|call| free(call)).map(|call| call.calling.clone())
        else {
            return false;
        };
        let client = far_client(&kept.stored, calling, how);
        let used = self.change_far(call, |far| {
            far.learn(client);
            far.offered = Some(id.clone());
        });
        kept.used = used.is_some();
        drop(offers);
        self.totals.metrics.offer_matched(how.as_str());
        tracing::info!(%call, peer = %id.peer, offer = %id.call, how = how.as_str(), "an offer belongs to a call");
        used.is_some()
    }

    /// A peer's call is over: its offer is nobody's any more.
    pub(super) async fn withdraw_offer(&self, peer: &Peer, call: CallId) -> Result<(), StoreError> {
        let id = OfferId { peer: peer.name().clone(), call };
        let unused = self.offers.lock().get(&id).is_some_and(|kept| !kept.used);
        if unused {
            self.offers.lock().remove(&id);
            self.totals.metrics.offer_matched("withdrawn");
            self.store.delete_offers(vec![id]).await?;
        }
        Ok(())
    }

    /// Forgets offers that no call will use any more.
    pub(super) async fn expire_offers(&self) -> Result<(), StoreError> {
        let now = now();
        let mut over = Vec::new();
        self.offers.lock().retain(|id, kept| {
            let keep = now - kept.stored.received < KEEP;
            if !keep && !kept.used {
                self.totals.metrics.offer_matched(if kept.ambiguous { "ambiguous" } else { "none" });
                over.push(id.clone());
            }
            keep
        });
        if over.is_empty() { Ok(()) } else { self.store.delete_offers(over).await }
    }

    /// Takes up what was waiting before a restart.
    pub(super) async fn resume_offers(&self) -> Result<(), StoreError> {
        for stored in self.store.offers().await? {
            let Some(called) = self.behind_number(&stored.offer.called).await? else { continue };
            let id = stored.id();
            self.offers.lock().insert(id, Kept { stored, called: called.clone(), used: false, ambiguous: false });
            self.match_offers(&called).await?;
        }
        Ok(())
    }

    /// A call from a trunk was answered: an offer that didn't fit before may be its own.
    pub(super) async fn look_for_offer(&self, pair: &Pair) -> Result<(), StoreError> {
        let called = self.exchange().call(&pair.call).filter(|call| free(call)).map(|call| call.called.clone());
        match called {
            Some(called) => self.match_offers(&[called]).await,
            None => Ok(()),
        }
    }
}

impl Kept {
    fn waiting(&self) -> Waiting {
        let offer = &self.stored.offer;
        Waiting {
            id: self.stored.id(),
            calling: offer.calling.clone(),
            called: self.called.clone(),
            address: offer.address.clone(),
            at: offer.at,
        }
    }
}

/// Whether a call may use an offer.
fn free(call: &Call) -> bool {
    call.side == Side::Terminating
        && call.phase != Phase::Ended
        && call.far.offered.is_none()
        && call.far.half.is_none()
}

fn arrived(call: &Call) -> Arrived {
    Arrived {
        call: call.id.clone(),
        calling: call.calling.clone(),
        ours: false,
        called: call.called.clone(),
        received: call.carried.clone(),
        at: call.decided,
        answered: call.answered.is_some(),
    }
}

/// The caller's client as ours may be shown it: what the voice call withholds, or says otherwise, is not
/// told by another way.
fn far_client(stored: &StoredOffer, calling: Option<Number>, how: Likeness) -> FarClient {
    let offer = &stored.offer;
    let named = calling.is_some() && how != Likeness::Alone;
    // The same number, better written.
    let number = if how == Likeness::Digits { offer.calling.clone() } else { calling };
    FarClient {
        number,
        name: offer.name.clone().filter(|_| named),
        address: offer.address.clone(),
        capabilities: offer.capabilities.clone(),
        how: How::Offer,
        peer: Some(stored.peer.clone()),
        at: Some(stored.received),
    }
}

fn too_many() -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many offers; slow down").retry_after(1)
}
