//! The nodes, over HTTP: a decision is asked of two of them if there is time, everything else of the one in use.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::nodes::Nodes;
use super::now;
use crate::agent::config::AgentConfig;
use crate::contract::{
    AGENT_CLOCK, AGENT_ID, CallDecision, CallEvents, CallList, CallRequest, CallView, EnrolmentConfirmation,
    EnrolmentConfirmed, EventsReply, PbxReport, STANDS_BY, SipMessages,
};
use crate::core::base::name::{CallId, PbxName};
use crate::core::base::node_list::PROMPT;
use crate::core::base::root_cause::cause;
use crate::core::base::secret::Secret;

/// How long a report may take; unlike a decision nobody waits for it.
const REPORT_WITHIN: Duration = Duration::from_secs(5);

/// How long a sign of life may take.
const PROBE_WITHIN: Duration = Duration::from_millis(400);

/// Why the node gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NodeClientError {
    /// The circuit breaker of each node is open: none was asked.
    #[error("not asked: the node failed several times in a row")]
    BreakerOpen,
    /// The agent went over to another node meanwhile.
    #[error("another node is used now")]
    Moved,
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// No connection, or it broke.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// An answer that is an error.
    #[error("it answered {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem's detail.
        detail: String,
    },
    /// A URL, token or TLS set-up that no request can be made of.
    #[error("the node can't be asked: {0}")]
    Setup(String),
}

impl NodeClientError {
    /// The node doesn't know the call.
    pub fn is_unknown_call(&self) -> bool {
        matches!(self, NodeClientError::Refused { status: 404, .. })
    }

    /// The node will say the same again.
    pub fn is_final(&self) -> bool {
        matches!(self, NodeClientError::Refused { status: 400..=499, .. }) && !self.is_busy() && !self.is_auth()
    }

    /// The node doesn't know our token.
    pub fn is_auth(&self) -> bool {
        matches!(self, NodeClientError::Refused { status: 401 | 403, .. })
    }

    /// The node is there, and refuses the request.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, NodeClientError::Refused { status: 400..=499, .. })
    }

    /// There is no node, it is slow, or it can't work: another one may. A proxy answers for a node that is gone (502,
    /// 504). A node that doesn't know our token is no node of ours.
    pub(super) fn is_absent(&self) -> bool {
        match self {
            NodeClientError::Late(within) => *within >= PROMPT,
            NodeClientError::Unreachable(_) | NodeClientError::Refused { status: 401 | 502..=504, .. } => true,
            _ => false,
        }
    }

    /// Another node serves.
    pub(super) fn stands_by(&self) -> bool {
        matches!(self, NodeClientError::Refused { status: 503, detail } if detail.starts_with(STANDS_BY))
    }

    fn is_busy(&self) -> bool {
        matches!(self, NodeClientError::Refused { status: 408 | 429, .. })
    }
}

/// The nodes as their agent sees them.
#[derive(Debug)]
pub struct NodeClient {
    http: Client,
    nodes: Nodes,
    token: Secret,
    agent: String,
}

impl NodeClient {
    /// A client for the configured nodes, for the agent with this id. Nothing is sent yet. Fails if TLS can't be set up.
    pub fn new(config: &AgentConfig, agent: String) -> Result<NodeClient, NodeClientError> {
        let http = Client::builder()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(64)
            // Before the node or a proxy closes it: a request on a connection that is being closed is lost.
            .pool_idle_timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|e| NodeClientError::Setup(e.to_string()))?;
        Ok(NodeClient { http, nodes: Nodes::new(config), token: config.token.clone().unwrap_or_default(), agent })
    }

    /// The node in use, if there are several.
    pub fn used(&self) -> Option<String> {
        (self.nodes.count() > 1).then(|| self.nodes.name(self.nodes.in_use()).to_owned())
    }

    /// Tells each change of the node in use.
    pub(super) fn moves(&self) -> watch::Receiver<usize> {
        self.nodes.moves()
    }

    /// Asks for a decision within `deadline`, if a breaker lets us. If the first node does not give one, the next is asked in
    /// the time that is left.
    pub async fn decide(&self, request: &CallRequest, deadline: Duration) -> Result<CallDecision, NodeClientError> {
        let until = Instant::now() + deadline;
        let Some((first, share)) = self.nodes.ask(None, deadline) else { return Err(NodeClientError::BreakerOpen) };
        let answer = self.decide_at(first, request, share).await;
        let left = until.saturating_duration_since(Instant::now());
        if left < PROMPT || !answer.as_ref().is_err_and(NodeClientError::is_absent) {
            return answer;
        }
        match self.nodes.ask(Some(first), left) {
            Some((second, left)) => self.decide_at(second, request, left).await,
            None => answer,
        }
    }

    async fn decide_at(
        &self,
        node: usize,
        request: &CallRequest,
        within: Duration,
    ) -> Result<CallDecision, NodeClientError> {
        let asked = self.answer(self.request(node, Method::POST, &["v1", "calls"], request)?);
        let answer = timeout(within, asked).await.unwrap_or(Err(NodeClientError::Late(within)));
        self.nodes.note_decision(node, &answer);
        answer
    }

    /// Registers a call, without the breaker: nobody waits for this.
    pub async fn register(&self, request: &CallRequest) -> Result<CallDecision, NodeClientError> {
        self.send(Method::POST, &["v1", "calls"], request).await
    }

    /// Asks within `deadline` whether a page shows the code that a phone has dialled. Without the breaker, which is there for
    /// calls.
    pub async fn confirm_enrolment(
        &self,
        asked: &EnrolmentConfirmation,
        deadline: Duration,
    ) -> Result<EnrolmentConfirmed, NodeClientError> {
        let asked = self.send(Method::POST, &["v1", "dialled-enrolments", "confirm"], asked);
        timeout(deadline, asked).await.unwrap_or(Err(NodeClientError::Late(deadline)))
    }

    /// Reports what happened to a call.
    pub async fn report(&self, call: &CallId, events: &CallEvents) -> Result<EventsReply, NodeClientError> {
        self.send(Method::POST, &["v1", "calls", call.as_str(), "events"], events).await
    }

    /// Reports how a link is.
    pub async fn report_pbx(&self, pbx: &PbxName, report: &PbxReport) -> Result<SipMessages, NodeClientError> {
        self.send(Method::PUT, &["v1", "pbxs", pbx.as_str()], report).await
    }

    /// The calls on a PBX that the node takes for live.
    pub async fn live_calls(&self, pbx: &PbxName) -> Result<Vec<CallView>, NodeClientError> {
        let list: CallList = self
            .at_node_in_use(|node| {
                let mut url = self.nodes.url(node, &["v1", "calls"])?;
                url.query_pairs_mut().append_pair("live", "true").append_pair("pbx", pbx.as_str());
                Ok(self.http.get(url))
            })
            .await?;
        Ok(list.calls)
    }

    /// Asks the node in use for a sign of life. If there is none in time, another node is used.
    pub(super) async fn probe(&self) {
        let node = self.nodes.in_use();
        let Ok(url) = self.nodes.url(node, &["healthz"]) else { return };
        let asked = Instant::now();
        let probed = timeout(PROBE_WITHIN, self.exchange(self.http.get(url))).await;
        // An agent that was stopped or got no processor in time knows nothing about the node.
        if probed.is_err() && asked.elapsed() >= PROBE_WITHIN + PROMPT {
            return;
        }
        let answer = match probed {
            Ok(Ok((_, body))) if body.starts_with(STANDS_BY.as_bytes()) => {
                Err(refused(StatusCode::SERVICE_UNAVAILABLE, STANDS_BY.to_owned()))
            }
            answer => answer.unwrap_or(Err(NodeClientError::Late(PROBE_WITHIN))),
        };
        self.nodes.note(node, &answer);
    }

    async fn send<T: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &T,
    ) -> Result<A, NodeClientError> {
        self.at_node_in_use(|node| self.request(node, method.clone(), path, body)).await
    }

    /// Makes a request at the node in use. If that one is absent, or if another node is used before it answers, the request is
    /// repeated there: all of them may be.
    async fn at_node_in_use<A: DeserializeOwned>(
        &self,
        request: impl Fn(usize) -> Result<RequestBuilder, NodeClientError>,
    ) -> Result<A, NodeClientError> {
        let mut why = NodeClientError::Moved;
        for _ in 0..self.nodes.count() {
            let node = self.nodes.in_use();
            let asked = self.answer(request(node)?);
            let answer = tokio::select! {
                biased;
                answer = asked => answer,
                () = self.nodes.moved_from(node) => Err(NodeClientError::Moved),
            };
            self.nodes.note(node, &answer);
            match answer {
                Err(error @ NodeClientError::Moved) => why = error,
                Err(error) if error.is_absent() && self.nodes.in_use() != node => why = error,
                answer => return answer,
            }
        }
        Err(why)
    }

    fn request<T: Serialize>(
        &self,
        node: usize,
        method: Method,
        path: &[&str],
        body: &T,
    ) -> Result<RequestBuilder, NodeClientError> {
        let request = self.http.request(method, self.nodes.url(node, path)?);
        Ok(request.header(AGENT_CLOCK, now().0).header(AGENT_ID, &self.agent).json(body))
    }

    async fn answer<A: DeserializeOwned>(&self, request: RequestBuilder) -> Result<A, NodeClientError> {
        let (status, body) = self.exchange(request.bearer_auth(self.token.expose())).await?;
        serde_json::from_slice(&body).map_err(|e| refused(status, format!("unreadable: {e}")))
    }

    /// The body of an answer that is no error.
    async fn exchange(&self, request: RequestBuilder) -> Result<(StatusCode, Bytes), NodeClientError> {
        let sent = request.timeout(REPORT_WITHIN).send().await;
        let response = sent.map_err(|e| NodeClientError::Unreachable(cause(&e)))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|e| NodeClientError::Unreachable(cause(&e)))?;
        if status.is_success() {
            return Ok((status, body));
        }
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = ["detail", "title"].iter().find_map(|key| problem.get(key)?.as_str()).unwrap_or("no detail");
        Err(refused(status, detail.chars().take(300).collect()))
    }
}

fn refused(status: StatusCode, detail: String) -> NodeClientError {
    NodeClientError::Refused { status: status.as_u16(), detail }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_node_that_refuses_a_request_is_there_and_one_that_cant_work_is_not() {
        let status = |status| NodeClientError::Refused { status, detail: String::new() };
        let late = |ms| NodeClientError::Late(Duration::from_millis(ms));
        for absent in [status(401), status(502), status(503), status(504), late(240), late(80)] {
            assert!(absent.is_absent(), "{absent}");
        }
        // What is asked with so little time left says nothing about the node.
        for present in [status(403), status(404), status(422), status(429), status(500), status(507), late(79)] {
            assert!(!present.is_absent(), "{present}");
        }
        assert!(NodeClientError::Unreachable(String::new()).is_absent() && !NodeClientError::Moved.is_absent());
    }

    fn client_of(first: String) -> NodeClient {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let nodes = [first, "127.0.0.1:1".to_owned()].map(|address| format!("http://{address}").parse().unwrap());
        NodeClient::new(&AgentConfig { nodes: nodes.to_vec(), ..AgentConfig::default() }, "agent".to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_node_that_stands_by_is_left_at_its_next_sign_of_life() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let standing = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_of(standing.local_addr().unwrap().to_string());
        let answers = async {
            let (mut asked, _) = standing.accept().await.unwrap();
            let _ = asked.read(&mut [0; 1024]).await.unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{STANDS_BY}", STANDS_BY.len());
            asked.write_all(answer.as_bytes()).await.unwrap();
        };
        tokio::join!(client.probe(), answers);
        assert_eq!(client.nodes.in_use(), 1);
    }

    #[tokio::test]
    async fn a_probe_that_the_agent_itself_is_late_for_says_nothing() {
        // The system accepts its connections, and nobody answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = client_of(silent.local_addr().unwrap().to_string());
        let mut probe = std::pin::pin!(client.probe());
        assert_eq!(probe.as_mut().now_or_never(), None);
        // The agent is stopped meanwhile.
        std::thread::sleep(PROBE_WITHIN * 2);
        probe.await;
        assert_eq!(client.nodes.in_use(), 0);
    }
}
