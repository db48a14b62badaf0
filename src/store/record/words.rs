//! The database's words for closed lists.

use serde::{Deserialize, Serialize};

use crate::contract::Role;
use crate::core::call::Phase;
use crate::core::call::remote_side::{AddressSource, PeerDeliveryState};
use crate::core::call::ringing::Alerting;
use crate::core::routing::route::{Reason, Route, Side};

/// Defines the words for an enum, with conversions in both directions. Fails to compile if the two differ in their
/// variants.
macro_rules! words {
    ($(#[$doc:meta])* $record:ident for $own:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Serialize, Deserialize)]
        pub(in crate::store) enum $record {
            $(#[serde(rename = $word)] $variant,)*
        }

        impl From<$own> for $record {
            fn from(own: $own) -> $record {
                match own { $($own::$variant => $record::$variant),* }
            }
        }

        impl From<$record> for $own {
            fn from(record: $record) -> $own {
                match record { $($record::$variant => $own::$variant),* }
            }
        }
    };
}

words! {
    /// The side of the call that the PBX is on.
    SideRecord for Side {
        Originating = "originating",
        Terminating = "terminating",
    }
}

words! {
    /// Where the call goes.
    RouteRecord for Route {
        Pstn = "pstn",
        Packet = "packet",
        Local = "local",
    }
}

words! {
    /// The reason for the route.
    ReasonRecord for Reason {
        CallerHasNoClient = "caller-has-no-client",
        CallerKeepsAddress = "caller-keeps-address",
        CalledNotServed = "called-not-served",
        CalledHasClient = "called-has-client",
        CalledHasNoClient = "called-has-no-client",
        PortedOut = "ported-out",
        PortedIn = "ported-in",
        NoTrunk = "no-trunk",
        NotANumber = "not-a-number",
        Emergency = "emergency",
        Late = "late",
        NodeUnreachable = "node-unreachable",
        NodeError = "node-error",
        MainNumber = "attended",
        NotAnnounced = "not-announced",
    }
}

words! {
    /// Whose clients a call concerns before it is answered.
    AlertingRecord for Alerting {
        Nobody = "nobody",
        Called = "called",
        Both = "both",
    }
}

impl AlertingRecord {
    pub(super) fn is_nobody(&self) -> bool {
        matches!(self, AlertingRecord::Nobody)
    }
}

impl Default for AlertingRecord {
    fn default() -> AlertingRecord {
        Alerting::default().into()
    }
}

words! {
    /// The phase of a call.
    PhaseRecord for Phase {
        Decided = "decided",
        Answered = "answered",
        Talking = "talking",
        Ended = "ended",
    }
}

words! {
    /// How we got the remote side's address.
    HowRecord for AddressSource {
        Signalling = "signalling",
        Offer = "offer",
        Message = "message",
        Introduced = "introduced",
    }
}

words! {
    /// The state of an offer or an answer to another node.
    SentStateRecord for PeerDeliveryState {
        Pending = "pending",
        Accepted = "accepted",
        Refused = "refused",
        Dropped = "dropped",
    }
}

words! {
    /// A side of a call.
    RoleRecord for Role {
        First = "first",
        Second = "second",
    }
}
