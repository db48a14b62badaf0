//! `/v1/calls`.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::contract::{
    AnswerView, CallDecision, CallEvents, CallList, CallReport, CallRequest, CallView, EventsReply, FarView,
    SipMessages, Step,
};
use crate::core::call::Call;
use crate::core::far::Far;
use crate::core::name::{CallId, PbxName};
use crate::monitor::now;
use crate::node::Problem;
use crate::node::app::App;
use crate::node::http::auth::{AdminOrAgent, Agent};
use crate::node::http::extract::{Body, InPath, Parameters, agent_clock, agent_id};
use crate::node::http::problem::Problems;
use crate::node::timeline::{story, told_in_order};
use crate::store::CallFilter;

/// Events of one report.
const EVENTS: usize = 64;
/// Calls of one answer.
const CALLS: u32 = 10_000;
/// Calls of an answer to a question that says no limit.
const RECENT: u32 = 100;

/// Where a call that is being set up goes.
#[utoipa::path(post, path = "/v1/calls", tag = "calls", security(("bearer" = ["agent"])),
    params(("sidecall-clock" = Option<i64>, Header, description = "What the agent's clock shows, in milliseconds since 1970")),
    request_body = CallRequest, responses((status = 200, body = CallDecision), Problems))]
pub(in crate::node) async fn decide(
    State(app): State<App>,
    Agent(scope): Agent,
    headers: HeaderMap,
    Body(request): Body<CallRequest>,
) -> Result<Json<CallDecision>, Problem> {
    scope.check(&request.pbx)?;
    app.decide(request.by_clock(agent_clock(&headers), now())).await.map(Json)
}

/// What happened to a call since; repeats do no harm.
#[utoipa::path(post, path = "/v1/calls/{call}/events", tag = "calls", security(("bearer" = ["agent"])),
    params(("call" = String, Path, description = "The call's id"),
        ("sidecall-clock" = Option<i64>, Header, description = "What the agent's clock shows, in milliseconds since 1970"),
        ("sidecall-agent" = Option<String>, Header, description = "The agent's id: it is given SIP MESSAGEs in the reply, and its numbers are compared only with each other")),
    request_body = CallEvents, responses((status = 200, body = EventsReply), Problems))]
pub(in crate::node) async fn events(
    State(app): State<App>,
    Agent(scope): Agent,
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
    let pbx = app.live.pbx_of(&call);
    pbx.as_ref().map_or(Ok(()), |pbx| scope.check(pbx))?;
    let agent = agent_id(&headers);
    // One that is no name says as little as none.
    let over = app.report(&call, agent.and_then(|id| id.parse().ok()), &events).await?;
    let sip = match pbx {
        Some(pbx) => app.sip.hand_out(&pbx, agent).await,
        None => SipMessages::default(),
    };
    Ok(Json(EventsReply { sip, over }))
}

/// Which calls are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::node) struct Wanted {
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
#[utoipa::path(get, path = "/v1/calls", tag = "calls", security(("bearer" = ["admin", "agent"])), params(Wanted),
    responses((status = 200, body = CallList), Problems))]
pub(in crate::node) async fn list(
    State(app): State<App>,
    AdminOrAgent(scope): AdminOrAgent,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<CallList>, Problem> {
    // An agent that asks for live calls ends those that its PBX no longer has: it needs the oldest too.
    let limit = wanted.limit.unwrap_or(if wanted.live == Some(true) { CALLS } else { RECENT });
    if !(1..=CALLS).contains(&limit) {
        return Err(Problem::invalid("limit", format!("must be 1 to {CALLS}")));
    }
    wanted.pbx.as_ref().map_or(Ok(()), |pbx| scope.check(pbx))?;
    let mut calls = match wanted.live {
        // An agent compares these with its PBX: what is in memory is never behind.
        Some(true) => app.live.list(wanted.pbx.as_ref(), limit as usize),
        live => app.store.calls(&CallFilter { live, pbx: wanted.pbx, limit }).await?,
    };
    calls.retain(|call| scope.covers(&call.pbx));
    Ok(Json(CallList { calls: views(&app, calls).await? }))
}

/// One call.
#[utoipa::path(get, path = "/v1/calls/{call}", tag = "calls", security(("bearer" = ["admin", "agent"])),
    params(("call" = String, Path, description = "The call's id")),
    responses((status = 200, body = CallView), Problems))]
pub(in crate::node) async fn show(
    State(app): State<App>,
    AdminOrAgent(scope): AdminOrAgent,
    InPath(id): InPath<CallId>,
) -> Result<Json<CallView>, Problem> {
    let call = found(&app, &id).await?;
    call.as_ref().map_or(Ok(()), |call| scope.check(&call.pbx))?;
    let view = told(&app, call.into_iter().collect()).await?.pop();
    view.map(Json).ok_or_else(|| Problem::not_found("call"))
}

/// Calls as they are listed, with their deliveries.
async fn views(app: &App, calls: Vec<Call>) -> Result<Vec<CallView>, Problem> {
    let mut views: Vec<CallView> = calls.into_iter().map(view).collect();
    for chunk in views.chunks_mut(500) {
        let ids: Vec<CallId> = chunk.iter().map(|view| view.call.clone()).collect();
        for (call, delivery) in app.store.deliveries_of(&ids).await? {
            if let Some(view) = chunk.iter_mut().find(|view| view.call == call) {
                view.deliveries.push(delivery);
            }
        }
    }
    Ok(views)
}

/// Calls with their stories: where one goes on in another one, that one's part is told too.
pub(in crate::node) async fn told(app: &App, calls: Vec<Call>) -> Result<Vec<CallView>, Problem> {
    let mut all = calls.clone();
    let halves: Vec<CallId> = calls.iter().filter_map(|call| call.far.half.clone()).collect();
    for half in halves {
        if !all.iter().any(|call| call.id == half) {
            all.extend(found(app, &half).await?);
        }
    }
    let mut views = views(app, all.clone()).await?;
    let stories: Vec<Vec<Step>> = all.iter().zip(&views).map(|(call, view)| story(call, &view.deliveries)).collect();
    views.truncate(calls.len());
    for (view, call) in views.iter_mut().zip(&calls) {
        let parts = all.iter().zip(&stories).filter(|(other, _)| one(&all, call, other));
        view.story = told_in_order(parts.flat_map(|(_, steps)| steps).cloned().collect());
        view.with =
            all.iter().filter(|other| other.id != call.id && one(&all, call, other)).map(|c| c.id.clone()).collect();
    }
    Ok(views)
}

/// Whether two calls of this node are one: either goes on in the other, or both in a third.
fn one(all: &[Call], a: &Call, b: &Call) -> bool {
    let linked = |a: &Call, b: &Call| a.far.half.as_ref() == Some(&b.id) || b.far.half.as_ref() == Some(&a.id);
    a.id == b.id || linked(a, b) || all.iter().any(|third| linked(a, third) && linked(third, b))
}

async fn found(app: &App, id: &CallId) -> Result<Option<Call>, Problem> {
    match app.live.call(id) {
        Some(call) => Ok(Some(call)),
        None => Ok(app.store.call(id).await?),
    }
}

fn view(call: Call) -> CallView {
    CallView {
        hears: call.hears(),
        legs: call.unfinished().cloned().collect(),
        strangers: call.strangers().cloned().collect(),
        moved: call.moved().cloned().collect(),
        call: call.id,
        pbx: call.pbx,
        leg: call.leg,
        calling: call.calling,
        called: call.called,
        side: call.side,
        route: call.route,
        trunk: call.trunk,
        reason: call.reason,
        address: call.carried,
        phase: call.phase,
        last_seq: call.last_seq,
        decided: call.decided,
        answered: call.answered,
        ended: call.ended,
        cause: call.cause,
        far: (!call.far.is_empty()).then(|| far(call.far)),
        with: Vec::new(),
        story: Vec::new(),
        deliveries: Vec::new(),
    }
}

/// Without the address: whoever reads it could write there.
fn far(far: Far) -> FarView {
    let (how, client) = (far.client.as_ref().map(|client| client.how), far.client);
    let peer = client.as_ref().and_then(|client| client.peer.clone());
    FarView {
        how,
        peer,
        number: client.and_then(|client| client.number),
        offer: far.offer,
        answers: far.answers.into_iter().map(|(number, sent)| AnswerView { number, sent }).collect(),
        half: far.half,
    }
}
