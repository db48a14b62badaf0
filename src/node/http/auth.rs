//! Who asks: bearer tokens (RFC 6750) and their roles.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};

use crate::contract::OfferRefusal;
use crate::core::base::enrolment_code::EnrolmentCode;
use crate::core::base::name::{DeviceId, PbxName, PeerName};
use crate::core::call::guests::{Guest, GuestAccess};
use crate::core::numbering::number::Number;
use crate::monitor::{Metrics, now};
use crate::node::Problem;
use crate::node::config::Monitoring;
use crate::node::http::client_certificate::ClientCertificate;
use crate::node::http::configured_tokens::ConfiguredTokens;
use crate::node::http::dns_rebinding::Hosts;
use crate::node::http::failed_logins::Logins;
use crate::node::http::router::ApiState;
use crate::peer::{PeerNode, Peers};
use crate::store::{Store, TokenRole, credential_hash};

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
    /// A client of this number: one of this device, or one that has the number's credential.
    Client {
        number: Number,
        device: Option<DeviceId>,
    },
}

impl Identity {
    /// May this one see and change the clients of that number?
    pub(in crate::node) fn may_manage(&self, number: &Number) -> bool {
        match self {
            Identity::Admin => true,
            Identity::Client { number: own, .. } => own == number,
            Identity::Agent(_) | Identity::Peer(_) => false,
        }
    }

    /// The device whose token was shown.
    pub(in crate::node) fn device(&self) -> Option<&DeviceId> {
        if let Identity::Client { device, .. } = self { device.as_ref() } else { None }
    }

    /// The number whose clients or devices a request is about, if it names `wanted`.
    pub(super) fn number(&self, wanted: Option<Number>) -> Result<Number, Problem> {
        match (self, wanted) {
            (Identity::Client { number, .. }, None) => Ok(number.clone()),
            (_, Some(number)) if self.may_manage(&number) => Ok(number),
            (Identity::Admin, None) => Err(Problem::invalid("number", "name the number")),
            (Identity::Client { .. }, Some(_)) => {
                Err(Problem::field(StatusCode::FORBIDDEN, "number", "the token is another number's"))
            }
            _ => Err(Problem::forbidden("this is for clients and administrators")),
        }
    }

    /// As [`Identity::number`]; none is all numbers, which administrators may list.
    pub(super) fn listed_number(&self, wanted: Option<Number>) -> Result<Option<Number>, Problem> {
        match (self, wanted) {
            (Identity::Admin, None) => Ok(None),
            (_, wanted) => self.number(wanted).map(Some),
        }
    }
}

impl From<TokenRole> for Identity {
    fn from(role: TokenRole) -> Identity {
        match role {
            TokenRole::Admin => Identity::Admin,
            TokenRole::Agent => Identity::Agent(Scope::All),
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

/// The token of a request, if it can be one.
fn shown(headers: &HeaderMap) -> Option<&str> {
    token(headers).filter(|token| !token.is_empty() && token.len() <= TOKEN_MAX)
}

/// The hash of a request's token. Hashes are compared: how long that takes says nothing about the token.
fn shown_token(headers: &HeaderMap) -> Option<[u8; 32]> {
    shown(headers).map(credential_hash)
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

/// The PBXs that an agent may speak for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::node) enum Scope {
    /// All: the token of `agent_token_file`.
    All,
    /// These.
    Only(Arc<BTreeSet<PbxName>>),
}

impl Scope {
    pub(super) fn covers(&self, pbx: &PbxName) -> bool {
        match self {
            Scope::All => true,
            Scope::Only(pbxs) => pbxs.contains(pbx),
        }
    }

    /// Refuses what is said for another PBX.
    pub(super) fn check(&self, pbx: &PbxName) -> Result<(), Problem> {
        let refused = || Problem::forbidden(format!("the token is not for the PBX {pbx}"));
        self.covers(pbx).then_some(()).ok_or_else(refused)
    }
}

/// Identifies the caller of a request.
pub(in crate::node) struct Authenticator {
    pub(in crate::node) tokens: ConfiguredTokens,
    pub(in crate::node) logins: Logins,
    pub(in crate::node) store: Store,
    pub(in crate::node) peers: Arc<Peers>,
    pub(in crate::node) monitoring: Monitoring,
    pub(in crate::node) hosts: Hosts,
    pub(in crate::node) metrics: Metrics,
}

impl Authenticator {
    async fn identify(&self, parts: &Parts) -> Result<Identity, Problem> {
        let hash = shown_token(&parts.headers).ok_or_else(Problem::unauthorized)?;
        if let Some(known) = self.tokens.identity(&hash) {
            return Ok(known);
        }
        if let Some(role) = self.store.token(&hash).await? {
            return Ok(role.into());
        }
        let client = self.store.client_of_token(&hash).await?;
        let client = client.map(|(number, device)| Identity::Client { number, device });
        client.ok_or_else(|| self.logins.failed(self.logins.source(parts), Problem::unauthorized()))
    }

    /// The number of the client whose token a request shows, where nobody needs a token. Any other is ignored, and is no
    /// failed login.
    pub(super) async fn client_number(&self, headers: &HeaderMap) -> Result<Option<Number>, Problem> {
        let Some(hash) = shown_token(headers) else { return Ok(None) };
        Ok(self.store.client_of_token(&hash).await?.map(|(number, _)| number))
    }

    /// The hash of a code that can enrol a device. Every other code gets the same answer, and counts as a failed login.
    pub(super) async fn check_code(&self, source: &LoginSource, code: &str) -> Result<[u8; 32], Problem> {
        let code = code.parse::<EnrolmentCode>().map_err(|_| self.refuse_code(source))?;
        let hash = credential_hash(&code.to_string());
        let _turn = self.logins.turn(source.0).await;
        if self.store.has_enrolment(&hash, now()).await? { Ok(hash) } else { Err(self.refuse_code(source)) }
    }

    /// Counts a failed login by code, and says what it is answered with.
    pub(super) fn refuse_code(&self, source: &LoginSource) -> Problem {
        let detail = "there is no such code: it may be mistyped, used or expired";
        self.logins.failed(source.0, Problem::field(StatusCode::NOT_FOUND, "code", detail))
    }
}

/// The address to which a request's failed login is counted.
pub(in crate::node) struct LoginSource(Option<IpAddr>);
impl LoginSource {
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.0
    }
}

/// The hash of the token that a request shows. What it is good for is not looked up.
pub(in crate::node) struct ShownToken(pub(in crate::node) [u8; 32]);
/// An administrator.
pub(in crate::node) struct Admin;
/// An agent, and the PBXs that it may speak for.
pub(in crate::node) struct FromAgent(pub(in crate::node) Scope);
/// Either of them. An administrator may ask about every PBX.
pub(in crate::node) struct AdminOrAgent(pub(in crate::node) Scope);
/// A guest, while the guest takes part in the call.
pub(in crate::node) struct FromGuest(pub(in crate::node) Guest);
/// A configured peer, by its certificate or its token.
pub(in crate::node) struct FromPeer(pub(in crate::node) Arc<PeerNode>);
/// Whoever may read the monitoring endpoints.
pub(in crate::node) struct Monitor;

impl FromRequestParts<ApiState> for Identity {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Identity, Problem> {
        state.auth.identify(parts).await
    }
}

impl FromRequestParts<ApiState> for LoginSource {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<LoginSource, Infallible> {
        Ok(LoginSource(state.auth.logins.source(parts)))
    }
}

impl FromRequestParts<ApiState> for ShownToken {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<ShownToken, Problem> {
        shown_token(&parts.headers).map(ShownToken).ok_or_else(Problem::unauthorized)
    }
}

impl FromRequestParts<ApiState> for Admin {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Admin, Problem> {
        match state.auth.identify(parts).await? {
            Identity::Admin => Ok(Admin),
            _ => Err(Problem::forbidden("this is for administrators")),
        }
    }
}

impl FromRequestParts<ApiState> for FromAgent {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<FromAgent, Problem> {
        match state.auth.identify(parts).await? {
            Identity::Agent(scope) => Ok(FromAgent(scope)),
            _ => Err(Problem::forbidden("this is for agents")),
        }
    }
}

impl FromRequestParts<ApiState> for AdminOrAgent {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<AdminOrAgent, Problem> {
        match state.auth.identify(parts).await? {
            Identity::Admin => Ok(AdminOrAgent(Scope::All)),
            Identity::Agent(scope) => Ok(AdminOrAgent(scope)),
            _ => Err(Problem::forbidden("this is for administrators and agents")),
        }
    }
}

impl FromRequestParts<ApiState> for FromGuest {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<FromGuest, Problem> {
        let token = shown(&parts.headers).ok_or_else(Problem::unauthorized)?;
        let found = state.guests.live.guest(GuestAccess::Stream, token, now());
        let logins = &state.auth.logins;
        found.map(FromGuest).ok_or_else(|| logins.failed(logins.source(parts), Problem::unauthorized()))
    }
}

impl FromRequestParts<ApiState> for FromPeer {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<FromPeer, Problem> {
        let auth = &state.auth;
        let shown = parts.extensions.get::<Option<ClientCertificate>>().and_then(Option::as_ref);
        if let Some(peer) = shown.and_then(|shown| auth.peers.by_certificate(&shown.0)) {
            return Ok(FromPeer(peer.clone()));
        }
        let problem = match auth.identify(parts).await {
            Ok(Identity::Peer(name)) => match auth.peers.get(&name) {
                Some(peer) => return Ok(FromPeer(peer.clone())),
                None => Problem::unauthorized(),
            },
            Ok(_) => Problem::forbidden("this is for peers"),
            Err(problem) if [401, 429].contains(&problem.status) => problem,
            Err(problem) => return Err(problem),
        };
        auth.metrics.offer_from_nobody();
        Err(problem.because(OfferRefusal::UnknownPeer))
    }
}

impl FromRequestParts<ApiState> for Monitor {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Monitor, Problem> {
        if state.auth.monitoring == Monitoring::Open {
            return state.auth.hosts.check(&parts.headers).map(|()| Monitor);
        }
        Admin::from_request_parts(parts, state).await.map(|Admin| Monitor)
    }
}
