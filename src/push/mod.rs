//! Delivers messages to hosted clients, softphones and webhooks.
//!
//! Deliveries are stored before they come here, so nothing here needs to survive a restart.

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

use crate::contract::{ClientForm, Message, MessageBody, SipMessage, SipMessageOutcome};
use crate::core::address::Address;
use crate::core::address::client_policy::ClientPolicy;
use crate::core::base::name::{CallId, ClientId, PbxName};
use crate::core::call::exchange::Pair;
use crate::core::call::remote_side::PeerDeliveryState;
use crate::core::numbering::number::Number;
use crate::monitor::{Totals, brief, now, wall};
use crate::store::{self, Binding, Delivery, DeliveryState, Store};
use allowance::Allowance;
use pending::Pending;
use queue::{Queued, Whose};
use rests::{Rests, Skip};
use sip::SipQueue;
use webhook::Webhooks;

/// Maximum length of a SIP MESSAGE's text. Most of them go over UDP (RFC 3428 §8 allows less).
const SIP_TEXT_MAX: usize = 4096;

/// The metric's word for a message that was dropped because too many wait.
const FULL: &str = "full";

/// Why a SIP MESSAGE isn't sent.
const SPENT: &str = "node.clients.messages_per_minute were sent for this number already";
const WAITING: &str = "too many SIP MESSAGEs are waiting";

/// Maximum rest of an address that an agent may request.
const REST_MAX: Duration = Duration::from_secs(300);

/// Delivers messages to all forms of clients.
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
    /// Starts without deliveries. Cancelling `shutdown` stops all of them.
    pub fn new(store: Store, totals: Arc<Totals>, policy: ClientPolicy, shutdown: CancellationToken) -> Push {
        let hub = Hub::new(totals.metrics);
        let (sip, rests, pending) = (SipQueue::default(), Rests::default(), Pending::default());
        let allowance = Allowance::new(policy.messages_per_minute);
        let webhooks = Webhooks::new(policy.webhook_hosts.clone());
        let inner = Inner { store, totals, hub, sip, rests, allowance, webhooks, policy, pending, shutdown };
        Push { inner: Arc::new(inner) }
    }

    /// The policy for clients' addresses.
    pub fn policy(&self) -> &ClientPolicy {
        &self.inner.policy
    }

    /// The hosted clients' streams.
    pub fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    /// Starts a stored delivery. A SIP MESSAGE is sent by the PBX `via` on behalf of `from`.
    ///
    /// # Errors
    /// A SIP MESSAGE that can't be sent. Pass it to [`Push::refused`].
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

    /// Stores the failures of [`Push::send`] in one write: a call may have many unreachable clients.
    pub fn refused(&self, refused: Vec<store::SipFailure>) {
        if !refused.is_empty()
            && let Err(error) = self.inner.store.sip_outcomes(refused)
        {
            tracing::warn!(%error, "could not write down what became of SIP MESSAGEs");
        }
    }

    /// Whether to make no delivery because the client's address rests at the PBX `via`: it refused the last SIP
    /// MESSAGE. After the rest, [`Push::rested`] returns what the client missed.
    pub fn skip_resting(&self, client: &Binding, via: &PbxName, pair: &Pair) -> bool {
        let Some(route) = sip_route(client, via) else { return false };
        let skip = self.inner.rests.skip(&route, pair, Instant::now());
        if skip == Skip::Missed {
            self.inner.totals.metrics.sip_dropped("resting", 1);
        }
        skip != Skip::No
    }

    /// Takes the routes whose rest has ended and whose clients missed calls.
    pub fn rested(&self) -> Vec<Rested> {
        self.inner.rests.over(Instant::now())
    }

    /// Returns a route whose clients couldn't be told yet to [`Push::rested`].
    pub fn put_back_rested(&self, rested: Rested) {
        self.inner.rests.put_back(rested, Instant::now());
    }

    /// Records that the client has the message.
    pub fn delivered(&self, id: &str, binding: &Binding) {
        let took = made(id).map(|made| wall() - made);
        self.inner.totals.delivered(binding.form.as_str(), took);
        if let Err(error) = self.inner.store.delivered(id, Some(&binding.id), now()) {
            tracing::warn!(%error, delivery = id, "a delivery could not be noted");
        }
    }

    /// Records that the message was written to the client's stream. The client hasn't acknowledged it yet.
    pub fn attempted(&self, id: &str) {
        self.note(id, DeliveryState::Pending, None);
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
            let rest = outcome.rest_ms.map(|rest| Duration::from_millis(rest).min(REST_MAX));
            let found = match state {
                PeerDeliveryState::Pending => self.inner.sip.again(pbx, agent, &outcome.id, rest, now()),
                _ => self.inner.sip.remove(pbx, &outcome.id),
            };
            let Some((address, whose)) = found else { continue };
            let route = SipRoute { via: pbx.clone(), to: address };
            match rest {
                Some(rest) => self.inner.rests.begin(route, rest, Instant::now()),
                None if state == PeerDeliveryState::Accepted && self.inner.rests.end(&route) => {
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

    /// Records the outcome of a client's message. Returns the failure to store, if any.
    fn sip_outcome(
        &self,
        outcome: &SipMessageOutcome,
        state: PeerDeliveryState,
        client: &ClientId,
    ) -> Option<store::SipFailure> {
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
            PeerDeliveryState::Pending => Some(store::SipFailure { id, state: DeliveryState::Pending, error }),
            PeerDeliveryState::Refused | PeerDeliveryState::Dropped => {
                self.inner.totals.failed(ClientForm::Sip.as_str());
                Some(store::SipFailure { id, state: DeliveryState::Failed, error })
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

    /// Drops the answer about a number, since the call is now about another one.
    pub fn forget_answer(&self, call: &CallId, number: &Number) {
        self.inner.sip.forget_answer(call, number);
    }

    /// Drops messages that are no longer needed.
    pub fn forget(&self, ids: &[String]) {
        for id in ids {
            self.inner.pending.forget(id);
            self.inner.sip.forget(id);
        }
    }

    /// Drops a call's peer messages when it ends, or `all` of its messages.
    pub fn end_call(&self, call: &CallId, all: bool) {
        self.inner.pending.end_call(call, all);
        self.inner.rests.end_call(call);
        let dropped = self.inner.sip.end_call(call, all);
        if dropped > 0 {
            self.inner.totals.metrics.sip_dropped("call-ended", dropped);
        }
    }

    /// Ends a client's streams and drops its messages.
    pub fn end_client(&self, client: &ClientId) {
        self.inner.hub.close(client);
        self.inner.pending.end_client(client);
        self.inner.sip.end_client(client);
    }

    /// Records that a message will never reach its client.
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
        // Before formatting the text, to keep a flood cheap.
        let is_post = matches!(delivery.message.body, MessageBody::Message { .. });
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
                // Cancelled if the call or the client is gone, or at shutdown. The store has what is still wanted.
                let _ = stop.run_until_cancelled(brief("webhook", webhook::deliver(&push, &delivery, &binding))).await;
                push.inner.pending.forget(&id);
            });
        }
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
    Some(Queued::new(message, Whose::Client(delivery.client), call, is_peer))
}

/// The creation time in a message id, a version 7 UUID. It is wall-clock time.
fn made(id: &str) -> Option<crate::core::base::time::UnixMillis> {
    let (seconds, nanos) = uuid::Uuid::try_parse(id).ok()?.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))?;
    Some(crate::core::base::time::UnixMillis(millis))
}
