//! SIP MESSAGEs wait here until the agent of their PBX asks for them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::contract::SipMessage;
use crate::core::backoff::Backoff;
use crate::core::far::SentState;
use crate::core::name::{CallId, ClientId, PbxName};
use crate::core::number::Number;
use crate::core::time::UnixMillis;

/// How long an agent has to say what became of a message. Then it may have died with it, and the
/// message is handed out again: a client tells a repeat by the id.
const OUTCOME: Duration = Duration::from_secs(10);
/// How often a message is handed out at most: a person's phone shows every copy.
const ATTEMPTS: u32 = 5;
/// Messages of one reply.
const BATCH: usize = 32;

/// For whom a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    /// A client of ours.
    Client(ClientId),
    /// The other side of a call: it is told of this number's client.
    Answer { call: CallId, number: Number },
}

/// What became of an answer to the other side of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipAnswer {
    /// The call.
    pub call: CallId,
    /// The number whose client it tells of.
    pub number: Number,
    /// What became of it; pending if it is tried again.
    pub state: SentState,
    /// Why it failed.
    pub error: Option<String>,
}

#[derive(Debug)]
pub(super) struct Queued {
    message: SipMessage,
    whose: Whose,
    call: CallId,
    peer: bool,
    attempts: u32,
    due: UnixMillis,
}

impl Queued {
    pub(super) fn new(message: SipMessage, whose: Whose, call: CallId, peer: bool) -> Queued {
        Queued { message, whose, call, peer, attempts: 0, due: UnixMillis(0) }
    }
}

/// What waits, by PBX.
#[derive(Debug, Default)]
pub struct SipQueue(Mutex<HashMap<PbxName, Vec<Queued>>>);

impl SipQueue {
    pub(super) fn add(&self, pbx: &PbxName, queued: Queued) {
        let mut queues = self.lock();
        let queue = queues.entry(pbx.clone()).or_default();
        if !queue.iter().any(|other| other.message.id == queued.message.id) {
            queue.push(queued);
        }
    }

    /// What is to be sent by this PBX now.
    pub fn take(&self, pbx: &PbxName, now: UnixMillis) -> Vec<SipMessage> {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(pbx) else { return Vec::new() };
        let due = queue.iter_mut().filter(|queued| queued.due <= now && queued.attempts < ATTEMPTS);
        due.take(BATCH)
            .map(|queued| {
                queued.attempts += 1;
                queued.due = now + OUTCOME;
                queued.message.clone()
            })
            .collect()
    }

    /// Sending failed: true if it will be tried again.
    pub(super) fn again(&self, pbx: &PbxName, id: &str, now: UnixMillis) -> bool {
        let mut queues = self.lock();
        let queued = queues.get_mut(pbx).and_then(|queue| queue.iter_mut().find(|q| q.message.id == id));
        let Some(queued) = queued.filter(|queued| queued.attempts < ATTEMPTS) else { return false };
        queued.due = now + Backoff::HTTP.wait(queued.attempts, 1.0);
        true
    }

    /// Whose it is.
    pub(super) fn whose(&self, pbx: &PbxName, id: &str) -> Option<Whose> {
        let queues = self.lock();
        let queued = queues.get(pbx)?.iter().find(|queued| queued.message.id == id);
        queued.map(|queued| queued.whose.clone())
    }

    /// It is done; whose it was.
    pub(super) fn remove(&self, pbx: &PbxName, id: &str) -> Option<Whose> {
        let mut queues = self.lock();
        let queue = queues.get_mut(pbx)?;
        let at = queue.iter().position(|queued| queued.message.id == id)?;
        Some(queue.remove(at).whose)
    }

    pub(super) fn forget(&self, id: &str) {
        self.retain(|queued| queued.message.id != id);
    }

    pub(super) fn forget_answer(&self, call: &CallId, number: &Number) {
        let is = |whose: &Whose| matches!(whose, Whose::Answer { call: c, number: n } if (c, n) == (call, number));
        self.retain(|queued| !is(&queued.whose));
    }

    pub(super) fn end_call(&self, call: &CallId, all: bool) {
        self.retain(|queued| queued.call != *call || !(all || queued.peer));
    }

    pub(super) fn end_client(&self, client: &ClientId) {
        self.retain(|queued| !matches!(&queued.whose, Whose::Client(whose) if whose == client));
    }

    fn retain(&self, keep: impl Fn(&Queued) -> bool) {
        self.lock().retain(|_, queue| {
            queue.retain(&keep);
            !queue.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PbxName, Vec<Queued>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(id: &str, peer: bool) -> Queued {
        let message = SipMessage {
            id: id.to_owned(),
            to: "sip:1001@pbx.example".parse().unwrap(),
            from: "+12125550100".parse().unwrap(),
            text: "Call".to_owned(),
        };
        Queued::new(message, Whose::Client("c".parse().unwrap()), "call".parse().unwrap(), peer)
    }

    #[test]
    fn a_message_of_unknown_outcome_is_handed_out_again_but_not_for_ever() {
        let (queue, pbx) = (SipQueue::default(), "pbx".parse().unwrap());
        queue.add(&pbx, queued("1", true));
        queue.add(&pbx, queued("1", true));
        let mut now = UnixMillis(1);
        for _ in 0..ATTEMPTS {
            assert_eq!(queue.take(&pbx, now).len(), 1);
            assert_eq!(queue.take(&pbx, now).len(), 0);
            now = now + OUTCOME;
        }
        assert_eq!(queue.take(&pbx, now).len(), 0);
    }

    #[test]
    fn the_end_of_a_call_takes_back_addresses_and_leaves_the_farewell() {
        let (queue, pbx) = (SipQueue::default(), "pbx".parse().unwrap());
        queue.add(&pbx, queued("1", true));
        queue.add(&pbx, queued("2", false));
        queue.end_call(&"call".parse().unwrap(), false);
        let left = queue.take(&pbx, UnixMillis(1));
        assert_eq!(left.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["2"]);
        queue.end_call(&"call".parse().unwrap(), true);
        assert!(!queue.again(&pbx, "2", UnixMillis(1)));
    }
}
