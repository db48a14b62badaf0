//! Reading requests into types, with problems that name the field.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use crate::contract::{AGENT_CLOCK, AGENT_ID, AGENT_ID_BYTES};
use crate::core::base::time::UnixMillis;
use crate::node::Problem;

/// What the clock of the agent that reports shows; none if it is of a version that doesn't say.
pub(in crate::node) fn agent_clock(headers: &HeaderMap) -> Option<UnixMillis> {
    headers.get(AGENT_CLOCK)?.to_str().ok()?.parse().ok().map(UnixMillis)
}

/// The id of the agent that reports; none if it is of a version that doesn't say, or the header can't be one.
pub(in crate::node) fn agent_id(headers: &HeaderMap) -> Option<&str> {
    headers.get(AGENT_ID)?.to_str().ok().filter(|id| !id.is_empty() && id.len() <= AGENT_ID_BYTES)
}

/// A JSON body.
pub(in crate::node) struct Body<T>(pub(in crate::node) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Problem> {
        match Json::<Object<T>>::from_request(request, state).await {
            Ok(Json(Object(value))) => Ok(Body(value)),
            Err(rejection) => Err(body_problem(&rejection)),
        }
    }
}

/// A JSON object, and nothing else: serde would read a struct from an array too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Object)
    }
}

fn body_problem(rejection: &JsonRejection) -> Problem {
    let text = rejection.body_text();
    match rejection {
        JsonRejection::JsonDataError(_) => {
            let said = text.strip_prefix("Failed to deserialize the JSON body into the target type: ");
            named(StatusCode::UNPROCESSABLE_ENTITY, said.unwrap_or(&text))
        }
        JsonRejection::JsonSyntaxError(_) => Problem::new(StatusCode::BAD_REQUEST, "the body is not valid JSON"),
        JsonRejection::MissingJsonContentType(_) => {
            let detail = "send a JSON body with \"Content-Type: application/json\"";
            Problem::field(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type", detail)
        }
        _ => Problem::new(rejection.status(), text),
    }
}

/// Parameters behind the `?`.
pub(in crate::node) struct Parameters<T>(pub(in crate::node) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Parameters<T>, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Parameters(value)),
            Err(QueryRejection::FailedToDeserializeQueryString(rejection)) => {
                let text = rejection.body_text();
                let said = text.strip_prefix("Failed to deserialize query string: ");
                Err(named(StatusCode::UNPROCESSABLE_ENTITY, said.unwrap_or(&text)))
            }
            Err(rejection) => Err(Problem::new(rejection.status(), rejection.body_text())),
        }
    }
}

/// A deserializer says `path.to.field: what is wrong` or `unknown field `name`, …`.
fn named(status: StatusCode, said: &str) -> Problem {
    let detail = said.split(" at line ").next().unwrap_or(said);
    let path = detail.split_once(": ").map(|(path, _)| path);
    let path = path.filter(|p| p.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-[]".contains(&b)));
    match path.or_else(|| detail.split('`').nth(1)) {
        Some(field) => Problem::field(status, field, detail),
        None => Problem::new(status, detail),
    }
}

/// A part of the path, percent-decoded.
pub(in crate::node) struct InPath<T>(pub(in crate::node) T);

impl<T, S> FromRequestParts<S> for InPath<T>
where
    T: FromStr + Named,
    T::Err: Display,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<InPath<T>, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = text.map_err(|e| Problem::field(StatusCode::BAD_REQUEST, T::NAME, e.body_text()))?;
        text.parse().map(InPath).map_err(|e: T::Err| Problem::invalid(T::NAME, e.to_string()))
    }
}

/// What a part of the path is called.
pub(in crate::node) trait Named {
    const NAME: &'static str;
}

impl Named for crate::core::numbering::number::Number {
    const NAME: &'static str = "number";
}
impl Named for crate::core::base::name::CallId {
    const NAME: &'static str = "call";
}
impl Named for crate::core::base::name::ClientId {
    const NAME: &'static str = "id";
}
impl Named for crate::core::base::name::DeviceId {
    const NAME: &'static str = "id";
}
impl Named for crate::core::base::name::DialledEnrolmentId {
    const NAME: &'static str = "id";
}
impl Named for crate::core::base::name::PbxName {
    const NAME: &'static str = "pbx";
}
