//! The ends of calls that aren't ours: where another node's client takes part.

use super::exchange::{Exchange, Pair};
use super::{Call, Leg, Phase};
use crate::core::base::name::LegId;
use crate::core::numbering::number::Number;
use crate::core::routing::route::Side;

impl Exchange {
    /// The call whose far end takes part in a pair, and that end's number: the caller of one that came in,
    /// whoever is called in one that went out. After a transfer it is another call than the pair's.
    pub fn remote_party<'a>(&'a self, pair: &'a Pair) -> Option<(&'a Call, &'a Number)> {
        self.remote_parties(pair).next()
    }

    /// The same of both, where two others talk to each other through one of our PBXs.
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

    /// The call in which a pair that has parted had another node's client, and the leg that leads there. It may
    /// have been another call than the pair's: the only one of that number then.
    pub fn remote_leg_of<'a>(&'a self, pair: &Pair, number: &Number) -> Option<(&'a Call, &'a LegId)> {
        let find = |home: &'a Call| {
            let legs = || remote_legs(home).filter(|(_, state)| state.number.as_ref() == Some(number));
            // Of a trunk that has failed there may be one as well.
            let leg = legs().find(|(_, state)| state.ended.is_none()).or_else(|| legs().next());
            home.remote.client.as_ref().and_then(|_| Some((home, leg?.0)))
        };
        let own = self.call(&pair.call).and_then(find);
        own.or_else(|| {
            let mut others = self.calls().filter(|call| call.phase != Phase::Ended).filter_map(find);
            others.next().filter(|_| others.next().is_none())
        })
    }
}

/// The legs of a call at whose other end somebody else's PBX may be.
fn remote_legs(call: &Call) -> impl Iterator<Item = (&LegId, &Leg)> {
    call.legs.iter().filter(|(leg, _)| (call.side == Side::Terminating) == (**leg == call.leg))
}
