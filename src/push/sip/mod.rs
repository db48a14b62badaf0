//! SIP MESSAGEs to softphones and to the remote side of calls: the agent of a PBX asks for them and reports their outcome.

mod message_queue;
mod pbx_queues;
mod rate_limit;
mod text;
mod unreachable;

use std::time::{Duration, Instant};

use super::{Push, made};
use crate::contract::{ClientForm, Message, MessageBody, SipMessage, SipMessageOutcome};
use crate::core::address::Address;
use crate::core::base::name::{CallId, ClientId, PbxName};
use crate::core::call::exchange::Pair;
use crate::core::call::remote_side::PeerDeliveryState;
use crate::core::numbering::number::Number;
use crate::monitor::{now, wall};
use crate::store::{Binding, Delivery, DeliveryState, SipFailure};
use message_queue::{Queued, Recipient};
use unreachable::Skip;

pub use pbx_queues::{HandedOut, SipAnswer};
pub use text::{SipText, SipTextError};
pub use unreachable::{MissedPairs, SipRoute};

pub(super) use pbx_queues::PbxQueues;
pub(super) use rate_limit::SipRateLimit;
pub(super) use unreachable::UnreachableRoutes;

/// Maximum length of a SIP MESSAGE's text. Most of them go over UDP (RFC 3428 §8 allows less).
const SIP_TEXT_MAX: usize = 4096;

/// The metric's word for a message that was dropped because too many wait.
const FULL: &str = "full";

/// Why a SIP MESSAGE isn't sent.
const SPENT: &str = "node.clients.messages_per_minute were sent for this number already";
const WAITING: &str = "too many SIP MESSAGEs are waiting";

/// Maximum back-off from an address that an agent may request.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

impl Push {
    /// Whether to make no delivery because the PBX `via` can't reach the client's address: it refused the last SIP
    /// MESSAGE. After the back-off, [`Push::missed_pairs`] returns what the client missed.
    pub fn skip_unreachable(&self, client: &Binding, via: &PbxName, pair: &Pair) -> bool {
        let Some(route) = sip_route(client, via) else { return false };
        let skip = self.inner.unreachable.skip(&route, pair, Instant::now());
        if skip == Skip::Missed {
            self.inner.totals.metrics.sip_dropped("resting", 1);
        }
        skip != Skip::No
    }

    /// Takes what clients missed on routes that may be tried again.
    pub fn missed_pairs(&self) -> Vec<MissedPairs> {
        self.inner.unreachable.take_missed(Instant::now())
    }

    /// Returns what couldn't be told yet to [`Push::missed_pairs`].
    pub fn put_back_missed(&self, missed: MissedPairs) {
        self.inner.unreachable.put_back(missed, Instant::now());
    }

    /// Hands out the SIP MESSAGEs that the agent of a PBX must send now, each once. Stores that first, so that a
    /// restarted node doesn't hand them out again.
    pub async fn hand_out_sip(&self, pbx: &PbxName, agent: Option<&str>) -> HandedOut {
        let handed = self.inner.sip.hand_out(pbx, agent, now());
        if !handed.deliveries.is_empty()
            && let Err(error) = self.inner.store.hand_out(handed.deliveries.clone()).await
        {
            tracing::warn!(%error, "could not write down which SIP MESSAGEs are being sent");
        }
        handed
    }

    /// Messages that were handed to this run of an agent a while ago and have no outcome: the reply may have been lost.
    /// The agent recognises by id those that it has.
    pub fn unconfirmed_sip(&self, pbx: &PbxName, agent: &str) -> Vec<SipMessage> {
        self.inner.sip.unconfirmed(pbx, agent, now())
    }

    /// Makes all messages of a PBX due, since its link is back.
    pub fn wake(&self, pbx: &PbxName) {
        self.inner.sip.wake(pbx, None, now());
    }

    /// Adds a SIP MESSAGE that was handed out before a restart. It isn't sent again, only its outcome is awaited.
    pub fn await_outcome(&self, delivery: Delivery, binding: &Binding, from: &Number, via: &PbxName) {
        let to = binding.address.clone();
        if let Some(queued) = to.and_then(|to| queued(delivery, to, from)) {
            self.inner.sip.add(via, queued.handed_out());
        }
    }

    /// Applies the outcomes that an agent reports. Returns those of answers.
    pub fn sip_outcomes(&self, pbx: &PbxName, agent: &str, outcomes: &[SipMessageOutcome]) -> Vec<SipAnswer> {
        let (mut answers, mut undelivered) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            let state = match &outcome.error {
                None => PeerDeliveryState::Accepted,
                // It may have arrived, and a phone shows every copy.
                Some(_) if !outcome.unsent => PeerDeliveryState::Refused,
                Some(_) => PeerDeliveryState::Pending,
            };
            let backoff = outcome.rest_ms.map(|rest| Duration::from_millis(rest).min(BACKOFF_MAX));
            let found = match state {
                PeerDeliveryState::Pending => self.inner.sip.requeue(pbx, agent, &outcome.id, backoff, now()),
                _ => self.inner.sip.remove(pbx, &outcome.id),
            };
            let Some((address, recipient)) = found else { continue };
            let route = SipRoute { via: pbx.clone(), to: address };
            match backoff {
                Some(backoff) => self.inner.unreachable.failed(route, backoff, Instant::now()),
                None if state == PeerDeliveryState::Accepted && self.inner.unreachable.accepted(&route) => {
                    self.inner.sip.wake(pbx, Some(&route.to), now());
                }
                None => {}
            }
            match recipient {
                Recipient::Client(client) => undelivered.extend(self.sip_outcome(outcome, state, &client)),
                Recipient::Answer { call, number } => {
                    answers.push(SipAnswer { call, number, state, error: outcome.error.clone() });
                }
            }
        }
        self.refused(undelivered);
        answers
    }

    /// Records the outcome of a client's message. Returns the failure to store, if any.
    fn sip_outcome(
        &self,
        outcome: &SipMessageOutcome,
        state: PeerDeliveryState,
        client: &ClientId,
    ) -> Option<SipFailure> {
        let (id, error) = (outcome.id.clone(), outcome.error.clone().unwrap_or_default());
        match state {
            PeerDeliveryState::Accepted => {
                let at = outcome.at.map_or_else(now, |at| at.min(now()));
                // Ids contain the time of the wall clock.
                let took = made(&outcome.id).map(|made| (wall() - made).saturating_sub(now() - at));
                self.inner.totals.delivered(ClientForm::Sip.as_str(), took);
                let _ = self.inner.store.delivered(&outcome.id, Some(client), at);
                None
            }
            PeerDeliveryState::Pending => Some(SipFailure { id, state: DeliveryState::Pending, error }),
            PeerDeliveryState::Refused | PeerDeliveryState::Dropped => {
                self.inner.totals.failed(ClientForm::Sip.as_str());
                Some(SipFailure { id, state: DeliveryState::Failed, error })
            }
        }
    }

    /// Sends the address of our number to a remote `sip:` client, by the PBX `via` on behalf of `from`. If it was
    /// handed out before a restart, only its outcome is awaited.
    ///
    /// # Errors
    /// Says why it isn't sent: too many messages wait, or our number has used up its allowance.
    pub fn answer(
        &self,
        via: &PbxName,
        message: Message,
        number: Number,
        from: Number,
        to: Address,
        is_handed_out: bool,
    ) -> Result<(), String> {
        // Count it once, however often the remote side announces itself.
        if self.inner.sip.has(via, &message.id) {
            return Ok(());
        }
        if !is_handed_out && !self.inner.sip_rate.take(&number, false, Instant::now()) {
            return Err(SPENT.to_owned());
        }
        let (id, call) = (message.id.clone(), message.call.clone());
        let (text, about) = (SipText(message).to_string(), Some(call.clone()));
        let sent = SipMessage { id, to, from, text, call: about.clone(), about };
        let queued = Queued::new(sent, Recipient::Answer { call: call.clone(), number }, call, true);
        let added = self.inner.sip.add(via, if is_handed_out { queued.handed_out() } else { queued });
        if !added {
            self.inner.totals.metrics.sip_dropped(FULL, 1);
            return Err(WAITING.to_owned());
        }
        Ok(())
    }

    /// Drops the answer about a number, since the call is now about another one.
    pub fn forget_answer(&self, call: &CallId, number: &Number) {
        self.inner.sip.forget_answer(call, number);
    }

    /// Queues a delivery as a SIP MESSAGE, or says why it can't be one.
    pub(super) fn queue_sip(
        &self,
        delivery: Delivery,
        binding: &Binding,
        from: &Number,
        via: &PbxName,
    ) -> Result<(), String> {
        let Some(to) = binding.address.clone() else { return Err("has no address".to_owned()) };
        self.inner.policy.check(&to).map_err(|refusal| refusal.to_string())?;
        // Before formatting the text, to keep a flood cheap.
        let may_flood = matches!(delivery.message.body, MessageBody::Message { .. } | MessageBody::Missed { .. });
        if !self.inner.sip_rate.take(&binding.number, may_flood, Instant::now()) {
            return Err(SPENT.to_owned());
        }
        let queued = queued(delivery, to, from).ok_or("too long for a SIP MESSAGE")?;
        if !self.inner.sip.add(via, queued) {
            self.inner.totals.metrics.sip_dropped(FULL, 1);
            return Err(WAITING.to_owned());
        }
        Ok(())
    }
}

/// The route from the PBX `via` to a softphone; none for other forms of clients.
pub fn sip_route(client: &Binding, via: &PbxName) -> Option<SipRoute> {
    let to = client.address.clone().filter(|_| client.form == ClientForm::Sip)?;
    Some(SipRoute { via: via.clone(), to })
}

/// Converts a delivery to a SIP MESSAGE; none if it is too long.
fn queued(delivery: Delivery, to: Address, from: &Number) -> Option<Queued> {
    let Message { id, call, body } = &delivery.message;
    let (id, call, is_peer) = (id.clone(), call.clone(), matches!(body, MessageBody::Peer { .. }));
    let text = SipText(delivery.message).to_string();
    if text.len() > SIP_TEXT_MAX {
        return None;
    }
    let about = Some(call.clone());
    let message = SipMessage { id, to, from: from.clone(), text, call: about.clone().filter(|_| is_peer), about };
    Some(Queued::new(message, Recipient::Client(delivery.client), call, is_peer))
}
