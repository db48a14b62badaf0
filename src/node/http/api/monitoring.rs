//! Health, metrics, status, and the page for a person.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::call_views::CallViews;
use crate::contract::{CallView, NodeView, PbxView};
use crate::core::base::time::UnixMillis;
use crate::monitor::{PAGE, PAGE_CSP, TaskView, Tasks, Totals, TotalsView, now};
use crate::node::delivery::pbx_links::PbxLinks;
use crate::node::http::auth::Monitor;
use crate::node::http::openapi::document;
use crate::node::http::problem::{Problem, Problems};
use crate::node::lifecycle::database_probe::DatabaseProbe;
use crate::node::lifecycle::disk_space::Space;
use crate::node::live_calls::LiveCalls;
use crate::push::Push;
use crate::store::{CallFilter, Store};

/// Calls that the page shows.
const RECENT: u32 = 50;

pub(in crate::node) struct MonitoringApi {
    pub(in crate::node) push: Push,
    pub(in crate::node) links: Arc<PbxLinks>,
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) store: Store,
    pub(in crate::node) views: CallViews,
    pub(in crate::node) totals: Arc<Totals>,
    pub(in crate::node) tasks: Tasks,
    pub(in crate::node) probe: Arc<DatabaseProbe>,
    pub(in crate::node) space: Arc<Space>,
    pub(in crate::node) started: UnixMillis,
    pub(in crate::node) shutdown: CancellationToken,
}

impl MonitoringApi {
    /// What keeps the node from doing its work: an internal task, or the database.
    fn trouble(&self) -> Option<String> {
        self.tasks.trouble().or_else(|| self.probe.trouble())
    }
}

/// The node at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// The program's version.
    pub version: String,
    /// When the node was started.
    pub started: UnixMillis,
    /// The node's clock.
    pub now: UnixMillis,
    /// Whether the database takes writes.
    pub store_ok: bool,
    /// The internal tasks of the process, and what is wrong with them.
    #[serde(default)]
    pub tasks: Vec<TaskView>,
    /// What keeps the node from doing its work, as `/readyz` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The nodes that share the database, the active one first. Absent if the database is a file. Empty if the node has not
    /// been able to read the list since its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<NodeView>>,
    /// The links that agents report.
    pub pbxs: Vec<PbxView>,
    /// Calls that have not ended.
    pub live: u64,
    /// Hosted clients' open streams.
    pub connected: u64,
    /// What was counted since the start.
    pub totals: TotalsView,
    /// Live and recent calls, the newest first.
    pub calls: Vec<CallView>,
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/healthz", tag = "monitoring",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
pub(in crate::node) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the node can do its work: its internal tasks run, its database answers, its disk has space, and it isn't
/// stopping. If not, the detail names what is wrong. A node that stands by for another one says in `stand_by` what it can do.
#[utoipa::path(get, path = "/readyz", tag = "monitoring",
    responses((status = 200, description = "It can", body = String, content_type = "text/plain"),
        (status = 503, description = "It can't", body = Problem, content_type = "application/problem+json")))]
pub(in crate::node) async fn readyz(State(api): State<Arc<MonitoringApi>>) -> Result<&'static str, Problem> {
    if api.shutdown.is_cancelled() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the node is stopping"));
    }
    // Whether the database can be written is found out by the probe, not by whoever asks.
    if let Some(trouble) = api.trouble() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, trouble));
    }
    let failing = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the database can't be read");
    api.store.check().await.map_err(failing)?;
    if api.space.is_low() {
        let detail = "the database's disk is nearly full: only decisions and pairs are kept";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    }
    Ok("ready\n")
}

/// Prometheus metrics.
#[utoipa::path(get, path = "/metrics", tag = "monitoring", security((), ("bearer" = ["admin"])),
    responses((status = 200, description = "In the text format", body = String, content_type = "text/plain"), Problems))]
pub(in crate::node) async fn metrics(State(api): State<Arc<MonitoringApi>>, _: Monitor) -> Response {
    let text = api.totals.metrics.render();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Links, calls, deliveries and counts.
#[utoipa::path(get, path = "/v1/status", tag = "monitoring", security((), ("bearer" = ["admin"])),
    responses((status = 200, body = StatusView), Problems))]
pub(in crate::node) async fn status(
    State(api): State<Arc<MonitoringApi>>,
    _: Monitor,
) -> Result<Json<StatusView>, Problem> {
    let calls = api.store.calls(&CallFilter { live: None, pbx: None, limit: RECENT }).await?;
    let mut calls = api.views.with_timelines(calls).await?;
    // Whoever has a call's address can send to its client: that isn't for whoever may look.
    calls.iter_mut().for_each(|call| call.address = None);
    let now = now();
    Ok(Json(StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: api.started,
        now,
        store_ok: !api.store.is_failing(),
        tasks: api.tasks.views(),
        trouble: api.trouble(),
        nodes: api.store.nodes(now),
        pbxs: api.links.views(now),
        live: api.live.count() as u64,
        connected: api.push.hub().connected() as u64,
        totals: api.totals.view(),
        calls,
    }))
}

/// The status page. It holds nothing itself: it asks `/v1/status`, with a token where one is needed.
#[utoipa::path(get, path = "/", tag = "monitoring",
    responses((status = 200, description = "The page", body = String, content_type = "text/html")))]
pub(in crate::node) async fn page() -> Response {
    ([(CONTENT_SECURITY_POLICY, PAGE_CSP)], Html(PAGE)).into_response()
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "monitoring",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(in crate::node) async fn openapi() -> Response {
    Json(document()).into_response()
}
