//! The timeline of a call: what its state, its remote side and its deliveries come to, in order.
//!
//! A call that one PBX of ours has sent to another one is two calls to us, each with its own agent. Their
//! timelines are merged by time; each step says where it is known from.

use crate::contract::{DeliveryView, PairedNumbers, PeerDeliveryView, TimelineDetail, TimelineEvent, TimelineSide};
use crate::core::base::name::TrunkName;
use crate::core::base::time::UnixMillis;
use crate::core::call::Call;
use crate::core::call::remote_side::{Milestone, PeerDelivery, RemoteEvent};
use crate::core::numbering::number::Number;
use crate::core::routing::portability::ServedBy;
use crate::core::routing::route::{Route, Side};

/// The timeline of one call, in order.
pub(in crate::node) fn timeline(call: &Call, deliveries: &[DeliveryView]) -> Vec<TimelineEvent> {
    let mut timeline = Builder { call, steps: Vec::new() };
    timeline.begin();
    timeline.remote_side();
    timeline.voice();
    timeline.pushes(deliveries);
    if let Some(at) = call.ended {
        timeline.add(at, TimelineSide::Both, TimelineDetail::Ended { cause: call.cause.clone() });
    }
    in_order(timeline.steps)
}

/// Brings steps, of one call or of two that are one, into the order in which they happened.
pub(in crate::node) fn in_order(mut steps: Vec<TimelineEvent>) -> Vec<TimelineEvent> {
    // What happens in the same millisecond follows from what comes before it in a call.
    // It is the same timeline whichever of its calls is asked for.
    steps.sort_by(|a, b| (a.at, place(&a.what), &a.call).cmp(&(b.at, place(&b.what), &b.call)));
    steps
}

fn place(what: &TimelineDetail) -> u8 {
    match what {
        TimelineDetail::Announced { .. } => 0,
        TimelineDetail::Decided { .. } => 1,
        TimelineDetail::Routed { .. } => 2,
        TimelineDetail::Offered(_) => 3,
        TimelineDetail::Heard { .. } => 4,
        TimelineDetail::Answered { .. } => 5,
        TimelineDetail::Parted(_) => 6,
        TimelineDetail::Paired(_) => 7,
        TimelineDetail::Pushed { .. } => 8,
        TimelineDetail::Replied { .. } => 9,
        TimelineDetail::Ended { .. } => 10,
        TimelineDetail::There { what, .. } => match what {
            Milestone::Announced => 0,
            Milestone::Decided { .. } => 1,
            Milestone::Answered => 5,
            Milestone::Paired => 7,
            Milestone::Pushed => 8,
            Milestone::Ended => 10,
        },
    }
}

struct Builder<'a> {
    call: &'a Call,
    steps: Vec<TimelineEvent>,
}

impl Builder<'_> {
    fn add(&mut self, at: UnixMillis, end: TimelineSide, what: TimelineDetail) {
        let Call { pbx, id, .. } = self.call;
        self.steps.push(TimelineEvent { at, side: end, pbx: pbx.clone(), call: id.clone(), what });
    }

    /// Where the PBX stands.
    fn here(&self) -> TimelineSide {
        match self.call.side {
            Side::Originating => TimelineSide::First,
            Side::Terminating => TimelineSide::Second,
        }
    }

    fn begin(&mut self) {
        let (call, here) = (self.call, self.here());
        if let Some(at) = call.announced {
            // Two clocks: what is decided was announced before.
            self.add(at.min(call.decided), here, TimelineDetail::Announced { leg: call.leg.clone() });
        }
        let serves = match &call.remote.served_by {
            ServedBy::Peer(peer) => Some(peer.clone()),
            ServedBy::Unknown | ServedBy::Ours | ServedBy::Other => None,
        };
        self.add(call.decided, here, TimelineDetail::Decided { route: call.route, reason: call.reason, serves });
        let address = call.side == Side::Originating && call.route == Route::Packet && call.carried.is_some();
        // The dialplan may not have taken the packet trunk, or that may have failed.
        let elsewhere = self.elsewhere();
        let taken = elsewhere.is_none() || self.trunks().any(|(trunk, _)| Some(trunk) == call.trunk.as_ref());
        if taken {
            self.add(
                call.decided,
                here,
                TimelineDetail::Routed { route: call.route, trunk: call.trunk.clone(), address },
            );
        }
        if let Some((trunk, since)) = elsewhere {
            self.add(since, here, TimelineDetail::Routed { route: Route::Pstn, trunk: Some(trunk), address: false });
        }
    }

    /// The trunks of the legs that were made to reach the called number.
    fn trunks(&self) -> impl Iterator<Item = (&TrunkName, UnixMillis)> {
        let others = self.call.legs.iter().filter(|(leg, _)| **leg != self.call.leg);
        others.filter_map(|(_, leg)| Some((leg.trunk.as_ref()?, leg.since)))
    }

    /// The first other trunk that a call took whose route is the packet trunk, and when.
    fn elsewhere(&self) -> Option<(TrunkName, UnixMillis)> {
        let packet = self.call.trunk.as_ref().filter(|_| self.call.route == Route::Packet)?;
        let others = self.trunks().filter(|(trunk, _)| *trunk != packet);
        others.min_by_key(|(_, since)| *since).map(|(trunk, since)| (trunk.clone(), since))
    }

    /// The other node's part: what we learned of it, and said to it.
    fn remote_side(&mut self) {
        let call = self.call;
        if let Some(offer) = &call.remote.offer {
            self.add(
                offer.made.unwrap_or(call.decided),
                TimelineSide::Remote,
                TimelineDetail::Offered(sent_view(offer)),
            );
        }
        if let Some(client) = &call.remote.client {
            let heard = TimelineDetail::Heard {
                source: client.source,
                peer: client.peer.clone(),
                number: client.number.clone(),
            };
            self.add(client.at.unwrap_or(call.decided), TimelineSide::Remote, heard);
        }
        for (number, answer) in &call.remote.answers {
            let replied = TimelineDetail::Replied { number: number.clone(), delivery: sent_view(answer) };
            self.add(answer.made.unwrap_or(call.decided), TimelineSide::Remote, replied);
        }
        let end = if self.here() == TimelineSide::First { TimelineSide::Second } else { TimelineSide::First };
        let offering = call.remote.offered.as_ref().map(|offered| &offered.peer);
        let node = offering.or_else(|| call.remote.offer.as_ref()?.peer.as_ref());
        for event in node.into_iter().flat_map(|node| call.remote.events.iter().map(move |event| (node, event))) {
            let (node, RemoteEvent { at, what }) = event;
            self.add(*at, end, TimelineDetail::There { node: node.clone(), what: *what });
        }
    }

    /// Who answered, and who heard whom.
    fn voice(&mut self) {
        let call = self.call;
        let others = || call.legs.iter().filter(|(leg, _)| **leg != call.leg).map(|(_, leg)| leg);
        // The caller's own leg is answered when somebody else's is. If that is not so, a machine did it.
        let own = call.legs.get(&call.leg).and_then(|leg| leg.answered);
        let first = others().filter_map(|leg| leg.answered).min();
        if let Some(at) = own.filter(|at| first.is_none_or(|first| *at < first)) {
            self.add(at, self.here(), TimelineDetail::Answered { number: None, machine: true });
        }
        // A call that goes on at another of our PBXs is answered there.
        let away = call.side == Side::Originating && call.route != Route::Local && call.remote.linked_call.is_none();
        let end = if away { TimelineSide::Remote } else { TimelineSide::Second };
        for leg in others() {
            if let Some(at) = leg.answered {
                self.add(
                    at,
                    end,
                    TimelineDetail::Answered { number: leg.number.clone().and_then(shown), machine: false },
                );
            }
        }
        for talk in &call.talks {
            let two = || PairedNumbers { first: shown(talk.first.clone()), second: shown(talk.second.clone()) };
            self.add(talk.since, TimelineSide::Both, TimelineDetail::Paired(two()));
            if let Some(at) = talk.until {
                self.add(at, TimelineSide::Both, TimelineDetail::Parted(two()));
            }
        }
    }

    /// What clients were told. What they say to each other is no part of the call's timeline.
    fn pushes(&mut self, deliveries: &[DeliveryView]) {
        for told in deliveries.iter().filter(|told| told.message != "message") {
            let pushed = TimelineDetail::Pushed {
                number: told.number.clone(),
                client: told.client.clone(),
                form: told.form.clone(),
                message: told.message.clone(),
                state: told.state.clone(),
                attempts: told.attempts,
                delivered: told.delivered,
                error: told.error.clone(),
            };
            let first = self.call.calling.as_ref() == Some(&told.number)
                || self.call.talks.iter().any(|talk| talk.first == told.number);
            self.add(told.created, if first { TimelineSide::First } else { TimelineSide::Second }, pushed);
        }
    }
}

/// A withheld number is shown to nobody.
fn shown(number: Number) -> Option<Number> {
    Some(number).filter(|number| !number.is_withheld())
}

fn sent_view(sent: &PeerDelivery) -> PeerDeliveryView {
    PeerDeliveryView {
        peer: sent.peer.clone(),
        state: sent.state,
        attempts: sent.attempts,
        settled: sent.settled,
        error: sent.error.clone(),
    }
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
pub(in crate::node) mod tests;
