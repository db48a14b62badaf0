//! Sends messages to peers in order, without blocking the receiver.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use super::contacts::Label;
use crate::cli::api_client::{self, Api, ApiError};
use crate::contract::PeerClient;
use crate::core::address::{Address, AddressKind};
use crate::core::base::backoff::Backoff;
use crate::core::base::root_cause::cause;

/// Time limit for a peer's node.
const WITHIN: Duration = Duration::from_secs(10);
const QUEUE: usize = 64;
/// Attempts to send what nobody has typed, over about a quarter of a minute.
const OWN_ATTEMPTS: u32 = 6;

/// The content of a message.
#[derive(Debug)]
pub(super) enum Words {
    /// Typed text.
    Text(String),
    /// Our own address.
    Own(PeerClient),
    /// What the client itself says about files.
    Signal(Value),
}

/// Queues messages.
#[derive(Debug)]
pub(super) struct Sender {
    posts: mpsc::Sender<Post>,
    in_flight: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Post {
    to: Label,
    address: Address,
    words: Words,
}

/// The result of a message.
#[derive(Debug)]
pub(super) struct SendOutcome {
    pub(super) to: Label,
    pub(super) words: Words,
    pub(super) problem: Option<String>,
}

/// `api` is our own node.
pub(super) fn start(api: Api) -> Result<(Sender, mpsc::Receiver<SendOutcome>), ApiError> {
    let client = api_client::client()?;
    let (posts, mut queue) = mpsc::channel::<Post>(QUEUE);
    let (sender, outcomes) = mpsc::channel(QUEUE);
    let in_flight = Arc::new(AtomicUsize::new(0));
    let count = in_flight.clone();
    tokio::spawn(async move {
        while let Some(Post { to, address, words }) = queue.recv().await {
            let problem = said(&client, &api, &address, &words).await.err();
            let told = sender.send(SendOutcome { to, words, problem }).await;
            count.fetch_sub(1, Ordering::Relaxed);
            if told.is_err() {
                break;
            }
        }
    });
    Ok((Sender { posts, in_flight }, outcomes))
}

impl Sender {
    /// Whether a message is still in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Queues a message, or says why it can't be sent.
    pub(super) fn send(&self, to: Label, address: Address, words: Words) -> Result<(), String> {
        if address.kind() == AddressKind::Sip {
            let name = &to.name;
            return Err(format!("{name}'s client is a SIP phone: send a SIP MESSAGE to {address} with a softphone"));
        }
        self.posts
            .try_send(Post { to, address, words })
            .map_err(|_| "too much waits to be sent; try again".to_owned())?;
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Sends a message. Text is tried once: the user sees the failure and can retry. What nobody has typed is retried for a
/// while.
async fn said(client: &reqwest::Client, api: &Api, address: &Address, words: &Words) -> Result<(), String> {
    for attempt in 1.. {
        match post(client, api, address, words).await {
            Err(Problem { later: true, .. }) if !matches!(words, Words::Text(_)) && attempt < OWN_ATTEMPTS => {
                tokio::time::sleep(Backoff::HTTP.wait(attempt, rand::random())).await;
            }
            done => return done.map_err(|problem| problem.text),
        }
    }
    Ok(())
}

/// Why a message was refused, and whether a retry may help.
struct Problem {
    text: String,
    later: bool,
}

/// Posts a message. [`Address`] allows only `https:`, and `http:` to loopback. Redirects are not followed. Our own node
/// gets the token, and tells the receiver who sent the message.
async fn post(client: &reqwest::Client, api: &Api, address: &Address, words: &Words) -> Result<(), Problem> {
    let body = match words {
        Words::Text(text) => serde_json::json!({"type": "text", "text": text}),
        Words::Own(own) => serde_json::json!({"type": "peer", "peer": own}),
        Words::Signal(content) => content.clone(),
    };
    let request = client.post(address.as_str()).timeout(WITHIN).json(&body);
    let request = if api.owns(address) { request.bearer_auth(api.token()) } else { request };
    let status = request.send().await.map_err(|e| Problem { text: cause(&e), later: true })?.status();
    let (text, later) = match status.as_u16() {
        200..=299 => return Ok(()),
        404 | 410 => ("the call is over, and with it their address".to_owned(), false),
        413 => ("that is too long".to_owned(), false),
        429 => ("too many messages; slow down".to_owned(), true),
        code => (format!("their node answered {status}"), code >= 500),
    };
    Err(Problem { text, later })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What is sent to a node in one request, up to the end of its head.
    async fn request_head(node: &TcpListener) -> String {
        let (mut connection, _) = node.accept().await.unwrap();
        let (mut request, mut part) = (Vec::new(), [0; 4096]);
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            let length = connection.read(&mut part).await.unwrap();
            assert!(length > 0, "the request ends too early");
            request.extend(&part[..length]);
        }
        connection.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&request).to_lowercase()
    }

    #[tokio::test]
    async fn our_own_node_gets_the_token_and_no_other() {
        // Fails if a provider is already installed, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let [own, other] =
            [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
        let url = |node: &TcpListener| format!("http://{}", node.local_addr().unwrap());
        let api = Api::new(url(&own).parse().unwrap(), "token").unwrap();
        let client = api_client::client().unwrap();
        for (node, shows) in [(&own, true), (&other, false)] {
            let address = format!("{}/a/x", url(node)).parse().unwrap();
            let words = Words::Text("hi".to_owned());
            let (posted, head) = tokio::join!(post(&client, &api, &address, &words), request_head(node));
            assert!(posted.is_ok());
            assert_eq!(head.contains("authorization: bearer token"), shows, "{head}");
            assert_eq!(head.contains("authorization"), shows, "{head}");
        }
    }
}
