//! `/a/{token}`: call-scoped addresses. Whoever has one may send to the client behind it.
//!
//! What isn't there, is over, or was never made gets one and the same answer: nothing is revealed.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_SECURITY_POLICY};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::contract::{MessageBody as Said, PeerClient};
use crate::core::address::Address;
use crate::core::base::name::{CallId, ClientId, PbxName};
use crate::core::call::guests::{Guest, GuestAccess};
use crate::core::numbering::number::Number;
use crate::monitor::{Metrics, now};
use crate::node::Problem;
use crate::node::delivery::post_budget::{PostBudget, PostVerdict};
use crate::node::delivery::{Deliveries, new_delivery, new_message};
use crate::node::disclosure::inbox_token::InboxToken;
use crate::node::disclosure::{CAPABILITIES_MAX, Disclosure};
use crate::node::http::auth::Authenticator;
use crate::node::http::disk_guard;
use crate::node::http::extract::Body;
use crate::node::http::problem::Problems;
use crate::node::lifecycle::disk_space::Space;
use crate::node::live_calls::{GRACE, LiveCalls};
use crate::node::peering::inbound::Inbound;
use crate::node::peering::inbound::remote_client::Reception;
use crate::push::{Frame, Push};
use crate::store::{Binding, Delivery, Store};

/// Bytes of a message.
pub(in crate::node) const BODY: usize = 64 * 1024;
/// What a message costs the database beside its text.
const ROW: usize = 500;
/// Messages of a call that wait for an absent client.
const WAITING: u64 = 1000;

const PAGE: &str = include_str!("inbox.html");
const PAGE_CSP: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(in crate::node) struct InboxesApi {
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) store: Store,
    pub(in crate::node) disclosure: Arc<Disclosure>,
    pub(in crate::node) posts: Arc<PostBudget>,
    pub(in crate::node) inbound: Arc<Inbound>,
    pub(in crate::node) deliveries: Arc<Deliveries>,
    pub(in crate::node) push: Push,
    pub(in crate::node) space: Arc<Space>,
    pub(in crate::node) metrics: Metrics,
}

/// Clients that a message was passed on to.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::node) struct Accepted {
    /// How many; those that are not connected get it when they return. Of an ephemeral message: how many it reached; 0
    /// if no client is connected or all read too slowly.
    clients: usize,
}

/// What a token stands for.
struct Behind {
    claim: InboxToken,
    number: Number,
    /// Whom a message is from, for a softphone: the sender, or else whom the number talks with there, or will.
    other: Number,
    pbx: PbxName,
    /// The client of the guest whose token it is. A guest writes to one client, and decides nothing about the call.
    guest: Option<ClientId>,
    /// The sender's address, as the receiver knows it; none if nobody has proved to be the sender.
    sender: Option<Address>,
}

/// Sends a message to the clients behind a call-scoped address.
///
/// A JSON object. `{"type":"peer","peer":{…}}` says how the sender's own client is reached; with
/// `"instead":ADDRESS` it says that of somebody whom the client behind ADDRESS has connected with this one.
/// `{"type":"ended","address":ADDRESS}` says that the client behind ADDRESS no longer talks to this one.
/// Anything else is passed on as it is.
///
/// The `reply` address of a client leads to that client alone. `peer` and `ended` concern the whole number, whichever of
/// its addresses they are posted to.
///
/// With `"ephemeral": true` a message is not stored. It reaches only hosted clients that are connected now, and nobody
/// acknowledges it. `peer` and `ended` can't be ephemeral.
///
/// Nobody needs a token. A client of this node that shows its own is named: the message has `sender`, the address by which
/// the receiver was told of that client's number in this call. Any other token is ignored. Show yours to no other node.
#[utoipa::path(post, path = "/a/{token}", tag = "addresses", security((), ("bearer" = ["client"])),
    params(("token" = String, Path, description = "The token at the end of the address")),
    request_body(content = Object, description = "At most 64 kB"),
    responses((status = 202, body = Accepted), Problems,
        (status = 429, description = "Too many messages", body = Problem, content_type = "application/problem+json")))]
pub(in crate::node) async fn post(
    State(api): State<Arc<InboxesApi>>,
    State(auth): State<Arc<Authenticator>>,
    Path(token): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let result = take(&api, &auth, &token, request).await;
    api.metrics.inbox_post(match &result {
        Ok(_) => "accepted",
        Err(problem) if problem.status == 404 => "unknown",
        Err(problem) if problem.status == 429 => "limited",
        Err(problem) if problem.status >= 500 => "failed",
        Err(_) => "refused",
    });
    result.map(|accepted| (StatusCode::ACCEPTED, Json(accepted)).into_response())
}

async fn take(api: &InboxesApi, auth: &Authenticator, token: &str, request: Request) -> Result<Accepted, Problem> {
    if let Some(guest) = api.live.guest(GuestAccess::ToGuest, token, now()) {
        return take_for_guest(api, token, &guest, request).await;
    }
    let known = behind(api, token).ok_or_else(nobody)?;
    let spending = api.posts.spending(&api.live, token, &known.claim.call);
    spent(spending.take_post(Instant::now()))?;
    let length = length(&request)?;
    // Each client gets one.
    let bytes = |clients: usize| length.saturating_add(ROW).saturating_mul(clients);
    // The client may be gone, and yet the body is read.
    let clients = api.disclosure.inbox_clients(&known.claim, &known.number).await?.len().max(1);
    spent(spending.take_bytes(bytes(clients), Instant::now()))?;
    let headers = request.headers().clone();
    let Body(content) = Body::<Map<String, Value>>::from_request(request, &()).await?;
    // A body may take its time: they may have parted meanwhile, or the call may be over.
    let behind = behind(api, token).ok_or_else(nobody)?;
    // A guest is known by the address.
    let from = if behind.guest.is_none() { auth.client_number(&headers).await? } else { None };
    let behind = match from {
        Some(from) => sent_by(api, behind, &from).await?,
        None => behind,
    };
    let is_ephemeral = is_ephemeral(&content)?;
    if behind.guest.is_some() && decides(&content) {
        return Err(Problem::invalid("type", "a guest can't say this: it would decide about the call"));
    }
    let clients = receivers(api, &behind, &content).await?;
    if is_ephemeral {
        // Only the clients that are connected get it.
        let said = Said::Message { content, guest: behind.guest, sender: behind.sender };
        let message = new_message(&behind.claim.call, said);
        return Ok(Accepted { clients: api.deliveries.send_ephemeral(&clients, &Frame::ephemeral(&message)) });
    }
    spent(spending.take_room(bytes(clients.len()), Instant::now()))?;
    keep(api, &behind, content, clients).await
}

/// Passes a message on to a guest. It is kept in memory, and whatever it says concerns the guest alone.
async fn take_for_guest(api: &InboxesApi, token: &str, guest: &Guest, request: Request) -> Result<Accepted, Problem> {
    let spending = api.posts.spending(&api.live, token, &guest.host.call);
    spent(spending.take_post(Instant::now()))?;
    spent(spending.take_bytes(length(&request)?, Instant::now()))?;
    let Body(content) = Body::<Map<String, Value>>::from_request(request, &()).await?;
    // The guest may have gone while the body was read.
    let guest = api.live.guest(GuestAccess::ToGuest, token, now()).ok_or_else(nobody)?;
    let is_ephemeral = is_ephemeral(&content)?;
    let message = new_message(&guest.host.call, Said::Message { content, guest: None, sender: None });
    if is_ephemeral {
        let clients = api.push.hub().send_ephemeral(&guest.client, &Frame::ephemeral(&message));
        return Ok(Accepted { clients: usize::from(clients) });
    }
    if api.push.guests().send(&guest.client, &message) { Ok(Accepted { clients: 1 }) } else { Err(full()) }
}

/// Bytes of a request's body. One that doesn't say how long it is may be as long as any.
fn length(request: &Request) -> Result<usize, Problem> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|text| text.to_str().ok()?.parse().ok());
    // Said in the head alone, it would be taken from everybody's share.
    if length.is_some_and(|length| length > BODY) {
        let detail = format!("the body may have {BODY} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(length.unwrap_or(BODY))
}

/// Stores a message for each of these clients, and delivers it.
async fn keep(
    api: &InboxesApi,
    behind: &Behind,
    content: Map<String, Value>,
    mut clients: Vec<Binding>,
) -> Result<Accepted, Problem> {
    if api.store.waiting(&behind.claim.call).await? >= WAITING {
        return Err(full());
    }
    if let Some(address) = address(&content, "ended", "address") {
        api.inbound.remote_client_left(&behind.claim.call, &behind.number, &address).await?;
        return Ok(Accepted { clients: clients.len() });
    }
    let instead = address(&content, "peer", "instead");
    let peer = match peer(api, &content) {
        // B7: the other side's own address.
        Some(peer) => {
            match api.inbound.accept_remote_client(&behind.claim.call, &behind.number, &peer, instead.as_ref()).await? {
                Reception::Kept => return Ok(Accepted { clients: clients.len() }),
                Reception::News => Some(peer),
                // What anybody says who has the address isn't said in this node's name.
                Reception::Moot => None,
            }
        }
        None => None,
    };
    if peer.is_none() {
        // A peer message that is only passed on concerns those behind the address, as any other does.
        clients.retain(|client| api.disclosure.inbox_tokens().reaches(&behind.claim, &client.id));
        if clients.is_empty() {
            return Err(nobody());
        }
        disk_guard::check(&api.space)?;
    }
    let accepted = Accepted { clients: clients.len() };
    let said = |client: &Binding| match &peer {
        Some(peer) => news(api, behind, peer, client),
        None => {
            let (guest, sender) = (behind.guest.clone(), behind.sender.clone());
            Said::Message { content: content.clone(), guest, sender }
        }
    };
    let deliveries = clients.iter().map(|client| delivery(behind, client, said(client))).collect::<Vec<_>>();
    api.store.add_deliveries(deliveries.clone()).await?;
    api.deliveries.send(deliveries.into_iter().zip(clients).collect(), &behind.pbx).await?;
    // Forgotten while it was written down: whoever forgot it has called off what there was by then.
    if api.live.read(|exchange| exchange.call(&behind.claim.call).is_none()) {
        api.deliveries.cancel_call(&behind.claim.call).await?;
    }
    Ok(accepted)
}

fn full() -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many messages; slow down").retry_after(1)
}

fn spent(verdict: PostVerdict) -> Result<(), Problem> {
    match verdict {
        PostVerdict::Yes => Ok(()),
        PostVerdict::NotNow => Err(full()),
        PostVerdict::NoMore => {
            let detail = "this address has taken all that it may in one call";
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail))
        }
        PostVerdict::Full => Err(Problem::full("the node keeps as many messages as it may")),
    }
}

/// Whether a message is ephemeral. One that decides about the call must reach clients that are away, too.
fn is_ephemeral(content: &Map<String, Value>) -> Result<bool, Problem> {
    let ephemeral = content.get("ephemeral") == Some(&Value::Bool(true));
    if ephemeral && decides(content) {
        return Err(Problem::invalid("ephemeral", "a message of the type \"peer\" or \"ended\" can't be ephemeral"));
    }
    Ok(ephemeral)
}

/// Whether a message may decide about the call.
fn decides(content: &Map<String, Value>) -> bool {
    matches!(content.get("type").and_then(Value::as_str), Some("peer" | "ended"))
}

/// The clients that a message concerns: all of the number's if it is about the sender's own client, or else those behind
/// the address. There must be one.
async fn receivers(api: &InboxesApi, behind: &Behind, content: &Map<String, Value>) -> Result<Vec<Binding>, Problem> {
    let Behind { claim, number, .. } = behind;
    let is_about_sender = peer(api, content).is_some() || address(content, "ended", "address").is_some();
    let clients = match is_about_sender {
        true => api.disclosure.disclosing_clients(&claim.call, number).await?,
        false => api.disclosure.inbox_clients(claim, number).await?,
    };
    if clients.is_empty() { Err(nobody()) } else { Ok(clients) }
}

/// What a client is told of another side's client that has taken over there.
fn news(api: &InboxesApi, behind: &Behind, peer: &PeerClient, client: &Binding) -> Said {
    let InboxToken { call, role, .. } = &behind.claim;
    let reply = api.disclosure.inbox_tokens().client_address(call, *role, &behind.number, &client.id);
    Said::Peer { role: *role, peer: peer.clone(), own: None, reply }
}

fn delivery(behind: &Behind, client: &Binding, body: Said) -> Delivery {
    // A peer message that is only passed on stands for no pair: it is about nobody but the receiver.
    let other = if matches!(body, Said::Peer { .. }) { &behind.number } else { &behind.other };
    new_delivery(client, [&behind.number, other], &behind.claim.call, body)
}

/// The other side's own address, if that is what was sent.
fn peer(api: &InboxesApi, content: &Map<String, Value>) -> Option<PeerClient> {
    let peer = content.get("peer").filter(|_| content.get("type").is_some_and(|kind| kind == "peer"))?;
    let peer = serde_json::from_value::<PeerClient>(peer.clone()).ok()?;
    (harmless(&peer) && api.disclosure.inbox_tokens().allows(&peer.address)).then_some(peer)
}

/// An address of the sender's, in a message of that type.
pub(super) fn address(content: &Map<String, Value>, kind: &str, key: &str) -> Option<Address> {
    let address = content.get(key).filter(|_| content.get("type").is_some_and(|said| said == kind))?;
    address.as_str()?.parse().ok()
}

pub(super) fn harmless(peer: &PeerClient) -> bool {
    let name = peer.name.as_deref().unwrap_or_default();
    name.chars().count() <= 100 && !name.chars().any(char::is_control) && peer.capabilities.len() <= CAPABILITIES_MAX
}

fn nobody() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is nobody at this address, or no longer")
}

/// Takes a request of whoever has this address, as if it were a post.
pub(super) fn take_request(api: &InboxesApi, token: &str) -> Result<(), Problem> {
    let call = call_of(api, token).ok_or_else(nobody)?;
    spent(api.posts.spending(&api.live, token, &call).take_post(Instant::now()))
}

/// The call of an address, while somebody is behind it.
fn call_of(api: &InboxesApi, token: &str) -> Option<CallId> {
    let guest = api.live.guest(GuestAccess::ToGuest, token, now());
    guest.map(|guest| guest.host.call).or_else(|| Some(behind(api, token)?.claim.call))
}

/// The number that a token was made for, while it is reachable in that call.
fn behind(api: &InboxesApi, token: &str) -> Option<Behind> {
    let from = api.live.guest(GuestAccess::ToHost, token, now());
    let guest = from.as_ref().map(|guest| guest.client.clone());
    let claim = match from {
        Some(Guest { host, .. }) => {
            let role = api.live.role(&host.call, &host.number)?;
            let reply = api.disclosure.inbox_tokens().client_address(&host.call, role, &host.number, &host.client)?;
            api.disclosure.inbox_tokens().own(&reply)?
        }
        None => InboxToken::read(token)?,
    };
    api.live.read(|exchange| {
        let call = exchange.call(&claim.call)?;
        let numbers = exchange.reachable(&claim.call, now(), GRACE);
        let number = numbers.into_iter().find(|number| api.disclosure.inbox_tokens().is_for(&claim, number))?;
        let (other, pbx) = (exchange.opposite(call, &number), call.pbx.clone());
        let hidden = exchange.withholds(&claim.call, &other);
        let other = if hidden { Number::withheld(&claim.call) } else { other };
        Some(Behind { claim, number, other, pbx, guest, sender: None })
    })
}

/// Names `from`, which has proved itself, as the sender: as those behind the token were told of it, by an address of this
/// node's. They learn nothing that they were not told before; but nobody else is taken for the sender.
async fn sent_by(api: &InboxesApi, behind: Behind, from: &Number) -> Result<Behind, Problem> {
    let call = &behind.claim.call;
    let told = api.store.told_of(call, &behind.number, from).await?;
    let tokens = api.disclosure.inbox_tokens();
    let is_senders = |peer: &PeerClient| tokens.own(&peer.address).is_some_and(|token| tokens.is_for(&token, from));
    let Some(peer) = told.filter(is_senders) else {
        let other = if *from == behind.other { from.clone() } else { Number::withheld(call) };
        return Ok(Behind { other, ..behind });
    };
    let other = peer.number.unwrap_or_else(|| Number::withheld(call));
    Ok(Behind { other, sender: Some(peer.address), ..behind })
}

/// For a person who opened the address: a page to send a text.
#[utoipa::path(get, path = "/a/{token}", tag = "addresses",
    params(("token" = String, Path, description = "The token at the end of the address")),
    responses((status = 200, description = "A page to send a text", body = String, content_type = "text/html"), Problems))]
pub(in crate::node) async fn page(
    State(api): State<Arc<InboxesApi>>,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    call_of(&api, &token).ok_or_else(nobody)?;
    Ok(([(CONTENT_SECURITY_POLICY, PAGE_CSP)], Html(PAGE)).into_response())
}
