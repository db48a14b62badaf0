//! One call, from its announcement to its end.

mod bridges;
mod call_index;
pub mod claims;
pub mod exchange;
pub mod guests;
mod leg;
pub mod leg_identity;
mod legs;
mod membership;
pub mod offer_matching;
mod pairs;
mod remote_legs;
pub mod remote_side;
pub mod report_order;
pub mod ringing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::address::Address;
use crate::core::base::name::{AgentId, CallId, LegId, PbxName, TrunkName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::routing::route::{Reason, Route, Side};
use remote_side::RemoteSide;
use ringing::Alerting;

pub use leg::{Bridge, Leg, LegEvent, LegReport, Membership};

/// The phase of a call.
///
/// Decided → Answered → Talking ⇄ Answered; any → Ended. Nothing leads back to Decided or out of Ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Routed; nobody has answered.
    Decided,
    /// Answered, but no two legs hear each other yet, or any more.
    Answered,
    /// Two legs hear each other.
    Talking,
    /// All legs have ended.
    Ended,
}

/// Two numbers that hear or heard each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    /// The calling side.
    pub first: Number,
    /// The called side.
    pub second: Number,
    /// Since when.
    pub since: UnixMillis,
    /// Until when; none if they still hear each other.
    pub until: Option<UnixMillis>,
}

/// The cause of a call that was taken for over because nothing was heard of it.
pub const LOST: &str = "lost";

/// Maximum number of talks kept: enough for transfers and a conference, and bounded.
const TALKS_MAX: usize = 64;

/// A call, from its announcement to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its id.
    pub id: CallId,
    /// Where it was announced.
    pub pbx: PbxName,
    /// The announced leg.
    pub leg: LegId,
    /// The calling number; none if withheld before the call reached us, or not a number.
    pub calling: Option<Number>,
    /// The caller is one of ours, wherever the call is announced, and withholds the number from everybody
    /// else (CLIR, 3GPP TS 22.081 §2).
    pub withheld: bool,
    /// The called number.
    pub called: Number,
    /// Which side its PBX is on.
    pub side: Side,
    /// The route it took.
    pub route: Route,
    /// The trunk of that route.
    pub trunk: Option<TrunkName>,
    /// Why it took the route.
    pub reason: Reason,
    /// Whose clients it concerns before it is answered.
    pub alerting: Alerting,
    /// The client address in its signalling.
    pub carried: Option<Address>,
    /// When the PBX announced it.
    pub announced: Option<UnixMillis>,
    /// When it was decided.
    pub decided: UnixMillis,
    /// When it was first answered.
    pub answered: Option<UnixMillis>,
    /// When its last leg ended.
    pub ended: Option<UnixMillis>,
    /// The hang-up cause in the PBX's words.
    pub cause: Option<String>,
    /// Its phase.
    pub phase: Phase,
    /// All its legs, including ended ones.
    pub legs: BTreeMap<LegId, Leg>,
    /// Numbers that talked in it and no longer hear the other party, and since when.
    pub parted: BTreeMap<Number, UnixMillis>,
    /// The latest talks, in order.
    pub talks: Vec<Talk>,
    /// The remote side, if another node serves it.
    pub remote: RemoteSide,
    /// The sequence number of the last event that was applied.
    pub last_seq: u64,
    /// The agent that reported this event, and when it happened; none if the agent sent no id.
    pub last_by: Option<(AgentId, UnixMillis)>,
}

impl Call {
    /// The number of the announced leg: the calling number, or a placeholder if a trunk withheld it.
    pub fn caller(&self) -> Option<Number> {
        Call::caller_of(&self.id, self.calling.as_ref(), self.side)
    }

    /// As [`Call::caller`], for a call that is being opened.
    pub fn caller_of(id: &CallId, calling: Option<&Number>, side: Side) -> Option<Number> {
        calling.cloned().or_else(|| (side == Side::Terminating).then(|| Number::withheld(id)))
    }

    /// A map with only the announced leg.
    pub fn announced_leg(leg: &LegId, calling: Option<&Number>, at: UnixMillis) -> BTreeMap<LegId, Leg> {
        BTreeMap::from([(leg.clone(), Leg::new(calling.cloned(), at, Membership::Member))])
    }

    /// Whether the leg is in the call and has neither ended nor moved to another call.
    pub fn has(&self, leg: &LegId) -> bool {
        self.legs.get(leg).is_some_and(|leg| leg.ended.is_none())
    }

    /// The legs whose end the call has yet to report: those that are up, and those that a later call has announced.
    pub fn unfinished(&self) -> impl Iterator<Item = &LegId> {
        let unfinished = |leg: &Leg| leg.ended.is_none() || matches!(leg.membership, Membership::Moved(_));
        self.legs.iter().filter(move |(_, leg)| unfinished(leg)).map(|(id, _)| id)
    }

    /// Whether its last leg has ended and the phase has yet to follow. A leg that a later call announced counts until
    /// this call's own reports say that it left.
    pub(super) fn is_over(&self) -> bool {
        self.phase != Phase::Ended && self.unfinished().next().is_none()
    }

    /// Pairs of legs that hear each other, each pair once. The other leg may belong to another call.
    pub fn hears(&self) -> Vec<[LegId; 2]> {
        let heard = self.legs.iter().flat_map(|(leg, state)| state.bridges.iter().map(move |(other, _)| (leg, other)));
        let once = heard.filter(|(leg, other)| leg < other || !self.has(other));
        once.map(|(leg, other)| [leg.clone(), other.clone()]).collect()
    }

    /// Ended legs, the earliest first, without the announced one, which identifies the call.
    pub(super) fn gone(&self) -> Vec<&LegId> {
        let gone = self.legs.iter().filter(|(leg, _)| **leg != self.leg);
        let mut gone: Vec<_> = gone.filter_map(|(leg, state)| Some((state.ended?, leg))).collect();
        gone.sort_unstable();
        gone.into_iter().map(|(_, leg)| leg).collect()
    }

    /// When the call last changed.
    pub fn last_activity(&self) -> UnixMillis {
        let of_leg = |leg: &Leg| {
            let own = [Some(leg.since), leg.answered, leg.ended].into_iter().flatten();
            own.chain(leg.bridges.iter().map(|(_, bridge)| bridge.since)).max()
        };
        let legs = self.legs.values().filter_map(of_leg);
        legs.chain(self.parted.values().copied()).fold(self.decided, UnixMillis::max)
    }

    /// Records that two numbers begin to hear each other.
    pub(super) fn begin_talk(&mut self, first: &Number, second: &Number, at: UnixMillis) {
        if self.talks.len() >= TALKS_MAX
            && let Some(over) = self.talks.iter().position(|talk| talk.until.is_some())
        {
            self.talks.remove(over);
        }
        if self.talks.len() < TALKS_MAX {
            self.talks.push(Talk { first: first.clone(), second: second.clone(), since: at, until: None });
        }
    }

    /// Records that two numbers no longer hear each other.
    pub(super) fn end_talk(&mut self, first: &Number, second: &Number, at: UnixMillis) {
        let talks = self.talks.iter_mut().filter(|talk| talk.until.is_none());
        let mut same = talks.filter(|talk| {
            (&talk.first, &talk.second) == (first, second) || (&talk.first, &talk.second) == (second, first)
        });
        if let Some(talk) = same.next() {
            talk.until = Some(at);
        }
    }

    /// Goes back to Answered if no two legs hear each other.
    pub(super) fn fall_back_to_answered(&mut self) {
        if self.phase == Phase::Talking && self.legs.values().all(|leg| leg.bridges.is_empty()) {
            self.phase = Phase::Answered;
        }
    }

    /// Advances the phase; never moves it back.
    pub(super) fn advance(&mut self, to: Phase) {
        self.phase = self.phase.max(to);
    }
}
