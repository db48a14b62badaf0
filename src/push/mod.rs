//! Delivers messages to hosted clients, softphones and webhooks.
//!
//! Deliveries are stored before they come here, so nothing here needs to survive a restart. Guests, and what is kept for
//! them, don't.

mod guest_mailboxes;
mod hosted;
mod sip;
mod webhook;

pub use guest_mailboxes::GuestMailboxes;
pub use hosted::{Frame, HostedStream, Hub};
pub use sip::{HandedOut, MissedPairs, SipAnswer, SipRoute, SipText, SipTextError, sip_route};
pub use webhook::{SigningSecret, SigningSecretError, sign};

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::contract::ClientForm;
use crate::core::address::client_policy::ClientPolicy;
use crate::core::base::name::{CallId, ClientId, PbxName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::monitor::{Totals, brief, now, wall};
use crate::store::{self, Binding, Delivery, DeliveryState, Store};
use sip::{PbxQueues, SipRateLimit, UnreachableRoutes};
use webhook::{Webhooks, WebhooksInFlight};

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
    guests: GuestMailboxes,
    sip: PbxQueues,
    sip_rate: SipRateLimit,
    unreachable: UnreachableRoutes,
    webhooks: Webhooks,
    webhooks_in_flight: WebhooksInFlight,
    policy: ClientPolicy,
    shutdown: CancellationToken,
}

impl Push {
    /// Starts without deliveries. Cancelling `shutdown` stops all of them.
    pub fn new(store: Store, totals: Arc<Totals>, policy: ClientPolicy, shutdown: CancellationToken) -> Push {
        let hub = Hub::new(totals.metrics);
        let inner = Inner {
            guests: GuestMailboxes::new(hub.clone()),
            hub,
            sip: PbxQueues::default(),
            sip_rate: SipRateLimit::new(policy.messages_per_minute),
            unreachable: UnreachableRoutes::default(),
            webhooks: Webhooks::new(policy.webhook_hosts.clone()),
            webhooks_in_flight: WebhooksInFlight::default(),
            store,
            totals,
            policy,
            shutdown,
        };
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

    /// The messages for guests.
    pub fn guests(&self) -> &GuestMailboxes {
        &self.inner.guests
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

    /// Drops messages that are no longer needed.
    pub fn forget(&self, ids: &[String]) {
        for id in ids {
            self.inner.webhooks_in_flight.forget(id);
            self.inner.sip.forget(id);
        }
    }

    /// Drops a call's peer messages when it ends, or `all` of its messages.
    pub fn end_call(&self, call: &CallId, all: bool) {
        self.inner.webhooks_in_flight.end_call(call, all);
        self.inner.unreachable.end_call(call);
        let dropped = self.inner.sip.end_call(call, all);
        if dropped > 0 {
            self.inner.totals.metrics.sip_dropped("call-ended", dropped);
        }
    }

    /// Ends a client's streams and drops its messages.
    pub fn end_client(&self, client: &ClientId) {
        self.inner.hub.close(client);
        self.inner.webhooks_in_flight.end_client(client);
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

    fn send_webhook(&self, delivery: Delivery, binding: &Binding) {
        let id = delivery.message.id.clone();
        let stop = self.inner.shutdown.child_token();
        if self.inner.webhooks_in_flight.add(&delivery, stop.clone()) {
            let (push, binding) = (self.clone(), binding.clone());
            tokio::spawn(async move {
                // Cancelled if the call or the client is gone, or at shutdown. The store has what is still wanted.
                let _ = stop.run_until_cancelled(brief("webhook", webhook::deliver(&push, &delivery, &binding))).await;
                push.inner.webhooks_in_flight.forget(&id);
            });
        }
    }
}

/// The creation time in a message id, a version 7 UUID. It is wall-clock time.
fn made(id: &str) -> Option<UnixMillis> {
    let (seconds, nanos) = uuid::Uuid::try_parse(id).ok()?.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))?;
    Some(UnixMillis(millis))
}
