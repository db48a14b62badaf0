//! `/v1/numbers`: the directory.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::contract::{NumberEntry, NumberKind, NumberPage, NumberSwitch, NumberView};
use crate::core::base::name::ClientId;
use crate::core::call::guests::GuestHost;
use crate::core::numbering::number::Number;
use crate::monitor::now;
use crate::node::Problem;
use crate::node::delivery::Deliveries;
use crate::node::disclosure::Disclosure;
use crate::node::http::auth::{Admin, Identity};
use crate::node::http::extract::{Body, InPath, Parameters};
use crate::node::http::problem::Problems;
use crate::node::http::rate_limits::BindingLimit;
use crate::node::live_calls::LiveCalls;
use crate::node::pairing::Pairing;
use crate::push::Push;
use crate::store::{NumberRow, Store, StoreError};

const NAME: usize = 100;
const CREDENTIAL: std::ops::RangeInclusive<usize> = 16..=256;
const EXTENSIONS: usize = 1000;
const PAGE: u32 = 1000;

/// Numbers, their devices, and the clients that are bound to them.
pub(in crate::node) struct DirectoryApi {
    pub(in crate::node) store: Store,
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) push: Push,
    pub(in crate::node) deliveries: Arc<Deliveries>,
    pub(in crate::node) disclosure: Arc<Disclosure>,
    pub(in crate::node) pairing: Arc<Pairing>,
    pub(in crate::node) binding_limit: BindingLimit,
}

impl DirectoryApi {
    /// Writes entries. Who has a credential of before is let in no longer, and not left inside either.
    pub(super) async fn write(&self, rows: Vec<NumberRow>) -> Result<(), StoreError> {
        let changed = self.store.credentials_changed(&rows).await?;
        self.store.put_numbers(rows).await?;
        for number in changed {
            let clients = self.store.bindings(Some(&number), now(), PAGE).await?;
            // Devices have tokens of their own.
            let clients = clients.iter().filter(|client| client.device.is_none());
            clients.for_each(|client| self.push.hub().close(&client.id));
            self.end_guests(|host| host.number == number);
        }
        Ok(())
    }

    /// A number's clients take part in calls from now on, or no longer.
    async fn switched(&self, number: &Number, enabled: bool) -> Result<(), StoreError> {
        if !enabled {
            self.end_guests(|host| host.number == *number);
        }
        self.pairing.reconsider(number).await
    }

    /// Ends the guests of hosts that no longer take part.
    pub(super) fn end_guests(&self, is_gone: impl Fn(&GuestHost) -> bool) {
        self.live.end_guests_of(is_gone).iter().for_each(|guest| self.deliveries.guest_left(guest));
    }

    /// Ends the streams of clients that are gone and of their guests, and tells whoever is on the phone with their number,
    /// if they were its last. If telling fails, they are gone all the same.
    pub(super) async fn end_clients(&self, number: &Number, clients: &[ClientId]) {
        clients.iter().for_each(|client| self.push.end_client(client));
        self.end_guests(|host| clients.contains(&host.client));
        if let Err(error) = self.pairing.reconsider(number).await {
            tracing::warn!(%error, %number, "who talks with a client that is gone could not be told");
        }
    }

    /// Refuses a device that has been revoked since its request was let in.
    pub(super) async fn check_device(&self, identity: &Identity) -> Result<(), Problem> {
        match identity.device() {
            Some(device) if self.store.device(device, now()).await?.is_none() => Err(Problem::unauthorized()),
            _ => Ok(()),
        }
    }
}

/// One entry of the directory.
#[utoipa::path(get, path = "/v1/numbers/{number}", tag = "numbers", security(("bearer" = ["admin"])),
    params(("number" = String, Path, description = "The number, percent-encoded")),
    responses((status = 200, body = NumberView), Problems))]
pub(in crate::node) async fn show(
    State(api): State<Arc<DirectoryApi>>,
    _: Admin,
    InPath(number): InPath<Number>,
) -> Result<Json<NumberView>, Problem> {
    let found = api.store.number(&number).await?;
    found.map(Json).ok_or_else(|| Problem::not_found("number"))
}

/// Adds or replaces an entry.
#[utoipa::path(put, path = "/v1/numbers/{number}", tag = "numbers", security(("bearer" = ["admin"])),
    params(("number" = String, Path, description = "The number, percent-encoded")),
    request_body = NumberEntry, responses((status = 200, body = NumberView), Problems,
        (status = 409, description = "The credential is another number's", body = Problem, content_type = "application/problem+json")))]
pub(in crate::node) async fn put(
    State(api): State<Arc<DirectoryApi>>,
    _: Admin,
    InPath(number): InPath<Number>,
    Body(entry): Body<NumberEntry>,
) -> Result<Json<NumberView>, Problem> {
    check(&entry).map_err(|(field, detail)| Problem::invalid(field, detail))?;
    let switched = entry.enabled;
    api.write(vec![NumberRow::new(number.clone(), entry)]).await?;
    if let Some(enabled) = switched {
        api.switched(&number, enabled).await?;
    }
    let found = api.store.number(&number).await?;
    found.map(Json).ok_or_else(|| Problem::not_found("number"))
}

/// Removes an entry, and the clients, devices and codes of its number. The remote side is told.
#[utoipa::path(delete, path = "/v1/numbers/{number}", tag = "numbers", security(("bearer" = ["admin"])),
    params(("number" = String, Path, description = "The number, percent-encoded")),
    responses((status = 204, description = "It is gone"), Problems))]
pub(in crate::node) async fn remove(
    State(api): State<Arc<DirectoryApi>>,
    _: Admin,
    InPath(number): InPath<Number>,
) -> Result<StatusCode, Problem> {
    let clients = api.store.delete_number(&number).await?.ok_or_else(|| Problem::not_found("number"))?;
    api.end_clients(&number, &clients).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether a number's clients take part.
#[utoipa::path(get, path = "/v1/numbers/{number}/sidecall", tag = "numbers", security(("bearer" = ["client", "admin"])),
    params(("number" = String, Path, description = "The number, percent-encoded")),
    responses((status = 200, body = NumberSwitch), Problems))]
pub(in crate::node) async fn switch(
    State(api): State<Arc<DirectoryApi>>,
    identity: Identity,
    InPath(number): InPath<Number>,
) -> Result<Json<NumberSwitch>, Problem> {
    own(&identity, &number)?;
    let found = api.store.number(&number).await?.ok_or_else(|| Problem::not_found("number"))?;
    Ok(Json(NumberSwitch { enabled: found.entry.enabled != Some(false) }))
}

/// Switches a number's clients on or off. The remote side is told.
#[utoipa::path(put, path = "/v1/numbers/{number}/sidecall", tag = "numbers", security(("bearer" = ["client", "admin"])),
    params(("number" = String, Path, description = "The number, percent-encoded")),
    request_body = NumberSwitch, responses((status = 200, body = NumberSwitch), Problems))]
pub(in crate::node) async fn set_switch(
    State(api): State<Arc<DirectoryApi>>,
    identity: Identity,
    InPath(number): InPath<Number>,
    Body(switch): Body<NumberSwitch>,
) -> Result<Json<NumberSwitch>, Problem> {
    own(&identity, &number)?;
    api.binding_limit.check(&identity)?;
    if !api.store.enable(&number, switch.enabled).await? {
        return Err(Problem::not_found("number"));
    }
    tracing::info!(%number, enabled = switch.enabled, "number switched");
    api.switched(&number, switch.enabled).await?;
    Ok(Json(switch))
}

pub(super) fn own(identity: &Identity, number: &Number) -> Result<(), Problem> {
    if identity.may_manage(number) {
        return Ok(());
    }
    Err(Problem::forbidden("this is for administrators and the number's own clients"))
}

/// Which part of the directory.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::node) struct NumberQuery {
    /// The number behind which the page begins: `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<Number>,
    /// At most so many, 1 to 1,000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A page of the directory, in order.
#[utoipa::path(get, path = "/v1/numbers", tag = "numbers", security(("bearer" = ["admin"])), params(NumberQuery),
    responses((status = 200, body = NumberPage), Problems))]
pub(in crate::node) async fn list(
    State(api): State<Arc<DirectoryApi>>,
    _: Admin,
    Parameters(wanted): Parameters<NumberQuery>,
) -> Result<Json<NumberPage>, Problem> {
    let limit = wanted.limit.unwrap_or(100);
    if !(1..=PAGE).contains(&limit) {
        return Err(Problem::invalid("limit", format!("must be 1 to {PAGE}")));
    }
    // One more than wanted says whether there is a next page.
    let mut numbers = api.store.numbers(wanted.after.as_ref(), limit + 1).await?;
    let more = numbers.len() > limit as usize;
    numbers.truncate(limit as usize);
    let next = numbers.last().filter(|_| more).map(|view| view.number.clone());
    Ok(Json(NumberPage { numbers, next }))
}

/// What is wrong with an entry, and in which field.
pub(super) fn check(entry: &NumberEntry) -> Result<(), (&'static str, String)> {
    if let Some(name) = &entry.name {
        if name.chars().count() > NAME {
            return Err(("name", format!("a name has at most {NAME} characters")));
        }
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(("name", "a name is not empty and holds no control characters".to_owned()));
        }
    }
    if !entry.extensions.is_empty() && entry.kind != NumberKind::Main {
        return Err(("extensions", "only a number of the kind main has extensions".to_owned()));
    }
    if entry.extensions.len() > EXTENSIONS {
        return Err(("extensions", format!("a main number has at most {EXTENSIONS} extensions")));
    }
    if let Some(credential) = &entry.credential {
        // What both a bearer token (RFC 6750 §2.1) and the name of a WebSocket's protocol (RFC 6455 §4.1,
        // a token of RFC 9110 §5.6.2) can hold: a browser shows it as the latter.
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~+".contains(&b);
        if !CREDENTIAL.contains(&credential.len()) || !credential.bytes().all(fits) {
            return Err(("credential", "a credential is 16 to 256 of A-Z a-z 0-9 - . _ ~ +".to_owned()));
        }
    }
    Ok(())
}
