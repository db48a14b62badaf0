//! `/v1/peer/offers`: what other organisations' nodes tell this one.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;

use crate::contract::{Offer, OfferRefusal, SharedTimeline};
use crate::core::base::name::CallId;
use crate::monitor::Metrics;
use crate::node::Problem;
use crate::node::http::auth::FromPeer;
use crate::node::http::extract::{Body, InPath};
use crate::node::http::problem::Problems;
use crate::node::http::rate_limits::PeerLimit;
use crate::node::peering::inbound::{Inbound, OfferError};
use crate::node::peering::outbound::STEPS_MAX;

/// Bytes of an offer.
pub(in crate::node) const BODY: usize = 8 * 1024;

pub(in crate::node) struct OffersApi {
    pub(in crate::node) inbound: Arc<Inbound>,
    pub(in crate::node) offer_limit: PeerLimit,
    pub(in crate::node) timeline_limit: PeerLimit,
    pub(in crate::node) metrics: Metrics,
}

/// One of a peer's numbers calls one of ours, and this is how its client is reached.
///
/// Taken once; repeats do no harm. Nothing but that is said: not whether the called number has a client,
/// nor whether the call has come.
#[utoipa::path(post, path = "/v1/peer/offers", tag = "peers", security(("bearer" = ["peer"]), ("certificate" = [])),
    request_body = Offer,
    responses((status = 202, description = "It is taken"), Problems,
        (status = 409, description = "Another offer of the same id, or a loop", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many offers", body = Problem, content_type = "application/problem+json")))]
pub(in crate::node) async fn create(
    State(api): State<Arc<OffersApi>>,
    FromPeer(peer): FromPeer,
    request: Request,
) -> Result<StatusCode, Problem> {
    let metrics = api.metrics;
    let count = |result: &'static str| metrics.offer_received(peer.name(), result);
    let Body(offer) = Body::<Offer>::from_request(request, &()).await.map_err(|problem| {
        count(OfferRefusal::Invalid.as_str());
        problem.because(OfferRefusal::Invalid)
    })?;
    let id = offer.id.clone();
    let taken = match api.offer_limit.take(peer.name(), Instant::now()) {
        true => api.inbound.accept_offer(&peer, offer).await,
        false => Err(OfferError::too_many()),
    };
    match &taken {
        Ok(()) => count("accepted"),
        Err(OfferError::Refused { reason, .. }) => {
            let reason = reason.as_str();
            count(reason);
            tracing::warn!(peer = %peer.name(), offer = %id, reason, "an offer was refused");
        }
        Err(OfferError::Store(_)) => count("failed"),
    }
    Ok(taken.map(|()| StatusCode::ACCEPTED)?)
}

/// The call of an offer is over: it is forgotten, if no call has used it. What isn't there is not said to be.
#[utoipa::path(delete, path = "/v1/peer/offers/{id}", tag = "peers",
    security(("bearer" = ["peer"]), ("certificate" = [])),
    params(("id" = String, Path, description = "The offering node's call")),
    responses((status = 204, description = "It is not there any more"), Problems))]
pub(in crate::node) async fn withdraw(
    State(api): State<Arc<OffersApi>>,
    FromPeer(peer): FromPeer,
    InPath(call): InPath<CallId>,
) -> Result<StatusCode, Problem> {
    api.inbound.withdraw_offer(&peer, call).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The peer's part of a call that it has offered, for our part of the same: when what happened, and nothing of who.
///
/// An offer that no call has used is answered like one that isn't there: with nothing.
#[utoipa::path(post, path = "/v1/peer/offers/{id}/part", operation_id = "compare", tag = "peers",
    security(("bearer" = ["peer"]), ("certificate" = [])),
    params(("id" = String, Path, description = "The offering node's call")),
    request_body = SharedTimeline, responses((status = 200, body = SharedTimeline), Problems,
        (status = 429, description = "Too many", body = Problem, content_type = "application/problem+json")))]
pub(in crate::node) async fn sync_timeline(
    State(api): State<Arc<OffersApi>>,
    FromPeer(peer): FromPeer,
    InPath(call): InPath<CallId>,
    Body(theirs): Body<SharedTimeline>,
) -> Result<Json<SharedTimeline>, Problem> {
    if !api.timeline_limit.take(peer.name(), Instant::now()) {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many of these; slow down");
        return Err(problem.retry_after(1));
    }
    if theirs.steps.len() > STEPS_MAX {
        return Err(Problem::invalid("steps", format!("at most {STEPS_MAX}")));
    }
    Ok(Json(api.inbound.sync_timeline(&peer, call, theirs).await?))
}
