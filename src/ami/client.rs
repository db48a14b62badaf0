//! Connects to Asterisk, and sends actions over the connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::AmiEvents;
use super::auth::{AmiAuth, login};
use super::codec::{AmiCodec, AmiLimits};
use super::command::Action;
use super::connection::{AmiConnection, AmiRequest, List, Waiter};
use super::error::AmiError;
use super::event::AmiEvent;
use super::reply::AmiReply;
use super::tls::Tls;
use crate::wire::{ByteStream, PbxSocket, Tap};

/// Options of a connection.
#[derive(Debug, Clone)]
pub struct AmiOptions {
    /// Time limit for TCP, TLS and login together. Default: 5 s.
    pub connect_timeout: Duration,
    /// Time limit from sending a request to its last reply or the end of its list. Default: 5 s.
    pub request_timeout: Duration,
    /// The classes of events to subscribe to at login, such as `call,user`. Default: `off`.
    pub event_mask: String,
    /// Maximum number of unread events. Beyond it events are [lost](super::Item::Lost). Default: 10,000.
    pub event_queue: usize,
    /// Limits of frames and lists.
    pub limits: AmiLimits,
    /// Uses TLS. Default: no.
    pub tls: Option<Tls>,
    /// Records the connection.
    pub tap: Option<Arc<dyn Tap>>,
}

impl Default for AmiOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            event_mask: "off".to_owned(),
            event_queue: 10_000,
            limits: AmiLimits::default(),
            tls: None,
            tap: None,
        }
    }
}

type Connected = (AmiClient, AmiEvents, AmiConnection);

/// Connects to `address` (`host:port`) and logs in, within [`AmiOptions::connect_timeout`].
pub async fn connect(address: &str, auth: &AmiAuth, options: AmiOptions) -> Result<Connected, AmiError> {
    within(options.connect_timeout, async {
        let stream = TcpStream::connect(address).await?;
        // An action is one small write that must not wait for an acknowledgement.
        stream.set_nodelay(true)?;
        connect_stream(stream, auth, options).await
    })
    .await
}

/// Logs in over an existing stream, with TLS if the options say so.
pub async fn connect_stream(
    stream: impl ByteStream + 'static,
    auth: &AmiAuth,
    options: AmiOptions,
) -> Result<Connected, AmiError> {
    within(options.connect_timeout, async {
        match &options.tls {
            Some(tls) => begin(tls.handshake(stream).await?, auth, &options).await,
            None => begin(stream, auth, &options).await,
        }
    })
    .await
}

async fn begin(stream: impl ByteStream + 'static, auth: &AmiAuth, options: &AmiOptions) -> Result<Connected, AmiError> {
    let codec = AmiCodec::new(options.limits);
    let (mut socket, requests, events) = PbxSocket::open(stream, codec, options.tap.clone(), options.event_queue);
    if options.tls.is_some() {
        // Each write is a TLS record. Asterisk polls the bare socket and misses data that OpenSSL has already buffered
        // (`get_input` in `manager.c`), so a second action in one record would wait for the next record.
        socket.write_separately(b"\r\n\r\n");
    }
    login(&mut socket, auth, &options.event_mask).await?;
    let client = AmiClient { requests, timeout: options.request_timeout };
    let has_events = options.event_mask != "off";
    Ok((client, events, AmiConnection::new(socket, options.limits, has_events)))
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, AmiError>>) -> Result<T, AmiError> {
    timeout(limit, work).await.map_err(|_| AmiError::Timeout)?
}

/// Sends actions. Clones share the connection.
///
/// Every request ends within the time-out. Its outcome is unknown after [`AmiError::is_timeout`] and
/// [`AmiError::is_disconnect`]. Dropping a request's future cancels it, unless it is already written.
#[derive(Debug, Clone)]
pub struct AmiClient {
    requests: mpsc::Sender<AmiRequest>,
    timeout: Duration,
}

impl AmiClient {
    /// The same connection with another time-out.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Whether the connection has ended. `false` doesn't mean that the next action will succeed.
    pub fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Waits until the connection has ended.
    pub async fn closed(&self) {
        self.requests.closed().await;
    }

    /// Sends one action. A refusal isn't an error here: see [`AmiReply::accepted`].
    pub async fn send(&self, action: Action) -> Result<AmiReply, AmiError> {
        let mut replies = self.pipeline([action]).await?;
        replies.pop().ok_or_else(gone)
    }

    /// Sends actions in one write. Returns all replies in the same order, or an error.
    pub async fn pipeline(&self, actions: impl IntoIterator<Item = Action>) -> Result<Vec<AmiReply>, AmiError> {
        let (actions, waiting): (Vec<_>, Vec<_>) = actions
            .into_iter()
            .map(|action| {
                let (waiter, reply) = oneshot::channel();
                ((action, Waiter::Reply(waiter)), reply)
            })
            .unzip();
        within(self.timeout, async {
            self.request(actions).await?;
            let mut replies = Vec::with_capacity(waiting.len());
            for reply in waiting {
                replies.push(reply.await.map_err(|_| gone())?);
            }
            Ok(replies)
        })
        .await
    }

    /// Sends an action that is answered with a list of events, and returns the complete list. It is empty only if
    /// Asterisk says so. Asterisk refuses some empty lists, and a list that ends early or exceeds [`AmiLimits`] is an error.
    pub async fn list(&self, action: Action) -> Result<Vec<AmiEvent>, AmiError> {
        let (waiter, entries) = oneshot::channel();
        let actions = vec![(action, Waiter::List(waiter, List::default()))];
        within(self.timeout, async {
            self.request(actions).await?;
            entries.await.map_err(|_| gone())?
        })
        .await
    }

    /// Sends `Logoff`; Asterisk closes the connection.
    pub async fn logoff(&self) -> Result<(), AmiError> {
        self.send(Action::logoff()).await.map(drop)
    }

    async fn request(&self, actions: Vec<(Action, Waiter)>) -> Result<(), AmiError> {
        if actions.is_empty() {
            return Ok(());
        }
        let request = AmiRequest { actions };
        self.requests.send(request).await.map_err(|_| gone())
    }
}

/// The error for requests in flight when the connection is dropped.
fn gone() -> AmiError {
    AmiError::Disconnected("the link is gone".to_owned())
}
