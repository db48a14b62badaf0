//! Deliveries being retried, so that they can be cancelled.

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
pub(super) struct Pending(Mutex<HashMap<String, Entry>>);

impl Pending {
    /// Adds a delivery. Returns false if it is already in flight.
    pub(super) fn add(&self, delivery: &Delivery, stop: CancellationToken) -> bool {
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

    pub(super) fn forget(&self, id: &str) {
        if let Some(entry) = self.lock().remove(id) {
            entry.stop.cancel();
        }
    }

    pub(super) fn end_call(&self, call: &CallId, all: bool) {
        self.end(|entry| entry.call == *call && (all || entry.peer));
    }

    pub(super) fn end_client(&self, client: &ClientId) {
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
