//! `/v1/calls/{call}/claims`: of a number's clients, the first to accept an invitation gets it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::contract::{ClaimOutcome, NewClaim, NoticeBody};
use crate::core::base::name::CallId;
use crate::core::call::claims::Winner;
use crate::monitor::now;
use crate::node::Problem;
use crate::node::delivery::{Deliveries, new_notice};
use crate::node::disclosure::Disclosure;
use crate::node::http::auth::Identity;
use crate::node::http::extract::{Body, InPath};
use crate::node::http::problem::Problems;
use crate::node::live_calls::LiveCalls;
use crate::push::Frame;
use crate::store::Binding;

pub(in crate::node) struct ClaimsApi {
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) disclosure: Arc<Disclosure>,
    pub(in crate::node) deliveries: Arc<Deliveries>,
}

/// Claims an invitation for a client. The first client of the number to do so wins, and may repeat the request. The
/// others are told at once with `{"type":"taken","invitation":…,"client":…}`, if they are hosted and connected. If the
/// winner no longer takes part (it is deleted, expired or revoked, or offers its address to nobody), the next client to
/// claim replaces it.
///
/// Claims are kept in memory: they end with the call, and a restart of the node forgets them.
#[utoipa::path(post, path = "/v1/calls/{call}/claims", tag = "clients", security(("bearer" = ["client"])),
    params(("call" = String, Path, description = "The call's id")),
    request_body = NewClaim, responses((status = 200, body = ClaimOutcome), Problems,
        (status = 429, description = "The number has claimed as many invitations as it can in one call", body = Problem, content_type = "application/problem+json")))]
pub(in crate::node) async fn create(
    State(api): State<Arc<ClaimsApi>>,
    identity: Identity,
    InPath(call): InPath<CallId>,
    Body(NewClaim { client, invitation }): Body<NewClaim>,
) -> Result<Json<ClaimOutcome>, Problem> {
    let Identity::Client { number, device } = identity else { return Err(Problem::forbidden("this is for clients")) };
    let mut clients = api.disclosure.participating_clients(&call, &number).await?;
    // Nobody claims for another's client.
    if !clients.iter().any(|binding| binding.id == client && binding.device == device) {
        return Err(Problem::not_found("client"));
    }
    let claim = |gone| api.live.claim(&call, &number, &invitation, &client, gone, now());
    let is_among = |clients: &[Binding], winner: &Winner| clients.iter().any(|binding| binding.id == winner.client);
    let mut winner = claim(None)?;
    if !is_among(&clients, &winner) {
        // It may have been bound since they were listed.
        clients = api.disclosure.participating_clients(&call, &number).await?;
        if !is_among(&clients, &winner) {
            winner = claim(Some(&winner.client))?;
        }
    }
    let Winner { client: winner, is_new } = winner;
    if is_new {
        tracing::debug!(%call, %number, %invitation, client = %winner, "invitation accepted");
        clients.retain(|other| other.id != winner);
        let body = NoticeBody::Claimed { invitation, client: winner.clone() };
        api.deliveries.send_ephemeral(&clients, &Frame::notice(&new_notice(&call, body)));
    }
    Ok(Json(ClaimOutcome { won: winner == client, client: winner }))
}
