//! A call with any value in each of its fields is the same once it has been written and read.

use std::fmt::Debug;
use std::str::FromStr;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::contract::Capability;
use crate::core::address::Address;
use crate::core::call::{Bridge, Call, Leg, Phase, Talk, Tie};
use crate::core::far::{Far, FarClient, How, Milestone, Sent, SentState, There};
use crate::core::name::LegId;
use crate::core::number::Number;
use crate::core::offer::OfferId;
use crate::core::overtaken::Reported;
use crate::core::portability::ServedBy;
use crate::core::route::{Reason, Route, Side};
use crate::core::time::UnixMillis;
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

fn phase() -> impl Strategy<Value = Phase> {
    select(vec![Phase::Decided, Phase::Answered, Phase::Talking, Phase::Ended])
}

fn tie() -> impl Strategy<Value = Tie> {
    prop_oneof![Just(Tie::Member), Just(Tie::Stranger), time().prop_map(Tie::Moved)]
}

fn bridge() -> impl Strategy<Value = Bridge> {
    (named(), time(), any::<bool>()).prop_map(|(call, since, beyond)| Bridge { call, since, beyond })
}

fn reported() -> impl Strategy<Value = Reported> {
    (leg_id(), option::of(named()), any::<u64>()).prop_map(|(leg, agent, seq)| Reported { leg, agent, seq })
}

fn leg() -> impl Strategy<Value = Leg> {
    let times = (time(), option::of(time()), option::of(time()));
    let bridges = vec((leg_id(), bridge()), 0..3);
    let reported = vec(reported(), 0..3);
    (option::of(number()), option::of(named()), times, bridges, reported, tie()).prop_map(
        |(number, trunk, (since, answered, ended), bridges, reported, tie)| Leg {
            number,
            trunk,
            since,
            answered,
            ended,
            bridges,
            reported,
            tie,
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

fn client() -> impl Strategy<Value = FarClient> {
    let how = select(vec![How::Signalling, How::Offer, How::Message, How::Introduced]);
    let shown = (option::of(number()), option::of(text()));
    (shown, address(), vec(capability(), 0..3), how, option::of(named()), option::of(time())).prop_map(
        |((number, name), address, capabilities, how, peer, at)| FarClient {
            number,
            name,
            address,
            capabilities,
            how,
            peer,
            at,
        },
    )
}

fn sent() -> impl Strategy<Value = Sent> {
    let state = select(vec![SentState::Pending, SentState::Accepted, SentState::Refused, SentState::Dropped]);
    let times = (option::of(time()), option::of(time()));
    (option::of(named()), state, any::<u32>(), option::of(text()), times).prop_map(
        |(peer, state, attempts, error, (made, settled))| Sent { peer, state, attempts, error, made, settled },
    )
}

fn there() -> impl Strategy<Value = There> {
    let decided = (option::of(route()), option::of(reason()));
    let what = prop_oneof![
        Just(Milestone::Announced),
        decided.prop_map(|(route, reason)| Milestone::Decided { route, reason }),
        Just(Milestone::Answered),
        Just(Milestone::Paired),
        Just(Milestone::Pushed),
        Just(Milestone::Ended),
    ];
    (time(), what).prop_map(|(at, what)| There { at, what })
}

fn far() -> impl Strategy<Value = Far> {
    let id = (named(), named()).prop_map(|(peer, call)| OfferId { peer, call });
    let said = (option::of(sent()), btree_map(number(), sent(), 0..3), option::of(number()), any::<bool>());
    let known = (served_by(), option::of(client()), option::of(id), option::of(named()), vec(there(), 0..4));
    (said, known).prop_map(|((offer, answers, told, left), (served_by, client, offered, half, there))| Far {
        served_by,
        client,
        offered,
        offer,
        answers,
        told,
        left,
        half,
        there,
    })
}

fn call() -> impl Strategy<Value = Call> {
    let ids = (named(), named(), leg_id());
    let who = (option::of(number()), any::<bool>(), number(), side());
    let decision = (route(), option::of(named()), reason(), option::of(address()));
    let times = (option::of(time()), time(), option::of(time()), option::of(time()));
    let progress = (option::of(text()), phase(), any::<u64>(), option::of((named(), time())));
    let legs = (btree_map(leg_id(), leg(), 0..4), btree_map(number(), time(), 0..3), vec(talk(), 0..3));
    let far = prop_oneof![Just(Far::default()), far()];
    (ids, who, decision, times, progress, legs, far).prop_map(|(ids, who, decision, times, progress, legs, far)| {
        let (id, pbx, leg) = ids;
        let (calling, withheld, called, side) = who;
        let (route, trunk, reason, carried) = decision;
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
            far,
            last_seq,
            last_by,
        }
    })
}

proptest! {
    #[test]
    fn a_call_is_the_same_once_it_was_written_and_read(call in call()) {
        let json = record::write(&CallRecord::from(call.clone())).unwrap();
        let read = record::read::<CallRecord>(&json).unwrap();
        prop_assert_eq!(Call::from(read), call);
    }
}
