//! `/client/`: the browser client. `/j`: the page where guests join.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::node::Problem;
use crate::node::http::problem::Problems;
use crate::web::{FILES, GUEST_PAGE, PAGE, WebFile, policy};

const COOP: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

pub(in crate::node) struct WebClientApi {
    policy: String,
    /// The entity tags of the files, in their order.
    etags: Vec<String>,
}

impl WebClientApi {
    /// `is_at_home` says that nobody reaches the node from another machine.
    pub(in crate::node) fn new(is_at_home: bool) -> WebClientApi {
        let etag = |file: &WebFile| {
            // Weak: it is the same for the compressed file (RFC 9110, section 8.8.3.3).
            let mut etag = String::from("W/\"");
            for byte in &Sha256::digest(file.bytes)[..12] {
                let _ = write!(etag, "{byte:02x}");
            }
            etag + "\""
        };
        WebClientApi { policy: policy(is_at_home), etags: FILES.iter().map(etag).collect() }
    }

    fn file(&self, name: &str, headers: &HeaderMap) -> Result<Response, Problem> {
        let found = FILES.iter().zip(&self.etags).find(|(file, _)| file.name == name);
        let (file, etag) = found.ok_or_else(|| Problem::not_found("file"))?;
        // A browser asks whether its copy is still good: after an upgrade no page runs an old script.
        let cached = [(CACHE_CONTROL, "no-cache"), (ETAG, etag)];
        let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if known.split(',').any(|known| known.trim() == etag) {
            return Ok((StatusCode::NOT_MODIFIED, cached).into_response());
        }
        let headers = [
            (CONTENT_TYPE, file.media_type),
            (CONTENT_SECURITY_POLICY, &self.policy),
            (COOP, "same-origin"),
            (PERMISSIONS, "camera=(self), microphone=(self), display-capture=(self), geolocation=()"),
        ];
        Ok((cached, headers, file.bytes).into_response())
    }
}

/// The browser client's page.
#[utoipa::path(get, path = "/client/", tag = "clients",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), Problems))]
pub(in crate::node) async fn page(
    State(api): State<Arc<WebClientApi>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    api.file(PAGE, &headers)
}

/// The page where guests join a call.
#[utoipa::path(get, path = "/j", tag = "guests",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"), Problems))]
pub(in crate::node) async fn guest_page(
    State(api): State<Arc<WebClientApi>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    api.file(GUEST_PAGE, &headers)
}

/// A file of the browser client.
#[utoipa::path(get, path = "/client/{file}", tag = "clients",
    params(("file" = String, Path, description = "The file's name")),
    responses((status = 200, description = "The file", body = String, content_type = "text/javascript"), Problems))]
pub(in crate::node) async fn file(
    State(api): State<Arc<WebClientApi>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    api.file(&name, &headers)
}

/// Adds the slash, without which the page would look for its files one level up. The address is relative, since a proxy may
/// serve the node below a path.
#[utoipa::path(get, path = "/client", tag = "clients",
    responses((status = 308, description = "To `client/`"), Problems))]
pub(in crate::node) async fn slash() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "client/")]).into_response()
}
