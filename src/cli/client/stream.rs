//! The client's side of `GET /v1/clients/{id}/stream`: binds and connects, again if necessary.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error as WsError, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::cli::api_client::{Api, ApiError};
use crate::contract::{ClientCreated, Message, NewClient, Notice};
use crate::core::base::backoff::Backoff;
use crate::core::base::name::ClientId;
use crate::core::base::root_cause::cause;
use crate::core::numbering::number::Number;

const CONNECT: Duration = Duration::from_secs(10);
/// Interval of pings, and the silence after which the node counts as gone.
const PING: Duration = Duration::from_secs(20);
const SILENT: Duration = Duration::from_secs(50);
/// A stream that was open for longer than this resets the back-off. A node that ends each stream sooner is asked less and less
/// often.
const LASTING: Duration = Duration::from_secs(5);
/// Maximum number of ids of received messages to keep; a node repeats only what wasn't acknowledged.
const REMEMBERED: usize = 1000;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// An event of the stream.
#[derive(Debug)]
pub(super) enum News {
    /// The stream is open.
    Connected { client: ClientId, number: Number },
    /// A new message. It must be acknowledged.
    Message(Message),
    /// A notice. It isn't acknowledged.
    Notice(Notice),
    /// The stream broke and will be reopened.
    Lost { why: String, wait: Duration },
    /// A retry is useless.
    Over(ApiError),
}

/// The id of the current binding.
#[derive(Debug, Clone, Default)]
pub(super) struct Current(Arc<Mutex<Option<ClientId>>>);

impl Current {
    pub(super) fn get(&self) -> Option<ClientId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The binding of a test.
    #[cfg(test)]
    pub(super) fn of(id: ClientId) -> Current {
        Current(Arc::new(Mutex::new(Some(id))))
    }

    fn set(&self, id: Option<ClientId>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }
}

/// A bound client's stream.
#[derive(Debug)]
pub(super) struct Stream {
    api: Api,
    new: NewClient,
    number: Number,
    client: Current,
    news: mpsc::Sender<News>,
    acks: mpsc::Receiver<String>,
    ack: mpsc::Sender<String>,
    received: VecDeque<String>,
}

/// Why a stream ended.
enum End {
    /// Reopen it.
    Again(String),
    /// The binding is gone.
    Unbound,
    /// The node refuses us.
    Over(ApiError),
    /// The receiver was dropped.
    Unheard,
}

impl Stream {
    /// Binds. Fails at the first error, which the user must see.
    pub(super) async fn bind(api: Api, new: NewClient) -> Result<(Stream, mpsc::Receiver<News>), ApiError> {
        let created = bind(&api, &new).await?;
        let client = Current::default();
        client.set(Some(created.client.id));
        let (news, receiver) = mpsc::channel(64);
        let (ack, acks) = mpsc::channel(64);
        let number = created.client.number;
        Ok((Stream { api, new, number, client, news, acks, ack, received: VecDeque::new() }, receiver))
    }

    pub(super) fn client(&self) -> Current {
        self.client.clone()
    }

    pub(super) fn acks(&self) -> mpsc::Sender<String> {
        self.ack.clone()
    }

    /// Runs until the receiver is dropped or a retry is useless.
    pub(super) async fn run(mut self) {
        let mut failures = 0;
        loop {
            let (end, open) = self.once().await;
            let why = match end {
                End::Unheard => return,
                End::Over(error) => {
                    let _ = self.news.send(News::Over(error)).await;
                    return;
                }
                End::Unbound => {
                    self.client.set(None);
                    "the node no longer knows this client".to_owned()
                }
                End::Again(why) => why,
            };
            failures = failures_after(failures, open);
            let wait = Backoff::LINK.wait(failures, rand::random());
            if self.news.send(News::Lost { why, wait }).await.is_err() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Runs one stream to its end. Also says how long it was open, if it was.
    async fn once(&mut self) -> (End, Option<Duration>) {
        let (client, mut socket) = match self.connect().await {
            Ok(connected) => connected,
            Err(end) => return (end, None),
        };
        let opened = Instant::now();
        // The node sends again what wasn't acknowledged on the last connection.
        while self.acks.try_recv().is_ok() {}
        let number = self.number.clone();
        if self.news.send(News::Connected { client, number }).await.is_err() {
            return (End::Unheard, None);
        }
        let end = self.read(&mut socket).await;
        let open = opened.elapsed();
        let _ = tokio::time::timeout(Duration::from_millis(200), socket.close(None)).await;
        (end, Some(open))
    }

    /// Binds, if necessary, and opens the stream.
    async fn connect(&self) -> Result<(ClientId, Socket), End> {
        let client = match self.client.get() {
            Some(client) => client,
            None => match bind(&self.api, &self.new).await {
                Ok(created) => {
                    self.client.set(Some(created.client.id.clone()));
                    created.client.id
                }
                Err(error) if error.is_final() => return Err(End::Over(error)),
                Err(error) => return Err(End::Again(error.to_string())),
            },
        };
        let socket = self.open(&client).await?;
        Ok((client, socket))
    }

    async fn open(&self, client: &ClientId) -> Result<Socket, End> {
        let mut url = self.api.url(&["v1", "clients", client.as_str(), "stream"]);
        let setup = |what: String| End::Over(ApiError::Setup(what));
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).map_err(|()| setup(format!("{url} can't be a stream")))?;
        let mut request = url.as_str().into_client_request().map_err(|e| setup(e.to_string()))?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.api.token()));
        request
            .headers_mut()
            .insert("authorization", bearer.map_err(|_| setup("the token holds what no token holds".into()))?);
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("sidecall"));
        match tokio::time::timeout(CONNECT, tokio_tungstenite::connect_async_with_config(request, None, true)).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(WsError::Http(response))) => Err(match response.status().as_u16() {
                404 | 410 => End::Unbound,
                status @ (401 | 403) => setup(format!("{} no longer takes the token ({status})", self.api.shown())),
                status => End::Again(format!("{} answered {status}", self.api.shown())),
            }),
            Ok(Err(error)) => Err(End::Again(cause(&error))),
            Err(_) => Err(End::Again("no answer".to_owned())),
        }
    }

    async fn read(&mut self, socket: &mut Socket) -> End {
        let mut pings = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
        let mut heard = Instant::now();
        let broken = |error: WsError| End::Again(error.to_string());
        loop {
            tokio::select! {
                frame = socket.next() => {
                    heard = Instant::now();
                    match frame {
                        Some(Ok(Frame::Text(text))) => if let Some(end) = self.take(socket, &text).await { return end },
                        Some(Ok(Frame::Close(_))) | None => return End::Again("the node closed the stream".to_owned()),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return broken(error),
                    }
                }
                Some(id) = self.acks.recv() => if let Err(error) = acknowledge(socket, &id).await { return broken(error) },
                _ = pings.tick() => {
                    if heard.elapsed() > SILENT {
                        return End::Again("the node is silent".to_owned());
                    }
                    if let Err(error) = socket.send(Frame::Ping(Vec::new().into())).await {
                        return broken(error);
                    }
                }
            }
        }
    }

    async fn take(&mut self, socket: &mut Socket, text: &str) -> Option<End> {
        if let Ok(notice) = serde_json::from_str(text) {
            return self.news.send(News::Notice(notice)).await.is_err().then_some(End::Unheard);
        }
        let message: Message = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => {
                // A newer node may send unknown messages. Acknowledge them, or they are repeated for ever.
                tracing::warn!(%error, "a message could not be read");
                let id = id_of(text)?;
                return acknowledge(socket, &id).await.err().map(|e| End::Again(e.to_string()));
            }
        };
        if self.received.contains(&message.id) {
            return acknowledge(socket, &message.id).await.err().map(|e| End::Again(e.to_string()));
        }
        if self.received.len() == REMEMBERED {
            self.received.pop_front();
        }
        self.received.push_back(message.id.clone());
        self.news.send(News::Message(message)).await.is_err().then_some(End::Unheard)
    }
}

/// The number of failures in a row after one more stream, which was open for this long, or never opened.
fn failures_after(before: u32, open: Option<Duration>) -> u32 {
    if open.is_some_and(|open| open > LASTING) { 1 } else { before.saturating_add(1) }
}

async fn bind(api: &Api, new: &NewClient) -> Result<ClientCreated, ApiError> {
    api.send(Method::POST, &["v1", "clients"], new).await
}

/// The id of a message that can't be parsed.
pub(super) fn id_of(text: &str) -> Option<String> {
    Some(serde_json::from_str::<serde_json::Value>(text).ok()?.get("id")?.as_str()?.to_owned())
}

/// `{"ack":"0193…"}`
async fn acknowledge(socket: &mut Socket, id: &str) -> Result<(), WsError> {
    socket.send(Frame::text(serde_json::json!({"ack": id}).to_string())).await
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_stream_that_was_open_resets_the_back_off_and_any_other_prolongs_it() {
        // Nodes that take turns every ten seconds.
        assert_eq!(failures_after(7, Some(Duration::from_secs(10))), 1);
        assert_eq!(failures_after(7, Some(Duration::from_millis(200))), 8);
        assert_eq!(failures_after(7, None), 8);
        assert_eq!(failures_after(0, None), 1);
    }

    #[tokio::test]
    async fn a_node_that_accepts_and_never_answers_has_opened_no_stream() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The kernel accepts for it.
        let hung = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", hung.local_addr().unwrap());
        let api = Api::new(url.parse().unwrap(), "token").unwrap();
        let (news, _receiver) = mpsc::channel(1);
        let (ack, acks) = mpsc::channel(1);
        let client = Current::of("client".parse().unwrap());
        let number: Number = "+12125550100".parse().unwrap();
        let new: NewClient = serde_json::from_str("{}").unwrap();
        let mut stream = Stream { api, new, number, client, news, acks, ack, received: VecDeque::new() };
        let (end, open) = stream.once().await;
        assert!(matches!(end, End::Again(_)) && open.is_none(), "{open:?}");
    }
}
