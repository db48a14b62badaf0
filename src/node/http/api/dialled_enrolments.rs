//! `/v1/dialled-enrolments`: a page shows a code, and the phone that dials it says whose device the page becomes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use tokio_util::sync::CancellationToken;

use crate::contract::{
    DeviceCreated, DialledEnrolment, DialledEnrolmentCreated, EnrolmentConfirmation, EnrolmentConfirmed,
    NewDialledEnrolment,
};
use crate::core::base::name::DialledEnrolmentId;
use crate::core::enrolment::waiting_pages::PageAnswer;
use crate::node::Problem;
use crate::node::dialled_enrolments::DialledEnrolments;
use crate::node::http::auth::{FromAgent, LoginSource, ShownToken};
use crate::node::http::extract::{Body, InPath};
use crate::node::http::problem::Problems;
use crate::node::http::rate_limits::DialCodeLimit;

/// How long a request waits for the answer.
pub(in crate::node) const WAIT: Duration = Duration::from_secs(25);

pub(in crate::node) struct DialledEnrolmentsApi {
    pub(in crate::node) enrolments: DialledEnrolments,
    pub(in crate::node) limit: DialCodeLimit,
    pub(in crate::node) shutdown: CancellationToken,
}

/// Gives a page a code. The phone that dials `dial` within two minutes enrols the page as a device of its number.
///
/// Codes are kept in memory: a restart of the node ends them.
#[utoipa::path(post, path = "/v1/dialled-enrolments", tag = "devices", request_body = NewDialledEnrolment, responses(
        (status = 201, description = "The code", body = DialledEnrolmentCreated),
        Problems))]
pub(in crate::node) async fn create(
    State(api): State<Arc<DialledEnrolmentsApi>>,
    source: LoginSource,
    Body(NewDialledEnrolment { name }): Body<NewDialledEnrolment>,
) -> Result<(StatusCode, Json<DialledEnrolmentCreated>), Problem> {
    api.limit.check(source.address(), Instant::now())?;
    Ok((StatusCode::CREATED, Json(api.enrolments.begin(name)?)))
}

/// Waits up to 25 seconds until the code is dialled. The bearer token is the page's `secret`. 404: the code has expired or was
/// used, or the secret is another page's. If a page asks again before it has an answer, the earlier request is answered
/// `pending`.
#[utoipa::path(get, path = "/v1/dialled-enrolments/{id}", tag = "devices", security(("bearer" = [])),
    params(("id" = String, Path, description = "The id that came with the code")),
    responses((status = 200, body = DialledEnrolment), Problems))]
pub(in crate::node) async fn wait(
    State(api): State<Arc<DialledEnrolmentsApi>>,
    ShownToken(secret): ShownToken,
    InPath(id): InPath<DialledEnrolmentId>,
) -> Result<Json<DialledEnrolment>, Problem> {
    let answer = tokio::select! {
        answer = api.enrolments.wait(&id, &secret, WAIT) => answer,
        () = api.shutdown.cancelled() => PageAnswer::Waiting,
    };
    match answer {
        PageAnswer::Waiting | PageAnswer::Superseded => Ok(Json(DialledEnrolment::Pending)),
        PageAnswer::Enrolled(DeviceCreated { device, token }) => Ok(Json(DialledEnrolment::Enrolled { device, token })),
        PageAnswer::Gone => Err(Problem::not_found("code: it may be used or expired")),
    }
}

/// A phone has dialled a code. Its number must be in the directory, and at home on this PBX if the directory says where it
/// is. Five wrong codes of one number in ten minutes, or a hundred of all numbers, are too many: then the right code is
/// refused too.
#[utoipa::path(post, path = "/v1/dialled-enrolments/confirm", tag = "pbxs", security(("bearer" = ["agent"])),
    request_body = EnrolmentConfirmation, responses((status = 200, body = EnrolmentConfirmed), Problems))]
pub(in crate::node) async fn confirm(
    State(api): State<Arc<DialledEnrolmentsApi>>,
    FromAgent(scope): FromAgent,
    Body(asked): Body<EnrolmentConfirmation>,
) -> Result<Json<EnrolmentConfirmed>, Problem> {
    scope.check(&asked.pbx)?;
    Ok(Json(EnrolmentConfirmed { enrolled: api.enrolments.confirm(&asked).await? }))
}
