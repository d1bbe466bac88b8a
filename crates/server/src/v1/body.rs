//! Bodies that are small JSON objects.

use super::answer::{ErrorResponse, Json};
use crate::app::App;
use crate::body::larger_than;
use crate::charset;
use crate::http::{content_type, essence};
use crate::{schema, wording};
use axum::extract::{FromRequest, Request};
use bytesize::ByteSize;
use iof_fault::{Fault, FaultKind};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize as _, Deserializer};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// The longest body that is not a module, an argument or a secret.
const SMALL: ByteSize = ByteSize::kib(64);

/// Refuses with `content-type`, `charset`, `request-body` and `json`, naming what is wrong.
impl<T: DeserializeOwned + ToSchema> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ErrorResponse;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ErrorResponse> {
        let (parts, body) = request.into_parts();
        let headers = &parts.headers;
        if essence(headers) != "application/json" {
            let message = "Content-Type must be application/json.";
            return Err(Fault::new(FaultKind::ContentType, message).into());
        }
        charset::utf8_only(content_type(headers))?;
        let too_large = || larger_than(FaultKind::RequestBody, SMALL);
        let held = app.bodies.read(headers, body, SMALL, too_large).await?;
        let value = serde_json::from_slice(&held.bytes).map_err(|error| {
            let why = misfit::<T>(&held.bytes).unwrap_or_else(|| wording::of_json(&error));
            let message =
                format!("The body does not fit: {why}. GET /v1/openapi.json describes it.");
            Fault::new(FaultKind::Json, message)
        })?;
        Ok(Self(value))
    }
}

/// The first difference of a body from its schema in the document of this API; `None` if the body is not JSON, or if
/// only the deserializer of a field refuses it.
fn misfit<T: ToSchema>(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let mut parts = vec![];
    T::schemas(&mut parts);
    let mut schema = serde_json::to_value(T::schema()).ok()?;
    schema["$defs"] = parts
        .into_iter()
        .filter_map(|(name, part)| Some((name, serde_json::to_value(part).ok()?)))
        .collect();
    // OpenAPI keeps schemas elsewhere than JSON Schema does.
    let text = schema
        .to_string()
        .replace("#/components/schemas/", "#/$defs/");
    schema::mismatch(&serde_json::from_str(&text).ok()?, &value)
}

/// A whole number in any JSON form: for JSON Schema, 15.0 is an integer (2020-12, section 4.2.3).
pub(super) fn whole<'de, D: Deserializer<'de>, T: TryFrom<i64>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    crate::arguments::integer(&number)
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| D::Error::custom(format_args!("expected an integer in range, got {number}")))
}
