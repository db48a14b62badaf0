//! How much the node stores in total, and what it does when the disk gets full.
//!
//! Below a floor of free space it keeps only what calls need: decisions, and which clients are paired. The
//! rest is refused with 507, so that the database never fails for lack of space.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::monitor::Metrics;
use crate::node::Problem;
use crate::node::app::App;

const MB: u64 = 1024 * 1024;

/// `[node.storage]`: what the node may take of its disk.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// MB that stay free on the database's disk.
    pub free_mb: u64,
    /// MB of people's messages in all calls together, until their calls end.
    pub posts_mb: u64,
    /// Deliveries that are kept with their calls; the oldest calls go first.
    pub deliveries: u64,
    /// Calls that are up, or ended less than a minute ago.
    pub calls: usize,
}

impl Default for StorageConfig {
    fn default() -> StorageConfig {
        StorageConfig { free_mb: 256, posts_mb: 1024, deliveries: 1_000_000, calls: 200_000 }
    }
}

impl StorageConfig {
    pub(in crate::node) fn posts(&self) -> u64 {
        self.posts_mb.saturating_mul(MB)
    }
}

/// The free space on the database's disk.
#[derive(Debug)]
pub(in crate::node) struct Space {
    folder: PathBuf,
    floor: u64,
    low: AtomicBool,
    metrics: Metrics,
}

impl Space {
    pub(in crate::node) fn new(database: &Path, config: &StorageConfig, metrics: Metrics) -> Space {
        let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
        let space = Space {
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            floor: config.free_mb.saturating_mul(MB),
            low: AtomicBool::new(false),
            metrics,
        };
        space.measure();
        space
    }

    /// Whether only decisions and pairs are kept.
    pub(in crate::node) fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    /// Looks again.
    pub(in crate::node) fn measure(&self) {
        let free = match rustix::fs::statvfs(&self.folder) {
            Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
            Err(error) => return tracing::debug!(%error, "the free space can't be measured"),
        };
        let was_low = self.is_low();
        let low = is_low(free, self.floor, was_low);
        self.low.store(low, Ordering::Relaxed);
        self.metrics.store_space(free, low);
        match (was_low, low) {
            (false, true) => tracing::error!(
                free_mb = free / MB,
                floor_mb = self.floor / MB,
                "the database's disk is nearly full: only decisions and pairs are kept"
            ),
            (true, false) => tracing::info!(free_mb = free / MB, "the database's disk has space again"),
            _ => {}
        }
    }

    /// Refuses what calls don't need while there is too little space.
    pub(in crate::node) fn check(&self) -> Result<(), Problem> {
        if self.is_low() { Err(full("the node's disk is nearly full: only calls are taken")) } else { Ok(()) }
    }
}

/// Space that comes and goes at the floor must not change everything each second.
fn is_low(free: u64, floor: u64, was_low: bool) -> bool {
    free < if was_low { floor.saturating_add(floor / 10) } else { floor }
}

/// What isn't stored for lack of space.
pub(in crate::node) fn full(detail: &str) -> Problem {
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, detail).retry_after(60)
}

/// Answers requests that would write with 507 while there is too little space. Inboxes decide by themselves: what is
/// posted there can belong to a pair.
pub(in crate::node) async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if !is_needed(request.method(), path)
        && let Err(problem) = app.space.check()
    {
        return problem.into_response();
    }
    next.run(request).await
}

/// Reads, calls, and whatever takes something away: a person must be able to withhold an address on any disk.
fn is_needed(method: &Method, path: &str) -> bool {
    const CALLS: [&str; 6] = [
        "/v1/calls",
        "/v1/calls/{call}/events",
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
    fn the_floor_is_left_with_some_space_to_spare() {
        assert!(!is_low(100, 100, false) && is_low(99, 100, false));
        assert!(is_low(109, 100, true) && !is_low(110, 100, true));
        assert!(!is_low(0, 0, false));
    }

    #[test]
    fn calls_go_on_without_space() {
        for (method, path) in crate::node::ROUTES {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let refused = !is_needed(&method, path);
            let adds = ["/v1/numbers", "/v1/clients"].iter().any(|p| path.starts_with(p));
            // PATCH says whom a client's address is kept from, and `sidecall` that a number takes no part.
            let writes = [Method::POST, Method::PUT].contains(&method) && !path.ends_with("/sidecall");
            assert_eq!(refused, adds && writes, "{method} {path}");
        }
    }
}
