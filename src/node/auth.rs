//! Who asks: bearer tokens (RFC 6750) and their roles.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

use super::Problem;
use super::app::App;
use super::certificate::ClientCertificate;
use super::config::Monitoring;
use crate::contract::OfferRefusal;
use crate::core::name::PeerName;
use crate::core::number::Number;
use crate::peer::Peer;
use crate::store::{TokenRole, credential_hash};

/// A browser can't set headers on a WebSocket: it offers the token as a protocol of this form.
const PROTOCOL: &str = "bearer.";
/// Longest token that is looked at.
const TOKEN_MAX: usize = 512;

/// Whoever showed a token that we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Identity {
    Admin,
    Agent,
    Peer(PeerName),
    /// A client of this number.
    Client(Number),
}

impl Identity {
    /// May this one see and change the clients of that number?
    pub(super) fn may_manage(&self, number: &Number) -> bool {
        match self {
            Identity::Admin => true,
            Identity::Client(own) => own == number,
            Identity::Agent | Identity::Peer(_) => false,
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

/// The protocol to agree on: a browser closes the connection if it offered some and none is taken.
pub(super) fn agreed_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let plain = protocols(headers).find(|name| *name == "sidecall");
    plain.or_else(|| protocols(headers).next()).and_then(|name| HeaderValue::from_str(name).ok())
}

impl FromRequestParts<App> for Identity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Identity, Problem> {
        let token = token(&parts.headers).filter(|token| !token.is_empty() && token.len() <= TOKEN_MAX);
        // What is compared is the hash: how long that takes says nothing about the token.
        let hash = credential_hash(token.ok_or_else(Problem::unauthorized)?);
        if let Some(peer) = app.peer_tokens.get(&hash) {
            return Ok(Identity::Peer(peer.clone()));
        }
        let stored = match app.tokens.get(&hash) {
            Some(role) => Some(*role),
            None => app.store.token(&hash).await?,
        };
        match stored {
            Some(TokenRole::Admin) => return Ok(Identity::Admin),
            Some(TokenRole::Agent) => return Ok(Identity::Agent),
            None => {}
        }
        let number = app.store.number_of_credential(&hash).await?;
        number.map(Identity::Client).ok_or_else(Problem::unauthorized)
    }
}

macro_rules! roles {
    ($($(#[$doc:meta])* $name:ident: $pattern:pat => $who:literal;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl FromRequestParts<App> for $name {
            type Rejection = Problem;
            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<$name, Problem> {
                match Identity::from_request_parts(parts, app).await? {
                    $pattern => Ok($name),
                    _ => Err(Problem::forbidden(concat!("this is for ", $who))),
                }
            }
        }
    )*};
}

roles! {
    /// An administrator.
    Admin: Identity::Admin => "administrators";
    /// An agent.
    Agent: Identity::Agent => "agents";
    /// Either of them.
    AdminOrAgent: Identity::Admin | Identity::Agent => "administrators and agents";
}

/// A configured peer, by its certificate or its token.
pub(super) struct FromPeer(pub(super) Arc<Peer>);

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
            Err(problem) if problem.status == 401 => problem,
            Err(problem) => return Err(problem),
        };
        app.totals.metrics.offer_from_nobody();
        Err(problem.because(OfferRefusal::UnknownPeer))
    }
}

/// Whoever may read the monitoring endpoints.
pub(super) struct Monitor;

impl FromRequestParts<App> for Monitor {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Monitor, Problem> {
        if app.monitoring == Monitoring::Open {
            return Ok(Monitor);
        }
        Admin::from_request_parts(parts, app).await.map(|Admin| Monitor)
    }
}
