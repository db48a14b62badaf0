//! Who reads a stream: a client, whose messages are in the store, or a guest's client, whose messages are in memory.

use std::sync::Arc;

use crate::core::call::guests::Guest;
use crate::monitor::now;
use crate::node::http::api::client_stream::StreamsApi;
use crate::push::{Frame, HostedStream};
use crate::store::{Binding, StoreError};

pub(super) enum StreamReader {
    /// A client, and the hash of the token that it has shown.
    Client {
        binding: Binding,
        token: [u8; 32],
    },
    Guest(Guest),
}

impl StreamReader {
    /// A new stream of this one's.
    pub(super) fn attach(&self, api: &StreamsApi) -> HostedStream {
        match self {
            StreamReader::Client { binding, .. } => api.push.hub().attach(binding),
            StreamReader::Guest(guest) => api.push.hub().attach_guest(&guest.client),
        }
    }

    /// What an attached reader has not received yet: of a client's, what came after the message `last`, and the notices that
    /// still hold. If the reader was removed, or its token replaced, before the stream was attached, the stream is closed.
    pub(super) async fn waiting(&self, api: &StreamsApi, last: Option<&str>) -> Result<Vec<Arc<Frame>>, StoreError> {
        match self {
            StreamReader::Client { binding, token } => {
                let owner = Some((binding.number.clone(), binding.device.clone()));
                let is_gone = api.store.binding(&binding.id, now()).await?.is_none();
                if is_gone || api.store.client_of_token(token).await? != owner {
                    api.push.hub().close(&binding.id);
                }
                let waiting = api.store.pending_of(&binding.id, last).await?;
                let notices = api.ringing.notices_for(binding).await?;
                let waiting = waiting.iter().map(|delivery| Frame::new(&delivery.message));
                Ok(waiting.chain(notices.iter().map(Frame::notice)).collect())
            }
            StreamReader::Guest(guest) => Ok(api.push.guests().waiting(&guest.client).unwrap_or_else(|| {
                api.push.hub().close(&guest.client);
                Vec::new()
            })),
        }
    }

    /// Records that a message is about to be written to the stream.
    pub(super) fn attempted(&self, api: &StreamsApi, id: &str) {
        if let StreamReader::Client { .. } = self {
            api.push.attempted(id);
        }
    }

    /// Records that the reader has a message.
    pub(super) fn delivered(&self, api: &StreamsApi, id: &str) {
        match self {
            StreamReader::Client { binding, .. } => api.push.delivered(id, binding),
            StreamReader::Guest(guest) => api.push.guests().delivered(&guest.client, id),
        }
    }

    /// Whether the client's device or the guest is gone, so that the reader need not come back.
    pub(super) async fn is_revoked(&self, api: &StreamsApi) -> bool {
        match self {
            StreamReader::Client { binding: Binding { device: Some(device), .. }, .. } => {
                matches!(api.store.device(device, now()).await, Ok(None))
            }
            StreamReader::Client { .. } => false,
            StreamReader::Guest(guest) => api.push.guests().waiting(&guest.client).is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::contract::{ClientForm, NumberEntry};
    use crate::core::address::client_policy::ClientPolicy;
    use crate::monitor::{Metrics, Totals};
    use crate::node::delivery::Deliveries;
    use crate::node::disclosure::Disclosure;
    use crate::node::disclosure::inbox_token::InboxTokens;
    use crate::node::live_calls::LiveCalls;
    use crate::node::ringing::Ringing;
    use crate::peer::Peers;
    use crate::push::Push;
    use crate::store::{NumberRow, Store, credential_hash};

    #[tokio::test]
    async fn a_stream_of_a_client_that_is_gone_or_shut_out_by_then_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("sidecall.db")).await.unwrap();
        let shutdown = CancellationToken::new();
        let totals = Arc::new(Totals::new(Metrics::install()));
        let push = Push::new(store.clone(), totals, ClientPolicy::default(), shutdown.clone());
        let live = LiveCalls::new(store.clone(), 8, 1);
        let (peers, tokens) = (Peers::new(&[], true).unwrap(), InboxTokens::new([0; 32], String::new()));
        let ringing = Arc::new(Ringing {
            disclosure: Arc::new(Disclosure::new(store.clone(), live.clone(), peers.into(), tokens)),
            deliveries: Arc::new(Deliveries::new(store.clone(), push.clone())),
            store: store.clone(),
            push: push.clone(),
            live,
        });
        let api = StreamsApi { store, push, ringing, shutdown };
        let binding = Binding {
            id: "c-1".parse().unwrap(),
            number: "+12125550100".parse().unwrap(),
            device: None,
            form: ClientForm::Hosted,
            address: None,
            secret: None,
            capabilities: Vec::new(),
            offer: Default::default(),
            lifetime: Duration::from_secs(60),
            expires: now() + Duration::from_secs(60),
        };
        let replace = async |credential: &str| {
            let entry = NumberEntry { credential: Some(credential.to_owned()), ..NumberEntry::default() };
            api.store.put_numbers(vec![NumberRow::new(binding.number.clone(), entry)]).await.unwrap();
        };
        replace("the-first-credential").await;
        assert!(api.store.add_binding(binding.clone()).await.unwrap());
        let reader = |credential| StreamReader::Client { binding: binding.clone(), token: credential_hash(credential) };
        let (first, second) = (reader("the-first-credential"), reader("the-second-credential"));
        let attached = first.attach(&api);
        first.waiting(&api, None).await.unwrap();
        assert!(!attached.closed.is_cancelled());
        // The credential is replaced after the request was let in and before the hub knows of the stream.
        replace("the-second-credential").await;
        first.waiting(&api, None).await.unwrap();
        assert!(attached.closed.is_cancelled());
        let attached = second.attach(&api);
        second.waiting(&api, None).await.unwrap();
        assert!(!attached.closed.is_cancelled());
        // The client is deleted at that moment.
        api.store.delete_binding(&binding.id).await.unwrap();
        second.waiting(&api, None).await.unwrap();
        assert!(attached.closed.is_cancelled());
    }
}
