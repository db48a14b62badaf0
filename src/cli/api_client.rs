//! The command line's client for the node's HTTP API.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::contract::{ImportReport, StandByState};
use crate::core::address::{Address, without_user};
use crate::core::base::root_cause::cause;

/// Time limit for a request, except for imports.
const WITHIN: Duration = Duration::from_secs(15);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The connection failed.
    #[error("{node} can't be reached: {why} (is the node running there? `sidecall doctor` looks closer)")]
    Unreachable { node: String, why: String },
    /// The node answered with an error.
    #[error("{node} answered {refusal}")]
    Refused { node: String, refusal: Box<ProblemDetails> },
    /// The answer isn't a sidecall node's.
    #[error("{node} answered what no node does ({why}); is that the address of a sidecall node?")]
    Strange { node: String, why: String },
    /// The URL or the TLS set-up is unusable.
    #[error("{0}")]
    Setup(String),
}

/// The problem details (RFC 9457) that are shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProblemDetails {
    pub(super) status: u16,
    pub(super) detail: String,
    pub(super) field: Option<String>,
    pub(super) stand_by: Option<StandByState>,
    /// How long the node asks to wait before a retry.
    #[serde(skip)]
    pub(super) retry_after: Option<Duration>,
    /// The report of an import that was rejected.
    #[serde(flatten)]
    pub(super) import: Option<ImportReport>,
}

impl std::fmt::Display for ProblemDetails {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let detail = super::output::clean(&self.detail);
        match (&self.field, self.status) {
            (_, 401) => f.write_str("401: the node doesn't know the token (see --token-file and SIDECALL_TOKEN; a revoked device needs a new code)"),
            (Some(field), status) => write!(f, "{status}: {}: {detail}", super::output::clean(field)),
            (None, status) => write!(f, "{status}: {detail}"),
        }
    }
}

impl ApiError {
    /// The HTTP status, if the node answered.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            ApiError::Refused { refusal, .. } => Some(refusal.status),
            _ => None,
        }
    }

    /// What the node waits for, and what it can do, if it stands by.
    pub(super) fn stands_by(&self) -> Option<(String, StandByState)> {
        match self {
            ApiError::Refused { refusal, .. } if refusal.status == 503 => {
                let state = refusal.stand_by.or_else(|| StandByState::of_earlier_version(&refusal.detail))?;
                Some((super::output::clean(&refusal.detail).to_string(), state))
            }
            _ => None,
        }
    }

    /// How long the node asks to wait before a retry, if it says so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            ApiError::Refused { refusal, .. } => refusal.retry_after,
            _ => None,
        }
    }

    /// Whether a retry would fail the same way: the token or the request is wrong.
    pub(super) fn is_final(&self) -> bool {
        match self {
            ApiError::Refused { refusal, .. } => !matches!(refusal.status, 408 | 429 | 500..),
            ApiError::Setup(_) => true,
            _ => false,
        }
    }
}

/// A node and the token to use with it.
#[derive(Debug, Clone)]
pub(super) struct Api {
    http: Client,
    base: Url,
    token: String,
}

/// An HTTP client without redirects and proxies.
pub(super) fn client() -> Result<Client, ApiError> {
    Client::builder()
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|e| ApiError::Setup(format!("HTTP can't be set up: {e}")))
}

/// How long the answer asks to wait before the next request (RFC 9110 §10.2.3), if it says so in seconds.
pub(super) fn retry_after(answer: &Response) -> Option<Duration> {
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

impl Api {
    pub(super) fn new(base: Url, token: impl Into<String>) -> Result<Api, ApiError> {
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            let base = without_user(&base);
            return Err(ApiError::Setup(format!("{base} is not a node's URL: write https://node.example")));
        }
        Ok(Api { http: client()?, base, token: token.into() })
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// The node's URL as people may see it.
    pub(super) fn shown(&self) -> Url {
        without_user(&self.base)
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Whether an address is one of this node's own, so that a post there may show the token. Nobody else may see it.
    pub(super) fn owns(&self, address: &Address) -> bool {
        let own = self.url(&["a", ""]);
        let Ok(address) = Url::parse(address.as_str()) else { return false };
        let token = address.path().strip_prefix(own.path()).filter(|_| address.origin() == own.origin());
        // What a proxy might decode could lead to something else on that host.
        let is_plain = |token: &str| token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        token.is_some_and(|token| !token.is_empty() && is_plain(token)) && address.query().is_none()
    }

    /// The URL of a path. Each segment is percent-encoded.
    pub(super) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    pub(super) async fn get<A: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<A, ApiError> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.json(self.http.get(url).timeout(WITHIN)).await
    }

    pub(super) async fn send<A: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<A, ApiError> {
        self.json(self.http.request(method, self.url(path)).timeout(WITHIN).json(body)).await
    }

    pub(super) async fn delete(&self, path: &[&str]) -> Result<(), ApiError> {
        self.answer(self.http.delete(self.url(path)).timeout(WITHIN)).await.map(drop)
    }

    /// Uploads a CSV file.
    pub(super) async fn import<A: DeserializeOwned>(&self, mode: &str, csv: reqwest::Body) -> Result<A, ApiError> {
        let mut url = self.url(&["v1", "numbers:import"]);
        url.query_pairs_mut().append_pair("mode", mode);
        self.json(self.http.post(url).header("content-type", "text/csv").body(csv)).await
    }

    /// Checks that a GET request succeeds, and ignores its body.
    pub(super) async fn touch(&self, path: &[&str]) -> Result<(), ApiError> {
        self.answer(self.http.get(self.url(path)).timeout(WITHIN)).await.map(drop)
    }

    async fn json<A: DeserializeOwned>(&self, request: RequestBuilder) -> Result<A, ApiError> {
        let body = self.answer(request).await?.bytes().await.map_err(|e| self.unreachable(&e))?;
        let strange = |e: serde_json::Error| ApiError::Strange { node: self.shown().to_string(), why: e.to_string() };
        serde_json::from_slice(&body).map_err(strange)
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Response, ApiError> {
        let request = if self.token.is_empty() { request } else { request.bearer_auth(&self.token) };
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = retry_after(&response);
        let body = response.bytes().await.unwrap_or_default();
        let mut refusal: ProblemDetails = serde_json::from_slice(&body).unwrap_or_default();
        (refusal.status, refusal.retry_after) = (status.as_u16(), retry_after);
        if refusal.detail.is_empty() {
            refusal.detail = status.canonical_reason().unwrap_or("an error").to_owned();
        }
        Err(ApiError::Refused { node: self.shown().to_string(), refusal: Box::new(refusal) })
    }

    fn unreachable(&self, error: &reqwest::Error) -> ApiError {
        ApiError::Unreachable { node: self.shown().to_string(), why: cause(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_stands_by_says_so_in_a_field_of_its_own() {
        let stands_by = |answer: &str| {
            let refusal: ProblemDetails = serde_json::from_str(answer).unwrap();
            ApiError::Refused { node: "http://b".to_owned(), refusal: Box::new(refusal) }.stands_by()
        };
        let found = stands_by(r#"{"status": 503, "detail": "it waits for process 7", "stand_by": "waits"}"#);
        assert_eq!(found, Some(("it waits for process 7".to_owned(), StandByState::Waits)));
        let earlier = "the node stands by: process 7 on b has the database";
        let found = stands_by(&format!(r#"{{"status": 503, "detail": "{earlier}"}}"#));
        assert_eq!(found, Some((earlier.to_owned(), StandByState::Waits)));
        assert_eq!(stands_by(r#"{"status": 503, "detail": "the database is not available"}"#), None);
        assert_eq!(stands_by(r#"{"status": 500, "detail": "no", "stand_by": "waits"}"#), None);
    }

    #[test]
    fn the_token_is_for_the_nodes_own_addresses_alone() {
        // Fails if a provider is already installed, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shows = |node: &str, address: &str| {
            let api = Api::new(node.parse().unwrap(), "token").unwrap();
            api.owns(&address.parse().unwrap())
        };
        for (node, address) in [
            ("https://node.example", "https://node.example/a/x"),
            ("https://node.example/", "https://node.example:443/a/aZ0-_"),
            ("https://node.example/sidecall", "https://node.example/sidecall/a/x"),
            ("http://127.0.0.1:8600", "http://127.0.0.1:8600/a/x"),
        ] {
            assert!(shows(node, address), "{node} {address}");
        }
        for (node, address) in [
            ("https://node.example", "https://other.example/a/x"),
            ("https://node.example", "https://node.example.other.example/a/x"),
            ("https://node.example", "https://node.example:8443/a/x"),
            ("https://node.example", "https://node.example/other/a/x"),
            ("https://node.example", "https://node.example/a/../other/x"),
            ("https://node.example", "https://node.example/a/..%2fother"),
            ("https://node.example", "https://node.example/a/x/other"),
            ("https://node.example", "https://node.example/a/x?other"),
            ("https://node.example", "https://node.example/a/"),
            ("https://node.example/sidecall", "https://node.example/a/x"),
            ("https://127.0.0.1:8600", "http://127.0.0.1:8600/a/x"),
            ("http://127.0.0.1:8600", "http://127.0.0.1:8601/a/x"),
            ("https://node.example", "sip:bob@node.example"),
        ] {
            assert!(!shows(node, address), "{node} {address}");
        }
    }
}
