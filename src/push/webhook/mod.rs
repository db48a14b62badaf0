//! Webhooks: posts a signed message to the client's own address, until it is accepted or the call ends.

mod in_flight;
mod signature;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use reqwest::{Response, StatusCode, redirect};
use tokio::sync::Semaphore;

use super::Push;
use crate::contract::ClientForm;
use crate::core::address::hosts::HostList;
use crate::core::base::backoff::Backoff;
use crate::core::numbering::number::Number;
use crate::guard::{LeadsInside, PublicOnly};
use crate::monitor::wall;
use crate::store::{Binding, Delivery, DeliveryState};

pub(super) use in_flight::WebhooksInFlight;
pub use signature::{SigningSecret, SigningSecretError, sign};

/// Time limit for a receiver's answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of concurrent posts, so that slow receivers can't use all sockets.
const AT_ONCE: usize = 256;
/// Maximum number of concurrent posts to one number's clients, so that they can't block others.
const OF_A_NUMBER: usize = 16;

/// The HTTP client with its limits.
#[derive(Debug)]
pub(super) struct Webhooks {
    http: Option<reqwest::Client>,
    permits: Semaphore,
    lanes: Mutex<HashMap<Number, Weak<Semaphore>>>,
}

impl Webhooks {
    /// `allowed`: hosts that may have private addresses.
    pub(super) fn new(allowed: HostList) -> Webhooks {
        // Fails if a provider is already installed, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A redirect would send the signed message to an address that nobody bound.
        let builder = reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT).no_proxy();
        let http = builder.dns_resolver(PublicOnly::and(allowed)).build();
        let http = http.inspect_err(|error| tracing::error!(%error, "webhooks can't be sent")).ok();
        Webhooks { http, permits: Semaphore::new(AT_ONCE), lanes: Mutex::default() }
    }

    /// The permits of one number, kept while any is held or awaited.
    fn lane(&self, number: &Number) -> Arc<Semaphore> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(number).and_then(Weak::upgrade) {
            return lane;
        }
        lanes.retain(|_, lane| lane.strong_count() > 0);
        let lane = Arc::new(Semaphore::new(OF_A_NUMBER));
        lanes.insert(number.clone(), Arc::downgrade(&lane));
        lane
    }
}

enum Outcome {
    Accepted,
    /// The receiver refused it for good.
    Refused(String),
    Gone,
    Again {
        error: String,
        after: Option<Duration>,
    },
}

/// Posts until the receiver accepts or refuses for good. The caller cancels it when the call ends.
pub(super) async fn deliver(push: &Push, delivery: &Delivery, binding: &Binding) {
    let id = &delivery.message.id;
    let mut attempt = delivery.attempts;
    loop {
        match post(push, delivery, binding).await {
            Outcome::Accepted => return push.delivered(id, binding),
            Outcome::Refused(why) => return push.fail(id, ClientForm::Webhook, Some(why)),
            Outcome::Gone => {
                tracing::info!(client = %binding.id, number = %binding.number, "the webhook is gone; its binding ends");
                push.fail(id, ClientForm::Webhook, Some("the receiver answered 410 Gone".to_owned()));
                if let Err(error) = push.inner.store.delete_binding(&binding.id).await {
                    tracing::warn!(%error, client = %binding.id, "a binding could not be ended");
                }
                return;
            }
            Outcome::Again { error, after } => {
                attempt += 1;
                tracing::debug!(delivery = %id, attempt, error, "a webhook was not taken");
                push.note(id, DeliveryState::Pending, Some(error));
                tokio::time::sleep(Backoff::HTTP.wait_for(attempt, rand::random(), after)).await;
            }
        }
    }
}

async fn post(push: &Push, delivery: &Delivery, binding: &Binding) -> Outcome {
    let again = |error: &str| Outcome::Again { error: error.to_owned(), after: None };
    let Some(http) = &push.inner.webhooks.http else { return again("no HTTP client") };
    let Some(address) = &binding.address else { return again("no address") };
    if let Err(refusal) = push.inner.policy.check(address) {
        return Outcome::Refused(refusal.to_string());
    }
    let Some(secret) = binding.secret.as_deref().and_then(|text| text.parse::<SigningSecret>().ok()) else {
        return again("no signing secret");
    };
    let Ok(body) = serde_json::to_string(&delivery.message) else { return again("not writable as JSON") };
    let lane = push.inner.webhooks.lane(&binding.number);
    let Ok(_turn) = lane.acquire().await else { return again("shutting down") };
    let Ok(_permit) = push.inner.webhooks.permits.acquire().await else { return again("shutting down") };
    // The receiver compares the timestamp with its wall clock.
    let (id, timestamp) = (&delivery.message.id, wall().0 / 1000);
    let request = http
        .post(address.as_str())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("sidecall/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", sign(&secret, id, timestamp, &body))
        .body(body);
    match request.send().await {
        Ok(answer) => judge(&answer),
        Err(error) if LeadsInside::caused(&error) => Outcome::Refused(LeadsInside.to_string()),
        Err(error) if error.is_timeout() => again("no answer in time"),
        Err(error) if error.is_connect() => again("no connection"),
        Err(_) => again("the connection broke"),
    }
}

fn judge(answer: &Response) -> Outcome {
    match answer.status() {
        status if status.is_success() => Outcome::Accepted,
        StatusCode::GONE => Outcome::Gone,
        status => {
            let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Outcome::Again { error: format!("HTTP {}", status.as_u16()), after: after.map(Duration::from_secs) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_its_own_permits_while_it_needs_them() {
        let webhooks = Webhooks::new(HostList::default());
        let [bob, carol] = ["+12125550101", "+12125550102"].map(|text| text.parse().unwrap());
        let lane = webhooks.lane(&bob);
        let taken: Vec<_> = (0..OF_A_NUMBER).map(|_| lane.try_acquire().unwrap()).collect();
        assert!(webhooks.lane(&bob).try_acquire().is_err());
        assert!(webhooks.lane(&carol).try_acquire().is_ok());
        drop(taken);
        drop(lane);
        assert!(webhooks.lane(&bob).try_acquire().is_ok());
        assert_eq!(webhooks.lanes.lock().unwrap().len(), 1);
    }
}
