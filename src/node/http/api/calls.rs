//! `/v1/calls`: what agents ask and report, and the calls as they are listed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::contract::{
    CallDecision, CallEvents, CallList, CallReport, CallRequest, CallView, EventsReply, SipMessages,
};
use crate::core::base::name::{CallId, PbxName};
use crate::monitor::now;
use crate::node::Problem;
use crate::node::call::decide::Decisions;
use crate::node::call::events::Reports;
use crate::node::delivery::sip_handout::SipHandout;
use crate::node::http::api::call_views::CallViews;
use crate::node::http::auth::{AdminOrAgent, FromAgent};
use crate::node::http::extract::{Body, InPath, Parameters, agent_clock, agent_id};
use crate::node::http::problem::Problems;
use crate::node::live_calls::LiveCalls;
use crate::store::{CallFilter, Store};

/// Events of one report.
const EVENTS: usize = 64;
/// Calls of one answer.
const CALLS: u32 = 10_000;
/// Calls of an answer to a question that says no limit.
const RECENT: u32 = 100;

pub(in crate::node) struct CallsApi {
    pub(in crate::node) decisions: Decisions,
    pub(in crate::node) reports: Reports,
    pub(in crate::node) sip: Arc<SipHandout>,
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) store: Store,
    pub(in crate::node) views: CallViews,
}

/// Where a call that is being set up goes.
#[utoipa::path(post, path = "/v1/calls", tag = "calls", security(("bearer" = ["agent"])),
    params(("sidecall-clock" = Option<i64>, Header, description = "What the agent's clock shows, in milliseconds since 1970")),
    request_body = CallRequest, responses((status = 200, body = CallDecision), Problems))]
pub(in crate::node) async fn decide(
    State(api): State<Arc<CallsApi>>,
    FromAgent(scope): FromAgent,
    headers: HeaderMap,
    Body(request): Body<CallRequest>,
) -> Result<Json<CallDecision>, Problem> {
    scope.check(&request.pbx)?;
    Ok(Json(api.decisions.decide(request.by_clock(agent_clock(&headers), now())).await?))
}

/// What happened to a call since; repeats do no harm.
#[utoipa::path(post, path = "/v1/calls/{call}/events", tag = "calls", security(("bearer" = ["agent"])),
    params(("call" = String, Path, description = "The call's id"),
        ("sidecall-clock" = Option<i64>, Header, description = "What the agent's clock shows, in milliseconds since 1970"),
        ("sidecall-agent" = Option<String>, Header, description = "The agent's id: it is given SIP MESSAGEs in the reply, and its numbers are compared only with each other")),
    request_body = CallEvents, responses((status = 200, body = EventsReply), Problems))]
pub(in crate::node) async fn events(
    State(api): State<Arc<CallsApi>>,
    FromAgent(scope): FromAgent,
    InPath(call): InPath<CallId>,
    headers: HeaderMap,
    Body(report): Body<CallEvents>,
) -> Result<Json<EventsReply>, Problem> {
    let events = report.by_clock(agent_clock(&headers), now());
    if events.len() > EVENTS {
        return Err(Problem::invalid("events", format!("a report has at most {EVENTS} events")));
    }
    if let Some(n) = events.iter().position(|event| event.seq > CallReport::SEQ_MAX) {
        return Err(Problem::invalid(format!("events[{n}].seq"), format!("must be at most {}", CallReport::SEQ_MAX)));
    }
    let pbx = api.live.pbx_of(&call);
    pbx.as_ref().map_or(Ok(()), |pbx| scope.check(pbx))?;
    let agent = agent_id(&headers);
    // One that is no name says as little as none.
    let over = api.reports.apply(&call, agent.and_then(|id| id.parse().ok()), events).await?;
    let sip = match pbx {
        Some(pbx) => api.sip.hand_out(&pbx, agent).await,
        None => SipMessages::default(),
    };
    Ok(Json(EventsReply { sip, over }))
}

/// Which calls are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::node) struct CallQuery {
    /// Only those that haven't ended, or only those that have.
    live: Option<bool>,
    /// Only those announced on this PBX.
    #[param(value_type = Option<String>)]
    pbx: Option<PbxName>,
    /// At most so many, 1 to 10,000; 100 if absent, and 10,000 of those that are live.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<u32>,
}

/// Live and recent calls, the newest first.
#[utoipa::path(get, path = "/v1/calls", tag = "calls", security(("bearer" = ["admin", "agent"])), params(CallQuery),
    responses((status = 200, body = CallList), Problems))]
pub(in crate::node) async fn list(
    State(api): State<Arc<CallsApi>>,
    AdminOrAgent(scope): AdminOrAgent,
    Parameters(wanted): Parameters<CallQuery>,
) -> Result<Json<CallList>, Problem> {
    // An agent that asks for live calls ends those that its PBX no longer has: it needs the oldest too.
    let limit = wanted.limit.unwrap_or(if wanted.live == Some(true) { CALLS } else { RECENT });
    if !(1..=CALLS).contains(&limit) {
        return Err(Problem::invalid("limit", format!("must be 1 to {CALLS}")));
    }
    wanted.pbx.as_ref().map_or(Ok(()), |pbx| scope.check(pbx))?;
    let mut calls = match wanted.live {
        // An agent compares these with its PBX: what is in memory is never behind, unless another node has taken over.
        Some(true) => {
            api.store.check_lease()?;
            api.live.list(wanted.pbx.as_ref(), limit as usize)
        }
        live => api.store.calls(&CallFilter { live, pbx: wanted.pbx, limit }).await?,
    };
    calls.retain(|call| scope.covers(&call.pbx));
    Ok(Json(CallList { calls: api.views.list(calls).await? }))
}

/// One call.
#[utoipa::path(get, path = "/v1/calls/{call}", tag = "calls", security(("bearer" = ["admin", "agent"])),
    params(("call" = String, Path, description = "The call's id")),
    responses((status = 200, body = CallView), Problems))]
pub(in crate::node) async fn show(
    State(api): State<Arc<CallsApi>>,
    AdminOrAgent(scope): AdminOrAgent,
    InPath(id): InPath<CallId>,
) -> Result<Json<CallView>, Problem> {
    let call = api.views.find(&id).await?.ok_or_else(|| Problem::not_found("call"))?;
    scope.check(&call.pbx)?;
    let view = api.views.with_timelines(vec![call]).await?.pop();
    view.map(Json).ok_or_else(|| Problem::not_found("call"))
}
