//! Bringing messages to clients, whatever their form.
//!
//! A delivery is in the store before it comes here, so anything here may be lost and is found again.

mod allowance;
mod hosted;
mod pending;
mod signature;
mod sip;
mod sip_text;
mod webhook;

pub use hosted::{Attached, Frame, Hub};
pub use signature::{Secret, SecretError, sign};
pub use sip::{SipAnswer, SipQueue};
pub use sip_text::{SipText, SipTextError};

use std::sync::Arc;

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::contract::{Body, ClientForm, Message, SipMessage, SipOutcome};
use crate::core::address::Address;
use crate::core::client_policy::ClientPolicy;
use crate::core::far::SentState;
use crate::core::name::{CallId, ClientId, PbxName};
use crate::core::number::Number;
use crate::monitor::{Totals, brief, now, wall};
use crate::store::{Binding, Delivery, DeliveryState, Store};
use allowance::Allowance;
use pending::Pending;
use sip::Whose;
use webhook::Webhooks;

/// Characters of a SIP MESSAGE's text: such requests go by UDP, most of them (RFC 3428 §8 has less).
const SIP_TEXT_MAX: usize = 4096;

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
        let (sip, pending) = (SipQueue::default(), Pending::default());
        let allowance = Allowance::new(policy.messages_per_minute);
        let webhooks = Webhooks::new(policy.webhook_hosts.clone());
        Push { inner: Arc::new(Inner { store, totals, hub, sip, allowance, webhooks, policy, pending, shutdown }) }
    }

    /// The hosted clients' streams.
    pub fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    /// Starts to deliver what has been written down. A SIP MESSAGE goes by the PBX `via`, in the name of `from`.
    pub fn send(&self, delivery: Delivery, binding: &Binding, from: &Number, via: &PbxName) {
        self.inner.totals.sending(binding.form.as_str());
        match binding.form {
            ClientForm::Hosted => self.inner.hub.send(&binding.id, &delivery.message),
            ClientForm::Sip => self.send_sip(delivery, binding, from, via),
            ClientForm::Webhook => self.send_webhook(delivery, binding),
        }
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

    /// The SIP MESSAGEs that the agent of a PBX is to send now.
    pub fn take_sip(&self, pbx: &PbxName) -> Vec<SipMessage> {
        self.inner.sip.take(pbx, now())
    }

    /// How sending went; what became of answers is given back.
    pub fn sip_outcomes(&self, pbx: &PbxName, outcomes: &[SipOutcome]) -> Vec<SipAnswer> {
        let mut answers = Vec::new();
        for outcome in outcomes {
            let state = match &outcome.error {
                None => SentState::Accepted,
                // It may be there already, and a person's phone shows every copy.
                Some(_) if outcome.unknown => SentState::Refused,
                Some(_) if self.inner.sip.again(pbx, &outcome.id, now()) => SentState::Pending,
                Some(_) => SentState::Refused,
            };
            let whose = match state {
                SentState::Pending => self.inner.sip.whose(pbx, &outcome.id),
                _ => self.inner.sip.remove(pbx, &outcome.id),
            };
            match whose {
                Some(Whose::Client(client)) => self.sip_outcome(outcome, state, &client),
                Some(Whose::Answer { call, number }) => {
                    answers.push(SipAnswer { call, number, state, error: outcome.error.clone() });
                }
                None => {}
            }
        }
        answers
    }

    fn sip_outcome(&self, outcome: &SipOutcome, state: SentState, client: &ClientId) {
        match state {
            SentState::Accepted => {
                let took = made(&outcome.id).map(|made| wall() - made);
                self.inner.totals.delivered(ClientForm::Sip.as_str(), took);
                let _ = self.inner.store.delivered(&outcome.id, Some(client), now());
            }
            SentState::Pending => self.note(&outcome.id, DeliveryState::Pending, outcome.error.clone()),
            SentState::Refused | SentState::Dropped => {
                self.fail(&outcome.id, ClientForm::Sip, outcome.error.clone());
            }
        }
    }

    /// Sends another node's `sip:` client how a number of ours is reached, by the PBX `via`, in the name of `from`.
    pub fn answer(&self, via: &PbxName, message: Message, number: Number, from: Number, to: Address) {
        let (id, call) = (message.id.clone(), message.call.clone());
        let sent = SipMessage { id, to, from, text: SipText(message).to_string() };
        self.inner.sip.add(via, sip::Queued::new(sent, Whose::Answer { call: call.clone(), number }, call, true));
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
        self.inner.sip.end_call(call, all);
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

    fn send_sip(&self, delivery: Delivery, binding: &Binding, from: &Number, via: &PbxName) {
        let Some(to) = binding.address.clone() else { return };
        let text = SipText(delivery.message.clone()).to_string();
        let refusal = if let Err(refusal) = self.inner.policy.check(&to) {
            Some(refusal.to_string())
        } else if text.len() > SIP_TEXT_MAX {
            Some("too long for a SIP MESSAGE".to_owned())
        } else if !self.inner.allowance.take(&binding.number, Instant::now()) {
            Some("the number's clients were sent node.clients.messages_per_minute already".to_owned())
        } else {
            None
        };
        if refusal.is_some() {
            return self.fail(&delivery.message.id, ClientForm::Sip, refusal);
        }
        let message = SipMessage { id: delivery.message.id.clone(), to, from: from.clone(), text };
        let peer = matches!(delivery.message.body, Body::Peer { .. });
        self.inner.sip.add(via, sip::Queued::new(message, Whose::Client(delivery.client), delivery.message.call, peer));
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

/// When the message with this id was made, by the wall clock: ids are UUIDs of version 7.
fn made(id: &str) -> Option<crate::core::time::UnixMillis> {
    let (seconds, nanos) = uuid::Uuid::try_parse(id).ok()?.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))?;
    Some(crate::core::time::UnixMillis(millis))
}
