//! What a node answers while another one has its database.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use tokio::sync::watch;

use crate::contract::STANDS_BY;
use crate::monitor::Metrics;
use crate::node::Problem;
use crate::node::config::{Monitoring, NodeConfig};
use crate::node::http::dns_rebinding::Hosts;
use crate::node::http::middleware::finish;
use crate::store::StandByReason;

struct StandByApi {
    /// What it waits for.
    reasons: watch::Receiver<Option<StandByReason>>,
    /// The names by which anybody may read the metrics. None if that takes a token: tokens are in the database.
    open_to: Option<Hosts>,
    metrics: Metrics,
}

/// `/healthz`, `/readyz`, `/metrics`, and a refusal for all else. `reasons` has what the node waits for.
pub(in crate::node) fn router(config: &NodeConfig, reasons: watch::Receiver<Option<StandByReason>>) -> Router {
    let metrics = Metrics::install();
    let open_to = (config.monitoring() == Monitoring::Open).then(|| Hosts::new(config));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .fallback(refuse)
        .layer(middleware::from_fn_with_state(metrics, finish))
        .with_state(Arc::new(StandByApi { reasons, open_to, metrics }))
}

/// It answers, and says that it serves nobody.
async fn healthz() -> String {
    format!("{STANDS_BY}\n")
}

async fn readyz(State(api): State<Arc<StandByApi>>) -> Problem {
    let reason = api.reasons.borrow().clone().unwrap_or_else(StandByReason::held_by_somebody);
    refusal(&reason.to_string()).stands_by(reason.state())
}

/// Who may not read the metrics learns no more than from `/readyz`.
async fn render(State(api): State<Arc<StandByApi>>, headers: HeaderMap) -> Result<Response, Problem> {
    let text = match &api.open_to {
        Some(hosts) => {
            hosts.check(&headers)?;
            api.metrics.render()
        }
        None => api.metrics.render_stand_by(),
    };
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// Who has the database is for `/readyz`: a proxy may show all else to everybody.
async fn refuse() -> Problem {
    refusal("another one serves")
}

fn refusal(reason: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("{STANDS_BY}: {reason}")).retry_after(1)
}
