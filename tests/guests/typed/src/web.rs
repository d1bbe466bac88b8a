//! Functions that take requests as they are, and answer them.

use iof::serde_json::Value;
use iof::{Request, Response};

/// Shows the whole request.
#[iof::function(get, post, put, delete)]
fn show(request: Request) -> iof::Result<Response> {
    let headers: Vec<_> = request.headers().collect();
    let body = String::from_utf8_lossy(request.body());
    let seen = (request.method(), request.path(), request.query(), headers, body);
    Ok(Response::json(&seen)?)
}

/// Answers as the query says: `?status=…&header=name:value&body=…`.
#[iof::function(get, post)]
fn answer(request: &Request) -> Response {
    let status = request.query_value("status").and_then(|status| status.parse().ok());
    let mut response = Response::new(status.unwrap_or(200));
    if let Some(body) = request.query_value("body") {
        response = response.with_body(body);
    }
    match request.query_value("header").as_deref().and_then(|header| header.split_once(':')) {
        Some((name, value)) => response.with_header(name, value),
        None => response,
    }
}

/// Answers as its arguments say.
#[iof::function]
fn respond(status: u16, body: &str, location: Option<String>) -> Response {
    let response = Response::new(status).with_body(body);
    match location {
        Some(location) => response.with_header("location", location),
        None => response,
    }
}

/// Fails as its argument says.
#[iof::function]
fn refuse(status: u16) -> iof::Result<()> {
    Err(iof::Error::new("refused", "It is refused.").with_status(status))
}

#[iof::function(raw)]
fn raw_text(body: &str) -> String {
    format!("{} {body}", body.len())
}

#[iof::function(raw)]
fn raw_bytes(body: &[u8]) -> Vec<u8> {
    body.to_vec()
}

/// The event of a webhook.
#[iof::function(raw)]
fn raw_json(event: Value) -> Value {
    event["action"].clone()
}

/// Takes fields, of a form or of a query.
#[iof::function(get, post)]
fn fields(name: &str, count: u32, tags: Option<Vec<String>>) -> String {
    format!("{name} {count} {tags:?}")
}
