//! Requests for functions that answer HTTP: the part of the request that the function sees, and the part of its
//! response that is sent.
//!
//! The function is a server of its own below `/fn/NAME`: it handles every method and path, and requests from pages of
//! other origins. It sees the path below its name, and the part before in `x-forwarded-prefix`, as from other proxies
//! that strip a prefix; at its own host name there is no prefix. Its response is sent from the origin of this server's
//! own pages, so headers with effects beyond this answer are withheld (decision 40), and named in `iof-withheld`.

use super::{Address, OwnHost, Refusal};
use crate::app::App;
use crate::caller;
use crate::calls::{ExchangeTasks, PreparedCall, RequestStream, exchange};
use crate::connection::{ClientLeaves, Written};
use crate::envelope;
use crate::host::OwnNames;
use crate::reply;
use axum::body::Body;
use bytesize::ByteSize;
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;

/// The part of the path that the function does not see.
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
/// The header with the names of headers that the function set and that were withheld.
const WITHHELD: HeaderName = HeaderName::from_static("iof-withheld");

pub(super) async fn serve(
    app: &Arc<App>,
    tasks: &ExchangeTasks,
    address: &Address<'_>,
    prepared: PreparedCall,
    (mut parts, body): (Parts, Body),
) -> Result<Response<Body>, Refusal> {
    upgrade(&parts)?;
    size(&body, prepared.function.granted.limits.streamed_body)?;
    if let Some(leaves) = parts.extensions.remove::<ClientLeaves>() {
        // Otherwise the server would notice late that the client left, and a streaming function may run for long.
        leaves.at_its_end();
    }
    let hides_key = caller::hides_key(app, &prepared.function, &parts.headers);
    let request = seen(app, address, &parts, body, hides_key)?;
    match exchange(app, tasks, prepared, request).await? {
        Ok(response) => {
            let mut response = response.map(Body::new);
            leave(response.headers_mut());
            let status = reply::number(response.status());
            response.headers_mut().insert(reply::STATUS, status);
            // The body is generated while it is sent.
            response.extensions_mut().insert(Written);
            Ok(response)
        }
        Err(fault) => {
            let fault = caller::disclosed(app, &address.function, &parts.headers, fault).await;
            Ok(Refusal::from(fault).into_response())
        }
    }
}

/// Refuses a change of protocol. One to HTTP/2, which curl offers, may be ignored (RFC 9110, section 7.8).
fn upgrade(parts: &Parts) -> Result<(), Fault> {
    let wanted = parts.headers.get_all(header::UPGRADE).iter();
    let mut wanted = wanted.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let is_other = |name: &[u8]| !name.trim_ascii().eq_ignore_ascii_case(b"h2c");
    if parts.method != Method::CONNECT && !wanted.any(is_other) {
        return Ok(());
    }
    let message = "A function cannot change the protocol of a connection (WebSocket and others). Send a plain request; events can be streamed as text/event-stream.";
    Err(Fault::new(FaultKind::Upgrade, message))
}

fn size(body: &Body, most: ByteSize) -> Result<(), Fault> {
    if body.size_hint().lower() <= most.as_u64() {
        return Ok(());
    }
    let message = format!(
        "The body is too large: got {} bytes, limits.streamed_body is {most}. Send less, or raise the setting.",
        body.size_hint().lower()
    );
    Err(Fault::new(FaultKind::RequestBody, message))
}

/// The request as the function sees it.
fn seen(
    app: &App,
    address: &Address<'_>,
    parts: &Parts,
    body: Body,
    hides_key: bool,
) -> Result<Request<RequestStream>, Fault> {
    let named = OwnNames::named(parts)?;
    let authority = named.and_then(|named| Authority::try_from(named).ok());
    let is_https = app
        .public_url
        .as_ref()
        .is_some_and(|url| url.scheme() == "https");
    let scheme = match is_https {
        true => Scheme::HTTPS,
        false => Scheme::HTTP,
    };
    let below = match address.below {
        "" => "/",
        below => below,
    };
    let target = match parts.uri.query() {
        Some(query) => format!("{below}?{query}"),
        None => below.to_owned(),
    };
    let uri = Uri::builder()
        .scheme(scheme)
        // A request of HTTP/1.0 may name no host.
        .authority(authority.unwrap_or(Authority::from_static("localhost")))
        .path_and_query(target)
        .build();
    let uri = uri.map_err(|error| {
        let message = format!(
            "Path cannot be passed on: {error}. Percent-encode what is not allowed in a path."
        );
        Fault::new(FaultKind::Path, message)
    })?;
    let mut headers = envelope::shown_whole(&parts.headers, hides_key);
    // The path is that of a URI, which is always a valid header value.
    let prefix = HeaderValue::from_str(address.prefix());
    match parts.extensions.get::<OwnHost>() {
        None => headers.insert(PREFIX, prefix.unwrap_or(HeaderValue::from_static("/fn"))),
        Some(_) => headers.remove(PREFIX),
    };
    let body = body.map_err(Into::into).boxed_unsync();
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.version_mut() = parts.version;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Removes the headers that must not be sent from a response, and names them.
fn leave(headers: &mut HeaderMap) {
    let withheld: Vec<_> = headers
        .keys()
        .filter(|name| !envelope::may_leave(name))
        .cloned()
        .collect();
    for name in &withheld {
        headers.remove(name);
    }
    let names: Vec<_> = withheld.iter().map(HeaderName::as_str).collect();
    if let (false, Ok(names)) = (names.is_empty(), HeaderValue::from_str(&names.join(","))) {
        headers.insert(WITHHELD, names);
    }
}
