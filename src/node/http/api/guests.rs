//! `/v1/calls/{call}/guests` and `/v1/guests`: people without a client of their own join a call with a code.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::contract::{
    ClientForm, GuestCodeCreated, GuestCreated, GuestList, GuestView, Message, NewGuest, NewGuestCode, PeerClient, Role,
};
use crate::core::address::Address;
use crate::core::base::name::{CallId, ClientId};
use crate::core::call::guests::{Guest, GuestHost, GuestRefusal, GuestSecrets};
use crate::monitor::{Metrics, now};
use crate::node::Problem;
use crate::node::delivery::Deliveries;
use crate::node::disclosure::{CAPABILITIES_MAX, Disclosure};
use crate::node::http::api::client_stream::{self, StreamsApi};
use crate::node::http::api::stream_reader::StreamReader;
use crate::node::http::auth::{FromGuest, Identity, LoginSource};
use crate::node::http::extract::{Body, InPath};
use crate::node::http::origins::ClientOrigins;
use crate::node::http::problem::Problems;
use crate::node::http::rate_limits::GuessLimit;
use crate::node::live_calls::LiveCalls;
use crate::node::new_id::{new_id, new_token};
use crate::store::credential_hash;

pub(in crate::node) struct GuestsApi {
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) disclosure: Arc<Disclosure>,
    pub(in crate::node) deliveries: Arc<Deliveries>,
    pub(in crate::node) guess_limit: GuessLimit,
    pub(in crate::node) metrics: Metrics,
}

/// Asks for a code that lets guests into a call. The user reads it out; a guest types it at `link`. The client must be
/// hosted: it is told of each guest (`guest`, `guest-left`), and guests write to it alone.
///
/// A number has one code in a call. It works for several guests until nobody has used it for ten minutes, a guest is
/// dismissed, or the call ends. A repeat has the same code; if another client of the number asks, it gets a new one, and the
/// previous one is void. Codes and guests are kept in memory: a restart of the node ends them.
#[utoipa::path(post, path = "/v1/calls/{call}/guests", tag = "guests", security(("bearer" = ["client"])),
    params(("call" = String, Path, description = "The call's id")),
    request_body = NewGuestCode, responses((status = 201, description = "The code", body = GuestCodeCreated), Problems))]
pub(in crate::node) async fn invite(
    State(api): State<Arc<GuestsApi>>,
    identity: Identity,
    InPath(call): InPath<CallId>,
    Body(NewGuestCode { client }): Body<NewGuestCode>,
) -> Result<(StatusCode, Json<GuestCodeCreated>), Problem> {
    let Identity::Client { number, device } = identity else { return Err(Problem::forbidden("this is for clients")) };
    let clients = api.disclosure.disclosing_clients(&call, &number).await?;
    // Nobody asks for another's client.
    let own = clients.iter().find(|binding| binding.id == client && binding.device == device);
    if own.ok_or_else(|| Problem::not_found("client"))?.form != ClientForm::Hosted {
        return Err(Problem::invalid("client", "only a hosted client has guests: it is told of them over its stream"));
    }
    let (code, expires) = api.live.invite_guests(GuestHost { call: call.clone(), number, client }, now())?;
    tracing::info!(%call, "code for guests handed out");
    let link = format!("{}/j", api.disclosure.inbox_tokens().base());
    Ok((StatusCode::CREATED, Json(GuestCodeCreated { code, link, expires })))
}

/// The guests of the token's number in a call. A device's token gets those of the device's own clients: no other client is told
/// when they leave.
#[utoipa::path(get, path = "/v1/calls/{call}/guests", tag = "guests", security(("bearer" = ["client"])),
    params(("call" = String, Path, description = "The call's id")),
    responses((status = 200, body = GuestList), Problems))]
pub(in crate::node) async fn list(
    State(api): State<Arc<GuestsApi>>,
    identity: Identity,
    InPath(call): InPath<CallId>,
) -> Result<Json<GuestList>, Problem> {
    let Identity::Client { number, device } = identity else { return Err(Problem::forbidden("this is for clients")) };
    let clients = api.disclosure.participating_clients(&call, &number).await?;
    let found = api.live.guests_of(&call, &number, now());
    let (role, mut guests) = found.ok_or_else(|| Problem::not_found("call"))?;
    let is_own = |host: &GuestHost| clients.iter().any(|client| client.id == host.client && client.device == device);
    guests.retain(|guest| device.is_none() || is_own(&guest.host));
    Ok(Json(GuestList { role, guests: guests.into_iter().map(GuestView::from).collect() }))
}

/// Joins a call as a guest. The code takes the place of a token. The guest is a client on the other side of the call from
/// the client that asked for the code, for this call only: it reads messages at `/v1/guests/stream`, the first of which is
/// `peer`, and sends its own to `peer.address`. It can't send `peer` or `ended`.
///
/// Five attempts a minute are taken from one address, and sixty from all together, right or wrong.
#[utoipa::path(post, path = "/v1/guests", tag = "guests", request_body = NewGuest, responses(
        (status = 201, description = "The guest is in the call", body = GuestCreated),
        Problems,
        (status = 409, description = "The call has as many guests as it may", body = Problem, content_type = "application/problem+json")))]
pub(in crate::node) async fn join(
    State(api): State<Arc<GuestsApi>>,
    source: LoginSource,
    Body(NewGuest { code, name, capabilities }): Body<NewGuest>,
) -> Result<(StatusCode, Json<GuestCreated>), Problem> {
    if capabilities.len() > CAPABILITIES_MAX {
        return Err(Problem::invalid("capabilities", format!("a client names at most {CAPABILITIES_MAX}")));
    }
    api.guess_limit.check(source.address(), Instant::now()).inspect_err(|_| api.metrics.failed_login("throttled"))?;
    let no_such_code = || {
        api.metrics.failed_login("refused");
        Problem::from(GuestRefusal::NoSuchCode)
    };
    let host = api.live.guest_host(code, now()).ok_or_else(no_such_code)?;
    let ShownHost { role, reply, peer } = shown(&api, &host).await?.ok_or_else(no_such_code)?;
    let [token, to_guest, to_host] = std::array::from_fn(|_| new_token());
    let tokens = api.disclosure.inbox_tokens();
    let own_and_peers = tokens.guest_address(&to_guest).zip(tokens.guest_address(&to_host));
    let (address, address_of_peer) = own_and_peers.ok_or_else(no_such_code)?;
    let peer = PeerClient { number: None, address: address_of_peer, ..peer };
    let guest = Guest { client: new_id(), host, name, address, capabilities };
    let [stream, to_guest, to_host] = [&token, &to_guest, &to_host].map(|secret| credential_hash(secret));
    // Before the guest is let in: a guest who is removed at once has no mailbox afterwards.
    api.deliveries.guest_joins(&guest, role.other(), peer.clone());
    let admitted = api.live.admit_guest(code, guest.clone(), GuestSecrets { stream, to_guest, to_host }, now());
    admitted.inspect_err(|_| api.deliveries.guest_refused(&guest))?;
    tracing::info!(call = %guest.host.call, number = %guest.host.number, guest = %guest.client, "guest joined");
    api.deliveries.guest_joined(&guest, role, reply);
    let Guest { host, address, .. } = guest;
    Ok((StatusCode::CREATED, Json(GuestCreated { call: host.call, role: role.other(), token, address, peer })))
}

/// Opens a guest's stream, with the guest's token: a WebSocket, or server-sent events with `Accept: text/event-stream`.
///
/// The first message is `peer`. From a browser, open the stream with `new WebSocket(url, ["sidecall", "bearer." + token])`.
/// The node closes a WebSocket with code 1008 once the guest is no longer in the call: don't reconnect.
#[utoipa::path(get, path = "/v1/guests/stream", tag = "guests", security(("bearer" = ["guest"])),
    responses((status = 101, description = "A WebSocket; each text frame is a message"),
        (status = 200, description = "Server-sent events; each one's data is a message", body = Message, content_type = "text/event-stream"),
        Problems))]
pub(in crate::node) async fn stream(
    State(api): State<Arc<StreamsApi>>,
    State(origins): State<Arc<ClientOrigins>>,
    FromGuest(guest): FromGuest,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    client_stream::open_for(StreamReader::Guest(guest), api, &origins, &headers, upgrade).await
}

/// Leaves the call, with the guest's token. The guest's streams are closed, the guest's addresses answer 404, and the host is
/// told. The code stays good, for that guest too.
#[utoipa::path(delete, path = "/v1/guests", tag = "guests", security(("bearer" = ["guest"])),
    responses((status = 204, description = "The guest is gone"), Problems))]
pub(in crate::node) async fn leave(State(api): State<Arc<GuestsApi>>, FromGuest(guest): FromGuest) -> StatusCode {
    if let Some(guest) = api.live.guest_leaves(&guest.client) {
        api.deliveries.guest_left(&guest);
    }
    StatusCode::NO_CONTENT
}

/// Dismisses a guest of the token's number. The code that let the guest in is void.
#[utoipa::path(delete, path = "/v1/guests/{id}", tag = "guests", security(("bearer" = ["client"])),
    params(("id" = String, Path, description = "The id of the guest's client")),
    responses((status = 204, description = "The guest is gone"), Problems))]
pub(in crate::node) async fn dismiss(
    State(api): State<Arc<GuestsApi>>,
    identity: Identity,
    InPath(id): InPath<ClientId>,
) -> Result<StatusCode, Problem> {
    let Identity::Client { number, .. } = identity else { return Err(Problem::forbidden("this is for clients")) };
    let guest = api.live.dismiss_guest(&number, &id).ok_or_else(|| Problem::not_found("guest"))?;
    api.deliveries.guest_left(&guest);
    Ok(StatusCode::NO_CONTENT)
}

/// A host, as a guest and its own client are to be told.
struct ShownHost {
    role: Role,
    /// The address of its client, for answers.
    reply: Option<Address>,
    peer: PeerClient,
}

/// None if the host takes no part any more.
async fn shown(api: &GuestsApi, host: &GuestHost) -> Result<Option<ShownHost>, Problem> {
    let GuestHost { call, number, client } = host;
    let Some(role) = api.live.role(call, number) else { return Ok(None) };
    let mut clients = api.disclosure.disclosing_clients(call, number).await?;
    clients.retain(|binding| binding.id == *client);
    let peer = api.disclosure.shown_as(call, role, number, &clients).await?;
    let reply = api.disclosure.inbox_tokens().client_address(call, role, number, client);
    Ok(peer.map(|peer| ShownHost { role, reply, peer }))
}
