//! The agent's side of a snapshot: what it follows, and what the node takes for live.

use super::reports::Task;
use super::world::{World, number};
use crate::agent::follow::reconcile::{CallIdentity, Calls};
use crate::agent::follow::tracked_event::TrackedEvent;
use crate::agent::follow::tracker::{Key, Tracker};
use crate::contract::CallView;
use crate::core::base::name::LegId;
use crate::core::call::{Call, LegEvent, Phase};
use crate::core::numbering::number::Number;
use crate::pbx::{CallTags, Device, Snapshot};

impl Calls for World {
    fn tracker(&mut self) -> &mut Tracker {
        &mut self.tracker
    }

    fn identities(&self) -> impl Iterator<Item = (Key, &CallIdentity)> {
        self.followed.iter().map(|(key, call)| (*key, call))
    }

    fn identity(&self, key: Key) -> Option<&CallIdentity> {
        self.followed.get(&key)
    }

    fn over(&mut self) -> Vec<Key> {
        let over = |key: &Key| self.ids.get(key).is_some_and(|id| self.over.contains(id));
        self.followed.keys().copied().filter(over).collect()
    }

    fn called(&self, tags: &CallTags) -> Option<Number> {
        number(&tags.called)
    }

    fn reported(&mut self, last_seq: u64) {
        self.numbering.follow(last_seq);
    }

    fn tell(&mut self, said: Vec<TrackedEvent>) {
        for TrackedEvent { key, event, last } in said {
            if self.followed.contains_key(&key) {
                self.tell_node(Task::Call(key), identified(event));
            }
            if last {
                self.followed.remove(&key);
            }
        }
    }

    fn start(&mut self, key: Key, leg: LegId, tags: CallTags, _: Number) {
        self.follow(key, &leg, &tags, false);
    }

    fn adopt(&mut self, key: Key, view: &CallView) {
        let id = Some(view.call.clone());
        self.ids.insert(key, view.call.clone());
        self.followed.insert(key, CallIdentity { leg: view.leg.clone(), called: view.called.clone(), id });
    }

    fn forget(&mut self, key: Key) {
        self.followed.remove(&key);
    }

    fn end(&mut self, view: &CallView, legs: Vec<LegId>) {
        let own = |task: &Task| matches!(task, Task::Call(key) if self.ids.get(key) == Some(&view.call));
        if self.reports.keys().any(own) {
            return;
        }
        for leg in legs {
            self.tell_node(Task::Forgotten(view.call.clone()), LegEvent::Ended { leg, cause: None });
        }
    }

    fn follow_main_callers(&mut self, _: &Snapshot) {}
}

impl World {
    /// The calls that the node takes for live.
    pub(super) fn live(&self) -> Vec<CallView> {
        self.exchange.calls().filter(|call| call.phase != Phase::Ended).map(view).collect()
    }
}

/// The event as the node applies it: a leg stands for its device.
fn identified(event: LegEvent<Device>) -> LegEvent {
    let party = |device: Device| device.number().and_then(number);
    match event {
        LegEvent::Dialled { leg, party: device, trunk } => LegEvent::Dialled { leg, party: party(device), trunk },
        LegEvent::Identified { leg, party: device } => LegEvent::Identified { leg, party: party(device) },
        LegEvent::Answered { leg } => LegEvent::Answered { leg },
        LegEvent::Bridged { legs } => LegEvent::Bridged { legs },
        LegEvent::Unbridged { legs } => LegEvent::Unbridged { legs },
        LegEvent::Ended { leg, cause } => LegEvent::Ended { leg, cause },
    }
}

fn view(call: &Call) -> CallView {
    CallView {
        call: call.id.clone(),
        pbx: call.pbx.clone(),
        leg: call.leg.clone(),
        legs: call.unfinished().cloned().collect(),
        strangers: call.strangers().cloned().collect(),
        moved: call.moved().cloned().collect(),
        hears: call.hears(),
        calling: call.calling.clone(),
        called: call.called.clone(),
        side: call.side,
        route: call.route,
        trunk: None,
        reason: call.reason,
        address: None,
        phase: call.phase,
        last_seq: call.last_seq,
        decided: call.decided,
        answered: call.answered,
        ended: None,
        cause: None,
        remote: None,
        with: Vec::new(),
        timeline: Vec::new(),
        deliveries: Vec::new(),
    }
}
