//! Answers of this API to requests that it refuses.

use super::request::parse_id;
use crate::reply;
use axum::body::Body;
use http::{Response, StatusCode};
use iof_fault::{Fault, FaultKind};

pub(super) fn usage_key_fault() -> Fault {
    Fault::new(
        FaultKind::UsageKeyHeader,
        "SSVM_Usage_Key is missing or wrong.",
    )
}

pub(super) fn content_type_fault(message: &'static str) -> Fault {
    Fault::new(FaultKind::ContentType, message)
}

/// The answer to a failure, with the body of most routes in 2020; `wrong_key` is the body for a wrong admin key.
pub(super) fn refuse(fault: &Fault, id: &str, wrong_key: &str) -> Response<Body> {
    let body = match fault.kind {
        FaultKind::NoSuchFunction => error_body(&format!("wasm_id of {id} does not exist")),
        FaultKind::AdminKey => error_body(wrong_key),
        _ => {
            reply::log(fault, "refused");
            return reply::failure(fault);
        }
    };
    reply::ok_but(fault, reply::HTML, body)
}

/// The body of most failures.
pub(super) fn error_body(message: &str) -> String {
    serde_json::json!({ "error": message }).to_string()
}

/// The answer to a write whose success is the bare id; `missing` is the body for a function that does not exist.
pub(super) fn bare_id(
    written: Result<(), Fault>,
    id: &str,
    missing: String,
    wrong_key: &str,
) -> Response<Body> {
    match written {
        Ok(()) => {
            let id = parse_id(id).unwrap_or_default();
            reply::ok(StatusCode::OK, reply::HTML, id.to_string())
        }
        Err(fault) if fault.kind == FaultKind::NoSuchFunction => {
            reply::ok_but(&fault, reply::HTML, missing)
        }
        Err(fault) if fault.kind == FaultKind::ContentType => {
            reply::ok_but(&fault, reply::HTML, error_body(&fault.message))
        }
        Err(fault) => refuse(&fault, id, wrong_key),
    }
}
