//! A call with any value in each of its fields is the same once it has been written and read.

use std::fmt::Debug;
use std::str::FromStr;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::contract::Capability;
use crate::core::address::Address;
use crate::core::base::name::LegId;
use crate::core::base::time::UnixMillis;
use crate::core::call::offer_matching::OfferId;
use crate::core::call::remote_side::{
    AddressSource, Milestone, PeerDelivery, PeerDeliveryState, RemoteClient, RemoteEvent, RemoteSide,
};
use crate::core::call::report_order::LatestReport;
use crate::core::call::ringing::Alerting;
use crate::core::call::{Bridge, Call, Leg, Membership, Phase, Talk};
use crate::core::numbering::number::Number;
use crate::core::routing::portability::ServedBy;
use crate::core::routing::route::{Reason, Route, Side};
use crate::store::record::{self, CallRecord};

fn named<T: FromStr<Err: Debug> + Debug>() -> impl Strategy<Value = T> {
    "[0-9A-Za-z-]{1,12}".prop_map(|text| text.parse().unwrap())
}

fn leg_id() -> impl Strategy<Value = LegId> {
    "[0-9A-Za-z._:@/-]{1,24}".prop_map(|text| text.parse().unwrap())
}

fn number() -> impl Strategy<Value = Number> {
    let text = prop_oneof!["\\+[0-9]{1,15}", "[0-9]{1,20};phone-context=[a-z]{1,8}\\.example"];
    text.prop_map(|text| text.parse().unwrap())
}

fn address() -> impl Strategy<Value = Address> {
    let text =
        prop_oneof!["https://node\\.example/a/[0-9A-Za-z_-]{1,30}", "sips?:[a-z]{1,8}@pbx\\.example(:50[0-9]{2})?"];
    text.prop_map(|text| text.parse().unwrap())
}

fn time() -> impl Strategy<Value = UnixMillis> {
    any::<i64>().prop_map(UnixMillis)
}

fn text() -> impl Strategy<Value = String> {
    any::<String>()
}

fn side() -> impl Strategy<Value = Side> {
    select(vec![Side::Originating, Side::Terminating])
}

fn route() -> impl Strategy<Value = Route> {
    select(vec![Route::Pstn, Route::Packet, Route::Local])
}

fn reason() -> impl Strategy<Value = Reason> {
    select(Reason::ALL)
}

fn alerting() -> impl Strategy<Value = Alerting> {
    select(vec![Alerting::Nobody, Alerting::Called, Alerting::Both])
}

fn phase() -> impl Strategy<Value = Phase> {
    select(vec![Phase::Decided, Phase::Answered, Phase::Talking, Phase::Ended])
}

fn membership() -> impl Strategy<Value = Membership> {
    prop_oneof![Just(Membership::Member), Just(Membership::Stranger), time().prop_map(Membership::Moved)]
}

fn bridge() -> impl Strategy<Value = Bridge> {
    (named(), time(), any::<bool>()).prop_map(|(call, since, beyond)| Bridge { call, since, beyond })
}

fn reported() -> impl Strategy<Value = LatestReport> {
    (leg_id(), option::of(named()), any::<u64>()).prop_map(|(leg, agent, seq)| LatestReport { leg, agent, seq })
}

fn leg() -> impl Strategy<Value = Leg> {
    let times = (time(), option::of(time()), option::of(time()));
    let bridges = vec((leg_id(), bridge()), 0..3);
    let reported = vec(reported(), 0..3);
    (option::of(number()), option::of(named()), times, bridges, reported, membership()).prop_map(
        |(number, trunk, (since, answered, ended), bridges, reported, membership)| Leg {
            number,
            trunk,
            since,
            answered,
            ended,
            bridges,
            reported,
            membership,
        },
    )
}

fn talk() -> impl Strategy<Value = Talk> {
    (number(), number(), time(), option::of(time())).prop_map(|(first, second, since, until)| Talk {
        first,
        second,
        since,
        until,
    })
}

fn served_by() -> impl Strategy<Value = ServedBy> {
    let peer = named().prop_map(ServedBy::Peer);
    prop_oneof![Just(ServedBy::Unknown), Just(ServedBy::Ours), peer, Just(ServedBy::Other)]
}

fn capability() -> impl Strategy<Value = Capability> {
    "[a-z0-9-]{1,32}".prop_map(|text| text.try_into().unwrap())
}

fn client() -> impl Strategy<Value = RemoteClient> {
    let source = select(vec![
        AddressSource::Signalling,
        AddressSource::Offer,
        AddressSource::Message,
        AddressSource::Introduced,
    ]);
    let shown = (option::of(number()), option::of(text()));
    (shown, address(), vec(capability(), 0..3), source, option::of(named()), option::of(time())).prop_map(
        |((number, name), address, capabilities, source, peer, at)| RemoteClient {
            number,
            name,
            address,
            capabilities,
            source,
            peer,
            at,
        },
    )
}

fn sent() -> impl Strategy<Value = PeerDelivery> {
    let state = select(vec![
        PeerDeliveryState::Pending,
        PeerDeliveryState::Accepted,
        PeerDeliveryState::Refused,
        PeerDeliveryState::Dropped,
    ]);
    let times = (option::of(time()), option::of(time()));
    (option::of(named()), state, any::<u32>(), option::of(text()), times).prop_map(
        |(peer, state, attempts, error, (made, settled))| PeerDelivery { peer, state, attempts, error, made, settled },
    )
}

fn there() -> impl Strategy<Value = RemoteEvent> {
    let decided = (option::of(route()), option::of(reason()));
    let what = prop_oneof![
        Just(Milestone::Announced),
        decided.prop_map(|(route, reason)| Milestone::Decided { route, reason }),
        Just(Milestone::Answered),
        Just(Milestone::Paired),
        Just(Milestone::Pushed),
        Just(Milestone::Ended),
    ];
    (time(), what).prop_map(|(at, what)| RemoteEvent { at, what })
}

fn remote() -> impl Strategy<Value = RemoteSide> {
    let id = (named(), named()).prop_map(|(peer, call)| OfferId { peer, call });
    let said = (option::of(sent()), btree_map(number(), sent(), 0..3), option::of(number()), any::<bool>());
    let known = (served_by(), option::of(client()), option::of(id), option::of(named()), vec(there(), 0..4));
    (said, known).prop_map(|((offer, answers, announced, left), (served_by, client, offered, linked_call, events))| {
        RemoteSide { served_by, client, offered, offer, answers, announced, left, linked_call, events }
    })
}

fn call() -> impl Strategy<Value = Call> {
    let ids = (named(), named(), leg_id());
    let who = (option::of(number()), any::<bool>(), number(), side());
    let decision = (route(), option::of(named()), reason(), alerting(), option::of(address()));
    let times = (option::of(time()), time(), option::of(time()), option::of(time()));
    let progress = (option::of(text()), phase(), any::<u64>(), option::of((named(), time())));
    let legs = (btree_map(leg_id(), leg(), 0..4), btree_map(number(), time(), 0..3), vec(talk(), 0..3));
    let remote = prop_oneof![Just(RemoteSide::default()), remote()];
    (ids, who, decision, times, progress, legs, remote).prop_map(
        |(ids, who, decision, times, progress, legs, remote)| {
            let (id, pbx, leg) = ids;
            let (calling, withheld, called, side) = who;
            let (route, trunk, reason, alerting, carried) = decision;
            let (announced, decided, answered, ended) = times;
            let (cause, phase, last_seq, last_by) = progress;
            let (legs, parted, talks) = legs;
            Call {
                id,
                pbx,
                leg,
                calling,
                withheld,
                called,
                side,
                route,
                trunk,
                reason,
                alerting,
                carried,
                announced,
                decided,
                answered,
                ended,
                cause,
                phase,
                legs,
                parted,
                talks,
                remote,
                last_seq,
                last_by,
            }
        },
    )
}

proptest! {
    #[test]
    fn a_call_is_the_same_once_it_was_written_and_read(call in call()) {
        let json = record::write(&CallRecord::from(call.clone())).unwrap();
        let read = record::read::<CallRecord>(&json).unwrap();
        prop_assert_eq!(Call::from(read), call);
    }
}
