//! Whose clients take part: those of numbers that are switched on, towards whoever they offer their
//! address to. Every address that is given away, and every message about one, asks here.

use std::collections::BTreeSet;

use super::app::App;
use super::pairing::CLIENTS;
use crate::core::exchange::Pair;
use crate::core::name::CallId;
use crate::core::number::Number;
use crate::core::policy::{OfferTo, Receiver};
use crate::monitor::now;
use crate::store::{Binding, StoreError};

/// Who a number is to the clients of another: one of this node, or somebody else.
pub(super) fn receiver(served: bool) -> Receiver<'static> {
    if served { Receiver::Served } else { Receiver::Unknown }
}

impl App {
    /// The clients on both sides of a pair that offer their address to the other side.
    pub(super) async fn offered(&self, pair: &Pair) -> Result<(Vec<Binding>, Vec<Binding>), StoreError> {
        let now = now();
        let mut first = self.store.taking_part(&pair.first, now, CLIENTS).await?;
        let mut second = self.store.taking_part(&pair.second, now, CLIENTS).await?;
        // Who has clients here is served here. Where one side has none, nothing is given to it but by way
        // of its own node.
        let to = receiver(!first.is_empty() && !second.is_empty());
        first.retain(|client| client.offer.allows(&to));
        second.retain(|client| client.offer.allows(&to));
        Ok((first, second))
    }

    /// The clients behind a number's address in a call: those that would offer it to somebody there.
    pub(super) async fn addressed(&self, call: &CallId, number: &Number) -> Result<Vec<Binding>, StoreError> {
        let mut clients = self.store.taking_part(number, now(), CLIENTS).await?;
        if clients.iter().all(|client| client.offer == OfferTo::Everyone) {
            return Ok(clients);
        }
        let others: BTreeSet<Number> = {
            let exchange = self.exchange();
            let call = exchange.call(call);
            let legs = call.into_iter().flat_map(|call| call.legs.values().filter_map(|leg| leg.number.clone()));
            let ends = call.into_iter().flat_map(|call| call.calling.iter().chain([&call.called]).cloned());
            legs.chain(ends).filter(|other| other != number).collect()
        };
        let mut there = Vec::new();
        for other in others {
            there.push(receiver(self.store.facts(&other, now()).await?.known.served));
        }
        clients.retain(|client| there.iter().any(|receiver| client.offer.allows(receiver)));
        Ok(clients)
    }

    /// A number was switched on or off, or one of its clients offers its address to others than before.
    pub(super) async fn reconsider(&self, number: &Number) -> Result<(), StoreError> {
        let pairs = self.exchange().pairs_of(number);
        for pair in pairs {
            let (first, second) = self.offered(&pair).await?;
            let left = if pair.first == *number { first.is_empty() } else { second.is_empty() };
            match left {
                true => self.withdraw(&pair).await?,
                false => self.settle(&pair).await?,
            }
        }
        Ok(())
    }
}
