//! Refuses what calls don't need while the database's disk is nearly full.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::node::Problem;
use crate::node::lifecycle::disk_space::Space;

/// Answers requests that would write with 507 while there is too little space. Inboxes decide by themselves: what is
/// posted there can belong to a pair.
pub(super) async fn guard(State(space): State<Arc<Space>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if !is_needed(request.method(), path)
        && let Err(problem) = check(&space)
    {
        return problem.into_response();
    }
    next.run(request).await
}

/// Refuses to write while there is too little space.
pub(super) fn check(space: &Space) -> Result<(), Problem> {
    if space.is_low() { Err(Problem::full("the node's disk is nearly full: only calls are taken")) } else { Ok(()) }
}

/// Reads, calls, and whatever takes something away: a person must be able to withhold an address on any disk.
fn is_needed(method: &Method, path: &str) -> bool {
    const CALLS: [&str; 9] = [
        "/v1/calls",
        "/v1/calls/{call}/events",
        "/v1/calls/{call}/claims",
        "/v1/calls/{call}/guests",
        "/v1/guests",
        "/v1/pbxs/{pbx}",
        "/v1/peer/offers",
        "/v1/peer/offers/{id}/part",
        "/a/{token}",
    ];
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE];
    reads.contains(method)
        || CALLS.contains(&path)
        || (*method == Method::PATCH && path == "/v1/clients/{id}")
        || path == "/v1/numbers/{number}/sidecall"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_go_on_without_space() {
        for (method, path) in crate::node::ROUTES {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let refused = !is_needed(&method, path);
            let adds = ["/v1/numbers", "/v1/clients", "/v1/devices", "/v1/dialled-enrolments"]
                .iter()
                .any(|p| path.starts_with(p));
            // PATCH says whom a client's address is kept from, and `sidecall` that a number takes no part.
            let writes = [Method::POST, Method::PUT].contains(&method) && !path.ends_with("/sidecall");
            let renames = method == Method::PATCH && *path == "/v1/devices/{id}";
            assert_eq!(refused, adds && writes || renames, "{method} {path}");
        }
    }
}
