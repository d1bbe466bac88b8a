//! Checks that the programs make with which wasmtime tests its own server (`p3_http_*`, `p3_api_proxy`, `p3_cli_serve_*`).

use crate::outgoing::prepared;
use crate::world;
use wasip3::cli::environment::get_environment;
use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, HeaderError, Method, Request, Response, Scheme};
use wasip3::wit_bindgen::rt::async_support::StreamResult;
use wasip3::{spawn_local, wit_future, wit_stream};

/// `ok`, or the first check that failed.
pub async fn check(name: &str, request: &Request) -> String {
    let checked = match name {
        "incoming" => incoming(request),
        "headers" => headers(),
        "requests" => requests().await,
        "bodies" => bodies().await,
        "lengths" => lengths(request).await,
        "chunks" => chunks(request).await,
        other => Err(format!("no check {other}")),
    };
    checked.err().unwrap_or_else(|| "ok".to_owned())
}

fn is(so: bool, what: &str) -> Result<(), String> {
    match so {
        true => Ok(()),
        false => Err(format!("not so: {what}")),
    }
}

/// `p3_api_proxy`: the request is whole, and its headers are not the guest's to change.
fn incoming(request: &Request) -> Result<(), String> {
    is(request.get_scheme().is_some(), "a scheme")?;
    is(request.get_authority().is_some(), "an authority")?;
    is(request.get_path_with_query().is_some(), "a path")?;
    let headers = request.get_headers();
    is(!headers.has("host"), "no host")?;
    is(headers.has("x-own"), "a header that was sent")?;
    is(headers.delete("x-own").is_err(), "it is not deleted")?;
    is(headers.append("x-more", b"no").is_err(), "none is added")?;
    is(headers.has("x-own") && !headers.has("x-more"), "as before")
}

/// `p3_http_outbound_request_invalid_header`.
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
    let headers = request(headers).get_headers();
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

fn request(headers: Fields) -> Request {
    let (_, trailers) = wit_future::new(|| Ok(None));
    Request::new(headers, None, trailers, None).0
}

/// `p3_http_outbound_request_response_build`, `…_unknown_method`, `…_missing_path_and_query`, `…_invalid_port`,
/// `…_unsupported_scheme`: what cannot be a request is refused where it is said, or where it is sent.
async fn requests() -> Result<(), String> {
    let refusing = request(Fields::new());
    for method in ["invalid method", "bad\nmethod"] {
        let method = Method::Other(method.to_owned());
        is(refusing.set_method(&method).is_err(), "a method")?;
    }
    for authority in ["bad-port:99999", "bad-\nhost", "too-many-ports:80:80:80"] {
        is(refusing.set_authority(Some(authority)).is_err(), authority)?;
    }
    is(refusing.set_authority(Some("[::]:443")).is_ok(), "IPv6")?;
    is(
        refusing.set_authority(Some("[::]")).is_ok(),
        "IPv6 by itself",
    )?;
    let scheme = Scheme::Other("bad\nscheme".to_owned());
    is(refusing.set_scheme(Some(&scheme)).is_err(), "a scheme")?;
    is(
        refusing.set_path_with_query(Some("/bad\npath")).is_err(),
        "a path",
    )?;

    let without_path = request(Fields::new());
    is(
        without_path.set_scheme(Some(&Scheme::Https)).is_ok(),
        "https",
    )?;
    is(
        without_path.set_authority(Some("example.com")).is_ok(),
        "an authority",
    )?;
    is(
        client::send(without_path).await.is_err(),
        "a request without a path",
    )?;

    let other = request(Fields::new());
    let scheme = Scheme::Other("WS".to_owned());
    is(other.set_scheme(Some(&scheme)).is_ok(), "another scheme")?;
    is(other.set_authority(Some("up.test")).is_ok(), "an authority")?;
    is(other.set_path_with_query(Some("/")).is_ok(), "the root")?;
    let code = client::send(other).await.map(drop);
    is(
        matches!(code, Err(ErrorCode::HttpProtocolError)),
        &format!("HttpProtocolError, but {code:?}"),
    )
}

/// `p3_http_outbound_request_response_build`: bodies of requests and responses that are never sent are not taken.
async fn bodies() -> Result<(), String> {
    let (mut stream, contents) = wit_stream::new();
    let (_, trailers) = wit_future::new(|| Ok(None));
    drop(Request::new(Fields::new(), Some(contents), trailers, None));
    let left = stream.write_all(b"request-body".to_vec()).await;
    is(left == b"request-body", "a request's body")?;
    let (mut stream, contents) = wit_stream::new();
    let (_, trailers) = wit_future::new(|| Ok(None));
    drop(Response::new(Fields::new(), Some(contents), trailers));
    let left = stream.write_all(b"response-body".to_vec()).await;
    is(left == b"response-body", "a response's body")
}

/// `p3_http_outbound_request_content_length`.
async fn lengths(request: &Request) -> Result<(), String> {
    for (text, length) in [
        ("long enough", None),
        ("msg", Some(3)),
        ("more than 11 bytes", Some(18)),
    ] {
        let headers = Fields::new();
        headers.append("content-length", b"11").unwrap();
        let (mut stream, contents) = wit_stream::new();
        let (end, trailers) = wit_future::new(|| Ok(None));
        let (sent, transmitted) = Request::new(headers, Some(contents), trailers, None);
        address(&sent, request);
        spawn_local(async move {
            stream.write_all(text.as_bytes().to_vec()).await;
            drop(stream);
            let _ = end.write(Ok(None)).await;
        });
        let answered = client::send(sent).await.map(drop);
        let transmitted = transmitted.await;
        let right = match (&transmitted, length) {
            (Ok(()), None) => answered.is_ok(),
            (Err(ErrorCode::HttpRequestBodySize(Some(seen))), Some(length)) => *seen == length,
            _ => false,
        };
        is(right, &format!("{text}: {answered:?}, {transmitted:?}"))?;
    }
    Ok(())
}

/// `p3_http_outbound_request_chunk_size`: pieces that double until one is not taken at once arrive as they were written.
async fn chunks(request: &Request) -> Result<(), String> {
    let (mut stream, contents) = wit_stream::new();
    let (end, trailers) = wit_future::new(|| Ok(None));
    let (sent, _) = Request::new(Fields::new(), Some(contents), trailers, None);
    address(&sent, request);
    let (mut told, written) = wit_stream::new::<u8>();
    spawn_local(async move {
        let (mut length, mut at) = (16, 0);
        while length <= 4 << 20 {
            let (result, rest) = stream.write(pattern(at, length)).await;
            let rest = rest.remaining();
            at += length - rest;
            if rest > 0 || !matches!(result, StreamResult::Complete(_)) {
                break;
            }
            length *= 2;
        }
        drop(stream);
        let _ = end.write(Ok(None)).await;
        told.write_all(at.to_string().into_bytes()).await;
    });
    let response = client::send(sent)
        .await
        .map_err(|code| format!("{code:?}"))?;
    let (_, read) = wit_future::new(|| Ok(()));
    let (body, trailers) = Response::consume_body(response, read);
    let echoed = body.collect().await;
    is(trailers.await.is_ok(), "an end")?;
    let written = String::from_utf8(written.collect().await).unwrap();
    let written = written.parse::<usize>().unwrap();
    is(written > 16, "more than one piece")?;
    is(echoed == pattern(0, written), "what was written")
}

fn pattern(from: usize, length: usize) -> Vec<u8> {
    (from..from + length).map(|at| (at % 251) as u8).collect()
}

/// Addresses a request with a body as `x-target` says.
fn address(sent: &Request, request: &Request) {
    let (_, trailers) = wit_future::new(|| Ok(None));
    let like = prepared(request, None, trailers, None);
    sent.set_method(&Method::Post).unwrap();
    sent.set_scheme(like.get_scheme().as_ref()).unwrap();
    sent.set_authority(like.get_authority().as_deref()).unwrap();
    sent.set_path_with_query(like.get_path_with_query().as_deref())
        .unwrap();
}

/// Answers with the variables that its headers `env` name, in a header.
pub fn environment(request: &Request) -> Response {
    let headers = Fields::new();
    for name in request.get_headers().get("env") {
        let name = String::from_utf8_lossy(&name).into_owned();
        let variables = get_environment().into_iter();
        for (_, value) in variables.filter(|(known, _)| *known == name) {
            headers.append("x-env", value.as_bytes()).unwrap();
        }
    }
    crate::with_headers(headers, "")
}

/// Prints lines in parts, and empty ones, on both streams.
pub async fn half_prints() {
    for part in [
        "this is half a print ",
        "to stdout\n",
        "\n",
        "after empty\n",
    ] {
        world::print(part).await;
    }
    for part in ["start a print ", "1", "2", "\n", "\nafter empty\n"] {
        world::print_error(part).await;
    }
}
