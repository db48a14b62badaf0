//! The route decision: which way a call goes, and why.

use serde::{Deserialize, Serialize};

use super::portability::{Portability, ServedBy};
use crate::core::base::name::PbxName;

/// Which side of the call the PBX is on.
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
    /// The route that the dialplan takes without sidecall.
    Pstn,
    /// The packet trunk, with the caller's client address in the signalling.
    Packet,
    /// The called device is on the same PBX.
    Local,
}

impl Route {
    /// The word in API, dialplan, metrics and logs.
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
    /// B5: in our directory, but ported to somebody else.
    PortedOut = "ported-out",
    /// B5: ported to us.
    PortedIn = "ported-in",
    /// A packet route was right, but no packet trunk is configured.
    NoTrunk = "no-trunk",
    /// The called text is no number: a feature code, a name.
    NotANumber = "not-a-number",
    /// An emergency call: left alone.
    Emergency = "emergency",
    /// The decision came after its deadline and was dropped.
    Late = "late",
    /// The node did not answer, or the circuit breaker is open.
    NodeUnreachable = "node-unreachable",
    /// The node answered with an error.
    NodeError = "node-error",
    /// B8: a main number's call, of which nobody was asked: the attendant answered it, or found who did.
    MainNumber = "attended",
    /// The announcement was lost, or nobody was there to read it: found in a snapshot.
    NotAnnounced = "not-announced",
}

/// What the node knows about a number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberFacts {
    /// It is in our directory.
    pub served: bool,
    /// A client is bound to it.
    pub has_client: bool,
    /// The PBX of its phone.
    pub home: Option<PbxName>,
}

/// The decision for a call on `pbx`.
///
/// `called` is looked up only if the caller has a client (B2). `trunk` says whether this PBX has a packet trunk.
/// `ported` is what portability sources know of the called number; by default nothing.
///
/// | side | caller has client | called | route | reason |
/// |---|---|---|---|---|
/// | originating | no | not looked at | pstn | caller-has-no-client (B2) |
/// | originating | yes | not served | packet | called-not-served (B1) |
/// | originating | yes | not served, and known to have no client | pstn | called-has-no-client |
/// | originating | yes | served, client | local here, else packet | called-has-client (B3) |
/// | originating | yes | served, no client | local here, else pstn | called-has-no-client (B4) |
/// | originating | yes | in the directory, ported to somebody else | packet by the trunk that leads there, else pstn | ported-out (B5) |
/// | originating | yes | ported to us | as if served | ported-in (B5) |
/// | originating | yes | packet without a trunk | pstn | no-trunk |
/// | terminating | any | any | local | as for the called number |
///
/// A number of the directory that was ported out is gone even if its phone seems to be on this PBX: the
/// entry is stale. It takes no trunk but the one that leads to where it went: behind the default one,
/// there may be somebody who still takes it for ours and sends the call back. A number that is ours
/// but not in the directory has the client that the source knows of, or none.
pub fn decide(
    side: Side,
    pbx: &PbxName,
    trunk: bool,
    calling: &NumberFacts,
    called: Option<&NumberFacts>,
    ported: &Portability,
) -> (Route, Reason) {
    let Some(called) = called.filter(|_| side == Side::Terminating || calling.has_client) else {
        return match side {
            Side::Originating => (Route::Pstn, Reason::CallerHasNoClient),
            Side::Terminating => (Route::Local, Reason::CalledNotServed),
        };
    };
    let left = called.served && ported.is_elsewhere();
    let served = !left && (called.served || ported.served_by == ServedBy::Ours);
    let has_client = if called.served { called.has_client } else { ported.has_client == Some(true) };
    let reason = match (served, has_client) {
        _ if left => Reason::PortedOut,
        (true, _) if ported.ported && ported.served_by == ServedBy::Ours => Reason::PortedIn,
        (true, true) => Reason::CalledHasClient,
        (true, false) => Reason::CalledHasNoClient,
        (false, _) if ported.has_client == Some(false) => Reason::CalledHasNoClient,
        (false, _) => Reason::CalledNotServed,
    };
    if side == Side::Terminating {
        // The call has come to where it goes; the dialplan finds the device.
        return (Route::Local, reason);
    }
    let here = served && called.home.as_ref() == Some(pbx);
    let packet = match reason {
        _ if here => return (Route::Local, reason),
        Reason::PortedOut => ported.trunk.is_some() && ported.has_client != Some(false),
        Reason::PortedIn => has_client,
        Reason::CalledHasNoClient => false,
        _ => true,
    };
    match packet {
        false => (Route::Pstn, reason),
        true if !trunk && ported.trunk.is_none() => (Route::Pstn, Reason::NoTrunk),
        true => (Route::Packet, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(served: bool, has_client: bool, home: Option<&str>) -> NumberFacts {
        NumberFacts { served, has_client, home: home.map(|h| h.parse().unwrap()) }
    }

    fn originating(trunk: bool, calling: &NumberFacts, called: Option<&NumberFacts>) -> (Route, Reason) {
        decide(Side::Originating, &"here".parse().unwrap(), trunk, calling, called, &Portability::default())
    }

    fn ported(served_by: ServedBy, trunk: Option<&str>, has_client: Option<bool>) -> Portability {
        Portability { served_by, ported: true, trunk: trunk.map(|trunk| trunk.parse().unwrap()), has_client }
    }

    fn peer() -> ServedBy {
        ServedBy::Peer("b".parse().unwrap())
    }

    /// A caller with a client calls; the PBX has a default trunk.
    fn after_a_query(called: &NumberFacts, ported: &Portability) -> (Route, Reason) {
        let me = known(true, true, Some("here"));
        decide(Side::Originating, &"here".parse().unwrap(), true, &me, Some(called), ported)
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
    fn b5_ported_out_of_our_directory() {
        for home in [Some("here"), Some("there"), None] {
            for client in [true, false] {
                let them = known(true, client, home);
                for elsewhere in [peer(), ServedBy::Other] {
                    let to = |trunk, client| after_a_query(&them, &ported(elsewhere.clone(), trunk, client));
                    assert_eq!(to(Some("to-b"), None), (Route::Packet, Reason::PortedOut));
                    assert_eq!(to(None, Some(true)), (Route::Pstn, Reason::PortedOut));
                    assert_eq!(to(Some("to-b"), Some(false)), (Route::Pstn, Reason::PortedOut));
                }
            }
        }
    }

    #[test]
    fn b5_ported_in() {
        let ours = |client| ported(ServedBy::Ours, None, client);
        let (away, here) = (known(true, true, Some("there")), known(true, true, Some("here")));
        assert_eq!(after_a_query(&away, &ours(None)), (Route::Packet, Reason::PortedIn));
        assert_eq!(after_a_query(&here, &ours(None)), (Route::Local, Reason::PortedIn));
        let without = known(true, false, Some("there"));
        assert_eq!(after_a_query(&without, &ours(None)), (Route::Pstn, Reason::PortedIn));
        // Ported to us, but nobody has put it into the directory yet.
        let unknown = NumberFacts::default();
        assert_eq!(after_a_query(&unknown, &ours(None)), (Route::Pstn, Reason::PortedIn));
        assert_eq!(after_a_query(&unknown, &ours(Some(true))), (Route::Packet, Reason::PortedIn));
    }

    #[test]
    fn b5_a_query_can_tell_whether_somebody_elses_number_has_a_client() {
        let unknown = NumberFacts::default();
        for by in [ServedBy::Unknown, peer(), ServedBy::Other] {
            let to = |client| after_a_query(&unknown, &ported(by.clone(), None, client));
            assert_eq!(to(Some(false)), (Route::Pstn, Reason::CalledHasNoClient));
            assert_eq!(to(Some(true)), (Route::Packet, Reason::CalledNotServed));
            assert_eq!(to(None), (Route::Packet, Reason::CalledNotServed));
        }
        let us = Portability { ported: false, ..ported(ServedBy::Ours, None, Some(true)) };
        assert_eq!(after_a_query(&unknown, &us), (Route::Packet, Reason::CalledHasClient));
    }

    #[test]
    fn b5_the_trunk_to_who_serves_a_number_will_do_where_there_is_no_other() {
        let (me, them) = (known(true, true, Some("here")), NumberFacts::default());
        let ask = |ported| decide(Side::Originating, &"here".parse().unwrap(), false, &me, Some(&them), &ported);
        assert_eq!(ask(ported(peer(), Some("to-b"), None)), (Route::Packet, Reason::CalledNotServed));
        assert_eq!(ask(ported(peer(), None, None)), (Route::Pstn, Reason::NoTrunk));
    }

    #[test]
    fn b10_terminating_is_always_local() {
        let pbx: PbxName = "here".parse().unwrap();
        for (me, them) in [(true, true), (true, false), (false, true), (false, false)] {
            let (calling, called) = (known(true, me, None), known(true, them, Some("here")));
            let (route, _) = decide(Side::Terminating, &pbx, true, &calling, Some(&called), &Default::default());
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
