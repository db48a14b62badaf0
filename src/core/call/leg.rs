//! A leg of a call: what is known of it, and what happens to it.

use super::report_order::LatestReport;
use crate::core::base::name::{CallId, LegId, TrunkName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// What happened to a leg of a call. `P` is the party behind the leg: in the exchange the number that the leg stands for,
/// or nobody. The agent's tracker only has the device that the PBX names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegEvent<P = Option<Number>> {
    /// A leg was made to reach the called number.
    Dialled {
        /// The new leg.
        leg: LegId,
        /// Who is behind it.
        party: P,
        /// The trunk that it goes over, if the PBX says so.
        trunk: Option<TrunkName>,
    },
    /// A leg turns out to be another phone: picked up, moved there, or joined by a bridge.
    Identified {
        /// Which one.
        leg: LegId,
        /// Who is behind it now.
        party: P,
    },
    /// A leg answered.
    Answered {
        /// Which one.
        leg: LegId,
    },
    /// Two legs hear each other.
    Bridged {
        /// In either order.
        legs: [LegId; 2],
    },
    /// Two legs no longer hear each other.
    Unbridged {
        /// In either order.
        legs: [LegId; 2],
    },
    /// A leg is gone.
    Ended {
        /// Which one.
        leg: LegId,
        /// The hang-up cause in the PBX's words.
        cause: Option<String>,
    },
}

impl<P> LegEvent<P> {
    /// The legs that it names.
    pub fn legs(&self) -> &[LegId] {
        match self {
            LegEvent::Dialled { leg, .. }
            | LegEvent::Identified { leg, .. }
            | LegEvent::Answered { leg }
            | LegEvent::Ended { leg, .. } => std::slice::from_ref(leg),
            LegEvent::Bridged { legs } | LegEvent::Unbridged { legs } => legs,
        }
    }
}

/// An event that is about to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegReport {
    /// The number that the agent gave the report.
    pub seq: u64,
    /// When it happened.
    pub at: UnixMillis,
    /// What happened.
    pub event: LegEvent,
}

/// A channel of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// The number that it stands for.
    pub number: Option<Number>,
    /// Its trunk, if the PBX reports one.
    pub trunk: Option<TrunkName>,
    /// When it was first reported.
    pub since: UnixMillis,
    /// When it answered.
    pub answered: Option<UnixMillis>,
    /// When it ended.
    pub ended: Option<UnixMillis>,
    /// The legs that it hears.
    pub bridges: Vec<(LegId, Bridge)>,
    /// The latest reports about its bridges, or its end.
    pub reported: Vec<LatestReport>,
    /// Whether it belongs to the call.
    pub membership: Membership,
}

impl Leg {
    /// A newly reported leg.
    pub(super) fn new(number: Option<Number>, since: UnixMillis, membership: Membership) -> Leg {
        let (bridges, reported) = (Vec::new(), Vec::new());
        Leg { number, trunk: None, since, answered: None, ended: None, bridges, reported, membership }
    }
}

/// Whether a leg belongs to a call. The reports of one call arrive in order; those of two calls can overtake each
/// other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// The call's own reports introduced it.
    Member,
    /// Known only from an answer or a bridge. It stands for nobody until the call that introduces it claims it.
    Stranger,
    /// A later call announced it at this time. This call's earlier reports are out of date.
    Moved(UnixMillis),
}

/// A bridge between two legs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// The call that reported it.
    pub call: CallId,
    /// Since when.
    pub since: UnixMillis,
    /// A leg joined a full conference: the two hear each other without being paired.
    pub beyond: bool,
}
