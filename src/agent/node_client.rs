//! The nodes, over HTTP: the one in use is asked first, and the others if it is absent: for a decision, while there is time.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::node_client_error::NodeClientError;
use super::nodes::{Answer, AskedFor, Handovers, Nodes};
use super::now;
use crate::agent::config::AgentConfig;
use crate::contract::{
    AGENT_CLOCK, AGENT_ID, CallDecision, CallEvents, CallList, CallRequest, CallView, EnrolmentConfirmation,
    EnrolmentConfirmed, EventsReply, NODE_PROCESS, PbxReport, STANDS_BY, SipMessages,
};
use crate::core::base::name::{CallId, PbxName};
use crate::core::base::node_list::{InUse, PROMPT};
use crate::core::base::root_cause::cause;
use crate::core::base::secret::Secret;

/// How long a report may take; unlike a decision nobody waits for it.
const REPORT_WITHIN: Duration = Duration::from_secs(5);

/// How long a sign of life may take.
pub(super) const PROBE_WITHIN: Duration = Duration::from_millis(400);

/// How long an error or a sign of life may be, in bytes.
const ERROR_MAX: usize = 64 * 1024;

/// How long another answer may be, in bytes: 256 SIP messages of 4 kB fit, 128 new ones and 128 that are repeated.
const ANSWER_MAX: usize = 4 * 1024 * 1024;

/// How long a list of calls may be, in bytes: 10,000 calls fit.
const LIST_MAX: usize = 64 * 1024 * 1024;

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

    /// Tells each change of what is known of the node in use.
    pub(super) fn watch(&self) -> watch::Receiver<InUse> {
        self.nodes.watch()
    }

    /// Tells each time that calls must be told again.
    pub(super) fn handovers(&self) -> Handovers {
        self.nodes.handovers()
    }

    /// Asks for a decision within `deadline`, if a breaker lets us. If a node does not give one, the next is asked in the time
    /// that is left.
    pub async fn decide(&self, request: &CallRequest, deadline: Duration) -> Result<CallDecision, NodeClientError> {
        let until = Instant::now() + deadline;
        let (mut tried, mut left, mut why) = (Vec::new(), deadline, NodeClientError::BreakerOpen);
        while tried.is_empty() || left >= PROMPT {
            let Some((node, share)) = self.nodes.ask(&tried, left) else { break };
            tried.push(node);
            match self.decide_at(node, request, share).await {
                Err(error) if error.is_absent() => why = why.why_none(error),
                answer => return answer,
            }
            left = until.saturating_duration_since(Instant::now());
        }
        Err(why)
    }

    async fn decide_at(
        &self,
        node: usize,
        request: &CallRequest,
        within: Duration,
    ) -> Result<CallDecision, NodeClientError> {
        let begun = Instant::now().into_std();
        let asked = self.answer(self.request(node, Method::POST, &["v1", "calls"], request)?, ANSWER_MAX);
        let Some(answer) = in_time(within, asked).await else { return Err(NodeClientError::Late(within)) };
        self.nodes.note_decision(node, &answer, begun);
        Ok(answer?.body)
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
            .at_node_in_use(LIST_MAX, |node| {
                let mut url = self.nodes.url(node, &["v1", "calls"])?;
                url.query_pairs_mut().append_pair("live", "true").append_pair("pbx", pbx.as_str());
                Ok(self.http.get(url))
            })
            .await?;
        Ok(list.calls)
    }

    /// Whether the node in use has failed since it last answered.
    pub(super) fn has_failed(&self) -> bool {
        self.nodes.has_failed()
    }

    /// How many nodes there are.
    pub(super) fn count(&self) -> usize {
        self.nodes.count()
    }

    /// Asks a node for a sign of life, so that it is known whether it may be used.
    pub(super) async fn probe(&self, node: usize) {
        let Ok(url) = self.nodes.url(node, &["healthz"]) else { return };
        let begun = Instant::now().into_std();
        let error = match in_time(PROBE_WITHIN, self.exchange(self.http.get(url), ERROR_MAX)).await {
            None => return,
            Some(Ok((_, answer))) if answer.body.trim_ascii() == b"ok" => return self.nodes.is_alive(node),
            Some(Ok((_, answer))) if answer.body.starts_with(STANDS_BY.as_bytes()) => {
                refused(StatusCode::SERVICE_UNAVAILABLE, STANDS_BY.to_owned())
            }
            Some(Ok((status, _))) => NodeClientError::NotANode(format!("{status}, and no sign of life")),
            // A proxy may limit how often it passes that on.
            Some(Err(error)) if !error.is_absent() => return,
            Some(Err(error)) => error,
        };
        self.nodes.failed(node, &error, AskedFor::Life(begun));
    }

    async fn send<T: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &T,
    ) -> Result<A, NodeClientError> {
        self.at_node_in_use(ANSWER_MAX, |node| self.request(node, method.clone(), path, body)).await
    }

    /// Makes a request at the node in use. If that one is absent, or if a better one is used before it answers, the request is
    /// repeated at the next: all of them may be. It goes back at most once to a node that was already asked. After that it leaves
    /// a node only if that one is absent.
    async fn at_node_in_use<A: DeserializeOwned>(
        &self,
        limit: usize,
        request: impl Fn(usize) -> Result<RequestBuilder, NodeClientError>,
    ) -> Result<A, NodeClientError> {
        let (mut tried, mut again, mut why) = (Vec::new(), true, NodeClientError::Moved);
        while let Some(node) = self.nodes.next(&tried) {
            tried.push(node);
            let begun = Instant::now().into_std();
            let asked = in_time(REPORT_WITHIN, self.answer(request(node)?, limit));
            let answer = tokio::select! {
                biased;
                answer = asked => answer,
                better = self.nodes.better_than(node), if again => {
                    again = !tried.contains(&better);
                    tried.retain(|node| *node != better);
                    continue;
                }
            };
            // Without one, the agent itself was late.
            let Some(answer) = answer else { return Err(NodeClientError::Late(REPORT_WITHIN)) };
            self.nodes.note(node, &answer, begun);
            match answer {
                Err(error) if error.is_absent() => why = why.why_none(error),
                answer => return Ok(answer?.body),
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

    async fn answer<A: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        limit: usize,
    ) -> Result<Answer<A>, NodeClientError> {
        let (status, answer) = self.exchange(request.bearer_auth(self.token.expose()), limit).await?;
        let body = serde_json::from_slice(&answer.body);
        let body = body.map_err(|e| NodeClientError::NotANode(format!("{status}, unreadable: {e}")))?;
        Ok(Answer { body, process: answer.process })
    }

    /// The body of an answer that is no error, and has at most so many bytes.
    async fn exchange(
        &self,
        request: RequestBuilder,
        limit: usize,
    ) -> Result<(StatusCode, Answer<Vec<u8>>), NodeClientError> {
        let response = request.send().await.map_err(|e| unreachable(&e))?;
        let status = response.status();
        if status.is_success() {
            let process = process(&response);
            let body = bounded(response, limit).await?;
            let body = body.ok_or_else(|| NodeClientError::NotANode(format!("{status}, more than {limit} bytes")))?;
            return Ok((status, Answer { body, process }));
        }
        let body = bounded(response, ERROR_MAX).await?.unwrap_or_default();
        Err(refusal(status, &serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// The name of the process that answers.
fn process(answer: &Response) -> Option<u128> {
    let name = answer.headers().get(NODE_PROCESS)?.to_str().ok()?;
    Some(Uuid::try_parse(name).ok()?.as_u128())
}

/// What an answer means that is an error. Those of nodes are problem details.
fn refusal(status: StatusCode, problem: &serde_json::Value) -> NodeClientError {
    if status == StatusCode::NOT_FOUND && problem["field"] == "call" {
        return NodeClientError::UnknownCall;
    }
    match ["detail", "title"].iter().find_map(|key| problem.get(key)?.as_str()) {
        Some(detail) if !status.is_redirection() => refused(status, detail.chars().take(300).collect()),
        _ if status.is_client_error() => refused(status, "no detail".to_owned()),
        _ => NodeClientError::NotANode(format!("{status}, without a problem's detail")),
    }
}

/// Waits so long for an answer. None if it is late, and so are we: an agent that was stopped or got no processor in time knows
/// nothing about the node.
async fn in_time<A>(
    within: Duration,
    answer: impl Future<Output = Result<A, NodeClientError>>,
) -> Option<Result<A, NodeClientError>> {
    let begun = Instant::now();
    match timeout(within, answer).await {
        Ok(answer) => Some(answer),
        Err(_) if begun.elapsed() >= within + PROMPT => None,
        Err(_) => Some(Err(NodeClientError::Late(within))),
    }
}

/// The body of an answer, unless it has more bytes than that.
async fn bounded(mut answer: Response, limit: usize) -> Result<Option<Vec<u8>>, NodeClientError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|e| unreachable(&e))? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

fn unreachable(error: &reqwest::Error) -> NodeClientError {
    NodeClientError::Unreachable(cause(error))
}

fn refused(status: StatusCode, detail: String) -> NodeClientError {
    NodeClientError::Refused { status: status.as_u16(), detail }
}

#[cfg(test)]
#[path = "node_client_tests.rs"]
mod tests;
