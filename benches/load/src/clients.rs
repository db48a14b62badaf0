//! Hosted clients: each has a number and an open WebSocket, and acknowledges what it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, ensure};
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::options::Options;

/// Clients that connect at once.
const CONNECTING: usize = 16;

/// What is stored for a client until it acknowledges it.
const STORED: [&str; 4] = ["peer", "ended", "missed", "message"];

/// The n-th number of a PBX.
pub fn number(options: &Options, pbx: usize, n: usize) -> String {
    format!("+1212{:07}", pbx * options.numbers as usize + n)
}

/// The token of a number's client.
pub fn credential(number: &str) -> String {
    format!("credential-of-{}", number.trim_start_matches('+'))
}

/// A client that makes calls with one other client, and with nobody else.
#[derive(Debug)]
pub struct HostedClient {
    pub number: String,
    other: String,
    expected: Mutex<Option<Expected>>,
}

/// That a call's other client is named.
#[derive(Debug)]
struct Expected {
    /// Empty if the call's id isn't known.
    call: String,
    told: oneshot::Sender<Instant>,
}

/// What goes wrong with clients, counted.
#[derive(Debug, Default)]
pub struct Faults {
    /// Streams that have ended.
    pub streams: AtomicU64,
    /// Times that a client was told of a number that it does not talk with.
    pub strangers: AtomicU64,
}

/// The part of a message that matters here.
#[derive(Debug, Deserialize)]
struct Received {
    id: String,
    call: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    peer: Option<Peer>,
}

#[derive(Debug, Deserialize)]
struct Peer {
    number: Option<String>,
}

/// Connects the clients of all PBXs: two that call each other, for each PBX.
pub async fn connect(
    options: &Options,
    node: SocketAddr,
    faults: &Arc<Faults>,
) -> anyhow::Result<Vec<Vec<[Arc<HostedClient>; 2]>>> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut all = Vec::new();
    for pbx in 0..options.pbxs as usize {
        let pairs = (0..options.clients as usize / 2).map(|n| [2 * n, 2 * n + 1].map(|n| number(options, pbx, n)));
        let pairs = stream::iter(pairs).map(|[a, b]| {
            let (http, faults) = (&http, faults);
            async move {
                let first = HostedClient::connect(http, node, a.clone(), b.clone(), faults).await?;
                let second = HostedClient::connect(http, node, b, a, faults).await?;
                anyhow::Ok([first, second])
            }
        });
        all.push(pairs.buffer_unordered(CONNECTING).try_collect().await?);
    }
    Ok(all)
}

impl HostedClient {
    async fn connect(
        http: &reqwest::Client,
        node: SocketAddr,
        number: String,
        other: String,
        faults: &Arc<Faults>,
    ) -> anyhow::Result<Arc<HostedClient>> {
        let token = credential(&number);
        let bound = http.post(format!("http://{node}/v1/clients")).bearer_auth(&token).json(&json!({})).send().await?;
        let (status, bound) = (bound.status(), bound.json::<Value>().await?);
        ensure!(status.is_success(), "a client of {number} is not bound: {status} {bound}");
        let id = bound["id"].as_str().context("a client's id")?;
        let mut request = format!("ws://{node}/v1/clients/{id}/stream").into_client_request()?;
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
        let socket = TcpStream::connect(node).await?;
        socket.set_nodelay(true)?;
        let (socket, _) = tokio_tungstenite::client_async(request, socket).await?;
        let client = Arc::new(HostedClient { number, other, expected: Mutex::default() });
        let (reader, faults) = (Arc::clone(&client), Arc::clone(faults));
        tokio::spawn(async move {
            reader.read(socket, &faults).await;
            faults.streams.fetch_add(1, Ordering::Relaxed);
        });
        Ok(client)
    }

    /// Waits until the other client is named in this call, or in any if its id isn't known.
    pub fn expect(&self, call: &str) -> oneshot::Receiver<Instant> {
        let (told, named) = oneshot::channel();
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = Some(Expected { call: call.to_owned(), told });
        named
    }

    async fn read(&self, mut socket: WebSocketStream<TcpStream>, faults: &Faults) {
        while let Some(Ok(frame)) = socket.next().await {
            let at = Instant::now();
            let Ok(received) = frame.to_text().map(serde_json::from_str::<Received>) else { continue };
            // Pings and pongs.
            let Ok(received) = received else { continue };
            if STORED.contains(&received.kind.as_str()) {
                let ack = json!({ "ack": received.id }).to_string();
                if socket.send(Message::text(ack)).await.is_err() {
                    return;
                }
            }
            if received.kind == "peer" {
                self.note(at, &received, faults);
            }
        }
    }

    fn note(&self, at: Instant, received: &Received, faults: &Faults) {
        let number = received.peer.as_ref().and_then(|peer| peer.number.as_ref());
        if number != Some(&self.other) {
            faults.strangers.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let this = expected.take_if(|expected| expected.call.is_empty() || expected.call == received.call);
        if let Some(Expected { told, .. }) = this {
            // Whoever has stopped waiting counts the call as lost.
            let _ = told.send(at);
        }
    }
}
