//! The values that the fixtures hold. Together they set every field to something other than its default.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;

use crate::contract::{Capability, Message, MessageBody, Offer, PeerClient, PeerIdentity, Role};
use crate::core::base::name::LegId;
use crate::core::base::time::{ClockReading, UnixMillis};
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

const ALICE: &str = "+12125550100";
const BOB: &str = "+12125550101";
const CAROL: &str = "1003;phone-context=pbx.example";
const WITHHELD: &str = "05550100055501000555;phone-context=anonymous.invalid";
/// When the calls were decided.
const T: i64 = 1_795_345_005_000;

fn parsed<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn some<T: FromStr<Err: Debug>>(text: &str) -> Option<T> {
    Some(parsed(text))
}

fn at(millis: i64) -> UnixMillis {
    UnixMillis(T + millis)
}

fn capability(word: &str) -> Capability {
    word.to_owned().try_into().unwrap()
}

fn leg(number: Option<Number>, since: i64) -> Leg {
    let (bridges, reported) = (Vec::new(), Vec::new());
    Leg {
        number,
        trunk: None,
        since: at(since),
        answered: None,
        ended: None,
        bridges,
        reported,
        membership: Membership::Member,
    }
}

fn bridge(other: &str, since: i64) -> (LegId, Bridge) {
    (parsed(other), Bridge { call: parsed("0199-1"), since: at(since), beyond: false })
}

fn legs(all: impl IntoIterator<Item = (&'static str, Leg)>) -> BTreeMap<LegId, Leg> {
    all.into_iter().map(|(id, leg)| (parsed(id), leg)).collect()
}

fn sent(state: PeerDeliveryState, attempts: u32) -> PeerDelivery {
    PeerDelivery { peer: None, state, attempts, error: None, made: None, settled: None }
}

/// Only the fields without a default.
fn minimal() -> Call {
    Call {
        id: parsed("0199-1"),
        pbx: parsed("a"),
        leg: parsed("a-1"),
        calling: None,
        withheld: false,
        called: parsed(BOB),
        side: Side::Originating,
        route: Route::Pstn,
        trunk: None,
        reason: Reason::CallerHasNoClient,
        alerting: Alerting::Nobody,
        carried: None,
        announced: None,
        decided: at(0),
        answered: None,
        ended: None,
        cause: None,
        phase: Phase::Decided,
        legs: legs([("a-1", leg(None, 0))]),
        parted: BTreeMap::new(),
        talks: Vec::new(),
        remote: RemoteSide::default(),
        last_seq: 0,
        last_by: None,
    }
}

/// Alice talks to Bob, who has talked to Carol; a fourth leg came to a conference that was full.
fn live() -> Call {
    let heard = Leg {
        answered: Some(at(20)),
        bridges: vec![
            bridge("PJSIP/bob-00000640", 40),
            ("1795345005.1600".parse().unwrap(), Bridge { call: parsed("0199-2"), since: at(45), beyond: true }),
        ],
        ..leg(some(ALICE), -10)
    };
    let dialled =
        Leg { trunk: some("carrier"), answered: Some(at(30)), bridges: vec![bridge("a-1", 40)], ..leg(some(BOB), 10) };
    let talk = |first: &str, second: &str, since: i64, until: Option<i64>| Talk {
        first: parsed(first),
        second: parsed(second),
        since: at(since),
        until: until.map(at),
    };
    Call {
        calling: some(ALICE),
        route: Route::Packet,
        trunk: some("carrier"),
        reason: Reason::CalledHasClient,
        carried: some("https://node.example/a/token-1"),
        announced: Some(at(-5)),
        answered: Some(at(20)),
        phase: Phase::Talking,
        legs: legs([("a-1", heard), ("PJSIP/bob-00000640", dialled)]),
        parted: BTreeMap::from([(parsed(CAROL), at(39))]),
        talks: vec![talk(BOB, CAROL, 35, Some(39)), talk(ALICE, BOB, 40, None)],
        last_seq: 17,
        ..minimal()
    }
}

fn ended() -> Call {
    let over = |number, since| Leg { answered: Some(at(20)), ended: Some(at(900)), ..leg(number, since) };
    Call {
        calling: some(ALICE),
        called: parsed(CAROL),
        route: Route::Local,
        reason: Reason::CalledHasNoClient,
        answered: Some(at(20)),
        ended: Some(at(900)),
        cause: Some("NORMAL_CLEARING".to_owned()),
        phase: Phase::Ended,
        legs: legs([("a-1", over(some(ALICE), 0)), ("a-2", over(some(CAROL), 10))]),
        last_seq: 6,
        ..minimal()
    }
}

/// A call between two nodes, with everything that is known of the other side.
fn remote() -> Call {
    let client = RemoteClient {
        number: some(ALICE),
        name: Some("Alice \"A\" Ängström".to_owned()),
        address: parsed("https://node-a.example/a/token-2"),
        capabilities: vec![capability("text"), capability("video")],
        source: AddressSource::Offer,
        peer: some("node-a"),
        at: Some(at(3)),
    };
    let accepted = PeerDelivery {
        peer: some("node-a"),
        made: Some(at(50)),
        settled: Some(at(70)),
        ..sent(PeerDeliveryState::Accepted, 2)
    };
    let refused = PeerDelivery { error: Some("404 not-served".to_owned()), ..sent(PeerDeliveryState::Refused, 1) };
    let decided = Milestone::Decided { route: Some(Route::Packet), reason: Some(Reason::PortedIn) };
    let there = [
        Milestone::Announced,
        Milestone::Decided { route: None, reason: None },
        decided,
        Milestone::Answered,
        Milestone::Paired,
        Milestone::Pushed,
        Milestone::Ended,
    ];
    let remote = RemoteSide {
        served_by: ServedBy::Peer(parsed("node-a")),
        client: Some(client),
        offered: Some(OfferId { peer: parsed("node-a"), call: parsed("0188-7") }),
        offer: Some(refused),
        answers: BTreeMap::from([
            (parsed(BOB), accepted),
            (parsed(CAROL), sent(PeerDeliveryState::Pending, 0)),
            (parsed(WITHHELD), sent(PeerDeliveryState::Dropped, 3)),
        ]),
        announced: some(BOB),
        left: true,
        linked_call: some("0199-3"),
        events: there.into_iter().zip(60..).map(|(what, millis)| RemoteEvent { at: at(millis), what }).collect(),
    };
    let bridged = Leg { bridges: vec![bridge("b-2", 40)], ..leg(some(ALICE), 0) };
    Call {
        calling: some(ALICE),
        side: Side::Terminating,
        route: Route::Local,
        reason: Reason::CalledNotServed,
        phase: Phase::Answered,
        answered: Some(at(20)),
        legs: legs([("a-1", bridged)]),
        remote,
        ..minimal()
    }
}

fn withheld() -> Call {
    Call {
        calling: some(ALICE),
        withheld: true,
        side: Side::Terminating,
        reason: Reason::CallerKeepsAddress,
        legs: legs([("a-1", leg(some(WITHHELD), 0))]),
        parted: BTreeMap::from([(parsed(WITHHELD), at(80))]),
        remote: RemoteSide { served_by: ServedBy::Other, ..RemoteSide::default() },
        ..minimal()
    }
}

/// A leg with each kind of tie.
fn ties() -> Call {
    let tied = |membership| Leg { membership, ..leg(None, 10) };
    Call {
        reason: Reason::NotAnnounced,
        legs: legs([
            ("a-1", leg(some(ALICE), 0)),
            ("a-2", tied(Membership::Stranger)),
            ("a-3", tied(Membership::Moved(at(90)))),
        ]),
        remote: RemoteSide { served_by: ServedBy::Ours, ..RemoteSide::default() },
        ..minimal()
    }
}

/// The latest reports, and the agents that made them. Only rows with a version have these.
fn reported() -> Call {
    let by = |leg: &str, agent, seq| LatestReport { leg: parsed(leg), agent, seq };
    let reported = vec![by("a-2", some("0199a6f000007000"), 1_795_345_005_000_040), by("a-1", None, 7)];
    Call {
        legs: legs([("a-1", Leg { reported, ..leg(None, 0) })]),
        last_seq: 1_795_345_005_000_040,
        last_by: Some((parsed("0199a6f000007000"), at(41))),
        ..minimal()
    }
}

/// Only rows with a version say whom a call concerns before it is answered.
fn rings() -> Call {
    Call { alerting: Alerting::Both, ..minimal() }
}

fn attended() -> Call {
    Call { reason: Reason::MainNumber, calling: some(ALICE), ..minimal() }
}

pub(super) fn calls() -> Vec<(&'static str, Call)> {
    vec![
        ("call-minimal", minimal()),
        ("call-live", live()),
        ("call-ended", ended()),
        ("call-remote", remote()),
        ("call-withheld", withheld()),
        ("call-ties", ties()),
        ("call-reported", reported()),
        ("call-attended", attended()),
        ("call-rings", rings()),
    ]
}

fn message(body: MessageBody) -> Message {
    Message { id: "0199a6f0-0000-7000-8000-000000000001".to_owned(), call: parsed("0199-1"), body }
}

pub(super) fn messages() -> Vec<(&'static str, Message)> {
    let bob = PeerClient {
        number: some(BOB),
        name: Some("Bob".to_owned()),
        address: parsed("sip:bob@pbx.example"),
        capabilities: vec![capability("text")],
    };
    let nobody = PeerClient {
        number: None,
        name: None,
        address: parsed("https://node.example/a/token-3"),
        capabilities: Vec::new(),
    };
    let content = serde_json::json!({"text": "hello", "type": "chat", "v": 7, "parts": [1, 2.5, null, {"a": true}]});
    let serde_json::Value::Object(content) = content else { unreachable!() };
    let short = serde_json::Map::from_iter([("text".to_owned(), "hello".into())]);
    let own = Some(Box::new(bob.clone()));
    let peer = |role, peer, own, reply| MessageBody::Peer { role, peer, own, reply };
    let said = |content, guest, sender| MessageBody::Message { content, guest, sender };
    let missed = |peer| MessageBody::Missed { role: Role::Second, peer, at: at(0) };
    vec![
        ("message-peer", message(peer(Role::First, nobody.clone(), None, None))),
        ("message-peer-own", message(peer(Role::Second, bob, own, None))),
        ("message-ended", message(MessageBody::Ended { number: some(BOB) })),
        ("message-ended-withheld", message(MessageBody::Ended { number: None })),
        ("message-message", message(said(content, None, None))),
        ("message-message-guest", message(said(short.clone(), some("0199-2"), None))),
        ("message-message-sender", message(said(short, None, some("https://node.example/a/token-5")))),
        ("message-missed", message(missed(PeerIdentity { number: some(ALICE), name: Some("Alice".to_owned()) }))),
        ("message-missed-withheld", message(missed(PeerIdentity::default()))),
        ("message-peer-reply", message(peer(Role::First, nobody, None, some("https://node.example/a/token-4")))),
    ]
}

pub(super) fn offers() -> Vec<(&'static str, Offer)> {
    let minimal = Offer {
        id: parsed("0188-7"),
        calling: None,
        called: parsed(BOB),
        address: parsed("https://node-a.example/a/token-2"),
        name: None,
        capabilities: Vec::new(),
        at: at(0),
        sent: at(1),
        via: Vec::new(),
    };
    let full = Offer {
        calling: some(ALICE),
        name: Some("Alice".to_owned()),
        capabilities: vec![capability("text"), capability("video")],
        via: vec!["https://node-a.example".to_owned(), "https://node-c.example".to_owned()],
        ..minimal.clone()
    };
    vec![("offer-minimal", minimal), ("offer", full)]
}

pub(super) fn clocks() -> Vec<(&'static str, ClockReading)> {
    let boot = "6f2f3c5e-4f1d-4d3a-9a55-0c1f6c2b7a10".to_owned();
    vec![("clock", ClockReading { boot, since_boot: 86_400_000_000, at: T * 1000 })]
}
