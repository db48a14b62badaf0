//! Bringing messages to clients, whatever their form.
//!
//! A delivery is in the store before it comes here, so anything here may be lost and is found again.

mod allowance;
mod hosted;
mod pending;
mod queue;
mod rests;
mod signature;
mod sip;
mod sip_text;
mod webhook;

pub use hosted::{Frame, HostedStream, Hub};
pub use rests::{Rested, SipRoute};
pub use signature::{SigningSecret, SigningSecretError, sign};
pub use sip::{HandedOut, SipAnswer};
pub use sip_text::{SipText, SipTextError};

use std::sync::Arc;

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::contract::{Body, ClientForm, Message, SipMessage, SipOutcome};
use crate::core::address::Address;
use crate::core::client_policy::ClientPolicy;
use crate::core::exchange::Pair;
use crate::core::far::SentState;
use crate::core::name::{CallId, ClientId, PbxName};
use crate::core::number::Number;
use crate::monitor::{Totals, brief, now, wall};
use crate::store::{self, Binding, Delivery, DeliveryState, Store};
use allowance::Allowance;
use pending::Pending;
use queue::{Queued, Whose};
use rests::{Rests, Skip};
use sip::SipQueue;
use webhook::Webhooks;

/// Characters of a SIP MESSAGE's text: such requests go by UDP, most of them (RFC 3428 §8 has less).
const SIP_TEXT_MAX: usize = 4096;

/// Why a SIP MESSAGE was dropped, as the metric has it.
const FULL: &str = "full";

/// Why a SIP MESSAGE isn't sent.
const SPENT: &str = "node.clients.messages_per_minute were sent for this number already";
const WAITING: &str = "too many SIP MESSAGEs are waiting";

/// The longest rest of an address that an agent may ask for.
const REST_MAX: Duration = Duration::from_secs(300);

/// All three ways to a client.
#[derive(Debug, Clone)]
pub struct Push {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    totals: Arc<Totals>,
    hub: Hub,
    sip: SipQueue,
    rests: Rests,
    allowance: Allowance,
    webhooks: Webhooks,
    policy: ClientPolicy,
    pending: Pending,
    shutdown: CancellationToken,
}

impl Push {
    /// With nothing under way; everything stops when `shutdown` is cancelled.
    pub fn new(store: Store, totals: Arc<Totals>, policy: ClientPolicy, shutdown: CancellationToken) -> Push {
        let hub = Hub::new(totals.metrics);
        let (sip, rests, pending) = (SipQueue::default(), Rests::default(), Pending::default());
        let allowance = Allowance::new(policy.messages_per_minute);
        let webhooks = Webhooks::new(policy.webhook_hosts.clone());
        let inner = Inner { store, totals, hub, sip, rests, allowance, webhooks, policy, pending, shutdown };
        Push { inner: Arc::new(inner) }
    }

    /// Where clients may be reached.
    pub fn policy(&self) -> &ClientPolicy {
        &self.inner.policy
    }

    /// The hosted clients' streams.
    pub fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    /// Starts to deliver what has been written down. A SIP MESSAGE goes by the PBX `via`, in the name of `from`.
    ///
    /// # Errors
    /// A SIP MESSAGE that is not sent, for [`Push::refused`].
    pub fn send(
        &self,
        delivery: Delivery,
        binding: &Binding,
        from: &Number,
        via: &PbxName,
    ) -> Result<(), store::SipFailure> {
        self.inner.totals.sending(binding.form.as_str());
        match binding.form {
            ClientForm::Hosted => self.inner.hub.send(&binding.id, &delivery.message),
            ClientForm::Sip => {
                let id = delivery.message.id.clone();
                self.queue_sip(delivery, binding, from, via).map_err(|error| {
                    self.inner.totals.failed(ClientForm::Sip.as_str());
                    store::SipFailure { id, state: DeliveryState::Failed, error }
                })?;
            }
            ClientForm::Webhook => self.send_webhook(delivery, binding),
        }
        Ok(())
    }

    /// Writes down what [`Push::send`] refused, all in one write: a call may have many dead clients.
    pub fn refused(&self, refused: Vec<store::SipFailure>) {
        if !refused.is_empty()
            && let Err(error) = self.inner.store.sip_outcomes(refused)
        {
            tracing::warn!(%error, "could not write down what became of SIP MESSAGEs");
        }
    }

    /// True if a client's address rests at the PBX `via`, because it did not take the last SIP MESSAGE: no delivery is
    /// made for it. [`Push::rested`] returns what it missed once the rest is over.
    pub fn skip_resting(&self, client: &Binding, via: &PbxName, pair: &Pair) -> bool {
        let Some(route) = sip_route(client, via) else { return false };
        let skip = self.inner.rests.skip(&route, pair, Instant::now());
        if skip == Skip::Missed {
            self.inner.totals.metrics.sip_dropped("resting", 1);
        }
        skip != Skip::No
    }

    /// Takes the routes whose rest is over and whose clients missed calls.
    pub fn rested(&self) -> Vec<Rested> {
        self.inner.rests.over(Instant::now())
    }

    /// These clients could not be told yet: [`Push::rested`] returns them again.
    pub fn put_back_rested(&self, rested: Rested) {
        self.inner.rests.put_back(rested, Instant::now());
    }

    /// The client has the message.
    pub fn delivered(&self, id: &str, binding: &Binding) {
        let took = made(id).map(|made| wall() - made);
        self.inner.totals.delivered(binding.form.as_str(), took);
        if let Err(error) = self.inner.store.delivered(id, Some(&binding.id), now()) {
            tracing::warn!(%error, delivery = id, "a delivery could not be noted");
        }
    }

    /// The message was written to the client's stream; whether it arrived isn't known yet.
    pub fn attempted(&self, id: &str) {
        self.note(id, DeliveryState::Pending, None);
    }

    /// The SIP MESSAGEs that the agent of a PBX is to send now, each once. That they are handed out is written down
    /// first: a node that restarts doesn't hand them out again.
    pub async fn hand_out_sip(&self, pbx: &PbxName, agent: Option<&str>) -> HandedOut {
        let handed = self.inner.sip.hand_out(pbx, agent, now());
        if !handed.deliveries.is_empty()
            && let Err(error) = self.inner.store.hand_out(handed.deliveries.clone()).await
        {
            tracing::warn!(%error, "could not write down which SIP MESSAGEs are being sent");
        }
        handed
    }

    /// What was handed to this run of an agent a while ago and has no outcome: the reply may have been lost on its way. An
    /// agent that has such a message already knows it by its id.
    pub fn unconfirmed_sip(&self, pbx: &PbxName, agent: &str) -> Vec<SipMessage> {
        self.inner.sip.unconfirmed(pbx, agent, now())
    }

    /// The link to a PBX is back: nothing that waits for it waits any longer.
    pub fn wake(&self, pbx: &PbxName) {
        self.inner.sip.wake(pbx, None, now());
    }

    /// A SIP MESSAGE that was handed out before a restart: only its outcome is waited for.
    pub fn await_outcome(&self, delivery: Delivery, binding: &Binding, from: &Number, via: &PbxName) {
        let to = binding.address.clone();
        if let Some(queued) = to.and_then(|to| queued(delivery, to, from)) {
            self.inner.sip.add(via, queued.handed_out());
        }
    }

    /// How sending went, as an agent reports it; what became of answers is given back.
    pub fn sip_outcomes(&self, pbx: &PbxName, agent: &str, outcomes: &[SipOutcome]) -> Vec<SipAnswer> {
        let (mut answers, mut undelivered) = (Vec::new(), Vec::new());
        for outcome in outcomes {
            let state = match &outcome.error {
                None => SentState::Accepted,
                // It may be there already, and a person's phone shows every copy.
                Some(_) if !outcome.unsent => SentState::Refused,
                Some(_) => SentState::Pending,
            };
            let rest = outcome.rest_ms.map(|rest| Duration::from_millis(rest).min(REST_MAX));
            let found = match state {
                SentState::Pending => self.inner.sip.again(pbx, agent, &outcome.id, rest, now()),
                _ => self.inner.sip.remove(pbx, &outcome.id),
            };
            let Some((address, whose)) = found else { continue };
            let route = SipRoute { via: pbx.clone(), to: address };
            match rest {
                Some(rest) => self.inner.rests.begin(route, rest, Instant::now()),
                None if state == SentState::Accepted && self.inner.rests.end(&route) => {
                    self.inner.sip.wake(pbx, Some(&route.to), now());
                }
                None => {}
            }
            match whose {
                Whose::Client(client) => undelivered.extend(self.sip_outcome(outcome, state, &client)),
                Whose::Answer { call, number } => {
                    answers.push(SipAnswer { call, number, state, error: outcome.error.clone() });
                }
            }
        }
        self.refused(undelivered);
        answers
    }

    /// What is to be written down of a message that isn't delivered.
    fn sip_outcome(&self, outcome: &SipOutcome, state: SentState, client: &ClientId) -> Option<store::SipFailure> {
        let (id, error) = (outcome.id.clone(), outcome.error.clone().unwrap_or_default());
        match state {
            SentState::Accepted => {
                let at = outcome.at.map_or_else(now, |at| at.min(now()));
                // Ids are made by the wall clock.
                let took = made(&outcome.id).map(|made| (wall() - made).saturating_sub(now() - at));
                self.inner.totals.delivered(ClientForm::Sip.as_str(), took);
                let _ = self.inner.store.delivered(&outcome.id, Some(client), at);
                None
            }
            SentState::Pending => Some(store::SipFailure { id, state: DeliveryState::Pending, error }),
            SentState::Refused | SentState::Dropped => {
                self.inner.totals.failed(ClientForm::Sip.as_str());
                Some(store::SipFailure { id, state: DeliveryState::Failed, error })
            }
        }
    }

    /// Sends another node's `sip:` client how a number of ours is reached, by the PBX `via`, in the name of `from`. One
    /// that was handed out before a restart is not sent again: its outcome is waited for.
    ///
    /// # Errors
    /// Says why it is not sent: too many messages are waiting, or our number has caused its share.
    pub fn answer(
        &self,
        via: &PbxName,
        message: Message,
        number: Number,
        from: Number,
        to: Address,
        is_handed_out: bool,
    ) -> Result<(), String> {
        // It counts once, however often the other side makes itself known.
        if self.inner.sip.has(via, &message.id) {
            return Ok(());
        }
        if !is_handed_out && !self.inner.allowance.take(&number, false, Instant::now()) {
            return Err(SPENT.to_owned());
        }
        let (id, call) = (message.id.clone(), message.call.clone());
        let (text, about) = (SipText(message).to_string(), Some(call.clone()));
        let sent = SipMessage { id, to, from, text, call: about.clone(), about };
        let queued = Queued::new(sent, Whose::Answer { call: call.clone(), number }, call, true);
        let added = self.inner.sip.add(via, if is_handed_out { queued.handed_out() } else { queued });
        if !added {
            self.inner.totals.metrics.sip_dropped(FULL, 1);
            return Err(WAITING.to_owned());
        }
        Ok(())
    }

    /// The other side of a call is told of another number's client from now on.
    pub fn forget_answer(&self, call: &CallId, number: &Number) {
        self.inner.sip.forget_answer(call, number);
    }

    /// Nobody needs these any more.
    pub fn forget(&self, ids: &[String]) {
        for id in ids {
            self.inner.pending.forget(id);
            self.inner.sip.forget(id);
        }
    }

    /// A call has ended: its peer messages are no longer tried, nor `all` of its messages.
    pub fn end_call(&self, call: &CallId, all: bool) {
        self.inner.pending.end_call(call, all);
        self.inner.rests.end_call(call);
        let dropped = self.inner.sip.end_call(call, all);
        if dropped > 0 {
            self.inner.totals.metrics.sip_dropped("call-ended", dropped);
        }
    }

    /// A client is gone: its streams end, and nothing is tried for it any more.
    pub fn end_client(&self, client: &ClientId) {
        self.inner.hub.close(client);
        self.inner.pending.end_client(client);
        self.inner.sip.end_client(client);
    }

    /// A message will never reach its client.
    fn fail(&self, id: &str, form: ClientForm, why: Option<String>) {
        self.inner.totals.failed(form.as_str());
        self.note(id, DeliveryState::Failed, why);
    }

    fn note(&self, id: &str, state: DeliveryState, error: Option<String>) {
        if let Err(error) = self.inner.store.attempted(id, state, error) {
            tracing::warn!(%error, delivery = id, "an attempt could not be noted");
        }
    }

    /// Queues a delivery as a SIP MESSAGE, or says why it can't be one.
    fn queue_sip(&self, delivery: Delivery, binding: &Binding, from: &Number, via: &PbxName) -> Result<(), String> {
        let Some(to) = binding.address.clone() else { return Err("has no address".to_owned()) };
        self.inner.policy.check(&to).map_err(|refusal| refusal.to_string())?;
        // Before the text is made: a flood costs no more than it must.
        let is_post = matches!(delivery.message.body, Body::Message { .. });
        if !self.inner.allowance.take(&binding.number, is_post, Instant::now()) {
            return Err(SPENT.to_owned());
        }
        let queued = queued(delivery, to, from).ok_or("too long for a SIP MESSAGE")?;
        if !self.inner.sip.add(via, queued) {
            self.inner.totals.metrics.sip_dropped(FULL, 1);
            return Err(WAITING.to_owned());
        }
        Ok(())
    }

    fn send_webhook(&self, delivery: Delivery, binding: &Binding) {
        let id = delivery.message.id.clone();
        let stop = self.inner.shutdown.child_token();
        if self.inner.pending.add(&delivery, stop.clone()) {
            let (push, binding) = (self.clone(), binding.clone());
            tokio::spawn(async move {
                // Cancelled: the call is over, its client is gone, or we are; what is still wanted is in the store.
                let _ = stop.run_until_cancelled(brief("webhook", webhook::deliver(&push, &delivery, &binding))).await;
                push.inner.pending.forget(&id);
            });
        }
    }
}

/// How the PBX `via` reaches a softphone; none if it is another kind of client.
pub fn sip_route(client: &Binding, via: &PbxName) -> Option<SipRoute> {
    let to = client.address.clone().filter(|_| client.form == ClientForm::Sip)?;
    Some(SipRoute { via: via.clone(), to })
}

/// A delivery as a SIP MESSAGE; none if it is too long for one.
fn queued(delivery: Delivery, to: Address, from: &Number) -> Option<Queued> {
    let Message { id, call, body } = &delivery.message;
    let (id, call, is_peer) = (id.clone(), call.clone(), matches!(body, Body::Peer { .. }));
    let text = SipText(delivery.message).to_string();
    if text.len() > SIP_TEXT_MAX {
        return None;
    }
    let about = Some(call.clone());
    let message = SipMessage { id, to, from: from.clone(), text, call: about.clone().filter(|_| is_peer), about };
    Some(Queued::new(message, Whose::Client(delivery.client), call, is_peer))
}

/// When the message with this id was made, by the wall clock: ids are UUIDs of version 7.
fn made(id: &str) -> Option<crate::core::time::UnixMillis> {
    let (seconds, nanos) = uuid::Uuid::try_parse(id).ok()?.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))?;
    Some(crate::core::time::UnixMillis(millis))
}
