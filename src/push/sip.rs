//! SIP MESSAGEs wait here until the agent of their PBX asks for them, and then for what became of them.
//!
//! A message is handed out once. It is handed out again only if the agent says that the PBX was never asked to send
//! it: a person's phone shows every copy.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::contract::SipMessage;
use crate::core::backoff::Backoff;
use crate::core::far::SentState;
use crate::core::name::{CallId, ClientId, PbxName};
use crate::core::number::Number;
use crate::core::time::UnixMillis;

/// Messages of one reply.
const BATCH: usize = 128;
/// Messages of one PBX that are waiting or have no outcome yet.
const TOTAL: usize = 8192;
/// The same, to one host: what can't be reached must not take the place of everything else.
const PER_HOST: usize = 2048;

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

/// Messages that an agent is given.
#[derive(Debug, Default)]
pub struct HandedOut {
    /// The messages, in order.
    pub messages: Vec<SipMessage>,
    /// Those of them that answer the other side of a call.
    pub answers: Vec<(CallId, Number)>,
    /// The others, by id.
    pub(super) deliveries: Vec<String>,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// It may be handed out from then on.
    Due(UnixMillis),
    /// An agent has it, or had it when it died.
    HandedOut,
}

#[derive(Debug)]
pub(super) struct Queued {
    message: SipMessage,
    whose: Whose,
    call: CallId,
    peer: bool,
    attempts: u32,
    progress: Progress,
}

impl Queued {
    pub(super) fn new(message: SipMessage, whose: Whose, call: CallId, peer: bool) -> Queued {
        Queued { message, whose, call, peer, attempts: 0, progress: Progress::Due(UnixMillis(0)) }
    }

    /// One that an agent was given before a restart: only its outcome is waited for.
    pub(super) fn handed_out(self) -> Queued {
        Queued { progress: Progress::HandedOut, ..self }
    }

    fn host(&self) -> &str {
        self.message.to.sip_parts().map_or("", |(_, host)| host)
    }
}

/// What waits, by PBX.
#[derive(Debug, Default)]
pub(super) struct SipQueue(Mutex<HashMap<PbxName, Vec<Queued>>>);

impl SipQueue {
    /// False if there are too many.
    pub(super) fn add(&self, pbx: &PbxName, queued: Queued) -> bool {
        let mut queues = self.lock();
        let queue = queues.entry(pbx.clone()).or_default();
        if queue.iter().any(|other| other.message.id == queued.message.id) {
            return true;
        }
        let has_room = queue.len() < TOTAL
            && (queue.len() < PER_HOST || queue.iter().filter(|q| q.host() == queued.host()).count() < PER_HOST);
        if has_room {
            queue.push(queued);
        }
        has_room
    }

    /// What is to be sent by this PBX now.
    pub(super) fn hand_out(&self, pbx: &PbxName, now: UnixMillis) -> HandedOut {
        let mut handed = HandedOut::default();
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(pbx) else { return handed };
        let is_due = |queued: &&mut Queued| matches!(queued.progress, Progress::Due(due) if due <= now);
        for queued in queue.iter_mut().filter(is_due).take(BATCH) {
            queued.attempts += 1;
            queued.progress = Progress::HandedOut;
            handed.messages.push(queued.message.clone());
            match &queued.whose {
                Whose::Client(_) => handed.deliveries.push(queued.message.id.clone()),
                Whose::Answer { call, number } => handed.answers.push((call.clone(), number.clone())),
            }
        }
        handed
    }

    /// The PBX was never asked to send it: it is handed out again later. Whose it is.
    pub(super) fn again(&self, pbx: &PbxName, id: &str, now: UnixMillis) -> Option<Whose> {
        let mut queues = self.lock();
        let queued = queues.get_mut(pbx)?.iter_mut().find(|queued| queued.message.id == id)?;
        queued.progress = Progress::Due(now + Backoff::HTTP.wait(queued.attempts, 1.0));
        Some(queued.whose.clone())
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

    /// Forgets a call's peer messages, or `all` of its messages. How many of them nobody was given.
    pub(super) fn end_call(&self, call: &CallId, all: bool) -> usize {
        self.retain(|queued| queued.call != *call || !(all || queued.peer))
    }

    pub(super) fn end_client(&self, client: &ClientId) {
        self.retain(|queued| !matches!(&queued.whose, Whose::Client(whose) if whose == client));
    }

    /// How many went that were never handed out.
    fn retain(&self, keep: impl Fn(&Queued) -> bool) -> usize {
        let mut dropped = 0;
        self.lock().retain(|_, queue| {
            queue.retain(|queued| {
                let kept = keep(queued);
                dropped += usize::from(!kept && queued.progress != Progress::HandedOut);
                kept
            });
            !queue.is_empty()
        });
        dropped
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PbxName, Vec<Queued>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued_to(id: &str, to: &str, peer: bool) -> Queued {
        let message = SipMessage {
            id: id.to_owned(),
            to: to.parse().unwrap(),
            from: "+12125550100".parse().unwrap(),
            text: "Call".to_owned(),
            call: None,
        };
        Queued::new(message, Whose::Client("c".parse().unwrap()), "call".parse().unwrap(), peer)
    }

    fn queued(id: &str, peer: bool) -> Queued {
        queued_to(id, "sip:1001@pbx.example", peer)
    }

    const LATER: UnixMillis = UnixMillis(i64::MAX / 2);

    #[test]
    fn a_message_of_unknown_outcome_is_never_handed_out_again() {
        let (queue, pbx) = (SipQueue::default(), "pbx".parse().unwrap());
        assert!(queue.add(&pbx, queued("1", true)));
        assert!(queue.add(&pbx, queued("1", true)));
        assert_eq!(queue.hand_out(&pbx, UnixMillis(1)).deliveries, ["1"]);
        // The node may want it again, since it doesn't know the outcome.
        assert!(queue.add(&pbx, queued("1", true)));
        assert!(queue.hand_out(&pbx, LATER).messages.is_empty());
        // After a restart too.
        let restarted = SipQueue::default();
        assert!(restarted.add(&pbx, queued("1", true).handed_out()));
        assert!(restarted.hand_out(&pbx, LATER).messages.is_empty());
        assert!(restarted.remove(&pbx, "1").is_some(), "its outcome is still taken");
    }

    #[test]
    fn a_message_that_the_pbx_was_never_asked_to_send_is_handed_out_again_until_the_call_ends() {
        let (queue, pbx) = (SipQueue::default(), "pbx".parse().unwrap());
        queue.add(&pbx, queued("1", true));
        let mut now = UnixMillis(1);
        for _ in 0..20 {
            assert_eq!(queue.hand_out(&pbx, now).messages.len(), 1);
            assert!(queue.again(&pbx, "1", now).is_some());
            assert!(queue.hand_out(&pbx, now).messages.is_empty(), "not in a tight circle");
            now = now + Backoff::HTTP.ceiling;
        }
        assert_eq!(queue.end_call(&"call".parse().unwrap(), false), 1);
        assert!(queue.hand_out(&pbx, LATER).messages.is_empty() && queue.again(&pbx, "1", now).is_none());
    }

    #[test]
    fn the_end_of_a_call_takes_back_addresses_and_leaves_the_farewell() {
        let (queue, pbx) = (SipQueue::default(), "pbx".parse().unwrap());
        queue.add(&pbx, queued("0", true));
        assert_eq!(queue.hand_out(&pbx, UnixMillis(1)).messages.len(), 1);
        queue.add(&pbx, queued("1", true));
        queue.add(&pbx, queued("2", false));
        assert_eq!(queue.end_call(&"call".parse().unwrap(), false), 1, "one was handed out before");
        let left = queue.hand_out(&pbx, UnixMillis(1)).messages;
        assert_eq!(left.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["2"]);
        queue.end_call(&"call".parse().unwrap(), true);
        assert!(queue.again(&pbx, "2", UnixMillis(1)).is_none());
    }

    #[test]
    fn the_queue_is_bounded_in_total_and_per_host() {
        let (queue, pbx) = (SipQueue::default(), "pbx".parse().unwrap());
        let fill = |host: &str, n: usize| {
            let to = format!("sip:1001@{host}");
            (0..n).filter(|n| queue.add(&pbx, queued_to(&format!("{host}-{n}"), &to, true))).count()
        };
        assert_eq!(fill("dead.example", PER_HOST + 10), PER_HOST);
        let others = TOTAL / PER_HOST - 1;
        for n in 0..others {
            assert_eq!(fill(&format!("{n}.example"), PER_HOST), PER_HOST);
        }
        assert_eq!(fill("one-more.example", 1), 0);
    }
}
