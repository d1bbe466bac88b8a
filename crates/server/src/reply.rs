//! Answers: the truth in headers, the body as its reader expects it.

use crate::status;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use iof_fault::{Fault, Source};
use uuid::Uuid;

/// The status that an answer would have had on another API.
pub(crate) const STATUS: HeaderName = HeaderName::from_static("iof-status");
/// The code of what went wrong.
pub(crate) const FAULT: HeaderName = HeaderName::from_static("iof-fault");
/// What went wrong, in a sentence.
pub(crate) const MESSAGE: HeaderName = HeaderName::from_static("iof-message");
/// The status with which a function ended itself.
pub(crate) const EXIT_STATUS: HeaderName = HeaderName::from_static("iof-exit-status");
/// The id of the call, under which the log has it.
pub(crate) const CALL: HeaderName = HeaderName::from_static("iof-call");
/// The id of any other request.
pub(crate) const REQUEST: HeaderName = HeaderName::from_static("iof-request");

/// The status of what a callback answered.
pub(crate) const CALLBACK: HeaderName = HeaderName::from_static("iof-callback-status");

/// Headers of an answer to a call, those that [`Surface`](crate::surface::Surface) adds included: room for them is made once.
const HEADERS: usize = 8;

/// JSON as Express sent it from a string.
pub(crate) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// Real JSON.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// Bytes.
pub(crate) const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// An answer of status 200 whose truth is `status`.
pub(crate) fn ok(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(STATUS, number(status));
    response
}

/// The 2020 body of a failure, with the fault in the headers.
pub(crate) fn ok_but(
    fault: &Fault,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = ok(status_of(fault), content_type, body);
    explain(&mut response, fault);
    response
}

/// A failure that says so in its status, with a JSON body.
pub(crate) fn failure(fault: &Fault) -> Response<Body> {
    let mut body = serde_json::json!({ "error": fault.message, "fault": fault.code() });
    if let Some(ending) = &fault.ending {
        if let Some(status) = ending.exit_status {
            body["exit_status"] = status.into();
        }
        if let Some(stdout) = &ending.stdout {
            body["stdout"] = stdout.as_str().into();
        }
    }
    let mut response = ok(status_of(fault), JSON, body.to_string());
    *response.status_mut() = status_of(fault);
    explain(&mut response, fault);
    if matches!(
        status_of(fault),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    ) {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Names the call that an answer belongs to.
pub(crate) fn of_call(response: &mut Response<Body>, call: Uuid) {
    response.headers_mut().insert(CALL, id(call));
}

/// An id as a header.
pub(crate) fn id(id: Uuid) -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    // Hex digits and dashes always are a header value.
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer))
        .unwrap_or(HeaderValue::from_static(""))
}

/// A new id: its first bits are the time, so logs sort by it. No lock is taken, unlike by `Uuid::now_v7`.
pub(crate) fn new_id() -> Uuid {
    Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext))
}

/// Puts a fault that no call had into the log.
pub(crate) fn log(fault: &Fault, what: &str) {
    let detail = fault.detail.as_deref();
    if fault.kind.source() == Source::Host {
        tracing::error!(fault = fault.code(), detail, "{what}: {}", fault.message);
    } else {
        tracing::info!(fault = fault.code(), detail, "{what}: {}", fault.message);
    }
}

/// Makes the status line say what `iof-status` says.
pub(crate) fn be_real(response: &mut Response<Body>) {
    let real = response
        .headers()
        .get(STATUS)
        .and_then(|status| StatusCode::from_bytes(status.as_bytes()).ok());
    if let Some(real) = real {
        *response.status_mut() = real;
    }
}

fn status_of(fault: &Fault) -> StatusCode {
    status::of(fault.kind)
}

fn number(status: StatusCode) -> HeaderValue {
    if status == StatusCode::OK {
        HeaderValue::from_static("200")
    } else {
        HeaderValue::from(status.as_u16())
    }
}

fn explain(response: &mut Response<Body>, fault: &Fault) {
    let headers = response.headers_mut();
    if let Ok(code) = HeaderValue::from_str(fault.code()) {
        headers.insert(FAULT, code);
    }
    let ending = fault.ending.as_ref();
    if let Some(status) = ending.and_then(|ending| ending.exit_status) {
        headers.insert(EXIT_STATUS, status.into());
    }
    // What a guest printed is in some messages: only visible ASCII leaves in a header, and not much of it.
    let message: String = fault
        .message
        .chars()
        .take(500)
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .collect();
    if let Ok(message) = HeaderValue::from_str(&message) {
        headers.insert(MESSAGE, message);
    }
}
