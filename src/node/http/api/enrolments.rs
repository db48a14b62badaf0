//! `/v1/numbers/{number}/enrolments`: codes that enrol one device each.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::contract::{DEVICES_MAX, ENROLMENTS_MAX, EnrolmentCreated, NewEnrolment};
use crate::core::base::enrolment_code::EnrolmentCode;
use crate::core::numbering::number::Number;
use crate::monitor::now;
use crate::node::Problem;
use crate::node::http::api::devices::too_many_devices;
use crate::node::http::api::numbers::{DirectoryApi, own};
use crate::node::http::auth::Identity;
use crate::node::http::extract::{Body, InPath};
use crate::node::http::problem::Problems;
use crate::store::{Enrolment, EnrolmentAuthor, credential_hash};

const EXPIRES: std::ops::RangeInclusive<u64> = 60..=604_800;
/// Seconds until a code expires if the request doesn't say.
const DAY: u64 = 24 * 60 * 60;

/// Makes a code that enrols one device of the number. A client that asks for one adds another device of the same person. A
/// code is void once the device that asked for it is revoked, or the credential that asked for it is replaced.
#[utoipa::path(post, path = "/v1/numbers/{number}/enrolments", tag = "devices", security(("bearer" = ["client", "admin"])),
    params(("number" = String, Path, description = "The number, percent-encoded")),
    request_body = NewEnrolment, responses(
        (status = 201, description = "The code", body = EnrolmentCreated),
        Problems,
        (status = 409, description = "The number has as many devices, or whoever asks as many unused codes, as can be", body = Problem, content_type = "application/problem+json")))]
pub(in crate::node) async fn create(
    State(api): State<Arc<DirectoryApi>>,
    identity: Identity,
    InPath(number): InPath<Number>,
    Body(wanted): Body<NewEnrolment>,
) -> Result<(StatusCode, Json<EnrolmentCreated>), Problem> {
    own(&identity, &number)?;
    api.binding_limit.check(&identity)?;
    let expires = wanted.expires.unwrap_or(DAY);
    if !EXPIRES.contains(&expires) {
        return Err(Problem::invalid("expires", format!("must be {} to {} seconds", EXPIRES.start(), EXPIRES.end())));
    }
    let code = EnrolmentCode::new(rand::random()).to_string();
    let enrolment = Enrolment {
        code: credential_hash(&code),
        number: number.clone(),
        by: author(&identity),
        expires: now() + Duration::from_secs(expires),
    };
    let expires = enrolment.expires;
    if !api.store.add_enrolment(enrolment, now()).await? {
        return Err(refusal(&api, &identity, &number).await?);
    }
    tracing::info!(%number, "code for a device made");
    let link = format!("{}/client/#enrol={code}", api.disclosure.inbox_tokens().base());
    Ok((StatusCode::CREATED, Json(EnrolmentCreated { code, link, number, expires })))
}

fn author(identity: &Identity) -> EnrolmentAuthor {
    match identity {
        Identity::Client { device: Some(device), .. } => EnrolmentAuthor::Device(device.clone()),
        Identity::Client { device: None, .. } => EnrolmentAuthor::Credential,
        _ => EnrolmentAuthor::Admin,
    }
}

/// Why a code could not be added.
async fn refusal(api: &DirectoryApi, identity: &Identity, number: &Number) -> Result<Problem, Problem> {
    api.check_device(identity).await?;
    if api.store.number(number).await?.is_none() {
        return Ok(Problem::not_found("number"));
    }
    if api.store.devices(Some(number), now(), DEVICES_MAX).await?.len() >= DEVICES_MAX as usize {
        return Ok(too_many_devices());
    }
    let detail = format!("you have {ENROLMENTS_MAX} unused codes for this number: use one, or wait until one expires");
    Ok(Problem::new(StatusCode::CONFLICT, detail))
}
