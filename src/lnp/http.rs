//! Queries a portability service over HTTP, which answers in JSON.
//!
//! ```json
//! {"number": "+12125550100", "ported": true, "rn": "+12125559999", "operator": "b.example",
//!  "node": "https://node.b.example", "client": true, "ttl": 3600}
//! ```
//!
//! All fields are optional, and unknown fields are ignored. A 404 means that nothing is known.

use std::time::Duration;

use reqwest::header::{ACCEPT, USER_AGENT};
use reqwest::{Client, Response, StatusCode, redirect};
use serde::Deserialize;

use super::AskError;
use super::config::PLACEHOLDER;
use super::source::{FLIGHT, SourceAnswer};
use crate::core::base::name::OperatorName;
use crate::core::base::secret::Secret;
use crate::core::numbering::number::Number;
use crate::core::numbering::tel_uri::RoutingNumber;
use crate::core::routing::portability::{NodeUrl, PortabilityAnswer};

/// Maximum size of an answer, in bytes.
const BODY: usize = 16 * 1024;
/// Default TTL of an answer.
const TTL: Duration = Duration::from_secs(60);

/// One service.
pub(super) struct Http {
    client: Client,
    url: String,
    token: Option<Secret>,
}

#[derive(Debug, Deserialize)]
struct Body {
    number: Option<Number>,
    ported: Option<bool>,
    rn: Option<RoutingNumber>,
    operator: Option<OperatorName>,
    node: Option<NodeUrl>,
    client: Option<bool>,
    ttl: Option<u64>,
}

impl Http {
    pub(super) fn new(url: String, token: Option<Secret>) -> Result<Http, String> {
        // Fails if a provider is already installed, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A redirect would send the token to another host.
        let client = Client::builder().redirect(redirect::Policy::none()).timeout(FLIGHT).no_proxy().tcp_nodelay(true);
        let client = client.build().map_err(|error| error.to_string())?;
        Ok(Http { client, url, token })
    }

    pub(super) async fn ask(&self, number: &Number) -> Result<SourceAnswer, AskError> {
        // An unescaped + means a space in a query.
        let url = self.url.replace(PLACEHOLDER, &number.to_string().replace('+', "%2B"));
        let mut request = self.client.get(url).header(ACCEPT, "application/json");
        request = request.header(USER_AGENT, concat!("sidecall/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose().trim());
        }
        let answer = request.send().await.map_err(|error| failed(&error))?;
        match answer.status() {
            StatusCode::OK => understood(&bounded(answer).await?, number),
            StatusCode::NOT_FOUND => Ok(SourceAnswer::nothing(TTL)),
            status => Err(AskError::Failed(format!("HTTP {}", status.as_u16()))),
        }
    }
}

fn failed(error: &reqwest::Error) -> AskError {
    match error {
        error if error.is_timeout() => AskError::Late,
        error if error.is_connect() => AskError::Failed("no connection".to_owned()),
        _ => AskError::Failed("the connection broke".to_owned()),
    }
}

async fn bounded(mut answer: Response) -> Result<Vec<u8>, AskError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + chunk.len() > BODY {
            return Err(AskError::Strange(format!("more than {BODY} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

pub(super) fn understood(body: &[u8], number: &Number) -> Result<SourceAnswer, AskError> {
    let body: Body = serde_json::from_slice(body).map_err(|error| AskError::Strange(error.to_string()))?;
    if body.number.is_some_and(|other| other != *number) {
        return Err(AskError::Strange("it is about another number".to_owned()));
    }
    let Body { ported, rn, operator, node, client, ttl, .. } = body;
    let answer = PortabilityAnswer { ported, routing_number: rn, operator, node, has_client: client };
    let nothing = answer == PortabilityAnswer::default();
    Ok(SourceAnswer { answer, ttl: ttl.map_or(TTL, Duration::from_secs), nothing })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(body: &str) -> Result<SourceAnswer, AskError> {
        understood(body.as_bytes(), &"+12125550100".parse().unwrap())
    }

    #[test]
    fn what_is_said_and_what_is_left_out() {
        let said = ask(r#"{"number": "+12125550100", "ported": true, "rn": "+1-212-555-9999", "operator": "b",
            "node": "https://b.example/", "client": false, "ttl": 7, "more": {}}"#)
        .unwrap();
        assert_eq!((said.ttl, said.nothing), (Duration::from_secs(7), false));
        assert_eq!(said.answer.routing_number.unwrap().to_string(), "+12125559999");
        assert_eq!(
            (said.answer.node.unwrap().to_string().as_str(), said.answer.has_client),
            ("https://b.example", Some(false))
        );
        let empty = ask("{}").unwrap();
        assert!(empty.nothing && empty.ttl == TTL);
    }

    #[test]
    fn strange_answers_are_no_answers() {
        for body in [
            "",
            "[]",
            "{",
            r#"{"number": "+12125550101", "ported": true}"#,
            r#"{"rn": "12"}"#,
            r#"{"node": "http://b.example"}"#,
            r#"{"operator": "a b"}"#,
            r#"{"ttl": -1}"#,
            r#"{"ported": "yes"}"#,
        ] {
            assert!(matches!(ask(body), Err(AskError::Strange(_))), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in "\\PC{0,80}|\\{\"(rn|node|operator|number)\": ?\"[ -~]{0,40}\"\\}") {
            let _ = ask(&body);
        }
    }
}
