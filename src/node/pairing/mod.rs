//! Telling the clients of two numbers of each other.
//!
//! What is to be told follows from what is: a pair that talks is told, one that doesn't is told that
//! it is over. So a pair can be looked at any number of times, late, twice, or after a restart.

mod missed;

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use crate::contract::{Body, ClientForm, Message, Peer, Role};
use crate::core::address::AddressKind;
use crate::core::call::{Call, Phase};
use crate::core::exchange::{Exchange, Pair};
use crate::core::name::{CallId, PbxName};
use crate::core::number::Number;
use crate::core::route::Side;
use crate::monitor::now;
use crate::node::app::App;
use crate::push::{SipRoute, sip_route};
use crate::store::{Binding, Delivery, StoreError};

/// A call that goes on at another of our PBXs arrives there at most so much later.
const ARRIVES: Duration = Duration::from_secs(180);

/// One pair of a call is looked at at a time; calls share a few locks.
pub(in crate::node) struct Turns(Vec<Mutex<()>>);

impl Default for Turns {
    fn default() -> Turns {
        Turns((0..64).map(|_| Mutex::new(())).collect())
    }
}

impl Turns {
    async fn of(&self, call: &CallId) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        call.hash(&mut hasher);
        self.0[hasher.finish() as usize % self.0.len()].lock().await
    }
}

/// One side of a pair.
struct Party<'a> {
    number: &'a Number,
    role: Role,
    clients: Vec<Binding>,
}

impl App {
    /// Brings what clients know of a pair in line with whether it talks.
    pub(in crate::node) async fn settle(&self, pair: &Pair) -> Result<(), StoreError> {
        self.settle_told(pair).await.map(drop)
    }

    /// As [`App::settle`]; returns the softphones for which that made a delivery.
    pub(in crate::node) async fn settle_told(&self, pair: &Pair) -> Result<HashSet<SipRoute>, StoreError> {
        let _turn = self.turns.of(&pair.call).await;
        let (talks, call, far) = self.live.read(|exchange| {
            let call = exchange.call(&pair.call);
            let talks = exchange.pairs_in(&pair.call).iter().any(|other| other.same_people(pair));
            let talks = talks && !call.is_some_and(|call| goes_on(exchange, call, pair));
            let far = exchange.far_end(pair).map(|(home, number)| (home.clone(), number.clone()));
            (talks, call.cloned(), far)
        });
        match call {
            Some(call) if talks => self.tell(pair, &call, far.as_ref()).await,
            call => {
                let told = self.part(pair, call.as_ref().map(|call| &call.pbx)).await?;
                // One side alone was told here: the other one is another node's.
                if let [ours] = &Vec::from_iter(told)[..] {
                    self.outbound.tell_pair_over(pair, ours);
                }
                Ok(HashSet::new())
            }
        }
    }

    /// `far` is the call in which the pair has another node's client, and that one's number. Returns the softphones for
    /// which a delivery was made.
    async fn tell(
        &self,
        pair: &Pair,
        call: &Call,
        far: Option<&(Call, Number)>,
    ) -> Result<HashSet<SipRoute>, StoreError> {
        let (first, second) =
            self.disclosure.clients_of_pair(pair, far.and_then(|(home, _)| home.far.client.as_ref())).await?;
        let first = Party { number: &pair.first, role: Role::First, clients: first };
        let second = Party { number: &pair.second, role: Role::Second, clients: second };
        let mut wanted = Vec::new();
        let mut answer = None;
        match (first.clients.is_empty(), second.clients.is_empty()) {
            (false, false) => {
                for (ours, other) in [(&first, &second), (&second, &first)] {
                    if let Some(peer) = self.party(call, other).await? {
                        wanted.extend(messages(call, ours, other.number, &peer, None));
                    }
                }
            }
            (false, true) | (true, false) => {
                let (ours, other) = if second.clients.is_empty() { (&first, &second) } else { (&second, &first) };
                match far.filter(|(_, number)| number == other.number) {
                    // B6, B7: one side is another node's.
                    Some((home, _)) => (wanted, answer) = self.tell_far(call, home, ours, other).await?,
                    // Our client came after the call had begun.
                    None if call.side == Side::Originating => self.outbound.offer(call),
                    None => {}
                }
            }
            // Or neither is ours.
            (true, true) => self.outbound.introduce(pair),
        }
        let mut routed = self.deliveries.route(wanted, &call.pbx).await?;
        routed.retain(|routed| !self.push.skip_resting(&routed.client, &routed.via, pair));
        let new = self.store.add_deliveries(routed.iter().map(|routed| routed.delivery.clone()).collect()).await?;
        if !new.is_empty() {
            self.totals.paired();
            tracing::info!(call = %pair.call, first = %pair.first, second = %pair.second, messages = new.len(), "paired");
        }
        let new: HashSet<String> = new.into_iter().collect();
        routed.retain(|routed| new.contains(&routed.delivery.message.id));
        let told = routed.iter().filter_map(|routed| sip_route(&routed.client, &routed.via)).collect();
        self.deliveries.push(routed);
        if let (Some((number, own)), Some((home, _))) = (answer, far) {
            self.outbound.answer(&home.id, &number, own);
        }
        Ok(told)
    }

    /// What our clients are told of another node's, and what this node tells that one for them.
    #[allow(clippy::type_complexity, reason = "it is taken apart where it is made")]
    async fn tell_far(
        &self,
        call: &Call,
        home: &Call,
        ours: &Party<'_>,
        other: &Party<'_>,
    ) -> Result<(Vec<(Delivery, Binding)>, Option<(Number, Peer)>), StoreError> {
        let Some(far) = &home.far.client else { return Ok((Vec::new(), None)) };
        let peer = Peer::from(far);
        // Its node has the caller's address already: that is where we were told of it.
        let knows = home.side == Side::Originating && home.caller().as_ref() == Some(ours.number);
        let knows = !home.far.left && (knows || home.far.was_introduced(ours.number));
        let own = if knows { None } else { self.party(call, ours).await? };
        let ourselves =
            far.address.kind() == AddressKind::Sip || ours.clients.iter().any(|c| c.form != ClientForm::Hosted);
        if own.is_some() {
            self.outbound.switch_announced_client(&home.id, ours.number);
        }
        Ok(if ourselves {
            (messages(call, ours, other.number, &peer, None), own.map(|own| (ours.number.clone(), own)))
        } else {
            (messages(call, ours, other.number, &peer, own.as_ref()), None)
        })
    }

    async fn party(&self, call: &Call, party: &Party<'_>) -> Result<Option<Peer>, StoreError> {
        self.disclosure.shown_as(&call.id, party.role, party.number, &party.clients).await
    }

    /// Tells those who were told of each other; the numbers whose clients were.
    async fn part(&self, pair: &Pair, pbx: Option<&PbxName>) -> Result<BTreeSet<Number>, StoreError> {
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
        let _turn = self.turns.of(&pair.call).await;
        let pbx = self.live.pbx_of(&pair.call);
        self.part(pair, pbx.as_ref()).await.map(drop)
    }

    /// The other side has another client than the one that was told of: the old one is over.
    pub(in crate::node) async fn replace(&self, pair: &Pair) -> Result<(), StoreError> {
        self.withdraw(pair).await?;
        self.settle(pair).await
    }

    /// A number was switched on or off, or one of its clients offers its address to others than before.
    pub(in crate::node) async fn reconsider(&self, number: &Number) -> Result<(), StoreError> {
        for pair in self.live.pairs_of(number) {
            let far = self.live.read(|exchange| exchange.far_end(&pair).and_then(|(home, _)| home.far.client.clone()));
            let (first, second) = self.disclosure.clients_of_pair(&pair, far.as_ref()).await?;
            let left = if pair.first == *number { first.is_empty() } else { second.is_empty() };
            match left {
                true => self.withdraw(&pair).await?,
                false => self.settle(&pair).await?,
            }
        }
        Ok(())
    }

    /// Looks at all pairs in which a number talks: it has a new client.
    pub(in crate::node) async fn settle_number(&self, number: &Number) -> Result<(), StoreError> {
        for pair in self.live.pairs_of(number) {
            self.settle(&pair).await?;
        }
        Ok(())
    }
}

/// Whether these two people talk in a call that has gone out of one of our PBXs, or through a call server of
/// ours, and come in at another: the one that came in knows who is at its end, and tells. One that was turned away
/// there doesn't: the call goes on by another way.
fn goes_on(exchange: &Exchange, call: &Call, pair: &Pair) -> bool {
    if call.caller().as_ref() != Some(&pair.first) || call.called != pair.second {
        return false;
    }
    // In that call, or in the one that its caller was led on to.
    let is_up = |other: &Call| exchange.call_of(&other.pbx, &other.leg).is_some_and(|now| now.phase != Phase::Ended);
    let half = call.far.half.as_ref().and_then(|half| exchange.call(half));
    let like = |other: &Call| {
        let numbers = (&other.calling, &other.called) == (&call.calling, &call.called) && call.calling.is_some();
        // The same address has come with both, also where an attendant there has found somebody else since.
        let address = call.side == Side::Terminating && call.carried.is_some() && other.carried == call.carried;
        other.side == Side::Terminating
            && (call.side == Side::Originating || other.pbx != call.pbx)
            && other.decided >= call.decided
            && (address || numbers && other.decided - call.decided <= ARRIVES)
            && is_up(other)
    };
    half.is_some_and(|half| call.side == Side::Originating && is_up(half)) || exchange.calls().any(like)
}

/// Each client's message about its peer.
fn messages(call: &Call, to: &Party<'_>, other: &Number, peer: &Peer, own: Option<&Peer>) -> Vec<(Delivery, Binding)> {
    let made = to.clients.iter().map(|client| {
        let body = Body::Peer { role: to.role, peer: peer.clone(), own: own.cloned().map(Box::new) };
        let delivery = Delivery {
            number: to.number.clone(),
            other: other.clone(),
            client: client.id.clone(),
            form: client.form,
            message: Message { id: uuid::Uuid::now_v7().to_string(), call: call.id.clone(), body },
            attempts: 0,
            created: now(),
        };
        (delivery, client.clone())
    });
    made.collect()
}
