//! The queue of SIP MESSAGEs for one PBX. Pure.
//!
//! A softphone believes the last message about a call. So messages to one address about one call stay in order: a
//! message that is put off holds back the newer ones.

use std::collections::{BTreeMap, HashMap};

use crate::contract::SipMessage;
use crate::core::address::{Address, SipHost};
use crate::core::base::name::{CallId, ClientId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// Maximum number of messages for one PBX that wait or have no outcome yet.
pub(super) const TOTAL: usize = 8192;
/// The same for one host, so that an unreachable one can't fill the queue.
pub(super) const PER_HOST: usize = 2048;

/// The recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recipient {
    /// A client of ours.
    Client(ClientId),
    /// The remote side of a call, which learns the client of this number.
    Answer { call: CallId, number: Number },
}

/// The progress of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It may be handed out from this time on.
    Due(UnixMillis),
    /// An agent has it, or had it before it died.
    HandedOut,
}

#[derive(Debug)]
pub(super) struct Queued {
    pub(super) message: SipMessage,
    pub(super) recipient: Recipient,
    pub(super) call: CallId,
    pub(super) peer: bool,
    host: Option<SipHost>,
    /// Its position in the order of arrival.
    place: u64,
    pub(super) attempts: u32,
    pub(super) progress: Progress,
    /// The run of an agent that got it.
    pub(super) handed_to: Option<HandedTo>,
}

#[derive(Debug)]
pub(super) struct HandedTo {
    pub(super) agent: String,
    pub(super) first: UnixMillis,
    pub(super) last: UnixMillis,
}

impl Queued {
    pub(super) fn new(message: SipMessage, recipient: Recipient, call: CallId, peer: bool) -> Queued {
        let host = message.to.sip_host();
        let progress = Progress::Due(UnixMillis(0));
        Queued { message, recipient, call, peer, host, place: 0, attempts: 0, progress, handed_to: None }
    }

    /// Marks a message as handed out before a restart: only its outcome is awaited.
    pub(super) fn handed_out(self) -> Queued {
        Queued { progress: Progress::HandedOut, ..self }
    }

    fn due(&self) -> Option<UnixMillis> {
        match self.progress {
            Progress::Due(at) => Some(at),
            Progress::HandedOut => None,
        }
    }

    /// Messages with the same topic stay in order.
    fn topic(&self) -> Topic {
        (self.message.to.clone(), self.call.clone())
    }
}

type Topic = (Address, CallId);

/// The messages of one PBX.
#[derive(Debug, Default)]
pub(super) struct MessageQueue {
    pub(super) by_id: HashMap<String, Queued>,
    /// Messages that aren't handed out, by due time and place.
    due: BTreeMap<(UnixMillis, u64), String>,
    /// All messages, by topic and place. Within a topic, a newer message is never due before an older one.
    topics: HashMap<Topic, BTreeMap<u64, String>>,
    hosts: HashMap<SipHost, usize>,
    added: u64,
}

impl MessageQueue {
    /// Adds a message. Returns false if too many wait.
    pub(super) fn add(&mut self, mut queued: Queued) -> bool {
        if self.is_full_for(queued.host.as_ref()) {
            return false;
        }
        self.added += 1;
        queued.place = self.added;
        let (id, due) = (queued.message.id.clone(), queued.due());
        queued.host.iter().for_each(|host| *self.hosts.entry(host.clone()).or_default() += 1);
        self.topics.entry(queued.topic()).or_default().insert(queued.place, id.clone());
        self.by_id.insert(id.clone(), queued);
        due.into_iter().for_each(|at| self.put_off(&id, at));
        true
    }

    fn is_full_for(&self, host: Option<&SipHost>) -> bool {
        let there = host.and_then(|host| self.hosts.get(host));
        self.by_id.len() >= TOTAL || there.is_some_and(|messages| *messages >= PER_HOST)
    }

    /// Hands out the next message that is due.
    pub(super) fn next(&mut self, now: UnixMillis) -> Option<&mut Queued> {
        let next = self.due.first_entry().filter(|next| next.key().0 <= now)?;
        let queued = self.by_id.get_mut(&next.remove())?;
        queued.progress = Progress::HandedOut;
        Some(queued)
    }

    /// Delays a message until a time, but at least as long as the older ones of its topic. Newer ones wait for it.
    pub(super) fn put_off(&mut self, id: &str, until: UnixMillis) {
        let Some(queued) = self.by_id.get(id) else { return };
        let Some(topic) = self.topics.get(&queued.topic()) else { return };
        let due = |id: &String| self.by_id.get(id).and_then(Queued::due);
        let older = topic.range(..queued.place).rev().find_map(|(_, id)| due(id));
        let until = older.map_or(until, |older| older.max(until));
        let newer = topic.range(queued.place + 1..).map(|(_, id)| id);
        let mut held_back = vec![id.to_owned()];
        held_back.extend(newer.filter(|id| due(id).is_some_and(|at| at < until)).cloned());
        held_back.iter().for_each(|id| self.set_due(id, until));
    }

    /// Makes waiting messages due now: all of them, or those to one address.
    pub(super) fn wake(&mut self, address: Option<&Address>, now: UnixMillis) {
        let is_there = |queued: &Queued| address.is_none_or(|address| queued.message.to == *address);
        let later = self.due.iter().filter(|((at, _), id)| *at > now && self.by_id.get(*id).is_some_and(is_there));
        let later: Vec<String> = later.map(|(_, id)| id.clone()).collect();
        for id in later {
            self.set_due(&id, now);
            self.by_id.get_mut(&id).into_iter().for_each(|queued| queued.attempts = 0);
        }
    }

    fn set_due(&mut self, id: &str, at: UnixMillis) {
        let Some(queued) = self.by_id.get_mut(id) else { return };
        if let Some(before) = queued.due() {
            self.due.remove(&(before, queued.place));
        }
        queued.progress = Progress::Due(at);
        self.due.insert((at, queued.place), id.to_owned());
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Queued> {
        let queued = self.by_id.remove(id)?;
        if let Some(at) = queued.due() {
            self.due.remove(&(at, queued.place));
        }
        let topic = queued.topic();
        if let Some(messages) = self.topics.get_mut(&topic) {
            messages.remove(&queued.place);
            if messages.is_empty() {
                self.topics.remove(&topic);
            }
        }
        if let Some(host) = &queued.host
            && let Some(messages) = self.hosts.get_mut(host)
        {
            *messages -= 1;
            if *messages == 0 {
                self.hosts.remove(host);
            }
        }
        Some(queued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOPICS: usize = 3;

    /// Two topics have the same address, and two the same call.
    fn queued(id: usize, topic: usize) -> Queued {
        let message = SipMessage {
            id: id.to_string(),
            to: ["sip:1001@pbx.example", "sip:1001@pbx.example", "sip:1002@pbx.example"][topic].parse().unwrap(),
            from: "+12125550100".parse().unwrap(),
            text: "Call".to_owned(),
            call: None,
            about: None,
        };
        let call = ["call-1", "call-2", "call-2"][topic].parse().unwrap();
        Queued::new(message, Recipient::Client("c".parse().unwrap()), call, true)
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add(usize),
        Next,
        PutOff(prop::sample::Index, i64),
        Wake(bool),
        Remove(prop::sample::Index),
        Pass(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..TOPICS).prop_map(Step::Add),
            3 => Just(Step::Next),
            2 => (any::<prop::sample::Index>(), 0..20i64).prop_map(|(which, wait)| Step::PutOff(which, wait)),
            1 => any::<bool>().prop_map(Step::Wake),
            1 => any::<prop::sample::Index>().prop_map(Step::Remove),
            2 => (0..10i64).prop_map(Step::Pass),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn a_message_is_never_handed_out_before_an_older_one_of_its_topic(steps in steps()) {
            let (mut queue, mut now) = (MessageQueue::default(), 0);
            let mut topics = Vec::new();
            let (mut waiting, mut handed_out) = (Vec::<usize>::new(), Vec::<usize>::new());
            let drain = [Step::Pass(1_000)].into_iter().chain(std::iter::repeat_n(Step::Next, 60));
            for step in steps.into_iter().chain(drain) {
                match step {
                    Step::Add(topic) => {
                        waiting.push(topics.len());
                        prop_assert!(queue.add(queued(topics.len(), topic)));
                        topics.push(topic);
                    }
                    Step::Next => {
                        let Some(next) = queue.next(UnixMillis(now)) else { continue };
                        let id: usize = next.message.id.parse().unwrap();
                        waiting.retain(|other| *other != id);
                        handed_out.push(id);
                        let overtaken = waiting.iter().find(|other| **other < id && topics[**other] == topics[id]);
                        prop_assert_eq!(overtaken, None, "{} was handed out first", id);
                    }
                    Step::PutOff(which, wait) if !handed_out.is_empty() => {
                        let id = handed_out.swap_remove(which.index(handed_out.len()));
                        queue.put_off(&id.to_string(), UnixMillis(now + wait));
                        waiting.push(id);
                    }
                    Step::Wake(all) => {
                        let address = "sip:1001@pbx.example".parse().unwrap();
                        queue.wake((!all).then_some(&address), UnixMillis(now));
                    }
                    Step::Remove(which) if !topics.is_empty() => {
                        let id = which.index(topics.len());
                        queue.remove(&id.to_string());
                        waiting.retain(|other| *other != id);
                        handed_out.retain(|other| *other != id);
                    }
                    Step::Pass(time) => now += time,
                    Step::PutOff(..) | Step::Remove(_) => {}
                }
            }
            prop_assert_eq!((waiting.len(), queue.due.len()), (0, 0), "what waits is handed out in the end");
            for id in 0..topics.len() {
                queue.remove(&id.to_string());
            }
            prop_assert!(queue.by_id.is_empty() && queue.topics.is_empty() && queue.hosts.is_empty());
        }
    }
}
