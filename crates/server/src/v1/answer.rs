//! Answers of `/v1`, which its handlers return.

use super::openapi::FaultCode;
use crate::reply;
use axum::body::Body;
use axum::response::IntoResponse;
use http::{Response, StatusCode};
use iof_fault::Fault;
use serde::Serialize;
use utoipa::ToSchema;

/// A failed request.
#[derive(Debug)]
pub(super) struct ErrorResponse(Fault);

/// The body of a failed request.
///
/// This type only describes the body: [`reply::failure`] writes it, for every surface.
#[derive(Serialize, ToSchema)]
pub(super) struct Problem {
    /// A sentence for people that states the problem and the next step.
    error: String,
    /// A code for programs. docs/FAULTS.md lists them all.
    #[schema(value_type = FaultCode)]
    fault: String,
    /// The exit status of a program or function that ended itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_status: Option<i32>,
    /// The beginning of the output of a failed program.
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    /// The error that a function of a component returned, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
}

/// A value as JSON, with status 200; as an extractor, a body that is a small JSON object.
pub(super) struct Json<T>(pub(super) T);

/// A value as JSON, with status 201.
pub(super) struct Created<T>(pub(super) T);

/// The answer 204, without a body.
pub(super) struct NoContent;

impl From<Fault> for ErrorResponse {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl From<iof_store::Error> for ErrorResponse {
    fn from(error: iof_store::Error) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response<Body> {
        reply::log(&self.0, "refused");
        reply::failure(&self.0)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response<Body> {
        json(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response<Body> {
        json(StatusCode::CREATED, &self.0)
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response<Body> {
        reply::no_content()
    }
}

/// A value as JSON, with this status.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    match serde_json::to_string(value) {
        Ok(json) => {
            let mut response = reply::ok(status, reply::JSON, json);
            *response.status_mut() = status;
            response
        }
        Err(error) => {
            let fault = Fault::host("The answer could not be written.", error);
            ErrorResponse(fault).into_response()
        }
    }
}
