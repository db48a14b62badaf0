//! What is on its way to peers: in order, without holding up what comes in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::peers::Label;
use crate::cli::http::{self, ApiError};
use crate::contract::Peer;
use crate::core::address::{Address, AddressKind};

/// How long a peer's node may take.
const WITHIN: Duration = Duration::from_secs(10);
const QUEUE: usize = 64;

/// What is sent.
#[derive(Debug)]
pub(super) enum Words {
    /// What was typed.
    Text(String),
    /// How we are reached.
    Own(Peer),
}

/// Takes it.
#[derive(Debug)]
pub(super) struct Sender {
    posts: mpsc::Sender<Post>,
    under_way: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Post {
    to: Label,
    address: Address,
    words: Words,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) to: Label,
    pub(super) words: Words,
    pub(super) problem: Option<String>,
}

pub(super) fn start() -> Result<(Sender, mpsc::Receiver<Outcome>), ApiError> {
    let client = http::client()?;
    let (posts, mut queue) = mpsc::channel::<Post>(QUEUE);
    let (sender, outcomes) = mpsc::channel(QUEUE);
    let under_way = Arc::new(AtomicUsize::new(0));
    let count = under_way.clone();
    tokio::spawn(async move {
        while let Some(Post { to, address, words }) = queue.recv().await {
            let problem = post(&client, &address, &words).await.err();
            let told = sender.send(Outcome { to, words, problem }).await;
            count.fetch_sub(1, Ordering::Relaxed);
            if told.is_err() {
                break;
            }
        }
    });
    Ok((Sender { posts, under_way }, outcomes))
}

impl Sender {
    /// Whether something is still on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    /// Sends it, or says why that can't be done.
    pub(super) fn send(&self, to: Label, address: Address, words: Words) -> Result<(), String> {
        if address.kind() == AddressKind::Sip {
            let name = &to.name;
            return Err(format!("{name}'s client is a SIP phone: send a SIP MESSAGE to {address} with a softphone"));
        }
        self.posts
            .try_send(Post { to, address, words })
            .map_err(|_| "too much waits to be sent; try again".to_owned())?;
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// [`Address`] lets only `https:` pass, and `http:` to loopback; redirects are not followed.
async fn post(client: &reqwest::Client, address: &Address, words: &Words) -> Result<(), String> {
    let body = match words {
        Words::Text(text) => serde_json::json!({"type": "text", "text": text}),
        Words::Own(own) => serde_json::json!({"type": "peer", "peer": own}),
    };
    let sent = client.post(address.as_str()).timeout(WITHIN).json(&body).send().await;
    let status = sent.map_err(|e| http::cause(&e))?.status();
    match status.as_u16() {
        200..=299 => Ok(()),
        404 | 410 => Err("the call is over, and with it their address".to_owned()),
        413 => Err("that is too long".to_owned()),
        429 => Err("too many messages; slow down".to_owned()),
        _ => Err(format!("their node answered {status}")),
    }
}
