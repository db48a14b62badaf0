//! When somebody at the other side's end of a call talks to somebody else: what that side's node is told of it,
//! and what it tells us.
//!
//! Each PBX sees its own bridges alone. A caller who is parked, or transferred to a phone without a client, still
//! hears the same trunk; and whoever is transferred by the other side does. So the node whose pair has parted says
//! so, and the node on whose PBX two others are connected tells each of them of the other.

use std::time::Duration;

use futures_util::FutureExt;

use crate::contract::{Peer, Role};
use crate::core::address::{Address, AddressKind};
use crate::core::call::Call;
use crate::core::exchange::Pair;
use crate::core::far::SentState;
use crate::core::name::CallId;
use crate::core::number::Number;
use crate::core::route::Side;
use crate::monitor::brief;
use crate::node::app::App;
use crate::node::pairing::same;
use crate::node::peering::outbound::{Errand, until_settled};
use crate::node::state::GRACE;
use crate::peer::Outcome;
use crate::store::StoreError;

/// How long a call that is hung up takes to end at both sides, which need not be told then.
const ENDS: Duration = Duration::from_millis(300);

impl App {
    /// Clients of `ours` were told that a pair is over. If the call goes on, the other side doesn't see that.
    pub(in crate::node) fn left(&self, pair: &Pair, ours: &Number) {
        let (role, other) = match pair.first == *ours {
            true => (Role::First, &pair.second),
            false => (Role::Second, &pair.first),
        };
        let Some(own) = self.disclosure.inbox_tokens().address(&pair.call, role, ours) else { return };
        let end = self.live.read(|exchange| {
            let end = exchange.far_end_of(pair, other);
            end.and_then(|(home, leg)| Some((home.id.clone(), home.pbx.clone(), leg.clone(), reached_at(home)?)))
        });
        let Some((home, pbx, leg, to)) = end else { return };
        let (app, pair, ours) = (self.clone(), pair.clone(), ours.clone());
        let stop = self.shutdown.child_token();
        tokio::spawn(brief(
            "peer",
            stop.run_until_cancelled_owned(async move {
                tokio::time::sleep(ENDS).await;
                if !app.live.read(|exchange| exchange.is_up(&pbx, &leg)) || app.talk_again(&pair) {
                    return;
                }
                app.live.change_remote(&home, |far| far.leave(&ours));
                let ask = || {
                    let (app, pair, own, to) = (app.clone(), pair.clone(), own.clone(), to.clone());
                    async move {
                        match app.talk_again(&pair) {
                            true => Outcome::Refused("they talk again".to_owned()),
                            false => app.peers.ended(&to, &own).await,
                        }
                    }
                    .boxed()
                };
                let told = tokio::time::timeout(GRACE, until_settled(ask, |_, _| ())).await;
                if told == Ok(SentState::Accepted) {
                    tracing::info!(call = %pair.call, "the other side was told that a pair is over");
                }
            }),
        ));
    }

    fn talk_again(&self, pair: &Pair) -> bool {
        self.live.pairs_in(&pair.call).iter().any(|now| same(now, pair))
    }

    /// The client behind `address` no longer talks to this number of ours.
    pub(in crate::node) async fn hear_end(
        &self,
        id: &CallId,
        number: &Number,
        address: &Address,
    ) -> Result<(), StoreError> {
        let pairs = self.live.read(|exchange| {
            let known = exchange.call(id)?.far.client.as_ref()?;
            (known.address == *address).then(|| exchange.pairs_in(id))
        });
        let Some(pairs) = pairs else { return Ok(()) };
        for pair in pairs.iter().filter(|pair| pair.first == *number || pair.second == *number) {
            self.withdraw(pair).await?;
        }
        self.live.change_remote(id, |far| _ = far.client.take_if(|client| client.address == *address));
        Ok(())
    }

    /// Two who are both another node's hear each other: somebody here has connected them. Each is told of the
    /// other, if both are known.
    pub(in crate::node) fn introduce(&self, pair: &Pair) {
        let ends = self.live.read(|exchange| {
            let mut ends: Vec<Call> = Vec::new();
            for (home, _) in exchange.far_ends(pair) {
                if ends.iter().all(|known| known.id != home.id) {
                    ends.push(home.clone());
                }
            }
            ends
        });
        let [one, other] = &ends[..] else { return };
        for (home, met) in [(one, other), (other, one)] {
            let (Some(to), Some(instead), Some(peer)) = (reached_at(home), self.known_there(home), shown(met)) else {
                continue;
            };
            let app = self.clone();
            self.errand(&home.id, Errand::Introduction, async move {
                let ask = || {
                    let (app, to, peer, instead) = (app.clone(), to.clone(), peer.clone(), instead.clone());
                    async move { app.peers.introduce(&to, &peer, &instead).await }.boxed()
                };
                until_settled(ask, |_, _| ()).await;
            });
        }
    }

    /// The address of ours by which the other side of a call knows whom it talked to.
    fn known_there(&self, home: &Call) -> Option<Address> {
        let (role, ours) = match home.side {
            Side::Originating => (Role::First, home.caller()),
            Side::Terminating => (Role::Second, home.far.told.clone()),
        };
        self.disclosure.inbox_tokens().address(&home.id, role, &ours?)
    }
}

/// Where the other side's client takes messages from a node.
fn reached_at(home: &Call) -> Option<Address> {
    home.far.client.as_ref().map(|client| client.address.clone()).filter(|to| to.kind() == AddressKind::Http)
}

fn shown(met: &Call) -> Option<Peer> {
    met.far.client.as_ref().map(crate::node::pairing::peer)
}
