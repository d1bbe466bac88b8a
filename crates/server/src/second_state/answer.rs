//! Answers of this API to what it refuses.

use crate::reply;
use axum::body::Body;
use http::Response;
use iof_engine::Fault;

pub(super) fn usage_key_fault() -> Fault {
    Fault::client("usage-key", "SSVM_Usage_Key is missing or wrong.").with_status(403)
}

pub(super) fn content_type_fault(message: &'static str) -> Fault {
    Fault::client("content-type", message).with_status(415)
}

/// The answer to a failure that has a body of 2020 on most routes; `wrong_key` is that of a wrong admin key.
pub(super) fn refuse(fault: &Fault, id: &str, wrong_key: &str) -> Response<Body> {
    let body = match &*fault.code {
        "no-such-function" => error_body(&format!("wasm_id of {id} does not exist")),
        "admin-key" => error_body(wrong_key),
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
