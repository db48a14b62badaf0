//! One timeline for each kind of call: local, to another node, from a trunk, through an attendant.

use super::*;
use crate::core::base::name::LegId;
use crate::core::call::exchange::Exchange;
use crate::core::call::remote_side::{
    AddressSource, Milestone, PeerDelivery, PeerDeliveryState, RemoteClient, RemoteEvent, RemoteSide,
};
use crate::core::call::report_order::Serial;
use crate::core::call::{LegEvent, Phase};
use crate::core::routing::route::Reason;

const ALICE: &str = "+12125550100";
const BOB: &str = "+12125550101";
const CAROL: &str = "+12125550102";

fn leg(text: &str) -> LegId {
    text.parse().unwrap()
}

fn number(text: &str) -> Number {
    text.parse().unwrap()
}

pub(in crate::node) fn call(id: &str, pbx: &str, side: Side, route: Route, called: &str) -> Call {
    let (calling, announced) = (number(ALICE), leg(&format!("{id}-a")));
    Call {
        id: id.parse().unwrap(),
        pbx: pbx.parse().unwrap(),
        legs: Call::announced_leg(&announced, Some(&calling), UnixMillis(12)),
        leg: announced,
        calling: Some(calling),
        withheld: false,
        called: number(called),
        side,
        route,
        trunk: None,
        reason: Reason::CalledHasClient,
        alerting: Default::default(),
        carried: None,
        announced: Some(UnixMillis(0)),
        decided: UnixMillis(12),
        answered: None,
        ended: None,
        cause: None,
        phase: Phase::Decided,
        parted: Default::default(),
        talks: Vec::new(),
        remote: RemoteSide::default(),
        last_seq: 0,
        last_by: None,
    }
}

/// The call after these events, which name its legs by their last letter.
fn after(call: Call, events: &[(i64, &str)]) -> Call {
    let id = call.id.clone();
    let mut exchange = Exchange::new(8);
    exchange.open(call);
    for (seq, (at, event)) in (1..).zip(events) {
        let mut words = event.split(' ');
        let what = words.next().unwrap();
        let rest: Vec<&str> = words.collect();
        let leg = |n: usize| leg(&format!("{id}-{}", rest[n]));
        let event = match what {
            "dialled" => {
                let (number, trunk) =
                    (rest.get(1).map(|text| number(text)), rest.get(2).map(|text| text.parse().unwrap()));
                LegEvent::Dialled { leg: leg(0), party: number, trunk }
            }
            "answered" => LegEvent::Answered { leg: leg(0) },
            "bridged" => LegEvent::Bridged { legs: [leg(0), leg(1)] },
            "unbridged" => LegEvent::Unbridged { legs: [leg(0), leg(1)] },
            "ended" => LegEvent::Ended { leg: leg(0), cause: Some("NORMAL_CLEARING".to_owned()) },
            _ => unreachable!("{what}"),
        };
        exchange.apply(&id, Serial { agent: None, seq }, UnixMillis(*at), &event).unwrap();
    }
    exchange.call(&id).unwrap().clone()
}

fn told(to: &str, message: &str, at: i64, delivered: Option<i64>) -> DeliveryView {
    DeliveryView {
        id: format!("{to}-{message}"),
        number: number(to),
        client: "client".parse().unwrap(),
        form: "hosted".to_owned(),
        message: message.to_owned(),
        state: if delivered.is_some() { "delivered" } else { "pending" }.to_owned(),
        attempts: 0,
        created: UnixMillis(at),
        delivered: delivered.map(UnixMillis),
        error: None,
    }
}

fn client(source: AddressSource, at: i64) -> RemoteClient {
    RemoteClient {
        number: Some(number(BOB)),
        name: None,
        address: "https://node-b.example/a/secret".parse().unwrap(),
        capabilities: Vec::new(),
        source,
        peer: Some("node-b".parse().unwrap()),
        at: Some(UnixMillis(at)),
    }
}

fn sent(at: i64, settled: Option<i64>) -> PeerDelivery {
    let mut sent = PeerDelivery::pending(Some("node-b".parse().unwrap()), UnixMillis(at));
    if let Some(settled) = settled {
        sent.attempted(PeerDeliveryState::Accepted, None, UnixMillis(settled));
    }
    sent
}

/// The steps in one line each, with the fields that a reader would look for.
fn lines(steps: &[TimelineEvent]) -> Vec<String> {
    let digits = |n: &Option<Number>| n.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let line = |step: &TimelineEvent| {
        let what = match &step.what {
            TimelineDetail::Announced { .. } => "announced".to_owned(),
            TimelineDetail::Decided { route, reason, .. } => format!("decided {} {}", route.as_str(), reason.as_str()),
            TimelineDetail::Routed { trunk, address, .. } => {
                format!("routed {} {address}", trunk.as_ref().map_or("-", |trunk| trunk.as_str()))
            }
            TimelineDetail::Offered(delivery) => {
                format!("offered {} {:?}", delivery.state.as_str(), delivery.settled.map(|t| t.0))
            }
            TimelineDetail::Heard { source, .. } => format!("heard {source:?}"),
            TimelineDetail::Answered { machine: true, .. } => "answered itself".to_owned(),
            TimelineDetail::Answered { number, .. } => format!("answered {}", digits(number)),
            TimelineDetail::Paired(PairedNumbers { first, second }) => {
                format!("paired {} {}", digits(first), digits(second))
            }
            TimelineDetail::Parted(PairedNumbers { first, second }) => {
                format!("parted {} {}", digits(first), digits(second))
            }
            TimelineDetail::Pushed { number, message, state, .. } => format!("pushed {message} {number} {state}"),
            TimelineDetail::Replied { number, delivery } => {
                format!("replied {number} {}", delivery.state.as_str())
            }
            TimelineDetail::There { node, what } => format!("{node} says {what:?}"),
            TimelineDetail::Ended { cause } => format!("ended {}", cause.as_deref().unwrap_or("-")),
        };
        format!("{} {:?} {what}", step.at.0, step.side)
    };
    steps.iter().map(line).collect()
}

#[test]
fn b3_a_local_call_from_announcement_to_end() {
    let local = call("l", "pbx", Side::Originating, Route::Local, BOB);
    let events = [
        (15, "dialled b +12125550101"),
        (300, "answered b"),
        (301, "answered a"),
        (302, "bridged a b"),
        (900, "unbridged a b"),
        (900, "ended b"),
        (901, "ended a"),
    ];
    let pushes = [told(ALICE, "peer", 304, Some(310)), told(BOB, "peer", 304, None), told(BOB, "message", 400, None)];
    assert_eq!(
        lines(&timeline(&after(local, &events), &pushes)),
        [
            "0 First announced",
            "12 First decided local called-has-client",
            "12 First routed - false",
            "300 Second answered +12125550101",
            "302 Both paired +12125550100 +12125550101",
            "304 First pushed peer +12125550100 delivered",
            "304 Second pushed peer +12125550101 pending",
            "900 Both parted +12125550100 +12125550101",
            "901 Both ended NORMAL_CLEARING",
        ],
        "what clients say to each other is no part of it"
    );
}

#[test]
fn b1_b11_a_call_to_another_node_shows_what_was_said_there() {
    let mut packet = call("p", "pbx", Side::Originating, Route::Packet, BOB);
    packet.trunk = Some("to-b".parse().unwrap());
    packet.reason = Reason::CalledNotServed;
    packet.carried = Some("https://node-a.example/a/secret".parse().unwrap());
    packet.remote.offer = Some(sent(13, Some(60)));
    packet.remote.client = Some(client(AddressSource::Message, 420));
    let there = [(410, Milestone::Pushed), (30, Milestone::Announced), (399, Milestone::Answered)];
    packet.remote.events = there.map(|(at, what)| RemoteEvent { at: UnixMillis(at), what }).to_vec();
    let call = after(packet, &[(20, "dialled b"), (400, "answered b"), (401, "bridged a b")]);
    let steps = timeline(&call, &[told(ALICE, "peer", 421, None)]);
    assert_eq!(
        lines(&steps),
        [
            "0 First announced",
            "12 First decided packet called-not-served",
            "12 First routed to-b true",
            "13 Remote offered accepted Some(60)",
            "30 Second node-b says Announced",
            "399 Second node-b says Answered",
            "400 Remote answered ?",
            "410 Second node-b says Pushed",
            "420 Remote heard Message",
            "421 First pushed peer +12125550100 pending",
        ]
    );
    assert!(!serde_json::to_string(&steps).unwrap().contains("/a/"), "whoever reads it could write there");
}

#[test]
fn b1_the_way_that_a_call_took_is_told_and_not_the_one_that_was_decided() {
    let told = |events: &[(i64, &str)]| {
        let mut packet = call("p", "pbx", Side::Originating, Route::Packet, BOB);
        packet.trunk = Some("to-b".parse().unwrap());
        packet.carried = Some("https://node-a.example/a/secret".parse().unwrap());
        lines(&timeline(&after(packet, events), &[]))
            .into_iter()
            .filter(|line| line.contains("routed"))
            .collect::<Vec<_>>()
    };
    let packet = "12 First routed to-b true";
    assert_eq!(told(&[]), [packet]);
    assert_eq!(told(&[(20, "dialled b +12125550101 to-b")]), [packet]);
    assert_eq!(told(&[(20, "dialled b +12125550101 carrier")]), ["20 First routed carrier false"]);
    let failed = [(20, "dialled b +12125550101 to-b"), (30, "ended b"), (31, "dialled c +12125550101 carrier")];
    assert_eq!(told(&failed), [packet, "31 First routed carrier false"]);
}

#[test]
fn b6_b7_a_call_from_a_trunk_and_the_answer_to_its_client() {
    let mut come = call("t", "pbx", Side::Terminating, Route::Local, BOB);
    come.remote.client = Some(client(AddressSource::Offer, -40));
    come.remote.answers.insert(number(BOB), sent(305, None));
    let call = after(come, &[(20, "dialled b +12125550101"), (300, "bridged a b")]);
    assert_eq!(
        lines(&timeline(&call, &[told(BOB, "peer", 304, Some(306))])),
        [
            "-40 Remote heard Offer",
            "0 Second announced",
            "12 Second decided local called-has-client",
            "12 Second routed - false",
            "300 Second answered +12125550101",
            "300 Both paired +12125550100 +12125550101",
            "304 Second pushed peer +12125550101 delivered",
            "305 Remote replied +12125550101 pending",
        ]
    );
}

#[test]
fn b8_an_attendant_answers_by_itself() {
    let come = call("m", "pbx", Side::Terminating, Route::Local, BOB);
    let call = after(come, &[(20, "answered a"), (900, "dialled b +12125550101"), (1500, "bridged a b")]);
    let steps = lines(&timeline(&call, &[]));
    assert_eq!(steps[3..5], ["20 Second answered itself", "1500 Second answered +12125550101"]);
}

#[test]
fn b13_a_transfer_parts_one_pair_and_makes_another() {
    let local = call("l", "pbx", Side::Originating, Route::Local, BOB);
    let events = [
        (15, "dialled b +12125550101"),
        (300, "bridged a b"),
        (800, "unbridged a b"),
        (801, "ended b"),
        (810, "dialled c +12125550102"),
        (1200, "bridged a c"),
    ];
    let call = after(local, &events);
    let pushes =
        [told(ALICE, "peer", 301, Some(302)), told(ALICE, "ended", 802, Some(803)), told(CAROL, "peer", 1201, None)];
    assert_eq!(
        lines(&timeline(&call, &pushes))[4..],
        [
            "300 Both paired +12125550100 +12125550101",
            "301 First pushed peer +12125550100 delivered",
            "800 Both parted +12125550100 +12125550101",
            "802 First pushed ended +12125550100 delivered",
            "1200 Second answered +12125550102",
            "1200 Both paired +12125550100 +12125550102",
            "1201 Second pushed peer +12125550102 pending",
        ]
    );
}

#[test]
fn b9_two_halves_are_told_as_one() {
    let mut out = call("out", "a", Side::Originating, Route::Packet, BOB);
    let mut come = call("in", "b", Side::Terminating, Route::Local, BOB);
    (out.remote.linked_call, come.remote.linked_call) = (Some(come.id.clone()), Some(out.id.clone()));
    (come.announced, come.decided) = (Some(UnixMillis(20)), UnixMillis(25));
    let out = after(out, &[(15, "dialled b +12125550101"), (302, "bridged a b")]);
    let come = after(come, &[(26, "dialled b +12125550101"), (300, "bridged a b")]);
    let both = in_order([timeline(&out, &[]), timeline(&come, &[])].concat());
    let said: Vec<_> = both.iter().map(|step| (step.at.0, step.pbx.as_str(), step.call.as_str())).collect();
    let (a, b) = (("a", "out"), ("b", "in"));
    let expected = [(0, a), (12, a), (12, a), (20, b), (25, b), (25, b), (300, b), (300, b), (302, a), (302, a)];
    assert_eq!(said, expected.map(|(at, (pbx, call))| (at, pbx, call)));
    assert!(both.iter().all(|step| step.side != TimelineSide::Remote), "both ends are ours");
}

#[test]
fn a_withheld_number_is_shown_to_nobody() {
    let mut come = call("t", "pbx", Side::Terminating, Route::Local, BOB);
    come.calling = None;
    come.legs = Call::announced_leg(&come.leg, come.caller().as_ref(), UnixMillis(12));
    let call = after(come, &[(20, "dialled b +12125550101"), (300, "bridged a b")]);
    assert_eq!(lines(&timeline(&call, &[])).last().unwrap(), "300 Both paired ? +12125550101");
}

#[test]
fn an_announcement_never_comes_after_its_decision() {
    let mut skewed = call("l", "pbx", Side::Originating, Route::Local, BOB);
    skewed.announced = Some(UnixMillis(5_000));
    assert_eq!(lines(&timeline(&skewed, &[]))[0], "12 First announced");
}
