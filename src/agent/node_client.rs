//! The node, over HTTP, behind a circuit breaker.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::now;
use crate::agent::config::AgentConfig;
use crate::contract::{
    AGENT_CLOCK, AGENT_ID, CallDecision, CallEvents, CallList, CallRequest, CallView, EnrolmentConfirmation,
    EnrolmentConfirmed, EventsReply, PbxReport, SipMessages,
};
use crate::core::base::breaker::Breaker;
use crate::core::base::name::{CallId, PbxName};
use crate::core::base::root_cause::cause;
use crate::core::base::secret::Secret;

/// How long a report may take; unlike a decision nobody waits for it.
const REPORT_WITHIN: Duration = Duration::from_secs(5);

/// Why the node gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum NodeClientError {
    /// The circuit breaker is open: it was not asked.
    #[error("not asked: the node failed several times in a row")]
    BreakerOpen,
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

    fn is_busy(&self) -> bool {
        matches!(self, NodeClientError::Refused { status: 408 | 429, .. })
    }
}

/// The node as its agent sees it.
#[derive(Debug)]
pub struct NodeClient {
    http: Client,
    base: Url,
    token: Secret,
    agent: String,
    breaker: Mutex<Breaker>,
}

impl NodeClient {
    /// A client for the configured node, for the agent with this id. Nothing is sent yet. Fails if TLS can't be set up.
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
        let rest = Duration::from_millis(config.breaker_rest_ms);
        Ok(NodeClient {
            http,
            base: config.node.clone(),
            token: config.token.clone().unwrap_or_default(),
            agent,
            breaker: Mutex::new(Breaker::new(config.breaker_failures, rest)),
        })
    }

    /// Asks for a decision within `deadline`, if the breaker lets us.
    pub async fn decide(&self, request: &CallRequest, deadline: Duration) -> Result<CallDecision, NodeClientError> {
        if !self.breaker(|breaker| breaker.allows(Instant::now())) {
            return Err(NodeClientError::BreakerOpen);
        }
        let asked = self.register(request);
        let answer = match tokio::time::timeout(deadline, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(NodeClientError::Late(deadline)),
        };
        match &answer {
            // A node that refuses a request is there.
            Ok(_) | Err(NodeClientError::Refused { status: 400..=499, .. }) => {
                if self.breaker(Breaker::succeeded) {
                    tracing::info!("the node answers again: calls wait for its decisions");
                }
            }
            Err(error) => {
                if self.breaker(|breaker| breaker.failed(Instant::now())) {
                    tracing::warn!(%error, "the node failed several times in a row: calls go on without asking");
                }
            }
        }
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
        tokio::time::timeout(deadline, asked).await.unwrap_or(Err(NodeClientError::Late(deadline)))
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
        let mut url = self.url(&["v1", "calls"])?;
        url.query_pairs_mut().append_pair("live", "true").append_pair("pbx", pbx.as_str());
        Ok(self.answer::<CallList>(self.http.get(url)).await?.calls)
    }

    /// Whether the node is there and takes our token.
    pub async fn check(&self) -> Result<(), NodeClientError> {
        let mut url = self.url(&["v1", "calls"])?;
        url.query_pairs_mut().append_pair("live", "true").append_pair("limit", "1");
        self.answer::<serde_json::Value>(self.http.get(url)).await.map(drop)
    }

    fn url(&self, path: &[&str]) -> Result<Url, NodeClientError> {
        let mut url = self.base.clone();
        let unusable = || NodeClientError::Setup(format!("{} can't have a path", self.base));
        url.path_segments_mut().map_err(|()| unusable())?.pop_if_empty().extend(path);
        Ok(url)
    }

    async fn send<T: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &T,
    ) -> Result<A, NodeClientError> {
        let request = self.http.request(method, self.url(path)?);
        self.answer(request.header(AGENT_CLOCK, now().0).header(AGENT_ID, &self.agent).json(body)).await
    }

    async fn answer<A: DeserializeOwned>(&self, request: RequestBuilder) -> Result<A, NodeClientError> {
        let sent = request.bearer_auth(self.token.expose()).timeout(REPORT_WITHIN).send().await;
        let response = sent.map_err(|e| NodeClientError::Unreachable(cause(&e)))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|e| NodeClientError::Unreachable(cause(&e)))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|e| refused(status, format!("unreadable: {e}")));
        }
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let detail = ["detail", "title"].iter().find_map(|key| problem.get(key)?.as_str()).unwrap_or("no detail");
        Err(refused(status, detail.chars().take(300).collect()))
    }

    fn breaker<T>(&self, f: impl FnOnce(&mut Breaker) -> T) -> T {
        f(&mut self.breaker.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

fn refused(status: StatusCode, detail: String) -> NodeClientError {
    NodeClientError::Refused { status: status.as_u16(), detail }
}
