//! Telling the clients of two numbers of each other.
//!
//! What is to be told follows from what is: a pair that talks is told, one that doesn't is told that
//! it is over. So a pair can be looked at any number of times, late, twice, or after a restart.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

use super::app::App;
use crate::contract::{Body, Capability, ClientForm, Message, Peer, Role};
use crate::core::address::Address;
use crate::core::exchange::Pair;
use crate::core::name::{CallId, PbxName};
use crate::core::number::Number;
use crate::core::route::Side;
use crate::monitor::now;
use crate::store::{Binding, Delivery, StoreError};

/// Clients of one number that are told.
pub(super) const CLIENTS: u32 = 64;

/// One pair of a call is looked at at a time; calls share a few locks.
pub(super) struct Turns(Vec<Mutex<()>>);

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
    pub(super) async fn settle(&self, pair: &Pair) -> Result<(), StoreError> {
        let _turn = self.turns.of(&pair.call).await;
        let same = |other: &Pair| {
            (&other.first, &other.second) == (&pair.first, &pair.second)
                || (&other.first, &other.second) == (&pair.second, &pair.first)
        };
        let (talks, pbx, received) = {
            let exchange = self.exchange();
            let call = exchange.call(&pair.call);
            let received =
                call.filter(|call| call.side == Side::Terminating && call.calling.as_ref() == Some(&pair.first));
            let received = received.and_then(|call| call.carried.clone());
            (exchange.pairs_in(&pair.call).iter().any(same), call.map(|call| call.pbx.clone()), received)
        };
        match pbx {
            Some(pbx) if talks => self.tell(pair, &pbx, received).await,
            pbx => self.part(pair, pbx.as_ref()).await,
        }
    }

    async fn tell(&self, pair: &Pair, pbx: &PbxName, received: Option<Address>) -> Result<(), StoreError> {
        let (first, second) = self.offered(pair).await?;
        let first = Party { number: &pair.first, role: Role::First, clients: first };
        let second = Party { number: &pair.second, role: Role::Second, clients: second };
        let mut wanted = Vec::new();
        if !first.clients.is_empty() && !second.clients.is_empty() {
            wanted.extend(self.messages(pair, &first, &self.peer(pair, &second).await?));
            wanted.extend(self.messages(pair, &second, &self.peer(pair, &first).await?));
        } else if let Some(address) = received.filter(|_| !second.clients.is_empty()) {
            // B6: the calling side is another node's; its address came in the call signalling.
            let peer = Peer { number: pair.first.clone(), name: None, address, capabilities: Vec::new() };
            wanted.extend(self.messages(pair, &second, &Some(peer)));
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let new = self.store.add_deliveries(wanted.iter().map(|(delivery, _)| delivery.clone()).collect()).await?;
        if !new.is_empty() {
            self.totals.paired();
            tracing::info!(call = %pair.call, first = %pair.first, second = %pair.second, messages = new.len(), "paired");
        }
        for (delivery, binding) in wanted {
            if new.contains(&delivery.message.id) {
                self.send(delivery, &binding, pbx).await?;
            }
        }
        Ok(())
    }

    async fn part(&self, pair: &Pair, pbx: Option<&PbxName>) -> Result<(), StoreError> {
        let parted = self.store.part(&pair.call, [pair.first.clone(), pair.second.clone()], now()).await?;
        self.push.forget(&parted.dropped);
        if !parted.ended.is_empty() {
            tracing::info!(call = %pair.call, first = %pair.first, second = %pair.second, "parted");
        }
        for delivery in parted.ended {
            let binding = self.store.binding(&delivery.client, now()).await?;
            if let (Some(binding), Some(pbx)) = (binding, pbx) {
                self.send(delivery, &binding, pbx).await?;
            }
        }
        Ok(())
    }

    /// Tells those who talk that it is over for their clients, though they go on talking.
    pub(super) async fn withdraw(&self, pair: &Pair) -> Result<(), StoreError> {
        let _turn = self.turns.of(&pair.call).await;
        let pbx = self.exchange().call(&pair.call).map(|call| call.pbx.clone());
        self.part(pair, pbx.as_ref()).await
    }

    /// Hands a delivery on; `pbx` is that of its call.
    pub(super) async fn send(&self, delivery: Delivery, binding: &Binding, pbx: &PbxName) -> Result<(), StoreError> {
        // A softphone is registered where its number is at home, if that is known.
        let home = match binding.form {
            ClientForm::Sip => self.store.facts(&delivery.number, now()).await?.known.home,
            ClientForm::Hosted | ClientForm::Webhook => None,
        };
        self.push.send(delivery, binding, home.as_ref().unwrap_or(pbx));
        Ok(())
    }

    /// Each client's message about its peer.
    fn messages(&self, pair: &Pair, to: &Party<'_>, peer: &Option<Peer>) -> Vec<(Delivery, Binding)> {
        let Some(peer) = peer else { return Vec::new() };
        let made = to.clients.iter().map(|client| {
            let body = Body::Peer { role: to.role, peer: peer.clone() };
            let delivery = Delivery {
                number: to.number.clone(),
                other: peer.number.clone(),
                client: client.id.clone(),
                form: client.form,
                message: Message { id: uuid::Uuid::now_v7().to_string(), call: pair.call.clone(), body },
                attempts: 0,
                created: now(),
            };
            (delivery, client.clone())
        });
        made.collect()
    }

    /// How the other side is shown this one.
    async fn peer(&self, pair: &Pair, of: &Party<'_>) -> Result<Option<Peer>, StoreError> {
        // One address for all hosted clients of the number; else the newest that one brought along.
        let hosted = of.clients.iter().any(|client| client.form == ClientForm::Hosted);
        let address = if hosted {
            self.capabilities.address(&pair.call, of.role, of.number)
        } else {
            of.clients.iter().find_map(|client| client.address.clone())
        };
        let Some(address) = address else { return Ok(None) };
        let mut capabilities: Vec<Capability> = Vec::new();
        for capability in of.clients.iter().flat_map(|client| &client.capabilities) {
            if !capabilities.contains(capability) {
                capabilities.push(capability.clone());
            }
        }
        let name = self.store.number(of.number).await?.and_then(|view| view.entry.name);
        Ok(Some(Peer { number: of.number.clone(), name, address, capabilities }))
    }

    /// Looks at all pairs in which a number talks: it has a new client.
    pub(super) async fn settle_number(&self, number: &Number) -> Result<(), StoreError> {
        let pairs = self.exchange().pairs_of(number);
        for pair in pairs {
            self.settle(&pair).await?;
        }
        Ok(())
    }
}
