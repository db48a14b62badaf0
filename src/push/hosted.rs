//! Hosted clients, which keep a stream open and get their messages over it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::contract::{Message, Notice, NoticeBody};
use crate::core::base::name::{CallId, ClientId};
use crate::core::base::time::UnixMillis;
use crate::monitor::{Metrics, now};
use crate::store::Binding;

/// Maximum number of messages that wait for a slow reader. A stored message beyond it closes the stream; the client gets
/// the stored messages when it reconnects.
const QUEUE: usize = 64;
/// Places in the queue that only stored messages may take, so that a flood of ephemeral ones closes no stream.
const RESERVED: usize = 32;
/// Maximum number of streams of one client. A new one replaces the oldest.
const STREAMS: usize = 4;
/// Remaining lifetime at which a connected client's binding is renewed.
const RENEW: Duration = Duration::from_secs(45);

/// A message serialised once for all streams.
#[derive(Debug, PartialEq)]
pub struct Frame {
    /// The id of a stored message; none if the message is ephemeral, since nothing is recorded of it.
    pub id: Option<String>,
    /// The call that it belongs to.
    pub call: CallId,
    /// What it says if it is a notice.
    pub notice: Option<NoticeBody>,
    /// The message as JSON.
    pub json: String,
}

impl Frame {
    /// The frame for a stored message.
    pub fn new(message: &Message) -> Arc<Frame> {
        let id = Some(message.id.clone());
        Arc::new(Frame { id, call: message.call.clone(), notice: None, json: json(message) })
    }

    /// The frame for an ephemeral message.
    pub fn ephemeral(message: &Message) -> Arc<Frame> {
        Arc::new(Frame { id: None, call: message.call.clone(), notice: None, json: json(message) })
    }

    /// The frame for a notice.
    pub fn notice(notice: &Notice) -> Arc<Frame> {
        let (call, body) = (notice.call.clone(), notice.body.clone());
        Arc::new(Frame { id: None, call, notice: Some(body), json: json(notice) })
    }
}

fn json(message: &impl Serialize) -> String {
    serde_json::to_string(message).unwrap_or_default()
}

/// The connected clients.
#[derive(Debug, Clone)]
pub struct Hub {
    clients: Arc<Mutex<Clients>>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Clients {
    streams: HashMap<ClientId, Client>,
    open: usize,
    next: u64,
}

#[derive(Debug)]
struct Client {
    lifetime: Duration,
    expires: UnixMillis,
    streams: Vec<(u64, mpsc::Sender<Arc<Frame>>)>,
    /// Shared by these streams.
    closed: CancellationToken,
}

/// One stream of a client. Dropping it disconnects the stream.
#[derive(Debug)]
pub struct HostedStream {
    /// Messages for the client. When it ends, close the stream.
    pub frames: mpsc::Receiver<Arc<Frame>>,
    /// Cancelled when the client may get nothing more, not even what is in the queue.
    pub closed: CancellationToken,
    hub: Hub,
    client: ClientId,
    stream: u64,
}

impl Hub {
    /// A hub without clients.
    pub fn new(metrics: Metrics) -> Hub {
        Hub { clients: Arc::default(), metrics }
    }

    /// Adds a stream of a client.
    pub fn attach(&self, binding: &Binding) -> HostedStream {
        self.add(&binding.id, binding.lifetime, binding.expires)
    }

    /// Adds a stream of a guest's client, which has no binding to be renewed.
    pub fn attach_guest(&self, guest: &ClientId) -> HostedStream {
        self.add(guest, Duration::ZERO, UnixMillis(i64::MAX))
    }

    fn add(&self, id: &ClientId, lifetime: Duration, expires: UnixMillis) -> HostedStream {
        let (sender, frames) = mpsc::channel(QUEUE);
        let mut clients = self.lock();
        clients.next += 1;
        clients.open += 1;
        let stream = clients.next;
        let client = clients.streams.entry(id.clone()).or_insert_with(|| Client {
            lifetime,
            expires,
            streams: Vec::with_capacity(1),
            closed: CancellationToken::new(),
        });
        if client.streams.len() == STREAMS {
            client.streams.remove(0);
        }
        client.streams.push((stream, sender));
        let closed = client.closed.clone();
        self.metrics.clients_connected(clients.open);
        HostedStream { frames, closed, hub: self.clone(), client: id.clone(), stream }
    }

    /// Sends a stored message to all streams of a client, if it is connected.
    pub fn send(&self, client: &ClientId, message: &Message) {
        let mut clients = self.lock();
        let Some(client) = clients.streams.get_mut(client) else { return };
        let frame = Frame::new(message);
        client.streams.retain(|(_, queue)| queue.try_send(frame.clone()).is_ok());
    }

    /// Sends an ephemeral message to all streams of a client; false if no stream took it. A stream with a long queue
    /// misses the message and stays open.
    pub fn send_ephemeral(&self, client: &ClientId, frame: &Arc<Frame>) -> bool {
        let clients = self.lock();
        let streams = clients.streams.get(client).into_iter().flat_map(|client| &client.streams);
        let sent = streams.filter(|(_, queue)| queue.capacity() > RESERVED && queue.try_send(frame.clone()).is_ok());
        sent.count() > 0
    }

    /// Closes all streams of a client whose binding or token is gone.
    pub fn close(&self, client: &ClientId) {
        if let Some(client) = self.lock().streams.get_mut(client) {
            client.streams.clear();
            // Streams opened later get a new token.
            std::mem::take(&mut client.closed).cancel();
        }
    }

    /// Whether a client is connected.
    pub fn is_connected(&self, client: &ClientId) -> bool {
        self.lock().streams.get(client).is_some_and(|client| !client.streams.is_empty())
    }

    /// The number of open streams.
    pub fn connected(&self) -> usize {
        self.lock().open
    }

    /// The connected clients whose bindings must be renewed now.
    pub fn to_renew(&self) -> Vec<ClientId> {
        let now = now();
        let clients = self.lock();
        let due = clients.streams.iter().filter(|(_, c)| !c.streams.is_empty() && c.expires < now + RENEW);
        due.map(|(id, _)| id.clone()).collect()
    }

    /// Records that bindings were renewed.
    pub fn renewed(&self, ids: &[ClientId]) {
        let (now, mut clients) = (now(), self.lock());
        for id in ids {
            if let Some(client) = clients.streams.get_mut(id) {
                client.expires = now + client.lifetime;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HostedStream {
    fn drop(&mut self) {
        let mut clients = self.hub.lock();
        clients.open -= 1;
        self.hub.metrics.clients_connected(clients.open);
        if let Some(client) = clients.streams.get_mut(&self.client) {
            client.streams.retain(|(stream, _)| *stream != self.stream);
            if client.streams.is_empty() {
                clients.streams.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{ClientForm, MessageBody};

    fn binding() -> Binding {
        Binding {
            id: "c-1".parse().unwrap(),
            number: "+12125550100".parse().unwrap(),
            device: None,
            form: ClientForm::Hosted,
            address: None,
            secret: None,
            capabilities: Vec::new(),
            offer: Default::default(),
            lifetime: Duration::from_secs(60),
            expires: now() + Duration::from_secs(30),
        }
    }

    fn message(id: usize) -> Message {
        let body = MessageBody::Ended { number: None };
        Message { id: id.to_string(), call: "0199-1".parse().unwrap(), body }
    }

    #[test]
    fn a_full_queue_misses_ephemeral_messages_and_is_closed_by_a_stored_one() {
        let (hub, binding) = (Hub::new(Metrics::install()), binding());
        assert!(!hub.send_ephemeral(&binding.id, &Frame::ephemeral(&message(0))), "nobody is connected");
        let mut slow = hub.attach(&binding);
        let reached = |n: usize| hub.send_ephemeral(&binding.id, &Frame::ephemeral(&message(n)));
        assert_eq!((0..1000).filter(|n| reached(*n)).count(), QUEUE - RESERVED);
        (0..RESERVED).for_each(|n| hub.send(&binding.id, &message(n)));
        assert!(hub.is_connected(&binding.id), "there is room for stored messages");
        assert!(!reached(0));
        // Another stream of the same client reads, so the client gets the message.
        let mut other = hub.attach(&binding);
        assert!(reached(7));
        assert_eq!(other.frames.try_recv().unwrap(), Frame::ephemeral(&message(7)));
        hub.send(&binding.id, &message(8));
        assert_eq!(other.frames.try_recv().unwrap().id.as_deref(), Some("8"));
        let left = std::iter::from_fn(|| slow.frames.try_recv().ok()).collect::<Vec<_>>();
        assert_eq!(left.iter().filter(|frame| frame.id.is_none()).count(), QUEUE - RESERVED);
        assert_eq!(left.iter().filter(|frame| frame.id.is_some()).count(), RESERVED);
        assert!(slow.frames.is_closed(), "the stored message that found no room closed the slow stream");
    }

    #[test]
    fn a_client_is_to_be_renewed_until_it_has_been() {
        let (hub, binding) = (Hub::new(Metrics::install()), binding());
        let attached = hub.attach(&binding);
        // The first attempt to store it may fail.
        assert_eq!([hub.to_renew(), hub.to_renew()], [[binding.id.clone()], [binding.id.clone()]]);
        hub.renewed(std::slice::from_ref(&binding.id));
        assert!(hub.to_renew().is_empty());
        drop(attached);
        hub.renewed(std::slice::from_ref(&binding.id));
        assert!(hub.to_renew().is_empty());
    }

    #[tokio::test]
    async fn a_closed_stream_says_so_before_its_queue_is_empty() {
        let hub = Hub::new(Metrics::install());
        let binding = binding();
        let message = Message {
            id: "1".to_owned(),
            call: "call-1".parse().unwrap(),
            body: crate::contract::MessageBody::Ended { number: None },
        };
        let mut stream = hub.attach(&binding);
        hub.send(&binding.id, &message);
        assert!(!stream.closed.is_cancelled());
        hub.close(&binding.id);
        let later = hub.attach(&binding);
        assert!(stream.closed.is_cancelled() && !later.closed.is_cancelled());
        assert!(stream.frames.recv().await.is_some() && stream.frames.recv().await.is_none());
        hub.send(&binding.id, &message);
        assert_eq!(later.frames.len(), 1);
    }
}
