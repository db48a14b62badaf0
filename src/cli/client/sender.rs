//! Text on its way to peers: in the order in which it was typed, without holding up what comes in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::peers::Label;
use crate::cli::http::{self, ApiError};
use crate::core::address::{Address, AddressKind};

/// How long a peer's node may take.
const WITHIN: Duration = Duration::from_secs(10);
const QUEUE: usize = 64;

/// Takes text.
#[derive(Debug)]
pub(super) struct Sender {
    texts: mpsc::Sender<Text>,
    under_way: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Text {
    to: Label,
    address: Address,
    text: String,
}

/// What became of a text.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) to: Label,
    pub(super) text: String,
    pub(super) problem: Option<String>,
}

pub(super) fn start() -> Result<(Sender, mpsc::Receiver<Outcome>), ApiError> {
    let client = http::client()?;
    let (texts, mut queue) = mpsc::channel::<Text>(QUEUE);
    let (sender, outcomes) = mpsc::channel(QUEUE);
    let under_way = Arc::new(AtomicUsize::new(0));
    let count = under_way.clone();
    tokio::spawn(async move {
        while let Some(Text { to, address, text }) = queue.recv().await {
            let problem = post(&client, &address, &text).await.err();
            let told = sender.send(Outcome { to, text, problem }).await;
            count.fetch_sub(1, Ordering::Relaxed);
            if told.is_err() {
                break;
            }
        }
    });
    Ok((Sender { texts, under_way }, outcomes))
}

impl Sender {
    /// Whether something is still on its way.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    /// Sends text, or says why that can't be done.
    pub(super) fn send(&self, to: Label, address: Address, text: String) -> Result<(), String> {
        if address.kind() == AddressKind::Sip {
            let name = &to.name;
            return Err(format!("{name}'s client is a SIP phone: send a SIP MESSAGE to {address} with a softphone"));
        }
        self.texts.try_send(Text { to, address, text }).map_err(|_| "too much waits to be sent; try again".to_owned())?;
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// [`Address`] lets only `https:` pass, and `http:` to loopback; redirects are not followed.
async fn post(client: &reqwest::Client, address: &Address, text: &str) -> Result<(), String> {
    let body = serde_json::json!({"type": "text", "text": text});
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
