//! `/v1/clients`: the clients that are bound to numbers.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::contract::{CLIENTS_LISTED, ClientChange, ClientCreated, ClientForm, ClientList, ClientView, NewClient};
use crate::core::address::disclosure::{OfferTo, PEERS_MAX};
use crate::core::address::{Address, AddressKind};
use crate::core::base::name::ClientId;
use crate::core::numbering::number::Number;
use crate::guard;
use crate::monitor::now;
use crate::node::Problem;
use crate::node::disclosure::{CAPABILITIES_MAX, CLIENTS_MAX};
use crate::node::http::api::numbers::DirectoryApi;
use crate::node::http::auth::Identity;
use crate::node::http::extract::{Body, InPath, Parameters};
use crate::node::http::problem::Problems;
use crate::node::new_id::new_id;
use crate::push::{SigningSecret, SigningSecretError};
use crate::store::{Binding, Renewal, StoreError};

const EXPIRES: std::ops::RangeInclusive<u64> = 60..=2_592_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Binds a client to a number. A second request with the same number and address renews the client, so a client may bind
/// at each start, or repeat a request whose answer was lost, and is still told everything once. A webhook that does so
/// must name its `secret`: only the answer to a new client shows one. Without an address, a device renews its hosted client,
/// and each request with the number's credential makes another one.
#[utoipa::path(post, path = "/v1/clients", tag = "clients", security(("bearer" = ["client", "admin"])),
    request_body = NewClient, responses(
        (status = 201, description = "The client is bound", body = ClientCreated),
        (status = 200, description = "The number has a client with this address, or the device has a hosted client: it is renewed, and what the request names is changed", body = ClientCreated),
        Problems,
        (status = 409, description = "The number has as many clients as it can have, or other requests bind and remove this client at the same time", body = Problem, content_type = "application/problem+json")))]
pub(in crate::node) async fn create(
    State(api): State<Arc<DirectoryApi>>,
    identity: Identity,
    Body(new): Body<NewClient>,
) -> Result<(StatusCode, Json<ClientCreated>), Problem> {
    api.binding_limit.check(&identity)?;
    let number = identity.number(new.number.clone())?;
    let named = Renewal { device: identity.device().cloned(), ..named(&new)? };
    if let Some(address) = &new.address {
        may_bind(&api, address).await?;
    }
    // Another request may bind or remove the client between the read and the write. The second round sees that.
    for _ in 0..2 {
        let bound = api.store.bindings(Some(&number), now(), CLIENTS_MAX).await?;
        let same = bound.iter().find(|client| match (&new.address, &named.device) {
            (Some(address), _) => client.address.as_ref() == Some(address),
            (None, Some(device)) => client.address.is_none() && client.device.as_ref() == Some(device),
            (None, None) => false,
        });
        if let Some(same) = same {
            if let Some(binding) = api.store.renew_binding(&same.id, named.clone(), now()).await? {
                return Ok(renewed(&api, binding, named.offer.is_some()).await);
            }
            continue;
        }
        if bound.len() >= CLIENTS_MAX as usize {
            return Err(Problem::new(StatusCode::CONFLICT, format!("a number has at most {CLIENTS_MAX} clients")));
        }
        let binding = binding(number.clone(), new.address.clone(), named.clone());
        if api.store.add_binding(binding.clone()).await? {
            return Ok(created(&api, binding).await);
        }
        if api.store.number(&number).await?.is_none() {
            return Err(Problem::invalid("number", "the number is not in the directory"));
        }
    }
    api.check_device(&identity).await?;
    let detail = "other requests bind and remove this client at the same time; repeat the request";
    Err(Problem::new(StatusCode::CONFLICT, detail))
}

/// The answer about a new client. It may have come in the middle of a call.
async fn created(api: &DirectoryApi, binding: Binding) -> (StatusCode, Json<ClientCreated>) {
    let (id, number) = (&binding.id, &binding.number);
    tracing::info!(client = %id, %number, form = binding.form.as_str(), "client bound");
    warn_untold(api.pairing.reconcile_number(number).await, number);
    let secret = binding.secret.clone();
    (StatusCode::CREATED, Json(ClientCreated { client: view(api, binding), secret }))
}

/// The answer about a renewed client. If the request names `offer`, people on the phone with the number may gain or lose
/// the client's address. What the offer was before doesn't matter: another request may have changed it in between.
async fn renewed(api: &DirectoryApi, binding: Binding, names_offer: bool) -> (StatusCode, Json<ClientCreated>) {
    let (id, number) = (&binding.id, &binding.number);
    tracing::debug!(client = %id, %number, "client renewed");
    if names_offer {
        warn_untold(api.pairing.reconsider(number).await, number);
    }
    (StatusCode::OK, Json(ClientCreated { client: view(api, binding), secret: None }))
}

/// If telling fails, the client is bound all the same.
fn warn_untold(told: Result<(), StoreError>, number: &Number) {
    if let Err(error) = told {
        tracing::warn!(%error, %number, "a client could not be told of the call that is up");
    }
}

/// Whether a client may be reached at this address. Administrators change the policy in the configuration, not here.
async fn may_bind(api: &DirectoryApi, address: &Address) -> Result<(), Problem> {
    let invalid = |why: String| Problem::invalid("address", why);
    if api.disclosure.inbox_tokens().own_token(address).is_some() {
        return Err(invalid("is one that the node has made for a call: a message would go round".to_owned()));
    }
    guard::check_client(api.push.policy(), address).await.map_err(|refusal| invalid(refusal.to_string()))
}

fn form(address: Option<&Address>) -> ClientForm {
    match address.map(Address::kind) {
        None => ClientForm::Hosted,
        Some(AddressKind::Sip) => ClientForm::Sip,
        Some(AddressKind::Http) => ClientForm::Webhook,
    }
}

/// What a request names, once it is checked. A renewed client keeps the rest.
pub(super) fn named(new: &NewClient) -> Result<Renewal, Problem> {
    let secret = match (form(new.address.as_ref()), &new.secret) {
        (_, None) => None,
        (ClientForm::Webhook, Some(text)) => {
            let secret: Result<SigningSecret, SigningSecretError> = text.parse();
            Some(secret.map_err(|e| Problem::invalid("secret", e.to_string()))?.reveal())
        }
        (_, Some(_)) => return Err(Problem::invalid("secret", "only a webhook has a secret")),
    };
    if new.expires.is_some_and(|expires| !EXPIRES.contains(&expires)) {
        return Err(Problem::invalid("expires", format!("must be {} to {} seconds", EXPIRES.start(), EXPIRES.end())));
    }
    if new.capabilities.as_ref().is_some_and(|all| all.len() > CAPABILITIES_MAX) {
        return Err(Problem::invalid("capabilities", format!("a client names at most {CAPABILITIES_MAX}")));
    }
    new.offer.as_ref().map_or(Ok(()), check)?;
    Ok(Renewal {
        device: None,
        secret,
        capabilities: new.capabilities.clone(),
        offer: new.offer.clone(),
        lifetime: new.expires.map(Duration::from_secs),
    })
}

/// A new client, with the defaults for what its request doesn't name.
fn binding(number: Number, address: Option<Address>, named: Renewal) -> Binding {
    let form = form(address.as_ref());
    let made = || (form == ClientForm::Webhook).then(|| SigningSecret::new(rand::random()).reveal());
    let lifetime = named.lifetime.unwrap_or(DAY);
    Binding {
        id: new_id(),
        number,
        device: named.device,
        form,
        address,
        secret: named.secret.or_else(made),
        capabilities: named.capabilities.unwrap_or_default(),
        offer: named.offer.unwrap_or_default(),
        lifetime,
        expires: now() + lifetime,
    }
}

/// Whose clients.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::node) struct ClientQuery {
    /// For administrators: only this number's.
    #[param(value_type = Option<String>)]
    number: Option<Number>,
}

/// The clients of the token's number; for an administrator, of all.
#[utoipa::path(get, path = "/v1/clients", tag = "clients", security(("bearer" = ["client", "admin"])), params(ClientQuery),
    responses((status = 200, body = ClientList), Problems))]
pub(in crate::node) async fn list(
    State(api): State<Arc<DirectoryApi>>,
    identity: Identity,
    Parameters(wanted): Parameters<ClientQuery>,
) -> Result<Json<ClientList>, Problem> {
    let number = identity.listed_number(wanted.number)?;
    let found = api.store.bindings(number.as_ref(), now(), CLIENTS_LISTED).await?;
    Ok(Json(ClientList { clients: found.into_iter().map(|binding| view(&api, binding)).collect() }))
}

fn check(offer: &OfferTo) -> Result<(), Problem> {
    match offer {
        OfferTo::Peers(listed) if listed.len() > PEERS_MAX => {
            Err(Problem::invalid("offer", format!("names at most {PEERS_MAX} peers")))
        }
        _ => Ok(()),
    }
}

/// Changes to whom a client's address may go. The remote side is told.
#[utoipa::path(patch, path = "/v1/clients/{id}", tag = "clients", security(("bearer" = ["client", "admin"])),
    params(("id" = String, Path, description = "The client's id")),
    request_body = ClientChange, responses((status = 200, body = ClientView), Problems))]
pub(in crate::node) async fn change(
    State(api): State<Arc<DirectoryApi>>,
    identity: Identity,
    InPath(id): InPath<ClientId>,
    Body(ClientChange { offer }): Body<ClientChange>,
) -> Result<Json<ClientView>, Problem> {
    api.binding_limit.check(&identity)?;
    check(&offer)?;
    let mut binding = managed(&api, &identity, &id).await?;
    if !api.store.offer_to(&id, offer.clone()).await? {
        return Err(Problem::not_found("client"));
    }
    tracing::info!(client = %id, number = %binding.number, %offer, "client's address is offered to");
    if offer == OfferTo::Never {
        api.end_guests(|host| host.client == id);
    }
    api.pairing.reconsider(&binding.number).await?;
    binding.offer = offer;
    Ok(Json(view(&api, binding)))
}

/// Another number's client is none of the asker's business, not even whether it is there.
async fn managed(api: &DirectoryApi, identity: &Identity, id: &ClientId) -> Result<Binding, Problem> {
    let found = api.store.binding(id, now()).await?;
    found.filter(|binding| identity.may_manage(&binding.number)).ok_or_else(|| Problem::not_found("client"))
}

/// Ends a binding. The remote side is told, if it was the last one.
#[utoipa::path(delete, path = "/v1/clients/{id}", tag = "clients", security(("bearer" = ["client", "admin"])),
    params(("id" = String, Path, description = "The client's id")),
    responses((status = 204, description = "It is gone"), Problems))]
pub(in crate::node) async fn remove(
    State(api): State<Arc<DirectoryApi>>,
    identity: Identity,
    InPath(id): InPath<ClientId>,
) -> Result<StatusCode, Problem> {
    api.binding_limit.check(&identity)?;
    let binding = managed(&api, &identity, &id).await?;
    api.store.delete_binding(&id).await?;
    tracing::info!(client = %id, number = %binding.number, "client gone");
    api.end_clients(&binding.number, &[id]).await;
    Ok(StatusCode::NO_CONTENT)
}

fn view(api: &DirectoryApi, binding: Binding) -> ClientView {
    ClientView {
        connected: api.push.hub().is_connected(&binding.id),
        id: binding.id,
        number: binding.number,
        device: binding.device,
        form: binding.form,
        address: binding.address,
        capabilities: binding.capabilities,
        offer: binding.offer,
        expires: binding.expires,
    }
}
