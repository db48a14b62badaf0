//! What is true of every answer.

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::monitor::Metrics;
use crate::node::Problem;
use crate::node::http::problem::PROBLEM_JSON;
use crate::node::run_to_completion::run_to_completion;

/// What an answer keeps when it becomes a problem.
const KEPT: [HeaderName; 4] =
    [header::ALLOW, header::ACCESS_CONTROL_ALLOW_ORIGIN, header::ACCESS_CONTROL_EXPOSE_HEADERS, header::VARY];

/// Counts the request, makes a problem of every error that isn't one yet, and adds the headers that
/// keep browsers from guessing.
pub(in crate::node) async fn finish(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let method = known(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let mut response = problem(next.run(request).await);
    metrics.http_request(method, route, response.status().as_u16());
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A metric's label must not be of the caller's making.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "HEAD" => "HEAD",
        _ => "other",
    }
}

fn problem(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !(status.is_client_error() || status.is_server_error()) || kind == Some(PROBLEM_JSON) {
        return response;
    }
    let detail = match status {
        StatusCode::NOT_FOUND => "there is nothing at this address",
        StatusCode::METHOD_NOT_ALLOWED => "this address doesn't take that method",
        StatusCode::PAYLOAD_TOO_LARGE => "the body is too large",
        StatusCode::GATEWAY_TIMEOUT => "it took too long",
        StatusCode::UPGRADE_REQUIRED => "this needs a WebSocket, or \"Accept: text/event-stream\"",
        _ if status.is_server_error() => "something went wrong here; the log says more",
        _ => "the request can't be taken as it is",
    };
    let mut made = Problem::new(status, detail).into_response();
    let kept = KEPT.iter().filter_map(|name| Some((name.clone(), response.headers().get(name)?.clone())));
    made.headers_mut().extend(kept);
    made
}

/// Completes each request, even if the caller has gone.
pub(in crate::node) async fn complete(request: Request, next: Next) -> Response {
    run_to_completion(next.run(request)).await
}
