//! Errors as clients of the API read them: problem details (RFC 9457).

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::contract::{ImportReport, OfferRefusal, StandByState};
use crate::core::call::guests::GuestRefusal;
use crate::node::call::decide::DecisionError;
use crate::node::call::events::ReportError;
use crate::node::dialled_enrolments::NoDialCode;
use crate::node::live_calls::{ClaimRefusal, InviteRefusal};
use crate::node::peering::inbound::OfferError;
use crate::store::StoreError;

/// The media type (RFC 9457 §4).
pub(in crate::node) const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says it (RFC 9457 §4.2.1).
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this very request.
    pub detail: String,
    /// The field, parameter or header that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Of an offer that was refused: why, as one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<OfferRefusal>,
    /// At `/readyz` of a node that stands by: what it can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_by: Option<StandByState>,
    /// After an import of which nothing was taken: its bad lines.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub import: Option<Box<ImportReport>>,
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    pub(in crate::node) fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            reason: None,
            stand_by: None,
            import: None,
            retry_after: None,
        }
    }

    pub(in crate::node) fn field(status: StatusCode, field: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem { field: Some(field.into()), ..Problem::new(status, detail) }
    }

    /// A value that can't be taken.
    pub(in crate::node) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem::field(StatusCode::UNPROCESSABLE_ENTITY, field, detail)
    }

    pub(in crate::node) fn not_found(what: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }

    pub(in crate::node) fn unauthorized() -> Problem {
        Problem::field(
            StatusCode::UNAUTHORIZED,
            "Authorization",
            "send the token as \"Authorization: Bearer …\"; it is never taken from the address",
        )
    }

    pub(in crate::node) fn forbidden(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, detail)
    }

    /// What isn't stored for lack of space.
    pub(in crate::node) fn full(detail: &str) -> Problem {
        Problem::new(StatusCode::INSUFFICIENT_STORAGE, detail).retry_after(60)
    }

    pub(in crate::node) fn because(self, reason: OfferRefusal) -> Problem {
        Problem { reason: Some(reason), ..self }
    }

    pub(in crate::node) fn stands_by(self, state: StandByState) -> Problem {
        Problem { stand_by: Some(state), ..self }
    }

    pub(in crate::node) fn import(self, report: ImportReport) -> Problem {
        Problem { import: Some(Box::new(report)), ..self }
    }

    pub(in crate::node) fn retry_after(self, seconds: u64) -> Problem {
        Problem { retry_after: Some(seconds), ..self }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        if error.is_conflict() {
            return Problem::field(StatusCode::CONFLICT, "credential", error.to_string());
        }
        // The reason may name files: it is for the log, not for the client.
        tracing::error!(%error, "a request failed because of the database");
        if error.is_unavailable() {
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the database is not available").retry_after(1);
        }
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the database holds something that can't be read")
    }
}

impl From<DecisionError> for Problem {
    fn from(error: DecisionError) -> Problem {
        match error {
            DecisionError::Full => Problem::full(&error.to_string()),
            DecisionError::Store(error) => error.into(),
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Problem {
        match error {
            ReportError::Unknown(error) => Problem::field(StatusCode::NOT_FOUND, "call", error.to_string()),
            ReportError::Refused(error) => Problem::invalid("events", error.to_string()),
            ReportError::Store(error) => error.into(),
        }
    }
}

impl From<ClaimRefusal> for Problem {
    fn from(refusal: ClaimRefusal) -> Problem {
        match refusal {
            // Whether there is such a call is none of the asker's business.
            ClaimRefusal::Unreachable => Problem::not_found("call"),
            ClaimRefusal::TooMany(error) => Problem::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()),
        }
    }
}

impl From<InviteRefusal> for Problem {
    fn from(refusal: InviteRefusal) -> Problem {
        match refusal {
            InviteRefusal::Unreachable => Problem::not_found("call"),
            InviteRefusal::TooMany(error) => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()).retry_after(60)
            }
        }
    }
}

impl From<GuestRefusal> for Problem {
    fn from(refusal: GuestRefusal) -> Problem {
        match refusal {
            GuestRefusal::NoSuchCode => Problem::field(StatusCode::NOT_FOUND, "code", refusal.to_string()),
            GuestRefusal::Full => Problem::new(StatusCode::CONFLICT, refusal.to_string()),
        }
    }
}

impl From<NoDialCode> for Problem {
    fn from(refusal: NoDialCode) -> Problem {
        match refusal {
            NoDialCode::Off => Problem::new(StatusCode::NOT_FOUND, refusal.to_string()),
            NoDialCode::TooMany(_) => Problem::new(StatusCode::TOO_MANY_REQUESTS, refusal.to_string()).retry_after(30),
        }
    }
}

impl From<OfferError> for Problem {
    fn from(error: OfferError) -> Problem {
        let (reason, field, detail) = match error {
            OfferError::Refused { reason, field, detail } => (reason, field, detail),
            OfferError::Store(error) => return error.into(),
        };
        let status = match reason {
            OfferRefusal::UnknownPeer => StatusCode::UNAUTHORIZED,
            OfferRefusal::NotItsNumber => StatusCode::FORBIDDEN,
            OfferRefusal::NotServed => StatusCode::NOT_FOUND,
            OfferRefusal::Replayed | OfferRefusal::Loop => StatusCode::CONFLICT,
            OfferRefusal::Stale | OfferRefusal::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            OfferRefusal::Limited => StatusCode::TOO_MANY_REQUESTS,
        };
        let retry_after = (reason == OfferRefusal::Limited).then_some(1);
        let field = field.map(str::to_owned);
        Problem { field, retry_after, ..Problem::new(status, detail).because(reason) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_string(&self).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The problems that every call may answer with.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "the variants are read by the derive alone")]
pub(in crate::node) enum Problems {
    /// The request can't be read.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(#[to_schema] Problem),
    /// No valid token.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] Problem),
    /// The token's role may not do this.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] Problem),
    /// There is no such thing.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] Problem),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Problem),
    /// The body is of a type that isn't taken here.
    #[response(status = 415, content_type = "application/problem+json")]
    MediaType(#[to_schema] Problem),
    /// A value can't be taken; `field` names it.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(#[to_schema] Problem),
    /// Too many failed logins, or too much of something; `Retry-After` says when to try again.
    #[response(status = 429, content_type = "application/problem+json")]
    Limited(#[to_schema] Problem),
    /// The node stores as much as it may, or its disk is nearly full.
    #[response(status = 507, content_type = "application/problem+json")]
    Full(#[to_schema] Problem),
    /// The database isn't available, or the node is stopping.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
}
