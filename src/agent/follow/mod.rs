//! The calls of one PBX: what its events and snapshots mean to them.

mod finishing_calls;
mod followed_call;
pub(super) mod reconcile;
mod told_bridges;
pub(super) mod tracked_event;
pub(super) mod tracker;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agent::call::hold;
use crate::agent::call::reply_path::ReplyPath;
use crate::agent::call::{CallHandle, HeldCall, Start, next_seq};
use crate::agent::enrolment;
use crate::agent::follow::finishing_calls::FinishingCalls;
use crate::agent::follow::followed_call::FollowedCall;
use crate::agent::follow::reconcile::{Asked, CallIdentity, Calls, reconcile};
use crate::agent::follow::tracked_event::TrackedEvent;
use crate::agent::follow::tracker::{Key, Tracker};
use crate::agent::link::context::LinkContext;
use crate::contract::{CallRequest, CallView};
use crate::core::address::uui;
use crate::core::base::name::{CallId, LegId};
use crate::core::base::pbx_clock::PbxClock;
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::numbering::numbering_plan::PbxNumberingPlan;
use crate::core::routing::route::{Reason, Route, Side};
use crate::monitor::brief;
use crate::monitor::clock::step;
use crate::monitor::metrics::agent as metrics;
use crate::monitor::micros;
use crate::monitor::now;
use crate::pbx::{Announcement, CallTags, Device, DialStrings, DialplanAnswer, PbxCommands, PbxEvent, Snapshot};

/// Follows the calls of one PBX, across links.
pub(super) struct Follower {
    context: Arc<LinkContext>,
    plan: PbxNumberingPlan,
    tracker: Tracker,
    calls: HashMap<Key, FollowedCall>,
    finishing: FinishingCalls,
    /// The number of the last report. They are numbered across calls: the node tells by it which of two calls' reports
    /// about the same legs is the later one.
    seq: u64,
    /// Calls that the node has ended and the PBX still names. Their legs are registered as new calls.
    over: HashSet<CallId>,
    /// The key of the next call when the node was last asked for its live calls.
    listed: Key,
    /// Callers of main numbers, as the dialplan has tagged them.
    main_callers: HashMap<LegId, CallTags>,
    clock: PbxClock,
}

impl Follower {
    pub(super) fn new(context: Arc<LinkContext>) -> Follower {
        let plan = context.pbx.plan();
        // The first national number reads the tables of all countries: no caller is to wait for that.
        let _ = plan.of(None).read("2125550100");
        Follower {
            context,
            plan,
            tracker: Tracker::default(),
            calls: HashMap::new(),
            finishing: FinishingCalls::default(),
            seq: 0,
            over: HashSet::new(),
            listed: Key::default(),
            main_callers: HashMap::new(),
            clock: PbxClock::default(),
        }
    }

    /// How many calls are followed.
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// What to ask a snapshot for: the legs that are followed, and those that may be.
    pub(super) fn ask(&self) -> Asked {
        let legs = self.tracker.legs().into_iter().chain(self.main_callers.keys().cloned()).collect();
        Asked { legs, next: self.tracker.next(), listed: self.listed }
    }

    /// The node is asked for its live calls.
    pub(super) fn asks_the_node(&mut self) {
        self.listed = self.tracker.next();
    }

    /// Whether some call looks as if an event were missing, or is over for the node.
    pub(super) fn doubts(&mut self) -> bool {
        self.tracker.doubts() || self.calls.values().any(|followed| followed.call.over().is_some())
    }

    /// The PBX's time, when it was asked and when that arrived, in microseconds.
    pub(super) fn set_clock(&mut self, clock: Option<(i64, i64, i64)>) {
        if let Some((pbx, asked, arrived)) = clock {
            self.clock.set(pbx, asked, arrived, step());
        }
    }

    /// Takes in what the PBX says; true if it shows that more is missing.
    pub(super) fn apply(&mut self, commands: &Arc<dyn PbxCommands>, events: Vec<PbxEvent>) -> bool {
        let mut gap = false;
        for event in events {
            match event {
                PbxEvent::Announced(announcement) => {
                    self.announced(*announcement, ReplyPath::Commands(Arc::clone(commands)));
                }
                PbxEvent::EnrolmentDialled(held) => {
                    let age = held.sent.and_then(|sent| self.clock.age(sent, micros(), step()));
                    enrolment::answer(&self.context, &self.plan, commands, *held, age);
                }
                PbxEvent::Gap { why } => {
                    tracing::warn!(pbx = %self.context.pbx.name, why, "events are missing: asking for a snapshot");
                    metrics::gap(&self.context.pbx.name);
                    gap = true;
                }
                PbxEvent::MainNumber { leg, tags, agent } if agent == self.context.shared.id => {
                    self.main_callers.insert(leg, *tags);
                }
                event => {
                    self.watch_main_callers(&event);
                    let said = self.tracker.apply(&event);
                    self.tell(said);
                }
            }
        }
        gap
    }

    /// A call waits: decides in a task of its own.
    pub(super) fn announced(&mut self, held: Announcement, reply_path: ReplyPath) {
        if held.agent != self.context.shared.id {
            tracing::debug!(pbx = %self.context.pbx.name, leg = %held.leg, "announced to another agent");
            return;
        }
        self.main_callers.remove(&held.leg);
        let arrived = Instant::now();
        let age = held.sent.and_then(|sent| self.clock.age(sent, micros(), step()));
        let left = match (&reply_path, age) {
            // It may have waited anywhere, for any time: as one that is known to be old.
            (ReplyPath::Commands(_), None) => None,
            // In its own socket it waits until we say so.
            (ReplyPath::Direct(_), None) => Some(self.context.shared.deadline),
            (_, Some(age)) => hold::time_left(held.hold, age, self.context.shared.deadline),
        };
        let mut request = match self.request(&held.leg, &held.tags, None) {
            Ok(request) => request,
            Err(reason) => return self.leave_alone(held, reason, reply_path, arrived, left),
        };
        let CallTags { tenant, calling, withheld, .. } = held.tags.clone();
        let (plan, leg, called) = (self.plan.of(tenant.as_deref()), held.leg.clone(), request.called.clone());
        // Who withholds the number is shown by no other than the one that the PBX shows.
        let (caller, extension) = (plan.outer(&calling).filter(|_| !withheld), plan.inner(&called));
        let dial_strings = DialStrings { caller, called: Some(called.clone()), extension };
        let waiting = HeldCall { announcement: held, dial_strings, left, reply_path, arrived };
        let known = self.tracker.call_of(&leg).and_then(|key| self.calls.get(&key));
        if known.is_some_and(|known| (&known.identity.leg, &known.identity.called) == (&leg, &called)) {
            return CallHandle::answer_again(&self.context, request, waiting);
        }
        let before = known.filter(|known| known.identity.leg == leg).and_then(|known| known.announced);
        let (key, old) = self.tracker.announce(&leg);
        self.tell(old);
        metrics::announced(&self.context.pbx.name, age.unwrap_or_default());
        let at = age.map(|age| UnixMillis(now().0 - i64::try_from(age.as_millis()).unwrap_or(0)));
        // What is known of the PBX's clock may have changed since the leg's last call was announced. Their order hasn't.
        request.announced = at.max(before);
        let announced = request.announced;
        let start = Start::Held(Box::new(waiting));
        let call = CallHandle::start(&self.context, request, start);
        self.calls
            .insert(key, FollowedCall { call, identity: CallIdentity { leg, called, id: None }, tenant, announced });
    }

    /// Whom an attendant's caller hears, at the attendant's own phone or after a transfer, is who the call is for.
    /// The call is followed from then on.
    fn watch_main_callers(&mut self, event: &PbxEvent) {
        match event {
            PbxEvent::HungUp { leg, .. } => drop(self.main_callers.remove(leg)),
            PbxEvent::Bridged { legs: [a, b], devices: [phone_a, phone_b] } => {
                self.found_by_attendant(a, phone_b);
                self.found_by_attendant(b, phone_a);
            }
            _ => {}
        }
    }

    fn found_by_attendant(&mut self, leg: &LegId, phone: &Device) {
        let Some(tags) = self.main_callers.get(leg).filter(|_| self.tracker.call_of(leg).is_none()) else { return };
        let Device::Named { number, tenant } = phone else { return };
        // A trunk's leg is named by the number that it was asked for: the main number itself, where the attendant is on a
        // PBX behind this one.
        if tenant.is_none() && self.context.quirks.trunks_name_numbers {
            return;
        }
        let Ok(called) = self.plan.device(number, tenant.as_deref(), tags.tenant.as_deref()) else { return };
        if self.plan.of(tags.tenant.as_deref()).is_emergency(number) {
            return;
        }
        let tenant = tags.tenant.clone();
        let request = self.request_to(leg, tags, called.clone(), Some(Reason::MainNumber));
        let (key, _) = self.tracker.announce(leg);
        let call = CallHandle::start(&self.context, request, Start::Found { call: None });
        let identity = CallIdentity { leg: leg.clone(), called, id: None };
        self.calls.insert(key, FollowedCall { call, identity, tenant, announced: None });
    }

    /// Nothing to decide and nobody to pair: the dialplan goes on.
    fn leave_alone(
        &self,
        held: Announcement,
        reason: Reason,
        reply_path: ReplyPath,
        arrived: Instant,
        left: Option<Duration>,
    ) {
        if reason == Reason::Emergency {
            let (pbx, called) = (&self.context.pbx.name, held.tags.called.as_str());
            tracing::warn!(%pbx, leg = %held.leg, called, "the snippet announces an emergency call: see sidecall doctor");
        }
        metrics::answered(&self.context.pbx.name, reason, "yes", Duration::ZERO);
        let answer = DialplanAnswer {
            call: None,
            route: Route::Pstn,
            trunk: None,
            address: None,
            dial_strings: DialStrings::default(),
            reason,
        };
        self.context.shared.calls.spawn(brief("call", async move {
            if let Some(Err(error)) = reply_path.answer(&held, &answer, arrived, left).await {
                tracing::debug!(%error, leg = %held.leg, "the answer did not arrive");
            }
        }));
    }

    /// What the node is asked, or why it isn't: an emergency number, or no number at all.
    fn request(&self, leg: &LegId, tags: &CallTags, routed: Option<Reason>) -> Result<CallRequest, Reason> {
        Ok(self.request_to(leg, tags, self.number_called(tags)?, routed))
    }

    fn number_called(&self, tags: &CallTags) -> Result<Number, Reason> {
        let plan = self.plan.of(tags.tenant.as_deref());
        if plan.is_emergency(&tags.called) {
            return Err(Reason::Emergency);
        }
        // People dial what their PBX has taught them; trunks write numbers as carriers agree.
        let called = match tags.side {
            Side::Originating => plan.dialled(&tags.called),
            Side::Terminating => plan.read(&tags.called),
        };
        called.map_err(|_| Reason::NotANumber)
    }

    fn request_to(&self, leg: &LegId, tags: &CallTags, called: Number, routed: Option<Reason>) -> CallRequest {
        let received_address = tags.received.as_deref().and_then(|header| match uui::received(header) {
            Ok(address) => Some(address),
            Err(error) => {
                tracing::debug!(pbx = %self.context.pbx.name, %leg, %error, "the received header carries no address");
                self.context.address_refused("unreadable");
                None
            }
        });
        if tags.refused {
            tracing::debug!(pbx = %self.context.pbx.name, %leg, "an address came from where none is believed");
            self.context.address_refused("untrusted");
        }
        CallRequest {
            pbx: self.context.pbx.name.clone(),
            leg: leg.clone(),
            calling: self.plan.of(tags.tenant.as_deref()).read(&tags.calling).ok(),
            withheld: tags.withheld,
            called,
            side: tags.side,
            received_address,
            routed,
            announced: None,
        }
    }

    fn tell(&mut self, said: impl IntoIterator<Item = TrackedEvent>) {
        for TrackedEvent { key, event, last } in said {
            if let Some(followed) = self.calls.get(&key) {
                self.seq = next_seq(self.seq);
                followed.call.tell(self.seq, followed.report(&self.plan, event), last);
            }
            if last {
                self.calls.remove(&key).into_iter().for_each(|over| self.finishing.add(over.identity, over.call));
            }
        }
    }

    /// Brings what is followed in line with a snapshot (see [`reconcile`]). True if another one is needed soon.
    pub(super) fn reconcile(&mut self, snapshot: &Snapshot, asked: &Asked, claimed: Vec<CallView>) -> bool {
        self.main_callers
            .retain(|leg, _| !asked.legs.contains(leg) || snapshot.legs.iter().any(|live| live.leg == *leg));
        let again = reconcile(self, snapshot, asked, claimed);
        let is_tagged = |call: &CallId| snapshot.legs.iter().any(|live| live.is_of(call));
        self.over.retain(is_tagged);
        again
    }
}

impl Calls for Follower {
    fn tracker(&mut self) -> &mut Tracker {
        &mut self.tracker
    }

    fn identities(&self) -> impl Iterator<Item = (Key, &CallIdentity)> {
        self.calls.iter().map(|(key, followed)| (*key, &followed.identity))
    }

    fn identity(&self, key: Key) -> Option<&CallIdentity> {
        self.calls.get(&key).map(|followed| &followed.identity)
    }

    fn over(&mut self) -> Vec<Key> {
        let over = |(key, followed): (&Key, &FollowedCall)| Some((*key, followed.call.over()?.clone()));
        let (keys, calls): (Vec<_>, Vec<_>) = self.calls.iter().filter_map(over).unzip();
        self.over.extend(calls);
        keys
    }

    fn called(&self, tags: &CallTags) -> Option<Number> {
        self.number_called(tags).ok()
    }

    fn reported(&mut self, last_seq: u64) {
        self.seq = self.seq.max(last_seq);
    }

    fn tell(&mut self, said: Vec<TrackedEvent>) {
        self.tell(said);
    }

    fn start(&mut self, key: Key, leg: LegId, tags: CallTags, called: Number) {
        let request = self.request_to(&leg, &tags, called.clone(), Some(Reason::NotAnnounced));
        let id = tags.call.filter(|call| !self.over.contains(call));
        let call = CallHandle::start(&self.context, request, Start::Found { call: id.clone() });
        let identity = CallIdentity { leg, called, id };
        self.calls.insert(key, FollowedCall { call, identity, tenant: tags.tenant, announced: None });
    }

    fn adopt(&mut self, key: Key, view: &CallView) {
        let request = CallRequest {
            pbx: self.context.pbx.name.clone(),
            leg: view.leg.clone(),
            // The view doesn't say whether the caller is withheld.
            calling: None,
            withheld: false,
            called: view.called.clone(),
            side: view.side,
            received_address: None,
            routed: Some(view.reason),
            announced: None,
        };
        let start = Start::Found { call: Some(view.call.clone()) };
        let call = CallHandle::start(&self.context, request, start);
        let identity = CallIdentity { leg: view.leg.clone(), called: view.called.clone(), id: Some(view.call.clone()) };
        self.calls.insert(key, FollowedCall { call, identity, tenant: None, announced: None });
    }

    fn forget(&mut self, key: Key) {
        self.calls.remove(&key);
    }

    fn end(&mut self, view: &CallView, legs: Vec<LegId>) {
        // This would overtake the call's own reports, and the node would take those for repeats.
        if self.finishing.has(view) {
            return;
        }
        let (context, call, last_seq) = (Arc::clone(&self.context), view.call.clone(), view.last_seq);
        self.context.shared.calls.spawn(brief("call", async move {
            let stop = context.shared.stop.clone();
            tokio::select! {
                () = crate::agent::call::end_forgotten(&context, &call, last_seq, legs) => {}
                () = stop.cancelled() => {}
            }
        }));
    }

    fn follow_main_callers(&mut self, snapshot: &Snapshot) {
        let phones: HashMap<&LegId, &Device> = snapshot.legs.iter().map(|live| (&live.leg, &live.device)).collect();
        for live in &snapshot.legs {
            if let Some(tags) = live.tags.as_ref().filter(|tags| tags.called.is_empty()) {
                self.main_callers.insert(live.leg.clone(), tags.clone());
                live.hears.iter().filter_map(|other| phones.get(other)).for_each(|phone| {
                    self.found_by_attendant(&live.leg, phone);
                });
            }
        }
    }
}
