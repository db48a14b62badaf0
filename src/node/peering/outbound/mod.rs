//! What this node says to the other side's node, for as long as the call lasts.
//!
//! An offer (B11) when a call goes out to a number that a peer serves; an answer (B7) for clients that
//! can't answer themselves. Both stand in the call while they are pending, so a restart takes them up.

pub(in crate::node) mod timeline;
mod updates;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::contract::{Body, Message, Offer, Peer, Role};
use crate::core::address::{Address, AddressKind};
use crate::core::backoff::Backoff;
use crate::core::call::{Call, Phase};
use crate::core::far::{Far, FarClient, How, Learned, Sent, SentState};
use crate::core::name::CallId;
use crate::core::number::Number;
use crate::core::policy::Receiver;
use crate::core::portability::ServedBy;
use crate::core::route::{Reason, Side};
use crate::core::time::UnixMillis;
use crate::monitor::clock::step;
use crate::monitor::{brief, now, wall};
use crate::node::app::App;
use crate::node::state::GRACE;
use crate::peer::{Outcome, Peer as PeerNode};
use crate::push::SipAnswer;
use crate::store::StoreError;

/// What is under way, so that it is under way once and ends with its call.
#[derive(Debug, Default)]
pub(in crate::node) struct Underway(Mutex<HashMap<CallId, HashMap<Errand, CancellationToken>>>);

/// What is sent for a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::node) enum Errand {
    Offer,
    Answer(Number),
    Introduction,
}

/// What becomes of another side's client that a number of ours was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum Heard {
    /// It stands in the call, and is told when the two talk.
    Kept,
    /// It is another one than was known by a better way: somebody who has taken over there, perhaps.
    News,
    /// The other side is ours, and this node says itself how it is reached; or the call is over.
    Moot,
}

impl Underway {
    fn begin(&self, call: &CallId, errand: &Errand, stop: CancellationToken) -> bool {
        let mut calls = self.lock();
        let errands = calls.entry(call.clone()).or_default();
        let new = !errands.contains_key(errand);
        errands.entry(errand.clone()).or_insert(stop);
        new
    }

    /// One that was stopped has gone already, and in its place there may be another.
    fn done(&self, call: &CallId, errand: &Errand, stop: &CancellationToken) {
        let mut calls = self.lock();
        if let Some(errands) = calls.get_mut(call).filter(|_| !stop.is_cancelled()) {
            errands.remove(errand);
            if errands.is_empty() {
                calls.remove(call);
            }
        }
    }

    fn stop(&self, call: &CallId, errand: &Errand) {
        let mut calls = self.lock();
        // Under the lock, so that it isn't done in between.
        calls.get_mut(call).and_then(|errands| errands.remove(errand)).iter().for_each(CancellationToken::cancel);
    }

    fn end(&self, call: &CallId) {
        let mut calls = self.lock();
        calls.remove(call).unwrap_or_default().values().for_each(CancellationToken::cancel);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallId, HashMap<Errand, CancellationToken>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// The peer that serves a called number, as far as we know. A number that has left its range isn't its
    /// first owner's any more.
    pub(in crate::node) fn peer_of(&self, called: &Number, served_by: &ServedBy) -> Option<&Arc<PeerNode>> {
        match served_by {
            ServedBy::Peer(name) => self.peers.get(name),
            ServedBy::Unknown => self.peers.serving(called),
            ServedBy::Ours | ServedBy::Other => None,
        }
    }

    /// Offers a call to the node that serves its called number, behind everything else. A call whose
    /// caller has no client is nobody's business (B2).
    pub(in crate::node) fn offer(&self, call: &Call) {
        let wanted = call.side == Side::Originating && call.reason != Reason::CalledHasClient;
        let (Some(peer), Some(calling)) = (self.peer_of(&call.called, &call.far.served_by), &call.calling) else {
            return;
        };
        let settled = call.far.offer.as_ref().is_some_and(|offer| offer.state != SentState::Pending);
        if !wanted || settled {
            return;
        }
        let (app, peer, calling, call) = (self.clone(), peer.clone(), calling.clone(), call.clone());
        let id = call.id.clone();
        self.errand(&id, Errand::Offer, async move {
            match app.first_offer(&peer, &calling, &call).await {
                Ok(Some(offer)) => app.keep_offering(&peer, &calling, offer).await,
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, call = %call.id, "an offer could not be made"),
            }
        });
    }

    async fn first_offer(&self, peer: &PeerNode, calling: &Number, call: &Call) -> Result<Option<Offer>, StoreError> {
        // Served here: whoever it is, we know them better than a peer.
        if !call.far.served_by.is_elsewhere() && self.store.facts(&call.called, now()).await?.known.served {
            return Ok(None);
        }
        let mut clients = self.disclosure.participating_clients(&call.id, calling).await?;
        clients.retain(|client| client.offer.allows(&Receiver::Peer(peer.name())));
        let Some(own) = self.disclosure.shown_as(&call.id, Role::First, calling, &clients).await? else {
            return Ok(None);
        };
        self.live.change_remote(&call.id, |far| {
            far.offer.get_or_insert_with(|| Sent::pending(Some(peer.name().clone()), now()));
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

    async fn keep_offering(&self, peer: &Arc<PeerNode>, calling: &Number, offer: Offer) {
        let id = offer.id.clone();
        let state = until_settled(
            || {
                let (peer, offer) = (peer.clone(), Offer { sent: wall(), ..offer.clone() });
                let (app, calling) = (self.clone(), calling.clone());
                async move {
                    app.disclosure.send_if_disclosed(&calling, &Receiver::Peer(peer.name()), peer.offer(&offer)).await
                }
                .boxed()
            },
            |state, error| _ = self.live.change_remote(&id, |far| attempted(far.offer.as_mut(), state, error)),
        )
        .await;
        self.totals.metrics.offer_sent(peer.name(), state);
        tracing::info!(call = %id, peer = %peer.name(), outcome = state.as_str(), "offered");
        self.compare(&id);
    }

    /// A number of ours was told in a call how the other side's client is reached (B7).
    ///
    /// With `instead`, whoever had that address has connected the two.
    pub(in crate::node) async fn hear(
        &self,
        id: &CallId,
        number: &Number,
        peer: &Peer,
        instead: Option<&Address>,
    ) -> Result<Heard, StoreError> {
        let known = self.live.read(|exchange| {
            let call = exchange.call(id).filter(|call| call.phase != Phase::Ended)?;
            let half = call.far.half.as_ref().and_then(|half| exchange.call(half));
            let far_half = half.is_some_and(|half| half.far.client.is_some());
            Some((call.clone(), exchange.opposite(call, number), far_half))
        });
        let Some((call, other, far_half)) = known else { return Ok(Heard::Moot) };
        // The far end is the called one of a call that went out, and the caller of one that came in.
        let far_end = match call.side {
            Side::Originating => Some(&other) != call.caller().as_ref(),
            Side::Terminating => Some(&other) == call.caller().as_ref(),
        };
        if !far_end || !self.disclosure.participating_clients(id, &other).await?.is_empty() {
            // Where the number was withheld on its way from one of our PBXs to another, the address is all that is
            // known of the other half, and its client makes itself known as anybody's does.
            return Ok(if far_half { Heard::News } else { Heard::Moot });
        }
        let told = FarClient {
            number: peer.number.clone(),
            name: peer.name.clone(),
            address: peer.address.clone(),
            capabilities: peer.capabilities.clone(),
            how: if instead.is_some() { How::Introduced } else { How::Message },
            peer: self.peers.at(&peer.address).map(|peer| peer.name().clone()),
            at: Some(now()),
        };
        let known = call.far.client.as_ref().is_some_and(|known| known.address == told.address);
        let learn = |far: &mut Far| match instead {
            Some(instead) => far.introduced(number, told, instead),
            None => far.learn(told),
        };
        let learned = self.live.change_remote(id, learn).unwrap_or(Learned::Same);
        if !known && learned == Learned::Same {
            return Ok(Heard::News);
        }
        let pairs = self.live.pairs_in(id);
        for pair in pairs.iter().filter(|pair| pair.first == *number || pair.second == *number) {
            if learned != Learned::Instead {
                // Said again, it may be because the first time something failed.
                self.settle(pair).await?;
            } else if let Err(error) = self.replace(pair).await {
                // Said again, it is to be another one again.
                self.live.change_remote(id, |far| far.client.clone_from(&call.far.client));
                return Err(error);
            }
        }
        Ok(Heard::Kept)
    }

    /// Tells the other side how a number of ours is reached, once, and as often as that takes.
    pub(in crate::node) fn answer(&self, call: &CallId, number: &Number, own: Peer) {
        let client = self.live.read(|exchange| {
            let far = &exchange.call(call)?.far;
            let settled = far.answers.get(number).is_some_and(|sent| sent.state != SentState::Pending);
            let client = far.client.as_ref()?;
            Some((client.address.clone(), client.peer.clone(), client.how, settled))
        });
        let Some((address, peer, how, settled)) = client else { return };
        if settled {
            return;
        }
        self.live.change_remote(call, |far| {
            far.answers.entry(number.clone()).or_insert_with(|| Sent::pending(peer, now()));
        });
        match address.kind() {
            AddressKind::Sip => {
                let refused = self.may_write_to(call, number, &address, how);
                if let Err(error) = refused.and_then(|()| self.answer_by_sip(call, number, own, address)) {
                    self.live.change_remote(call, |far| {
                        attempted(far.answers.get_mut(number), SentState::Refused, Some(error))
                    });
                    self.answered(call, number, SentState::Refused);
                }
            }
            AddressKind::Http => {
                let (app, number) = (self.clone(), number.clone());
                let id = call.clone();
                self.errand(call, Errand::Answer(number.clone()), async move {
                    let state = until_settled(
                        || {
                            let (app, address, own) = (app.clone(), address.clone(), own.clone());
                            let (id, number) = (id.clone(), number.clone());
                            async move {
                                let client = |call: &Call| call.far.client.clone();
                                let far = app.live.read(|exchange| exchange.call(&id).and_then(client));
                                let to = app.disclosure.remote_receiver(far.as_ref());
                                app.disclosure.send_if_disclosed(&number, &to, app.peers.answer(&address, &own)).await
                            }
                            .boxed()
                        },
                        |state, error| {
                            app.live.change_remote(&id, |far| attempted(far.answers.get_mut(&number), state, error));
                        },
                    )
                    .await;
                    app.answered(&id, &number, state);
                });
            }
        }
    }

    /// From now on it is this number that the other side is told of: what is still said of another is not
    /// said any more, and what was said of this one before is said again.
    pub(in crate::node) fn turn_to(&self, call: &CallId, number: &Number) {
        let others = self.live.change_remote(call, |far| far.turn_to(number)).unwrap_or_default();
        for other in others {
            self.push.forget_answer(call, &other);
            self.underway.stop(call, &Errand::Answer(other));
        }
    }

    /// Whether our PBX may be asked to send something to a SIP address that somebody else has chosen, or why not. Its
    /// own domain is known by the configuration, and by numbers that have one.
    fn may_write_to(&self, call: &CallId, number: &Number, address: &Address, how: How) -> Result<(), String> {
        let called = self.live.read(|exchange| exchange.call(call).map(|call| call.called.clone()));
        let own = called.iter().chain([number]).filter_map(Number::context);
        if !self.peers.may_be_written_to(address) || own.into_iter().any(|own| address.is_at(own.as_str())) {
            return Err("leads into a private network, or back to our own PBX".to_owned());
        }
        // Anybody who knows our client's address can post a message that names another address.
        let vouched = matches!(how, How::Signalling | How::Offer);
        self.clients.check_answer(address, vouched).map_err(|refusal| refusal.to_string())
    }

    fn answer_by_sip(&self, call: &CallId, number: &Number, own: Peer, to: Address) -> Result<(), String> {
        let found = self.live.read(|exchange| {
            let call = exchange.call(call)?;
            let sent = call.far.answers.get(number);
            let made = sent.and_then(|sent| sent.made);
            Some((call.pbx.clone(), made.unwrap_or(call.decided), sent.is_some_and(Sent::is_handed_out)))
        });
        let Some((pbx, made, is_handed_out)) = found else { return Ok(()) };
        let from = own.number.clone().unwrap_or_else(|| Number::withheld(call));
        // The same id after a restart: a client tells a repeat by it. Another one when the call has come back to this
        // number: then it is news.
        let message = Message {
            id: format!("answer-{call}-{}-{}", from.digits(), made.0),
            call: call.clone(),
            body: Body::Peer { role: Role::First, peer: own, own: None },
        };
        self.push.answer(&pbx, message, number.clone(), from, to, is_handed_out)
    }

    /// What became of answers that went by SIP MESSAGE.
    pub(in crate::node) fn sip_answers(&self, outcomes: Vec<SipAnswer>) {
        for SipAnswer { call, number, state, error } in outcomes {
            let outcome = |sent: &mut Sent| sent.outcome(state, error, now());
            self.live.change_remote(&call, |far| far.answers.get_mut(&number).map(outcome));
            if state != SentState::Pending {
                self.answered(&call, &number, state);
            }
        }
    }

    fn answered(&self, call: &CallId, number: &Number, state: SentState) {
        self.totals.metrics.peer_answer(state);
        tracing::info!(%call, %number, outcome = state.as_str(), "answered the other side's client");
    }

    /// The call is over, and so is what is sent for it.
    pub(in crate::node) fn end_far(&self, call: &CallId) {
        self.underway.end(call);
        let unused = self.live.change_remote(call, |far| {
            let unused = far.offer.as_ref().filter(|offer| far.client.is_none() && offer.state != SentState::Refused);
            let peer = unused.and_then(|offer| offer.peer.clone());
            far.offer.iter_mut().chain(far.answers.values_mut()).for_each(Sent::drop_pending);
            peer
        });
        if let Some(peer) = unused.flatten().and_then(|name| self.peers.get(&name).cloned()) {
            self.take_back(peer, call.clone());
        }
    }

    /// Takes back an offer that, for all we know, no call has used: another call there might.
    fn take_back(&self, peer: Arc<PeerNode>, call: CallId) {
        let Some(permit) = peer.withdrawal() else { return };
        let stop = self.shutdown.child_token();
        tokio::spawn(brief("peer", async move {
            let _permit = permit;
            let ask = || {
                let (peer, call) = (peer.clone(), call.clone());
                async move { peer.withdraw(&call).await }.boxed()
            };
            let asking = tokio::time::timeout(GRACE, until_settled(ask, |_, _| ()));
            let _ = stop.run_until_cancelled(asking).await;
        }));
    }

    /// Does it beside everything else, until it is done or the call ends.
    pub(in crate::node) fn errand(
        &self,
        call: &CallId,
        errand: Errand,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = self.shutdown.child_token();
        if self.underway.begin(call, &errand, stop.clone()) {
            // Looked at after it has begun: a call that ends from now on ends this too.
            if !self.live.is_live(call) {
                return self.underway.done(call, &errand, &stop);
            }
            let (app, call) = (self.clone(), call.clone());
            tokio::spawn(async move {
                // Done also if it has broken: it can be begun again.
                if stop.run_until_cancelled(brief("peer", work)).await.is_some() {
                    app.underway.done(&call, &errand, &stop);
                }
            });
        }
    }
}

/// Asks again until the other side has said yes or no; the caller ends it when nobody needs it.
pub(in crate::node) async fn until_settled(
    ask: impl Fn() -> BoxFuture<'static, Outcome>,
    note: impl Fn(SentState, Option<String>),
) -> SentState {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (state, error, after) = match ask().await {
            Outcome::Accepted => (SentState::Accepted, None, None),
            Outcome::Refused(error) => (SentState::Refused, Some(error), None),
            Outcome::Again { error, after } => (SentState::Pending, Some(error), after),
        };
        note(state, error);
        if state != SentState::Pending {
            return state;
        }
        tokio::time::sleep(Backoff::HTTP.wait_for(attempt, rand::random(), after)).await;
    }
}

fn attempted(sent: Option<&mut Sent>, state: SentState, error: Option<String>) {
    if let Some(sent) = sent {
        sent.attempted(state, error, now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_stopped_leaves_its_successor_alone() {
        let (underway, call) = (Underway::default(), "0199-1".parse().unwrap());
        let [first, second, third] = [(); 3].map(|()| CancellationToken::new());
        assert!(underway.begin(&call, &Errand::Offer, first.clone()));
        underway.stop(&call, &Errand::Offer);
        assert!(first.is_cancelled() && underway.begin(&call, &Errand::Offer, second.clone()));
        underway.done(&call, &Errand::Offer, &first);
        assert!(!underway.begin(&call, &Errand::Offer, third.clone()));
        underway.done(&call, &Errand::Offer, &second);
        assert!(underway.begin(&call, &Errand::Offer, third.clone()));
        underway.end(&call);
        assert!(third.is_cancelled() && underway.lock().is_empty());
    }
}
