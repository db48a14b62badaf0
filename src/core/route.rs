//! The route decision.

use serde::{Deserialize, Serialize};

use super::name::PbxName;

/// Which end of the call the PBX is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The call comes from one of its phones.
    Originating,
    /// The call comes from a trunk.
    Terminating,
}

/// Where the call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// Whatever route the dialplan would take without us.
    Pstn,
    /// The packet trunk, with the caller's client address in the signalling.
    Packet,
    /// The called device is on this very PBX.
    Local,
}

impl Route {
    /// The word, as API, dialplan, metrics and logs write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Route::Pstn => "pstn",
            Route::Packet => "packet",
            Route::Local => "local",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        /// Why a call took its route: a closed list, the same words in API, metrics and logs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant),*];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$variant => $word),* }
            }
        }
    };
}

reasons! {
    /// B2: nothing to offer to the other side.
    CallerHasNoClient = "caller-has-no-client",
    /// The caller's clients are not offered to whoever has the called number.
    CallerKeepsAddress = "caller-keeps-address",
    /// B1: the other side may know the called number.
    CalledNotServed = "called-not-served",
    /// B3: both sides have clients.
    CalledHasClient = "called-has-client",
    /// B4: we serve the called number and know that it has no client.
    CalledHasNoClient = "called-has-no-client",
    /// A packet route was right, but no packet trunk is configured.
    NoTrunk = "no-trunk",
    /// The called text is no number: a feature code, a name.
    NotANumber = "not-a-number",
    /// The decision came after its deadline and was dropped.
    Late = "late",
    /// The node did not answer, or the circuit breaker is open.
    NodeUnreachable = "node-unreachable",
    /// The node answered with an error.
    NodeError = "node-error",
    /// The announcement was lost, or nobody was there to read it: found in a snapshot.
    NotAnnounced = "not-announced",
}

/// What the node knows about one number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// It is in our directory.
    pub served: bool,
    /// A client is bound to it.
    pub has_client: bool,
    /// The PBX that its telephony device is on.
    pub home: Option<PbxName>,
}

/// The decision for a call on `pbx`.
///
/// `called` is asked for only if the caller has a client: where it has none, nothing else is looked
/// up (B2). `trunk` says whether this PBX has a packet trunk.
///
/// | side | caller has client | called | route | reason |
/// |---|---|---|---|---|
/// | originating | no | not looked at | pstn | caller-has-no-client (B2) |
/// | originating | yes | not served | packet | called-not-served (B1) |
/// | originating | yes | served, client | local here, else packet | called-has-client (B3) |
/// | originating | yes | served, no client | local here, else pstn | called-has-no-client (B4) |
/// | originating | yes | packet without a trunk | pstn | no-trunk |
/// | terminating | any | any | local | as for the called number |
pub fn decide(side: Side, pbx: &PbxName, trunk: bool, calling: &Known, called: Option<&Known>) -> (Route, Reason) {
    let about_called = |called: &Known| match (called.served, called.has_client) {
        (false, _) => Reason::CalledNotServed,
        (true, true) => Reason::CalledHasClient,
        (true, false) => Reason::CalledHasNoClient,
    };
    if side == Side::Terminating {
        // The call has come to where it goes; the dialplan finds the device.
        return (Route::Local, called.map_or(Reason::CalledNotServed, about_called));
    }
    let Some(called) = called.filter(|_| calling.has_client) else {
        return (Route::Pstn, Reason::CallerHasNoClient);
    };
    let reason = about_called(called);
    let here = called.served && called.home.as_ref() == Some(pbx);
    match reason {
        _ if here => (Route::Local, reason),
        Reason::CalledHasNoClient => (Route::Pstn, reason),
        _ if !trunk => (Route::Pstn, Reason::NoTrunk),
        _ => (Route::Packet, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(served: bool, has_client: bool, home: Option<&str>) -> Known {
        Known { served, has_client, home: home.map(|h| h.parse().unwrap()) }
    }

    fn originating(trunk: bool, calling: &Known, called: Option<&Known>) -> (Route, Reason) {
        decide(Side::Originating, &"here".parse().unwrap(), trunk, calling, called)
    }

    #[test]
    fn b1_caller_has_client_called_not_served() {
        let (me, them) = (known(true, true, Some("here")), known(false, false, None));
        assert_eq!(originating(true, &me, Some(&them)), (Route::Packet, Reason::CalledNotServed));
    }

    #[test]
    fn b2_caller_has_no_client() {
        let (me, them) = (known(true, false, Some("here")), known(true, true, Some("here")));
        assert_eq!(originating(true, &me, None), (Route::Pstn, Reason::CallerHasNoClient));
        assert_eq!(originating(true, &me, Some(&them)), (Route::Pstn, Reason::CallerHasNoClient));
    }

    #[test]
    fn b3_called_has_client() {
        let me = known(true, true, Some("here"));
        let away = known(true, true, Some("there"));
        assert_eq!(originating(true, &me, Some(&away)), (Route::Packet, Reason::CalledHasClient));
        assert_eq!(originating(true, &me, Some(&me)), (Route::Local, Reason::CalledHasClient));
    }

    #[test]
    fn b4_called_has_no_client() {
        let me = known(true, true, Some("here"));
        let (away, here) = (known(true, false, Some("there")), known(true, false, Some("here")));
        assert_eq!(originating(true, &me, Some(&away)), (Route::Pstn, Reason::CalledHasNoClient));
        assert_eq!(originating(true, &me, Some(&here)), (Route::Local, Reason::CalledHasNoClient));
    }

    #[test]
    fn no_trunk_no_packet_route() {
        let (me, them) = (known(true, true, Some("here")), known(false, false, None));
        assert_eq!(originating(false, &me, Some(&them)), (Route::Pstn, Reason::NoTrunk));
    }

    #[test]
    fn b10_terminating_is_always_local() {
        let pbx: PbxName = "here".parse().unwrap();
        for (me, them) in [(true, true), (true, false), (false, true), (false, false)] {
            let (calling, called) = (known(true, me, None), known(true, them, Some("here")));
            let (route, _) = decide(Side::Terminating, &pbx, true, &calling, Some(&called));
            assert_eq!(route, Route::Local);
        }
    }

    #[test]
    fn words_are_unique() {
        let mut words: Vec<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}
