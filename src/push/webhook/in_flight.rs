//! Webhook deliveries in flight, including those that are being retried, so that they can be cancelled.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::contract::MessageBody;
use crate::core::base::name::{CallId, ClientId};
use crate::store::Delivery;

#[derive(Debug)]
struct Entry {
    call: CallId,
    client: ClientId,
    peer: bool,
    stop: CancellationToken,
}

/// Deliveries in flight, by id.
#[derive(Debug, Default)]
pub(in crate::push) struct WebhooksInFlight(Mutex<HashMap<String, Entry>>);

impl WebhooksInFlight {
    /// Adds a delivery. Returns false if it is already in flight.
    pub(in crate::push) fn add(&self, delivery: &Delivery, stop: CancellationToken) -> bool {
        let mut entries = self.lock();
        let message = &delivery.message;
        if entries.contains_key(&message.id) {
            return false;
        }
        let peer = matches!(message.body, MessageBody::Peer { .. });
        let (call, client) = (message.call.clone(), delivery.client.clone());
        entries.insert(message.id.clone(), Entry { call, client, peer, stop });
        true
    }

    pub(in crate::push) fn forget(&self, id: &str) {
        if let Some(entry) = self.lock().remove(id) {
            entry.stop.cancel();
        }
    }

    pub(in crate::push) fn end_call(&self, call: &CallId, all: bool) {
        self.end(|entry| entry.call == *call && (all || entry.peer));
    }

    pub(in crate::push) fn end_client(&self, client: &ClientId) {
        self.end(|entry| entry.client == *client);
    }

    fn end(&self, is_over: impl Fn(&Entry) -> bool) {
        self.lock().retain(|_, entry| {
            let over = is_over(entry);
            if over {
                entry.stop.cancel();
            }
            !over
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
