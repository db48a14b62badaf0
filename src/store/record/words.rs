//! Closed lists as the database has them.

use serde::{Deserialize, Serialize};

use crate::contract::Role;
use crate::core::call::Phase;
use crate::core::far::{How, SentState};
use crate::core::route::{Reason, Route, Side};

/// A list of words, with conversions from and to the program's own type. Neither of the two can get a variant that the
/// other one lacks.
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
    /// Which end of the call the PBX is.
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
    /// Why.
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
        Attended = "attended",
        NotAnnounced = "not-announced",
    }
}

words! {
    /// How far a call has come.
    PhaseRecord for Phase {
        Decided = "decided",
        Answered = "answered",
        Talking = "talking",
        Ended = "ended",
    }
}

words! {
    /// How the other side's address came here.
    HowRecord for How {
        Signalling = "signalling",
        Offer = "offer",
        Message = "message",
        Introduced = "introduced",
    }
}

words! {
    /// How far something that is sent to another node has come.
    SentStateRecord for SentState {
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
