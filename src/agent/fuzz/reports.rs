//! Reports on their way from the agent to the node: late, and overtaking each other.

use std::collections::VecDeque;

use super::world::World;
use crate::agent::follow::tracker::Key;
use crate::core::base::name::{AgentId, CallId, LegId};
use crate::core::base::time::UnixMillis;
use crate::core::call::exchange::EventRefusal;
use crate::core::call::report_order::Serial;
use crate::core::call::{Call, LegEvent, Phase};
use crate::pbx::CallTags;

/// Something on its way from the agent to the node: in order for each task, and numbered when it is made.
pub(super) enum QueuedReport {
    Open(Box<Call>),
    Event { seq: u64, event: LegEvent },
}

/// How the agent numbers its reports, as `follow` does.
pub(super) struct Numbering {
    agent: AgentId,
    /// By how much its clock is ahead of the node's.
    ahead: u64,
    last: u64,
}

impl Numbering {
    /// That of the agent that began when so many reports had been made.
    pub(super) fn new(made: u64, ahead: u64) -> Numbering {
        let agent = format!("agent-{made}").parse();
        let agent = agent.unwrap_or_else(|_| unreachable!("a word and digits are a name"));
        Numbering { agent, ahead, last: 0 }
    }

    pub(super) fn follow(&mut self, last_seq: u64) {
        self.last = self.last.max(last_seq);
    }
}

/// What reports to the node. The reports of two tasks can overtake each other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    /// A call that is followed.
    Call(Key),
    /// The end of a call that nobody follows.
    Forgotten(CallId),
}

impl World {
    pub(super) fn tell_node(&mut self, task: Task, event: LegEvent) {
        self.numbering.last = (self.numbering.last + 1).max(self.made + 1 + self.numbering.ahead);
        self.report(task, QueuedReport::Event { seq: self.numbering.last, event });
    }

    pub(super) fn report(&mut self, task: Task, report: QueuedReport) {
        self.made += 1;
        self.reports.entry(task).or_default().push_back((self.made, report));
    }

    /// Reports arrive in the order in which they were made.
    pub(super) fn deliver(&mut self, count: usize) {
        for _ in 0..=count % 8 {
            self.deliver_oldest();
        }
    }

    /// The reports of one task overtake the others.
    pub(super) fn overtake(&mut self, which: usize) {
        self.overtook = true;
        let Some(task) = self.reports.keys().nth((which >> 3) % self.reports.len().max(1)).cloned() else { return };
        for _ in 0..=which % 8 {
            self.deliver_one(&task);
        }
    }

    pub(super) fn deliver_all(&mut self) {
        while self.deliver_oldest() {}
    }

    fn deliver_oldest(&mut self) -> bool {
        let made = |(task, queue): (&Task, &VecDeque<(u64, QueuedReport)>)| Some((queue.front()?.0, task.clone()));
        let Some((_, task)) = self.reports.iter().filter_map(made).min() else { return false };
        self.deliver_one(&task);
        true
    }

    fn deliver_one(&mut self, task: &Task) {
        let Some(queue) = self.reports.get_mut(task) else { return };
        let report = queue.pop_front();
        if queue.is_empty() {
            self.reports.remove(task);
        }
        match (report, task) {
            (Some((_, QueuedReport::Open(mut call))), Task::Call(key)) => {
                // The node answers an announcement that it knows with the call that it has.
                let known = self.exchange.call_of(&self.name, &call.leg);
                let known = known.filter(|known| {
                    known.leg == call.leg && known.called == call.called && known.phase != Phase::Ended
                });
                if let Some(known) = known.map(|known| known.id.clone()) {
                    self.ids.insert(*key, known);
                    return;
                }
                if self.late_ids {
                    self.give_id(&mut call);
                    self.pbx.decided_while_held(&call.leg, &call.called, &call.id);
                }
                self.ids.insert(*key, call.id.clone());
                self.open(*call);
            }
            (Some((made, QueuedReport::Event { seq, event })), task) => {
                let call = match task {
                    Task::Call(key) => self.ids.get(key).cloned(),
                    Task::Forgotten(call) => Some(call.clone()),
                };
                if let Some(call) = call
                    && !self.apply(&call, seq, self.at(made), &event)
                {
                    self.over.insert(call);
                    self.dirty = true;
                }
            }
            _ => {}
        }
    }

    /// Another agent is in charge: it has the node decide a call. If the agent is still registering an earlier call of the
    /// leg, the node takes that one for the later call, and ends this one.
    pub(super) fn other_opens(&mut self, leg: &LegId, tags: &CallTags) {
        let Some(mut call) = self.decide(leg, tags, true) else { return };
        let is_earlier = |(_, report): &(u64, QueuedReport)| matches!(report, QueuedReport::Open(of) if of.leg == *leg);
        self.overtook |= self.reports.values().flatten().any(is_earlier);
        self.give_id(&mut call);
        self.made += 1;
        self.pbx.decided(leg, Some(call.id.clone()));
        self.open(call);
    }

    pub(super) fn open(&mut self, call: Call) {
        for (_, effects) in self.exchange.open(call) {
            self.follows(effects);
        }
    }

    fn apply(&mut self, call: &CallId, seq: u64, at: UnixMillis, event: &LegEvent) -> bool {
        match self.exchange.apply(call, Serial { agent: Some(&self.numbering.agent), seq }, at, event) {
            Ok(effects) => {
                self.follows(effects);
                true
            }
            Err(EventRefusal::Ended | EventRefusal::UnknownCall) => false,
            Err(error) => panic!("{error}"),
        }
    }
}
