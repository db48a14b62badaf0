//! Pages of other origins: which may use the client API (CORS), and which may open a client's stream.
//!
//! Browsers enforce CORS on requests but not on WebSockets, so the node checks `Origin` itself. Other programs send no
//! `Origin`.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::core::address::origin::Origin;
use crate::node::Problem;
use crate::node::config::NodeConfig;

/// How long a browser remembers what it may do.
const MAX_AGE: Duration = Duration::from_secs(600);
/// Of server-sent events.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The origins whose pages are this node's clients.
#[derive(Debug)]
pub(in crate::node) struct ClientOrigins {
    listed: Vec<Origin>,
    /// Of `public_url`: a proxy in front may send another `Host`.
    own: Option<Origin>,
}

impl ClientOrigins {
    pub(in crate::node) fn new(config: &NodeConfig) -> ClientOrigins {
        let public = config.public_url.as_ref().and_then(|url| url::Url::parse(url).ok());
        let own = public.and_then(|url| url.origin().ascii_serialization().parse().ok());
        ClientOrigins { listed: config.origins.clone(), own }
    }

    /// For the client API.
    pub(super) fn cors(&self) -> CorsLayer {
        let listed = self.listed.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok());
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(listed))
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers([AUTHORIZATION, CONTENT_TYPE, LAST_EVENT_ID])
            .expose_headers([RETRY_AFTER])
            .max_age(MAX_AGE)
    }

    /// Refuses a WebSocket from a page of another origin.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let is_ours = |origin: &HeaderValue| {
            let origin: Option<Origin> = origin.to_str().ok().and_then(|origin| origin.parse().ok());
            origin.is_some_and(|origin| {
                self.listed.contains(&origin)
                    || self.own.as_ref() == Some(&origin)
                    || host.is_some_and(|host| origin.is_at(host))
            })
        };
        if headers.get_all(ORIGIN).iter().all(is_ours) {
            return Ok(());
        }
        let detail = "pages of this origin may not open a stream; an administrator can allow it in node.origins";
        Err(Problem::field(StatusCode::FORBIDDEN, "Origin", detail))
    }
}

/// For call-scoped addresses, which pages of other organisations' nodes post to. A page that shows a client's token has it
/// from the client: browsers add none by themselves.
pub(super) fn any() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([RETRY_AFTER])
        .max_age(MAX_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_for_the_nodes_own_pages_and_the_listed_ones() {
        let config = NodeConfig {
            public_url: Some("https://node.example/sidecall".to_owned()),
            origins: vec!["https://crm.example".parse().unwrap()],
            ..NodeConfig::default()
        };
        let origins = ClientOrigins::new(&config);
        let allowed = |origin: &[&'static str]| {
            let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("127.0.0.1:8600"))]);
            for origin in origin {
                headers.append(ORIGIN, HeaderValue::from_static(origin));
            }
            origins.check(&headers).is_ok()
        };
        for (origin, is_allowed) in [
            (&[][..], true),
            (&["https://crm.example"], true),
            (&["https://node.example"], true),
            (&["http://127.0.0.1:8600"], true),
            (&["http://127.0.0.1:8601"], false),
            (&["http://crm.example"], false),
            (&["https://crm.example.evil.example"], false),
            (&["https://evil.example"], false),
            (&["null"], false),
            (&[""], false),
            (&["https://crm.example", "https://evil.example"], false),
        ] {
            assert_eq!(allowed(origin), is_allowed, "{origin:?}");
        }
    }
}
