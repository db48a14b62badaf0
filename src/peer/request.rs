//! One request to another node and its outcome.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{RETRY_AFTER, USER_AGENT};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use serde::de::DeserializeOwned;

use super::PeerError;
use crate::core::base::root_cause::cause;

/// Time limit for another node's answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of an answer in bytes, and of an error text in characters.
const ANSWER: usize = 8 * 1024;
const WORDS: usize = 200;

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The node accepted it.
    Accepted,
    /// The node refused it for good.
    Refused(String),
    /// A retry may succeed.
    Again {
        /// What went wrong.
        error: String,
        /// The node's `Retry-After`.
        after: Option<Duration>,
    },
}

/// The settings shared by all HTTP clients here: no redirects, no proxies.
pub(super) fn builder() -> reqwest::ClientBuilder {
    // Fails if a provider is already installed, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT).no_proxy().tcp_nodelay(true)
}

pub(super) fn build(builder: reqwest::ClientBuilder) -> Result<Client, PeerError> {
    builder.build().map_err(|error| PeerError::Tls(why(&error)))
}

pub(super) async fn send(request: RequestBuilder) -> Outcome {
    match post(request).await {
        Ok(_) => Outcome::Accepted,
        Err(outcome) => outcome,
    }
}

/// Sends a request and parses the answer.
pub(super) async fn ask<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Outcome> {
    let answer = post(request).await?;
    let read = body(answer).await.and_then(|body| serde_json::from_slice(&body).ok());
    read.ok_or_else(|| Outcome::Refused("the answer can't be read".to_owned()))
}

async fn post(request: RequestBuilder) -> Result<Response, Outcome> {
    let request = request.header(USER_AGENT, concat!("sidecall/", env!("CARGO_PKG_VERSION")));
    match request.send().await {
        Ok(answer) if answer.status().is_success() => Ok(answer),
        Ok(answer) => Err(judge(answer).await),
        Err(error) if error.is_timeout() => Err(again("no answer in time")),
        Err(error) => Err(again(&why(&error))),
    }
}

pub(super) fn again(error: &str) -> Outcome {
    Outcome::Again { error: error.chars().take(WORDS).collect(), after: None }
}

/// The outcome for an error status.
async fn judge(answer: Response) -> Outcome {
    let status = answer.status();
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let error = words(answer).await;
    let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    if status.is_server_error() || later {
        return Outcome::Again { error, after: after.map(Duration::from_secs) };
    }
    // A redirect would lead to a host that nobody configured.
    Outcome::Refused(error)
}

/// `HTTP 403 not-its-number`: the status, and the reason if it has the form of ours.
async fn words(answer: Response) -> String {
    let status = format!("HTTP {}", answer.status().as_u16());
    let body = body(answer).await.unwrap_or_default();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let word =
        |text: &&str| !text.is_empty() && text.len() <= 40 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    match problem.get("reason").and_then(|reason| reason.as_str()).filter(word) {
        Some(reason) => format!("{status} {reason}"),
        None => status,
    }
}

/// The body, unless it is too long or incomplete.
async fn body(mut answer: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        if body.len() + chunk.len() > ANSWER {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// The cause of an error. reqwest's own text describes only the outermost error.
fn why(error: &reqwest::Error) -> String {
    if error.source().is_none() {
        return "the connection broke".to_owned();
    }
    cause(error).chars().filter(|c| !c.is_control()).take(WORDS).collect()
}
