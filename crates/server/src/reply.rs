//! Answers, with the status and the fault in headers, and the body that clients of the API expect.

use crate::envelope;
use crate::status;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as _;
use iof_engine::Value;
use iof_fault::{Fault, FaultKind, Source};
use uuid::Uuid;

/// The header with the status that the answer would have on any other API.
pub(crate) const STATUS: HeaderName = HeaderName::from_static("iof-status");
/// The header with the code of a fault.
pub(crate) const FAULT: HeaderName = HeaderName::from_static("iof-fault");
/// The header with the message of a fault.
pub(crate) const MESSAGE: HeaderName = HeaderName::from_static("iof-message");
/// The header with the exit status of a function.
pub(crate) const EXIT_STATUS: HeaderName = HeaderName::from_static("iof-exit-status");
/// The header with the id of the call, which its log rows have, too.
pub(crate) const CALL: HeaderName = HeaderName::from_static("iof-call");
/// The header with the id of a request that is not a call.
pub(crate) const REQUEST: HeaderName = HeaderName::from_static("iof-request");

/// The header with the status of the response to a callback.
pub(crate) const CALLBACK: HeaderName = HeaderName::from_static("iof-callback-status");

/// The number of headers of an answer to a call, including those that the edge and the surfaces add, for one
/// reservation.
const HEADERS: usize = 8;

/// The content type that Express sent for a string that is JSON.
pub(crate) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// The content type of JSON.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// The content type of bytes.
pub(crate) const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Builds an answer of status 200 that reports `status` in `iof-status`.
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

/// Builds the answer of 2020 to a failure: status 200, its body, and the fault in the headers.
pub(crate) fn ok_but(
    fault: &Fault,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = ok(status_of(fault), content_type, body);
    explain(&mut response, fault, &fault.full_message());
    response
}

/// Builds the answer to a failure with its true status and a JSON body.
pub(crate) fn failure(fault: &Fault) -> Response<Body> {
    let mut body = serde_json::json!({ "error": fault.message, "fault": fault.code() });
    if let Some(ending) = &fault.ending {
        if let Some(status) = ending.exit_status {
            body["exit_status"] = status.into();
        }
        if let Some(stdout) = &ending.stdout {
            body["stdout"] = stdout.as_str().into();
        }
        if let Some(value) = &ending.value {
            body["value"] = serde_json::from_str(value).unwrap_or_default();
        }
    }
    let mut response = ok(status_of(fault), JSON, body.to_string());
    *response.status_mut() = status_of(fault);
    explain(&mut response, fault, &fault.message);
    // RFC 9110, 11.6.1: the header may be sent also if another credential might change an answer other than 401. A
    // function's own error does not ask for credentials of this server.
    if matches!(
        fault.kind,
        FaultKind::ConsoleSession
            | FaultKind::Key
            | FaultKind::UsageKey
            | FaultKind::HiddenFunction
    ) {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if matches!(
        status::of(fault.kind),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    ) {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Builds the answer for the result of a function.
///
/// # Errors
/// `response`, `response-head`
pub(crate) fn of_value(value: Value) -> Result<Response<Body>, Fault> {
    if let Value::Response(sealed) = &value {
        return envelope::response::read(sealed).map(of_response);
    }
    Ok(match typed(value) {
        (Some(content_type), body) => ok(StatusCode::OK, content_type, body),
        (None, _) => no_content(),
    })
}

/// Converts a response of a function, whose headers were checked.
fn of_response(response: Response<Bytes>) -> Response<Body> {
    let mut response = response.map(Body::from);
    let status = number(response.status());
    let has_body = !response.body().is_end_stream();
    let headers = response.headers_mut();
    if has_body && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, OCTETS);
    }
    headers.insert(STATUS, status);
    response
}

/// The answer 204.
pub(crate) fn no_content() -> Response<Body> {
    let mut response = ok(StatusCode::NO_CONTENT, JSON, "");
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().remove(header::CONTENT_TYPE);
    response
}

/// The content type of a result and its bytes; `None` for no result. For a whole response, those of its body.
pub(crate) fn typed(value: Value) -> (Option<HeaderValue>, Bytes) {
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
    if let Value::Response(sealed) = &value {
        return match envelope::response::read(sealed) {
            Ok(response) => {
                let content_type = response.headers().get(header::CONTENT_TYPE).cloned();
                let content_type = content_type.or(Some(OCTETS));
                let body = response.into_body();
                (content_type.filter(|_| !body.is_empty()), body)
            }
            // The value was checked when the call ended.
            Err(_) => (None, Bytes::new()),
        };
    }
    let content_type = match &value {
        Value::Unit => None,
        Value::Text(_) => Some(TEXT),
        Value::Bytes(_) | Value::Response(_) => Some(OCTETS),
        // JSON cannot express these numbers.
        Value::F32(n) if !n.is_finite() => Some(TEXT),
        Value::F64(n) if !n.is_finite() => Some(TEXT),
        Value::Bool(_) | Value::Integer(_) | Value::F32(_) | Value::F64(_) | Value::Json(_) => {
            Some(JSON)
        }
    };
    (content_type, value.into_body())
}

/// Adds the id of the call that an answer belongs to.
pub(crate) fn of_call(response: &mut Response<Body>, call: Uuid) {
    response.headers_mut().insert(CALL, id(call));
}

/// An id as a header.
pub(crate) fn id(id: Uuid) -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    // Hexadecimal digits and dashes are always a valid header value.
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut buffer))
        .unwrap_or(HeaderValue::from_static(""))
}

/// Makes a new id. Its first bits are the time, so logs sort by it. Unlike `Uuid::now_v7`, this takes no lock.
pub(crate) fn new_id() -> Uuid {
    Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext))
}

/// Writes a fault that belongs to no call to the server's log.
pub(crate) fn log(fault: &Fault, what: &str) {
    let detail = fault.detail.as_deref();
    if fault.kind.source() == Source::Host {
        tracing::error!(fault = fault.code(), detail, "{what}: {}", fault.message);
    } else {
        tracing::info!(fault = fault.code(), detail, "{what}: {}", fault.message);
    }
}

/// The status that an answer reports in `iof-status`.
pub(crate) fn status<B>(response: &Response<B>) -> Option<StatusCode> {
    let status = response.headers().get(STATUS)?;
    StatusCode::from_bytes(status.as_bytes()).ok()
}

/// The answer to a path that does not exist.
pub(crate) async fn no_such_route(request: Request<Body>) -> Response<Body> {
    failure(&nothing_at(request.uri().path()))
}

/// The fault of a path that does not exist.
pub(crate) fn nothing_at(path: &str) -> Fault {
    let path: String = path.chars().take(200).collect();
    let message = format!("There is nothing at {path}.");
    Fault::new(FaultKind::NoSuchRoute, message)
}

/// The answer to a method that a path does not have; the router adds `Allow`.
pub(crate) async fn wrong_method(request: Request<Body>) -> Response<Body> {
    let message = format!(
        "Method {} is not allowed here. Use one that the header Allow names.",
        request.method()
    );
    failure(&Fault::new(FaultKind::Method, message))
}

fn status_of(fault: &Fault) -> StatusCode {
    status::of_fault(fault)
}

pub(crate) fn number(status: StatusCode) -> HeaderValue {
    if status == StatusCode::OK {
        HeaderValue::from_static("200")
    } else {
        HeaderValue::from(status.as_u16())
    }
}

fn explain(response: &mut Response<Body>, fault: &Fault, message: &str) {
    let headers = response.headers_mut();
    if let Ok(code) = HeaderValue::from_str(fault.code()) {
        headers.insert(FAULT, code);
    }
    let ending = fault.ending.as_ref();
    if let Some(status) = ending.and_then(|ending| ending.exit_status) {
        headers.insert(EXIT_STATUS, status.into());
    }
    // Some messages contain a guest's output: a header gets only visible ASCII, up to a limit.
    let message: String = message
        .chars()
        .take(500)
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .collect();
    if let Ok(message) = HeaderValue::from_str(&message) {
        headers.insert(MESSAGE, message);
    }
}
