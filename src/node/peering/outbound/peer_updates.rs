//! When somebody at the other side's end of a call talks to somebody else: what that side's node is told of it.
//!
//! Each PBX sees its own bridges alone. A caller who is parked, or transferred to a phone without a client, still
//! hears the same trunk; and whoever is transferred by the other side does. So the node whose pair has parted says
//! so, and the node on whose PBX two others are connected tells each of them of the other.

use std::sync::Arc;
use std::time::Duration;

use crate::contract::{PeerClient, Role};
use crate::core::address::{Address, AddressKind};
use crate::core::call::Call;
use crate::core::call::exchange::Pair;
use crate::core::call::remote_side::PeerDeliveryState;
use crate::core::numbering::number::Number;
use crate::core::routing::route::Side;
use crate::monitor::brief;
use crate::node::live_calls::GRACE;
use crate::node::peering::outbound::Outbound;
use crate::node::peering::outbound::peer_tasks::{PeerTask, until_settled};
use crate::peer::Outcome;

/// How long a call that is hung up takes to end at both sides, which need not be told then.
const HANGUP: Duration = Duration::from_millis(300);

impl Outbound {
    /// Clients of `ours` were told that a pair is over. If the call goes on, the other side doesn't see that.
    pub(in crate::node) fn tell_pair_over(self: &Arc<Self>, pair: &Pair, ours: &Number) {
        let (role, other) = match pair.first == *ours {
            true => (Role::First, &pair.second),
            false => (Role::Second, &pair.first),
        };
        let Some(own) = self.disclosure.inbox_tokens().address(&pair.call, role, ours) else { return };
        let end = self.live.read(|exchange| {
            let end = exchange.remote_leg_of(pair, other);
            end.and_then(|(home, leg)| Some((home.id.clone(), home.pbx.clone(), leg.clone(), reached_at(home)?)))
        });
        let Some((home, pbx, leg, to)) = end else { return };
        let (outbound, pair, ours) = (self.clone(), pair.clone(), ours.clone());
        let stop = self.shutdown.child_token();
        tokio::spawn(brief(
            "peer",
            stop.run_until_cancelled_owned(async move {
                tokio::time::sleep(HANGUP).await;
                if !outbound.live.read(|exchange| exchange.is_up(&pbx, &leg)) || outbound.talks_again(&pair) {
                    return;
                }
                outbound.live.change_remote(&home, |remote| remote.leave(&ours));
                let ask = || async {
                    match outbound.talks_again(&pair) {
                        true => Outcome::Refused("they talk again".to_owned()),
                        false => outbound.peers.ended(&to, &own).await,
                    }
                };
                let told = tokio::time::timeout(GRACE, until_settled(ask, |_, _| ())).await;
                if told == Ok(PeerDeliveryState::Accepted) {
                    tracing::info!(call = %pair.call, "the other side was told that a pair is over");
                }
            }),
        ));
    }

    fn talks_again(&self, pair: &Pair) -> bool {
        self.live.pairs_in(&pair.call).iter().any(|now| now.same_people(pair))
    }

    /// Two who are both another node's hear each other: somebody here has connected them. Each is told of the
    /// other, if both are known.
    pub(in crate::node) fn introduce(self: &Arc<Self>, pair: &Pair) {
        let ends = self.live.read(|exchange| {
            let mut ends: Vec<Call> = Vec::new();
            for (home, _) in exchange.remote_parties(pair) {
                if ends.iter().all(|known| known.id != home.id) {
                    ends.push(home.clone());
                }
            }
            ends
        });
        let [one, other] = &ends[..] else { return };
        for (home, met) in [(one, other), (other, one)] {
            let (Some(to), Some(instead), Some(met)) =
                (reached_at(home), self.announced_address(home), met.remote.client.as_ref())
            else {
                continue;
            };
            let (peers, peer) = (self.peers.clone(), PeerClient::from(met));
            self.run(&home.id, PeerTask::Introduction, async move {
                until_settled(|| peers.introduce(&to, &peer, &instead), |_, _| ()).await;
            });
        }
    }

    /// The address of ours by which the other side of a call knows whom it talked to.
    fn announced_address(&self, home: &Call) -> Option<Address> {
        let (role, ours) = match home.side {
            Side::Originating => (Role::First, home.caller()),
            Side::Terminating => (Role::Second, home.remote.announced.clone()),
        };
        self.disclosure.inbox_tokens().address(&home.id, role, &ours?)
    }
}

/// Where the other side's client takes messages from a node.
fn reached_at(home: &Call) -> Option<Address> {
    home.remote.client.as_ref().map(|client| client.address.clone()).filter(|to| to.kind() == AddressKind::Http)
}
