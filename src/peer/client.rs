//! One request to another node, and what it came to.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{RETRY_AFTER, USER_AGENT};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use serde::de::DeserializeOwned;

use super::PeerError;
use crate::core::cause::cause;

/// How long another node has to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read, and characters of its words that are kept.
const ANSWER: usize = 8 * 1024;
const WORDS: usize = 200;

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has it.
    Accepted,
    /// It will say the same again.
    Refused(String),
    /// It may take it later.
    Again {
        /// What went wrong.
        error: String,
        /// When it wants to be asked again.
        after: Option<Duration>,
    },
}

/// What all clients of this room have in common: nothing but the address that was given is asked.
pub(super) fn builder() -> reqwest::ClientBuilder {
    // Fails if there is a provider already, which is as good.
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

/// The same where something is answered.
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

/// What an answer that is no success comes to.
async fn judge(answer: Response) -> Outcome {
    let status = answer.status();
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let error = words(answer).await;
    let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    if status.is_server_error() || later {
        return Outcome::Again { error, after: after.map(Duration::from_secs) };
    }
    // A redirect would lead where nobody has sent us.
    Outcome::Refused(error)
}

/// `HTTP 403 not-its-number`: the status, and the reason if it is one word as ours are.
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

/// An answer's body, unless it is too long or breaks off.
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

/// reqwest's own words stop at the outermost error; the cause says what is wrong.
fn why(error: &reqwest::Error) -> String {
    if error.source().is_none() {
        return "the connection broke".to_owned();
    }
    cause(error).chars().filter(|c| !c.is_control()).take(WORDS).collect()
}
