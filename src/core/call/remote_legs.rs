//! Remote legs: legs that lead to another organisation's PBX, whose client may belong to another node.

use super::exchange::{Exchange, Pair};
use super::{Call, Leg, Phase};
use crate::core::base::name::LegId;
use crate::core::numbering::number::Number;
use crate::core::routing::route::Side;

impl Exchange {
    /// The call whose remote side takes part in a pair, and the remote number: the caller of an inbound call, the
    /// called number of an outbound one. After a transfer it is not the pair's own call.
    pub fn remote_party<'a>(&'a self, pair: &'a Pair) -> Option<(&'a Call, &'a Number)> {
        self.remote_parties(pair).next()
    }

    /// As [`Exchange::remote_party`], but two if two remote parties talk through one of our PBXs.
    pub fn remote_parties<'a>(&'a self, pair: &'a Pair) -> impl Iterator<Item = (&'a Call, &'a Number)> {
        let joined = self.call(&pair.call).into_iter().flat_map(|call| self.joined(call));
        joined.filter_map(|home| {
            let remote = remote_legs(home).find_map(|(_, state)| {
                let talks = state.bridges.iter().any(|(_, bridge)| bridge.call == pair.call);
                state.number.as_ref().filter(|number| talks && [&pair.first, &pair.second].contains(number))
            })?;
            home.remote.client.is_some().then_some((home, remote))
        })
    }

    /// The call that connected a parted pair with another node's client, and the leg that leads there: the pair's own
    /// call, or else the only live call with that number.
    pub fn remote_leg_of<'a>(&'a self, pair: &Pair, number: &Number) -> Option<(&'a Call, &'a LegId)> {
        let find = |home: &'a Call| {
            let legs = || remote_legs(home).filter(|(_, state)| state.number.as_ref() == Some(number));
            // A trunk that failed may have left an ended leg.
            let leg = legs().find(|(_, state)| state.ended.is_none()).or_else(|| legs().next());
            home.remote.client.as_ref().and_then(|_| Some((home, leg?.0)))
        };
        let own = self.call(&pair.call).and_then(find);
        own.or_else(|| {
            let known = self.index.with_remote_client().filter_map(|id| self.call(id));
            let mut others = known.filter(|call| call.phase != Phase::Ended).filter_map(find);
            others.next().filter(|_| others.next().is_none())
        })
    }
}

/// The legs of a call that may lead to another organisation's PBX.
fn remote_legs(call: &Call) -> impl Iterator<Item = (&LegId, &Leg)> {
    call.legs.iter().filter(|(leg, _)| (call.side == Side::Terminating) == (**leg == call.leg))
}
