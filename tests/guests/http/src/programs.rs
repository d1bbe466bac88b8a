//! Checks that the programs make with which wasmtime tests its own server (`p2_http_*`, `p2_api_proxy`, `p2_cli_serve_*`).

use crate::{body_of, prepared, write};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, HeaderError, IncomingRequest, Method, OutgoingBody, OutgoingRequest,
    OutgoingResponse, Scheme, http_error_code,
};
use wasip2::io::streams::StreamError;

wit_bindgen::generate!({
    inline: "package test:handler;

        world imports {
            import wasi:config/store@0.2.0-rc.1;
        }",
    path: "wit/config.wit",
    generate_all,
});

/// A variable of the version, by `wasi:config`.
pub fn configured(name: &str) -> String {
    format!("{:?}", wasi::config::store::get(name))
}

/// `ok`, or the first check that failed.
pub fn check(name: &str, request: &IncomingRequest, number: u64) -> String {
    let checked = match name {
        "incoming" => incoming(request),
        "headers" => headers(),
        "requests" => requests(),
        "bodies" => bodies(),
        "lengths" => lengths(request),
        "new-fields" => Ok(fill(&Fields::new(), number)),
        "modified-fields" => Ok(fill(&request.headers().clone(), number)),
        other => Err(format!("no check {other}")),
    };
    checked.err().unwrap_or_else(|| "ok".to_owned())
}

/// The errors of sockets and names, which exist and are denied.
pub fn sockets() -> String {
    use wasip2::sockets::ip_name_lookup::resolve_addresses;
    use wasip2::sockets::network::IpAddressFamily;
    use wasip2::sockets::{instance_network, tcp_create_socket, udp_create_socket};
    let tcp = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4).map(drop);
    let udp = udp_create_socket::create_udp_socket(IpAddressFamily::Ipv6).map(drop);
    let name = resolve_addresses(&instance_network::instance_network(), "localhost").map(drop);
    format!("{tcp:?} {udp:?} {name:?}")
}

fn is(so: bool, what: &str) -> Result<(), String> {
    match so {
        true => Ok(()),
        false => Err(format!("not so: {what}")),
    }
}

/// `p2_api_proxy`: the request is whole, and its headers are not the guest's to change.
fn incoming(request: &IncomingRequest) -> Result<(), String> {
    is(request.scheme().is_some(), "a scheme")?;
    is(request.authority().is_some(), "an authority")?;
    is(request.path_with_query().is_some(), "a path")?;
    let headers = request.headers();
    is(!headers.has("host"), "no host")?;
    is(headers.has("x-own"), "a header that was sent")?;
    is(headers.delete("x-own").is_err(), "it is not deleted")?;
    is(headers.append("x-more", b"no").is_err(), "none is added")?;
    is(headers.has("x-own") && !headers.has("x-more"), "as before")
}

/// `p2_http_outbound_request_invalid_header`.
fn headers() -> Result<(), String> {
    let headers = Fields::new();
    let added = |name: &str, value: &[u8]| headers.append(name, value);
    let wrong = |added| matches!(added, Err(HeaderError::InvalidSyntax));
    let forbidden = |added| matches!(added, Err(HeaderError::Forbidden));
    let immutable = |changed| matches!(changed, Err(HeaderError::Immutable));
    is(wrong(added("malformed header name", b"ok")), "a name")?;
    is(added("ok-name", b"ok value").is_ok(), "a header")?;
    is(wrong(added("ok-name", b"bad\nvalue")), "a value")?;
    for name in ["Connection", "connection", "Keep-Alive", "Host", "Upgrade"] {
        is(forbidden(added(name, b"keep-alive")), name)?;
    }
    let listed = |name: &str, value: &[u8]| {
        Fields::from_list(&[(name.to_owned(), value.to_vec())]).map(drop)
    };
    is(wrong(listed("bad header", b"value")), "a name in a list")?;
    is(wrong(listed("ok-name", b"bad\nvalue")), "a value in a list")?;
    is(forbidden(listed("Connection", b"close")), "one in a list")?;
    let headers = OutgoingRequest::new(headers).headers();
    is(
        immutable(headers.set("Content-Length", &[b"10".to_vec()])),
        "set in a request",
    )?;
    is(
        immutable(headers.append("Content-Length", b"10")),
        "appended in a request",
    )?;
    is(
        immutable(headers.delete("Content-Length")),
        "deleted from a request",
    )
}

/// `p2_http_outbound_request_response_build`, `…_unknown_method`, `…_missing_path_and_query`, `…_invalid_port`,
/// `…_unsupported_scheme`: what cannot be a request is refused where it is said, or where it is sent.
fn requests() -> Result<(), String> {
    let request = OutgoingRequest::new(Fields::new());
    for method in ["invalid method", "bad\nmethod"] {
        let method = Method::Other(method.to_owned());
        is(request.set_method(&method).is_err(), "a method")?;
    }
    is(request.set_authority(Some("bad-\nhost")).is_err(), "a host")?;
    is(request.set_authority(Some("[::]:443")).is_ok(), "IPv6")?;
    is(
        request.set_authority(Some("[::]")).is_ok(),
        "IPv6 by itself",
    )?;
    let scheme = Scheme::Other("bad\nscheme".to_owned());
    is(request.set_scheme(Some(&scheme)).is_err(), "a scheme")?;
    is(
        request.set_path_with_query(Some("/bad\npath")).is_err(),
        "a path",
    )?;

    let without_path = OutgoingRequest::new(Fields::new());
    is(
        without_path.set_scheme(Some(&Scheme::Https)).is_ok(),
        "https",
    )?;
    is(
        without_path.set_authority(Some("example.com")).is_ok(),
        "an authority",
    )?;
    is(sent(without_path).is_err(), "a request without a path")?;

    let port = OutgoingRequest::new(Fields::new());
    is(port.set_scheme(Some(&Scheme::Http)).is_ok(), "http")?;
    is(port.set_path_with_query(Some("/")).is_ok(), "the root")?;
    let set = port.set_authority(Some("up.test:99999"));
    is(set.is_err() || sent(port).is_err(), "a port")?;

    let other = OutgoingRequest::new(Fields::new());
    let scheme = Scheme::Other("WS".to_owned());
    is(other.set_scheme(Some(&scheme)).is_ok(), "another scheme")?;
    is(other.set_authority(Some("up.test")).is_ok(), "an authority")?;
    is(other.set_path_with_query(Some("/")).is_ok(), "the root")?;
    let code = sent(other);
    is(
        matches!(code, Err(ErrorCode::HttpProtocolError)),
        &format!("HttpProtocolError, but {code:?}"),
    )
}

fn sent(request: OutgoingRequest) -> Result<(), ErrorCode> {
    let response = outgoing_handler::handle(request, None)?;
    response.subscribe().block();
    response.get().unwrap().unwrap().map(drop)
}

/// `p2_http_outbound_request_response_build`: bodies of requests and responses that are never sent.
fn bodies() -> Result<(), String> {
    let headers = || {
        let json = ("Content-Type".to_owned(), b"application/json".to_vec());
        Fields::from_list(&[json]).unwrap()
    };
    let request = OutgoingRequest::new(headers());
    let body = request.body();
    let stream = body.and_then(|body| body.write().map(|stream| (body, stream)));
    let (body, stream) = stream.map_err(|()| "a body of a request".to_owned())?;
    is(write(&stream, b"request-body").is_ok(), "a request's body")?;
    drop((stream, body));
    let response = OutgoingResponse::new(headers());
    let body = response.body();
    let stream = body.and_then(|body| body.write().map(|stream| (body, stream)));
    let (body, stream) = stream.map_err(|()| "a body of a response".to_owned())?;
    is(
        write(&stream, b"response-body").is_ok(),
        "a response's body",
    )?;
    drop((stream, body));
    Ok(())
}

/// `p2_http_outbound_request_content_length`.
fn lengths(request: &IncomingRequest) -> Result<(), String> {
    drop(body_of(request));
    for (text, length) in [
        ("long enough", None),
        ("msg", Some(3)),
        ("more than 11 bytes", Some(18)),
    ] {
        let announced = Fields::new();
        announced.append("content-length", b"11").unwrap();
        let sent = with_headers(request, announced);
        let body = sent.body().unwrap();
        let stream = body.write().unwrap();
        let written = stream.blocking_write_and_flush(text.as_bytes());
        drop(stream);
        if length == Some(18) {
            let code = match &written {
                Err(StreamError::LastOperationFailed(error)) => http_error_code(error),
                _ => None,
            };
            is(
                matches!(code, Some(ErrorCode::HttpRequestBodySize(Some(18)))),
                &format!("a write of too much is an error, but {code:?}"),
            )?;
        } else {
            is(written.is_ok(), "a write")?;
        }
        let ended = OutgoingBody::finish(body, None);
        let right = match (&ended, length) {
            (Ok(()), None) => true,
            (Err(ErrorCode::HttpRequestBodySize(Some(seen))), Some(length)) => *seen == length,
            _ => false,
        };
        is(right, &format!("{text}: {ended:?}"))?;
    }
    Ok(())
}

fn with_headers(request: &IncomingRequest, headers: Fields) -> OutgoingRequest {
    let like = prepared(request);
    let sent = OutgoingRequest::new(headers);
    sent.set_method(&Method::Post).unwrap();
    sent.set_scheme(like.scheme().as_ref()).unwrap();
    sent.set_authority(like.authority().as_deref()).unwrap();
    sent.set_path_with_query(like.path_with_query().as_deref())
        .unwrap();
    sent
}

/// `p2_api_proxy`: header fields of so many bytes, ten in each.
fn fill(fields: &Fields, bytes: u64) {
    for chunk in 0..bytes / 10 {
        fields
            .append(&format!("g{chunk:04}"), format!("h{chunk:04}").as_bytes())
            .unwrap();
    }
}
