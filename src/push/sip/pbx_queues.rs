//! Holds SIP MESSAGEs until the agent of their PBX asks for them, and then until it reports their outcome.
//!
//! A phone shows every copy of a message. So a message is handed out again only if the agent says that it never asked
//! the PBX to send it, or to the same run of the same agent, which recognises its id.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::message_queue::{HandedTo, MessageQueue, Progress, Queued, Recipient};
use crate::contract::SipMessage;
use crate::core::address::Address;
use crate::core::base::backoff::Backoff;
use crate::core::base::name::{CallId, ClientId, PbxName};
use crate::core::base::time::UnixMillis;
use crate::core::call::remote_side::PeerDeliveryState;
use crate::core::numbering::number::Number;

/// Maximum number of messages in one reply.
const BATCH: usize = 128;
/// After this time without an outcome, a message may never have reached the agent.
const UNCONFIRMED_AFTER: Duration = Duration::from_secs(4);
/// How long to repeat a message: the agent doesn't remember ids for ever.
const REPEATED_FOR: Duration = Duration::from_secs(20);

/// The outcome of an answer to the remote side of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipAnswer {
    /// The call.
    pub call: CallId,
    /// The number whose client it announces.
    pub number: Number,
    /// Its state; pending if it will be retried.
    pub state: PeerDeliveryState,
    /// Why it failed.
    pub error: Option<String>,
}

/// Messages handed to an agent.
#[derive(Debug, Default)]
pub struct HandedOut {
    /// The messages, in order.
    pub messages: Vec<SipMessage>,
    /// Those that answer the remote side of a call.
    pub answers: Vec<(CallId, Number)>,
    /// The others, by id.
    pub(in crate::push) deliveries: Vec<String>,
}

/// Messages that wait for an agent or have no outcome yet, by PBX.
#[derive(Debug, Default)]
pub(in crate::push) struct PbxQueues(Mutex<HashMap<PbxName, MessageQueue>>);

impl PbxQueues {
    /// Adds a message. Returns false if too many wait.
    pub(super) fn add(&self, pbx: &PbxName, queued: Queued) -> bool {
        let mut queues = self.lock();
        let queue = queues.entry(pbx.clone()).or_default();
        if queue.by_id.contains_key(&queued.message.id) {
            return true;
        }
        queue.add(queued)
    }

    /// Whether a message waits or has no outcome yet.
    pub(super) fn has(&self, pbx: &PbxName, id: &str) -> bool {
        self.lock().get(pbx).is_some_and(|queue| queue.by_id.contains_key(id))
    }

    /// Hands out the messages that this PBX must send now.
    pub(super) fn hand_out(&self, pbx: &PbxName, agent: Option<&str>, now: UnixMillis) -> HandedOut {
        let mut handed = HandedOut::default();
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(pbx) else { return handed };
        while handed.messages.len() < BATCH
            && let Some(queued) = queue.next(now)
        {
            queued.attempts += 1;
            queued.handed_to = agent.map(|agent| HandedTo { agent: agent.to_owned(), first: now, last: now });
            handed.messages.push(queued.message.clone());
            match &queued.recipient {
                Recipient::Client(_) => handed.deliveries.push(queued.message.id.clone()),
                Recipient::Answer { call, number } => handed.answers.push((call.clone(), number.clone())),
            }
        }
        handed
    }

    /// Messages that this run of an agent got a while ago and hasn't reported on.
    pub(super) fn unconfirmed(&self, pbx: &PbxName, agent: &str, now: UnixMillis) -> Vec<SipMessage> {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(pbx) else { return Vec::new() };
        let silent = queue.by_id.values_mut().filter_map(|queued| {
            let handed = queued.handed_to.as_mut().filter(|handed| {
                queued.progress == Progress::HandedOut
                    && handed.agent == agent
                    && now - handed.last >= UNCONFIRMED_AFTER
                    && now - handed.first <= REPEATED_FOR
            })?;
            handed.last = now;
            Some(queued.message.clone())
        });
        let mut repeated: Vec<SipMessage> = silent.take(BATCH).collect();
        repeated.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        repeated
    }

    /// Queues a message again that the agent never asked the PBX to send. It is due after the back-off from its address.
    /// Returns its address and its recipient.
    pub(super) fn requeue(
        &self,
        pbx: &PbxName,
        agent: &str,
        id: &str,
        backoff: Option<Duration>,
        now: UnixMillis,
    ) -> Option<(Address, Recipient)> {
        let mut queues = self.lock();
        let queue = queues.get_mut(pbx)?;
        // The report is late if another agent has the message by now and may be sending it.
        let is_late = |queued: &Queued| queued.handed_to.as_ref().is_some_and(|handed| handed.agent != agent);
        let queued = queue.by_id.get(id).filter(|queued| !is_late(queued))?;
        let found = (queued.message.to.clone(), queued.recipient.clone());
        if queued.progress == Progress::HandedOut {
            queue.put_off(id, now + backoff.unwrap_or_else(|| Backoff::HTTP.wait(queued.attempts, 1.0)));
        }
        Some(found)
    }

    /// Removes a message that is done. Returns its address and its recipient.
    pub(super) fn remove(&self, pbx: &PbxName, id: &str) -> Option<(Address, Recipient)> {
        self.lock().get_mut(pbx)?.remove(id).map(|queued| (queued.message.to, queued.recipient))
    }

    /// Makes waiting messages due now: all of them, or those to one address.
    pub(super) fn wake(&self, pbx: &PbxName, address: Option<&Address>, now: UnixMillis) {
        self.lock().get_mut(pbx).into_iter().for_each(|queue| queue.wake(address, now));
    }

    pub(in crate::push) fn forget(&self, id: &str) {
        self.lock().values_mut().for_each(|queue| drop(queue.remove(id)));
    }

    pub(super) fn forget_answer(&self, call: &CallId, number: &Number) {
        let is = |recipient: &Recipient| matches!(recipient, Recipient::Answer { call: c, number: n } if (c, n) == (call, number));
        self.drop_where(|queued| is(&queued.recipient));
    }

    /// Drops a call's peer messages, or `all` of its messages. Returns how many had never been handed out.
    pub(in crate::push) fn end_call(&self, call: &CallId, all: bool) -> usize {
        self.drop_where(|queued| queued.call == *call && (all || queued.peer))
    }

    pub(in crate::push) fn end_client(&self, client: &ClientId) {
        self.drop_where(|queued| matches!(&queued.recipient, Recipient::Client(recipient) if recipient == client));
    }

    /// Drops messages. Returns how many had never been handed out.
    fn drop_where(&self, is_over: impl Fn(&Queued) -> bool) -> usize {
        let mut never_sent = 0;
        self.lock().retain(|_, queue| {
            let over: Vec<String> =
                queue.by_id.iter().filter(|(_, queued)| is_over(queued)).map(|(id, _)| id.clone()).collect();
            let gone = over.iter().filter_map(|id| queue.remove(id));
            never_sent += gone.filter(|queued| queued.progress != Progress::HandedOut).count();
            !queue.by_id.is_empty()
        });
        never_sent
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PbxName, MessageQueue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::message_queue::{PER_HOST, TOTAL};
    use super::*;

    fn queued_to(id: &str, to: &str, peer: bool) -> Queued {
        let message = SipMessage {
            id: id.to_owned(),
            to: to.parse().unwrap(),
            from: "+12125550100".parse().unwrap(),
            text: "Call".to_owned(),
            call: None,
            about: None,
        };
        Queued::new(message, Recipient::Client("c".parse().unwrap()), "call".parse().unwrap(), peer)
    }

    fn queued(id: &str, peer: bool) -> Queued {
        queued_to(id, "sip:1001@pbx.example", peer)
    }

    const LATER: UnixMillis = UnixMillis(i64::MAX / 2);

    #[test]
    fn a_message_of_unknown_outcome_is_never_handed_out_again() {
        let (queue, pbx) = (PbxQueues::default(), "pbx".parse().unwrap());
        assert!(queue.add(&pbx, queued("1", true)));
        assert!(queue.add(&pbx, queued("1", true)));
        assert_eq!(queue.hand_out(&pbx, None, UnixMillis(1)).deliveries, ["1"]);
        // The node may want it again, since it doesn't know the outcome.
        assert!(queue.add(&pbx, queued("1", true)));
        assert!(queue.hand_out(&pbx, None, LATER).messages.is_empty());
        // After a restart too.
        let restarted = PbxQueues::default();
        assert!(restarted.add(&pbx, queued("1", true).handed_out()));
        assert!(restarted.hand_out(&pbx, None, LATER).messages.is_empty());
        assert!(restarted.remove(&pbx, "1").is_some(), "its outcome is still taken");
    }

    #[test]
    fn a_message_that_may_not_have_arrived_is_repeated_to_the_same_run_of_its_agent_alone() {
        let (queue, pbx) = (PbxQueues::default(), "pbx".parse().unwrap());
        queue.add(&pbx, queued("1", true));
        assert_eq!(queue.hand_out(&pbx, Some("run-1"), UnixMillis(0)).messages.len(), 1);
        let later = UnixMillis(0) + UNCONFIRMED_AFTER;
        assert!(queue.unconfirmed(&pbx, "run-1", UnixMillis(later.0 - 1)).is_empty());
        assert!(queue.unconfirmed(&pbx, "run-2", later).is_empty(), "another run may send it once more");
        assert_eq!(queue.unconfirmed(&pbx, "run-1", later).len(), 1);
        assert!(queue.unconfirmed(&pbx, "run-1", later).is_empty(), "not in every reply");
        assert!(queue.unconfirmed(&pbx, "run-1", later + REPEATED_FOR).is_empty(), "not for ever");
        assert!(queue.requeue(&pbx, "run-1", "1", None, later).is_some());
        assert!(queue.unconfirmed(&pbx, "run-1", later + UNCONFIRMED_AFTER).is_empty(), "it waits to be handed out");
    }

    #[test]
    fn a_message_that_the_pbx_was_never_asked_to_send_is_handed_out_again_until_the_call_ends() {
        let (queue, pbx) = (PbxQueues::default(), "pbx".parse().unwrap());
        queue.add(&pbx, queued("1", true));
        let mut now = UnixMillis(1);
        for _ in 0..20 {
            assert_eq!(queue.hand_out(&pbx, None, now).messages.len(), 1);
            assert!(queue.requeue(&pbx, "run-1", "1", None, now).is_some());
            assert!(queue.hand_out(&pbx, None, now).messages.is_empty(), "not in a tight circle");
            now = now + Backoff::HTTP.ceiling;
        }
        assert_eq!(queue.end_call(&"call".parse().unwrap(), false), 1);
        assert!(
            queue.hand_out(&pbx, None, LATER).messages.is_empty()
                && queue.requeue(&pbx, "run-1", "1", None, now).is_none()
        );
    }

    #[test]
    fn a_late_report_does_not_take_a_message_from_the_agent_that_is_sending_it() {
        let (queue, pbx) = (PbxQueues::default(), "pbx".parse().unwrap());
        queue.add(&pbx, queued("1", true));
        let given = |agent, now| queue.hand_out(&pbx, Some(agent), now).messages.len();
        assert_eq!(given("run-1", UnixMillis(1)), 1);
        assert!(queue.requeue(&pbx, "run-1", "1", None, UnixMillis(1)).is_some());
        let later = UnixMillis(1) + Backoff::HTTP.ceiling;
        assert_eq!(given("run-2", later), 1);
        assert!(queue.requeue(&pbx, "run-1", "1", None, later).is_none(), "the first agent repeats its report");
        assert_eq!(given("run-1", LATER), 0);
        assert!(queue.requeue(&pbx, "run-2", "1", None, later).is_some(), "its own agent may give it back");
        assert_eq!(given("run-1", LATER), 1);
        // Agents of earlier versions don't say who they are when they are given messages.
        queue.add(&pbx, queued("2", true));
        assert_eq!(queue.hand_out(&pbx, None, LATER).messages.len(), 1);
        assert!(queue.requeue(&pbx, "run-1", "2", None, LATER).is_some());
    }

    #[test]
    fn the_end_of_a_call_takes_back_addresses_and_leaves_the_farewell() {
        let (queue, pbx) = (PbxQueues::default(), "pbx".parse().unwrap());
        queue.add(&pbx, queued("0", true));
        assert_eq!(queue.hand_out(&pbx, None, UnixMillis(1)).messages.len(), 1);
        queue.add(&pbx, queued("1", true));
        queue.add(&pbx, queued("2", false));
        assert_eq!(queue.end_call(&"call".parse().unwrap(), false), 1, "one was handed out before");
        let left = queue.hand_out(&pbx, None, UnixMillis(1)).messages;
        assert_eq!(left.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["2"]);
        queue.end_call(&"call".parse().unwrap(), true);
        assert!(queue.requeue(&pbx, "run-1", "2", None, UnixMillis(1)).is_none());
    }

    #[test]
    fn the_queue_is_bounded_in_total_and_per_host() {
        let (queue, pbx) = (PbxQueues::default(), "pbx".parse().unwrap());
        let fill = |host: &str, n: usize| {
            let to = format!("sip:1001@{host}");
            (0..n).filter(|n| queue.add(&pbx, queued_to(&format!("{host}-{n}"), &to, true))).count()
        };
        assert_eq!(fill("dead.example", PER_HOST + 10), PER_HOST);
        assert_eq!(fill("Dead.Example.:5060", 10), 0, "another spelling is no other host");
        let others = TOTAL / PER_HOST - 1;
        for n in 0..others {
            assert_eq!(fill(&format!("{n}.example"), PER_HOST), PER_HOST);
        }
        assert_eq!(fill("one-more.example", 1), 0);
    }
}
