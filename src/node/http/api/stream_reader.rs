//! Who reads a stream: a client, whose messages are in the store, or a guest's client, whose messages are in memory.

use std::sync::Arc;

use crate::core::call::guests::Guest;
use crate::monitor::now;
use crate::node::http::api::client_stream::StreamsApi;
use crate::push::{Frame, HostedStream};
use crate::store::{Binding, StoreError};

pub(super) enum StreamReader {
    Client(Binding),
    Guest(Guest),
}

impl StreamReader {
    /// A new stream of this one's.
    pub(super) fn attach(&self, api: &StreamsApi) -> HostedStream {
        match self {
            StreamReader::Client(binding) => api.push.hub().attach(binding),
            StreamReader::Guest(guest) => api.push.hub().attach_guest(&guest.client),
        }
    }

    /// What an attached reader has not received yet: of a client's, what came after the message `last`, and the notices that
    /// still hold. A reader that was removed before the stream was attached ends it.
    pub(super) async fn waiting(&self, api: &StreamsApi, last: Option<&str>) -> Result<Vec<Arc<Frame>>, StoreError> {
        match self {
            StreamReader::Client(binding) => {
                if api.store.binding(&binding.id, now()).await?.is_none() {
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
        if let StreamReader::Client(_) = self {
            api.push.attempted(id);
        }
    }

    /// Records that the reader has a message.
    pub(super) fn delivered(&self, api: &StreamsApi, id: &str) {
        match self {
            StreamReader::Client(binding) => api.push.delivered(id, binding),
            StreamReader::Guest(guest) => api.push.guests().delivered(&guest.client, id),
        }
    }

    /// Whether the client's device or the guest is gone, so that the reader need not come back.
    pub(super) async fn is_revoked(&self, api: &StreamsApi) -> bool {
        match self {
            StreamReader::Client(Binding { device: Some(device), .. }) => {
                matches!(api.store.device(device, now()).await, Ok(None))
            }
            StreamReader::Client(_) => false,
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
    use crate::store::{NumberRow, Store};

    #[tokio::test]
    async fn a_stream_of_a_client_that_is_gone_by_then_is_closed() {
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
        api.store.put_numbers(vec![NumberRow::new(binding.number.clone(), NumberEntry::default())]).await.unwrap();
        assert!(api.store.add_binding(binding.clone()).await.unwrap());
        let reader = StreamReader::Client(binding.clone());
        let attached = reader.attach(&api);
        reader.waiting(&api, None).await.unwrap();
        assert!(!attached.closed.is_cancelled());
        // It is deleted after the request was let in and before the hub knows of the stream.
        api.store.delete_binding(&binding.id).await.unwrap();
        reader.waiting(&api, None).await.unwrap();
        assert!(attached.closed.is_cancelled());
    }
}
