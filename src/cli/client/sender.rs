//! Sends messages to peers, in order at each node, without blocking the receiver.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use url::Url;

use super::contacts::Label;
use crate::cli::api_client::{self, Api, ApiError};
use crate::contract::PeerClient;
use crate::core::address::{Address, AddressKind};
use crate::core::base::backoff::Backoff;
use crate::core::base::root_cause::cause;

/// Time limit for a peer's node.
const WITHIN: Duration = Duration::from_secs(10);
const QUEUE: usize = 64;
/// Places in a queue that are kept for what is of use later, so that a device that asks too much stops no text.
const RESERVED: usize = QUEUE / 2;
/// Maximum number of nodes to which something waits to be sent.
const QUEUES_MAX: usize = 32;
const FULL: &str = "too much waits to be sent; try again";
/// Attempts to send what nobody has typed and is of use later.
const OWN_ATTEMPTS: u32 = 6;
/// How long these may wait for the next attempt, all together: typed text may be behind them, whatever the node asks for.
const OWN_WAITS: Duration = Duration::from_secs(15);

/// The content of a message.
#[derive(Debug)]
pub(super) enum PostContent {
    /// Typed text.
    Text(String),
    /// Our own address.
    Own(PeerClient),
    /// What the client itself says about files.
    Signal(Value),
}

/// Queues messages for each node: one that doesn't answer delays nobody else's.
#[derive(Debug)]
pub(super) struct Sender {
    client: reqwest::Client,
    /// Our own node.
    api: Api,
    /// By the node's origin.
    queues: HashMap<String, Queue>,
    outcomes: mpsc::Sender<SendOutcome>,
    /// Messages whose outcome isn't known yet.
    in_flight: usize,
}

/// A queue of posts to one node, which are sent one after the other.
#[derive(Debug)]
struct Queue {
    posts: mpsc::Sender<Post>,
    /// Each post that isn't done has a clone.
    pending: Arc<()>,
}

#[derive(Debug)]
struct Post {
    to: Label,
    address: Address,
    content: PostContent,
    pending: Arc<()>,
}

/// The result of a message.
#[derive(Debug)]
pub(super) struct SendOutcome {
    pub(super) to: Label,
    pub(super) content: PostContent,
    pub(super) problem: Option<String>,
}

/// `api` is our own node.
pub(super) fn start(api: Api) -> Result<(Sender, mpsc::Receiver<SendOutcome>), ApiError> {
    let client = api_client::client()?;
    let (outcomes, receiver) = mpsc::channel(QUEUE);
    Ok((Sender { client, api, queues: HashMap::new(), outcomes, in_flight: 0 }, receiver))
}

/// Starts a queue. It ends when its last post is done, once it is dropped.
fn start_queue(client: reqwest::Client, api: Api, outcomes: mpsc::Sender<SendOutcome>) -> Queue {
    let (posts, mut queue) = mpsc::channel::<Post>(QUEUE);
    tokio::spawn(async move {
        while let Some(Post { to, address, content, pending }) = queue.recv().await {
            let problem = said(&client, &api, &address, &content).await.err();
            drop(pending);
            if outcomes.send(SendOutcome { to, content, problem }).await.is_err() {
                break;
            }
        }
    });
    Queue { posts, pending: Arc::new(()) }
}

impl Queue {
    /// Whether all its posts are done.
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.pending) == 1
    }

    /// Adds a post. Returns false if too many wait.
    fn push(&self, to: Label, address: Address, content: PostContent) -> bool {
        self.posts.try_send(Post { to, address, content, pending: self.pending.clone() }).is_ok()
    }
}

impl Sender {
    /// Whether a message is still in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight > 0
    }

    /// Queues a message, or says why it can't be sent.
    pub(super) fn send(&mut self, to: Label, address: Address, content: PostContent) -> Result<(), String> {
        if address.kind() == AddressKind::Sip {
            let name = &to.name;
            return Err(format!("{name}'s client is a SIP phone: send a SIP MESSAGE to {address} with a softphone"));
        }
        let node = Url::parse(address.as_str()).map(|url| url.origin().ascii_serialization());
        let queue = self.queue(node.unwrap_or_default());
        if is_ephemeral(&content) && queue.is_none_or(|queue| queue.posts.capacity() <= RESERVED) {
            tracing::debug!(name = %to.name, "too much waits to be sent: an ephemeral message is dropped");
            return Ok(());
        }
        if !queue.is_some_and(|queue| queue.push(to, address, content)) {
            return Err(FULL.to_owned());
        }
        self.in_flight += 1;
        Ok(())
    }

    /// The queue of a node. A new one replaces those that are idle. None if too many others are busy.
    fn queue(&mut self, node: String) -> Option<&Queue> {
        if !self.queues.contains_key(&node) {
            self.queues.retain(|_, queue| !queue.is_idle());
            if self.queues.len() >= QUEUES_MAX {
                return None;
            }
        }
        let start = || start_queue(self.client.clone(), self.api.clone(), self.outcomes.clone());
        Some(&*self.queues.entry(node).or_insert_with(start))
    }

    /// The outcome of a message is known.
    pub(super) fn done(&mut self) {
        self.in_flight -= 1;
    }
}

/// Whether a message is of no use later. The two devices ask for it again.
fn is_ephemeral(content: &PostContent) -> bool {
    matches!(content, PostContent::Signal(content) if content["ephemeral"] == true)
}

/// How often a message is tried. With text, the user sees the failure and can retry.
fn attempts(content: &PostContent) -> u32 {
    match content {
        PostContent::Text(_) => 1,
        _ if is_ephemeral(content) => 1,
        PostContent::Own(_) | PostContent::Signal(_) => OWN_ATTEMPTS,
    }
}

/// Sends a message.
async fn said(client: &reqwest::Client, api: &Api, address: &Address, content: &PostContent) -> Result<(), String> {
    let mut waited = Duration::ZERO;
    for attempt in 1.. {
        let problem = match post(client, api, address, content).await {
            Ok(()) => break,
            Err(problem) => problem,
        };
        let wait = next_wait(&problem, attempt, attempts(content), waited);
        let Some(wait) = wait else { return Err(problem.text) };
        waited += wait;
        tokio::time::sleep(wait).await;
    }
    Ok(())
}

/// How long to wait for the next attempt, after such waits. None if there is none.
fn next_wait(problem: &Problem, attempt: u32, attempts: u32, waited: Duration) -> Option<Duration> {
    let wait = Backoff::HTTP.wait_for(attempt, rand::random(), problem.after);
    (problem.later && attempt < attempts && waited + wait <= OWN_WAITS).then_some(wait)
}

/// Why a message was refused, and whether a retry may help.
struct Problem {
    text: String,
    later: bool,
    /// How long the node asks to wait before a retry.
    after: Option<Duration>,
}

/// Posts a message. [`Address`] allows only `https:`, and `http:` to loopback. Redirects are not followed. Our own node
/// gets the token, and tells the receiver who sent the message.
async fn post(client: &reqwest::Client, api: &Api, address: &Address, content: &PostContent) -> Result<(), Problem> {
    let body = match content {
        PostContent::Text(text) => serde_json::json!({"type": "text", "text": text}),
        PostContent::Own(own) => serde_json::json!({"type": "peer", "peer": own}),
        PostContent::Signal(content) => content.clone(),
    };
    let request = client.post(address.as_str()).timeout(WITHIN).json(&body);
    let request = if api.owns(address) { request.bearer_auth(api.token()) } else { request };
    let answer = request.send().await.map_err(|e| Problem { text: cause(&e), later: true, after: None })?;
    let (status, after) = (answer.status(), api_client::retry_after(&answer));
    let (text, later) = match status.as_u16() {
        200..=299 => return Ok(()),
        404 | 410 => ("the call is over, and with it their address".to_owned(), false),
        413 => ("that is too long".to_owned(), false),
        429 => ("too many messages; slow down".to_owned(), true),
        code => (format!("their node answered {status}"), code >= 500),
    };
    Err(Problem { text, later, after })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::cli::client::node_double::NodeDouble;
    use serde_json::json;

    const ACCEPTED: &str = "202 Accepted";

    fn label() -> Label {
        Label { n: 1, name: "Bob".to_owned(), number: None }
    }

    #[tokio::test]
    async fn our_own_node_gets_the_token_and_no_other() {
        let (own, other) = (NodeDouble::start().await, NodeDouble::start().await);
        let (api, client) = (own.api(), api_client::client().unwrap());
        for (node, shows) in [(&own, true), (&other, false)] {
            let (address, text) = (node.address(), PostContent::Text("hi".to_owned()));
            let (posted, request) = tokio::join!(post(&client, &api, &address, &text), node.answer(ACCEPTED, ""));
            assert!(posted.is_ok());
            assert_eq!(request.contains("authorization: bearer token"), shows, "{request}");
            assert_eq!(request.contains("authorization"), shows, "{request}");
        }
    }

    #[tokio::test]
    async fn a_node_that_does_not_answer_delays_no_message_to_another() {
        let (silent, other) = (NodeDouble::start().await, NodeDouble::start().await);
        let (mut sender, mut outcomes) = start(silent.api()).unwrap();
        sender.send(label(), silent.address(), PostContent::Text("to the silent one".to_owned())).unwrap();
        sender.send(label(), other.address(), PostContent::Text("to the other".to_owned())).unwrap();
        tokio::spawn(async move { other.answer(ACCEPTED, "").await });
        let outcome = tokio::time::timeout(WITHIN / 2, outcomes.recv()).await.expect("it is delayed").unwrap();
        assert!(matches!(&outcome.content, PostContent::Text(text) if text == "to the other"), "{outcome:?}");
        assert!(outcome.problem.is_none() && sender.is_busy());
    }

    #[tokio::test]
    async fn a_device_that_asks_again_and_again_stops_no_text() {
        let silent = NodeDouble::start().await;
        let (mut sender, _outcomes) = start(silent.api()).unwrap();
        for _ in 0..1000 {
            let answer = PostContent::Signal(json!({"type": "sdp", "ephemeral": true}));
            sender.send(label(), silent.address(), answer).unwrap();
        }
        sender.send(label(), silent.address(), PostContent::Text("still here".to_owned())).unwrap();
    }

    #[tokio::test]
    async fn a_node_with_nothing_to_send_takes_no_room() {
        let silent = NodeDouble::start().await;
        let (mut sender, mut outcomes) = start(silent.api()).unwrap();
        for _ in 0..=QUEUES_MAX {
            let node = NodeDouble::start().await;
            sender.send(label(), node.address(), PostContent::Text("hi".to_owned())).unwrap();
            node.answer(ACCEPTED, "").await;
            assert!(outcomes.recv().await.unwrap().problem.is_none());
            sender.done();
        }
        assert_eq!(sender.queues.len(), 1);
    }

    #[tokio::test]
    async fn too_many_nodes_that_do_not_answer_take_no_more_text() {
        let mut nodes = Vec::new();
        for _ in 0..=QUEUES_MAX {
            nodes.push(NodeDouble::start().await);
        }
        let (mut sender, _outcomes) = start(nodes[0].api()).unwrap();
        let mut send = |node: &NodeDouble, content| sender.send(label(), node.address(), content);
        for node in &nodes[..QUEUES_MAX] {
            send(node, PostContent::Text("hi".to_owned())).unwrap();
        }
        assert!(send(&nodes[QUEUES_MAX], PostContent::Text("hi".to_owned())).is_err());
        send(&nodes[QUEUES_MAX], PostContent::Signal(json!({"type": "ice", "ephemeral": true}))).unwrap();
        send(&nodes[0], PostContent::Text("again".to_owned())).unwrap();
    }

    #[tokio::test]
    async fn a_message_is_tried_again_when_the_node_says() {
        let node = NodeDouble::start().await;
        let (api, client, begun) = (node.api(), api_client::client().unwrap(), Instant::now());
        let answers = async {
            node.answer("429 Too Many Requests\r\nretry-after: 1", "").await;
            node.answer(ACCEPTED, "").await
        };
        let (address, accept) = (node.address(), PostContent::Signal(json!({"type": "accept"})));
        let (said, _) = tokio::join!(said(&client, &api, &address, &accept), answers);
        assert!(said.is_ok() && begun.elapsed() >= Duration::from_secs(1));
    }

    #[test]
    fn a_node_that_asks_for_long_waits_holds_up_what_is_behind_for_a_quarter_of_a_minute() {
        for (after, attempts) in [(None, 6), (Some(0), 6), (Some(5), 4), (Some(15), 2), (Some(16), 1), (Some(3600), 1)]
        {
            let problem = Problem { text: String::new(), later: true, after: after.map(Duration::from_secs) };
            let (mut waited, mut attempt) = (Duration::ZERO, 1);
            while let Some(wait) = next_wait(&problem, attempt, OWN_ATTEMPTS, waited) {
                (waited, attempt) = (waited + wait, attempt + 1);
            }
            assert!(attempt == attempts && waited <= OWN_WAITS, "{after:?}: {attempt} attempts, {waited:?}");
        }
    }

    #[test]
    fn what_is_of_no_use_later_is_tried_once() {
        assert_eq!(attempts(&PostContent::Signal(json!({"type": "ice", "ephemeral": true}))), 1);
        assert_eq!(attempts(&PostContent::Signal(json!({"type": "accept"}))), OWN_ATTEMPTS);
    }
}
