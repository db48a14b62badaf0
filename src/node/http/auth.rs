//! Who asks: bearer tokens (RFC 6750) and their roles.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};

use crate::contract::OfferRefusal;
use crate::core::name::PeerName;
use crate::core::number::Number;
use crate::node::Problem;
use crate::node::app::App;
use crate::node::config::Monitoring;
use crate::node::config::access::Scope;
use crate::node::http::certificate::ClientCertificate;
use crate::peer::Peer;
use crate::store::{TokenRole, credential_hash};

/// A browser can't set headers on a WebSocket: it offers the token as a protocol of this form.
const PROTOCOL: &str = "bearer.";
/// The protocol that is agreed on.
const AGREED: &str = "sidecall";
/// Longest token that is looked at.
const TOKEN_MAX: usize = 512;

/// Whoever showed a token that we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node) enum Identity {
    Admin,
    /// An agent of these PBXs.
    Agent(Scope),
    Peer(PeerName),
    /// A client of this number.
    Client(Number),
}

impl Identity {
    /// May this one see and change the clients of that number?
    pub(in crate::node) fn may_manage(&self, number: &Number) -> bool {
        match self {
            Identity::Admin => true,
            Identity::Client(own) => own == number,
            Identity::Agent(_) | Identity::Peer(_) => false,
        }
    }
}

/// The token of a request; never from its URL, which is logged on the way.
fn token(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    bearer.or_else(|| protocols(headers).find_map(|name| name.strip_prefix(PROTOCOL)))
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).map(str::trim)
}

/// The protocol to agree on: a browser closes the connection if it offered some and none is taken. Never the one with
/// the token: an answer's headers are logged by proxies and shown by tools.
pub(in crate::node) fn agreed_protocol(headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
    if protocols(headers).any(|name| name == AGREED) {
        return Ok(Some(HeaderValue::from_static(AGREED)));
    }
    if protocols(headers).any(|name| name.starts_with(PROTOCOL)) {
        let detail = "offer the protocol \"sidecall\" beside \"bearer.TOKEN\": the token is never sent back";
        return Err(Problem::field(StatusCode::BAD_REQUEST, "Sec-WebSocket-Protocol", detail));
    }
    Ok(None)
}

impl FromRequestParts<App> for Identity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Identity, Problem> {
        let token = token(&parts.headers).filter(|token| !token.is_empty() && token.len() <= TOKEN_MAX);
        // What is compared is the hash: how long that takes says nothing about the token.
        let hash = credential_hash(token.ok_or_else(Problem::unauthorized)?);
        if let Some(known) = configured(app, &hash) {
            return Ok(known);
        }
        let source = app.logins.source(parts);
        let _turn = app.logins.turn(source).await;
        if let Some(role) = app.store.token(&hash).await? {
            return Ok(of_role(role));
        }
        let number = app.store.number_of_credential(&hash).await?;
        number.map(Identity::Client).ok_or_else(|| app.logins.failed(source))
    }
}

/// Whose token of the configuration it is.
fn configured(app: &App, hash: &[u8; 32]) -> Option<Identity> {
    if let Some(peer) = app.peer_tokens.get(hash) {
        return Some(Identity::Peer(peer.clone()));
    }
    if let Some(scope) = app.agents.get(hash) {
        return Some(Identity::Agent(scope.clone()));
    }
    app.tokens.get(hash).map(|role| of_role(*role))
}

fn of_role(role: TokenRole) -> Identity {
    match role {
        TokenRole::Admin => Identity::Admin,
        TokenRole::Agent => Identity::Agent(Scope::All),
    }
}

/// An administrator.
pub(in crate::node) struct Admin;
/// An agent, and the PBXs that it may speak for.
pub(in crate::node) struct Agent(pub(in crate::node) Scope);
/// Either of them. An administrator may ask about every PBX.
pub(in crate::node) struct AdminOrAgent(pub(in crate::node) Scope);

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Admin, Problem> {
        match Identity::from_request_parts(parts, app).await? {
            Identity::Admin => Ok(Admin),
            _ => Err(Problem::forbidden("this is for administrators")),
        }
    }
}

impl FromRequestParts<App> for Agent {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Agent, Problem> {
        match Identity::from_request_parts(parts, app).await? {
            Identity::Agent(scope) => Ok(Agent(scope)),
            _ => Err(Problem::forbidden("this is for agents")),
        }
    }
}

impl FromRequestParts<App> for AdminOrAgent {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<AdminOrAgent, Problem> {
        match Identity::from_request_parts(parts, app).await? {
            Identity::Admin => Ok(AdminOrAgent(Scope::All)),
            Identity::Agent(scope) => Ok(AdminOrAgent(scope)),
            _ => Err(Problem::forbidden("this is for administrators and agents")),
        }
    }
}

/// A configured peer, by its certificate or its token.
pub(in crate::node) struct FromPeer(pub(in crate::node) Arc<Peer>);

impl FromRequestParts<App> for FromPeer {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<FromPeer, Problem> {
        let shown = parts.extensions.get::<Option<ClientCertificate>>().and_then(Option::as_ref);
        if let Some(peer) = shown.and_then(|shown| app.peers.by_certificate(&shown.0)) {
            return Ok(FromPeer(peer.clone()));
        }
        let problem = match Identity::from_request_parts(parts, app).await {
            Ok(Identity::Peer(name)) => match app.peers.get(&name) {
                Some(peer) => return Ok(FromPeer(peer.clone())),
                None => Problem::unauthorized(),
            },
            Ok(_) => Problem::forbidden("this is for peers"),
            Err(problem) if [401, 429].contains(&problem.status) => problem,
            Err(problem) => return Err(problem),
        };
        app.totals.metrics.offer_from_nobody();
        Err(problem.because(OfferRefusal::UnknownPeer))
    }
}

/// Whoever may read the monitoring endpoints.
pub(in crate::node) struct Monitor;

impl FromRequestParts<App> for Monitor {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Monitor, Problem> {
        if app.monitoring == Monitoring::Open {
            return app.hosts.check(&parts.headers).map(|()| Monitor);
        }
        Admin::from_request_parts(parts, app).await.map(|Admin| Monitor)
    }
}
