//! `/v1/devices`: installations of clients, each with a token of its own.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::contract::{DEVICES_LISTED, DEVICES_MAX, DeviceChange, DeviceCreated, DeviceList, DeviceView, NewDevice};
use crate::core::base::name::DeviceId;
use crate::core::numbering::number::Number;
use crate::monitor::now;
use crate::node::Problem;
use crate::node::http::api::numbers::DirectoryApi;
use crate::node::http::auth::{Authenticator, Identity, LoginSource};
use crate::node::http::extract::{Body, InPath, Parameters};
use crate::node::http::problem::Problems;
use crate::node::new_id::{new_id, new_token};
use crate::store::{DeviceRow, EnrolOutcome, EnrolledDevice, credential_hash};

/// Enrols a device. The code takes the place of a token, and works once. The answer has the device's token, which allows
/// what the number's credential allows, except that it opens streams and claims invitations only for the device's own
/// clients. A code that is wrong, used or expired counts as a failed login.
#[utoipa::path(post, path = "/v1/devices", tag = "devices", request_body = NewDevice, responses(
        (status = 201, description = "The device is enrolled", body = DeviceCreated),
        Problems,
        (status = 409, description = "The number has as many devices as it can have; the code can still be used", body = Problem, content_type = "application/problem+json")))]
pub(in crate::node) async fn create(
    State(auth): State<Arc<Authenticator>>,
    State(api): State<Arc<DirectoryApi>>,
    source: LoginSource,
    Body(new): Body<NewDevice>,
) -> Result<(StatusCode, Json<DeviceCreated>), Problem> {
    let code = auth.check_code(&source, &new.code).await?;
    let token = new_token();
    let row = DeviceRow { id: new_id(), name: new.name, token: credential_hash(&token) };
    match api.store.enrol(code, row, now()).await? {
        EnrolOutcome::Enrolled(device) => {
            tracing::info!(device = %device.id, number = %device.number, "device enrolled");
            Ok((StatusCode::CREATED, Json(DeviceCreated { device: view(&api, device), token })))
        }
        // Another request has used it since it was checked.
        EnrolOutcome::NoCode => Err(auth.refuse_code(&source)),
        EnrolOutcome::Full => Err(too_many_devices()),
    }
}

pub(super) fn too_many_devices() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        format!("the number has {DEVICES_MAX} devices: revoke one that is not used any more"),
    )
}

/// Whose devices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::node) struct DeviceQuery {
    /// For administrators: only this number's.
    #[param(value_type = Option<String>)]
    number: Option<Number>,
}

/// The devices of the token's number; for an administrator, of all.
#[utoipa::path(get, path = "/v1/devices", tag = "devices", security(("bearer" = ["client", "admin"])), params(DeviceQuery),
    responses((status = 200, body = DeviceList), Problems))]
pub(in crate::node) async fn list(
    State(api): State<Arc<DirectoryApi>>,
    identity: Identity,
    Parameters(wanted): Parameters<DeviceQuery>,
) -> Result<Json<DeviceList>, Problem> {
    let number = identity.listed_number(wanted.number)?;
    let found = api.store.devices(number.as_ref(), now(), DEVICES_LISTED).await?;
    Ok(Json(DeviceList { devices: found.into_iter().map(|device| view(&api, device)).collect() }))
}

/// One device.
#[utoipa::path(get, path = "/v1/devices/{id}", tag = "devices", security(("bearer" = ["client", "admin"])),
    params(("id" = String, Path, description = "The device's id")),
    responses((status = 200, body = DeviceView), Problems))]
pub(in crate::node) async fn show(
    State(api): State<Arc<DirectoryApi>>,
    identity: Identity,
    InPath(id): InPath<DeviceId>,
) -> Result<Json<DeviceView>, Problem> {
    let device = managed(&api, &identity, &id).await?;
    Ok(Json(view(&api, device)))
}

/// Renames a device.
#[utoipa::path(patch, path = "/v1/devices/{id}", tag = "devices", security(("bearer" = ["client", "admin"])),
    params(("id" = String, Path, description = "The device's id")),
    request_body = DeviceChange, responses((status = 200, body = DeviceView), Problems))]
pub(in crate::node) async fn change(
    State(api): State<Arc<DirectoryApi>>,
    identity: Identity,
    InPath(id): InPath<DeviceId>,
    Body(DeviceChange { name }): Body<DeviceChange>,
) -> Result<Json<DeviceView>, Problem> {
    api.binding_limit.check(&identity)?;
    let mut device = managed(&api, &identity, &id).await?;
    if !api.store.rename_device(&id, name.clone()).await? {
        return Err(Problem::not_found("device"));
    }
    device.name = name;
    Ok(Json(view(&api, device)))
}

/// Revokes a device: its token and the codes that it has asked for are void, its clients are gone, and their streams are
/// closed. The remote side is told, if that was the last client.
#[utoipa::path(delete, path = "/v1/devices/{id}", tag = "devices", security(("bearer" = ["client", "admin"])),
    params(("id" = String, Path, description = "The device's id")),
    responses((status = 204, description = "It is gone"), Problems))]
pub(in crate::node) async fn remove(
    State(api): State<Arc<DirectoryApi>>,
    identity: Identity,
    InPath(id): InPath<DeviceId>,
) -> Result<StatusCode, Problem> {
    api.binding_limit.check(&identity)?;
    let device = managed(&api, &identity, &id).await?;
    let clients = api.store.delete_device(&id).await?.ok_or_else(|| Problem::not_found("device"))?;
    tracing::info!(device = %id, number = %device.number, "device revoked");
    api.end_clients(&device.number, &clients).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Another number's device is none of the asker's business, not even whether it is there.
async fn managed(api: &DirectoryApi, identity: &Identity, id: &DeviceId) -> Result<EnrolledDevice, Problem> {
    let found = api.store.device(id, now()).await?;
    found.filter(|device| identity.may_manage(&device.number)).ok_or_else(|| Problem::not_found("device"))
}

fn view(api: &DirectoryApi, device: EnrolledDevice) -> DeviceView {
    DeviceView {
        connected: device.client.is_some_and(|client| api.push.hub().is_connected(&client)),
        id: device.id,
        number: device.number,
        name: device.name,
        enrolled: device.enrolled,
    }
}
