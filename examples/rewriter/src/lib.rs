//! Passes on the pages of a site, with one text replaced by another, while they arrive.

mod replace;

use replace::Replace;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler::{self, OutgoingRequest};
use wasip2::http::types::{
    ErrorCode, Fields, IncomingRequest, IncomingResponse, Method, OutgoingBody, OutgoingResponse,
    ResponseOutparam, Scheme,
};
use wasip2::io::streams::{OutputStream, StreamError};

struct Rewriter;

wasip2::http::proxy::export!(Rewriter);

/// The most bytes that are read at once.
const PIECE: u64 = 16 << 10;

impl Guest for Rewriter {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        if !matches!(request.method(), Method::Get) {
            return say(out, 405, "Only pages are passed on: use GET.\n");
        }
        let path = request.path_with_query().unwrap_or_default();
        match fetch(&path) {
            Ok(page) => pass(page, out),
            Err(error) => say(out, 502, &format!("The site did not answer: {error:?}\n")),
        }
    }
}

/// A variable of `function.toml`.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Asks the site for a page. The server checks the request against the rules of `function.toml`.
fn fetch(path: &str) -> Result<IncomingResponse, ErrorCode> {
    let site = variable("SITE");
    let (scheme, authority) = match site.split_once("://") {
        Some(("http", authority)) => (Scheme::Http, authority),
        Some((_, authority)) => (Scheme::Https, authority),
        None => return Err(ErrorCode::HttpRequestUriInvalid),
    };
    let request = OutgoingRequest::new(Fields::new());
    let accepted = request.set_scheme(Some(&scheme)).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some(path)).is_ok();
    if !accepted {
        return Err(ErrorCode::HttpRequestUriInvalid);
    }
    let response = outgoing_handler::handle(request, None)?;
    response.subscribe().block();
    match response.get() {
        Some(Ok(response)) => response,
        _ => Err(ErrorCode::InternalError(None)),
    }
}

/// Answers with a page, piece by piece.
fn pass(page: IncomingResponse, out: ResponseOutparam) {
    let headers = Fields::new();
    for kind in page.headers().get("content-type") {
        let _ = headers.append("content-type", &kind);
    }
    let Some((body, stream)) = begin(out, page.status(), headers) else {
        return;
    };
    let Ok(incoming) = page.consume() else { return };
    let Ok(input) = incoming.stream() else { return };
    let mut replace = Replace::new(&variable("FROM"), &variable("TO"));
    loop {
        let sent = match input.blocking_read(PIECE) {
            Ok(piece) => write(&stream, &replace.push(&piece)),
            Err(StreamError::Closed) => break,
            // The body is not finished, and so is cut, as the page was.
            Err(StreamError::LastOperationFailed(_)) => return,
        };
        if sent.is_err() {
            return; // The client is gone.
        }
    }
    if write(&stream, &replace.end()).is_ok() {
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

/// Answers with a text.
fn say(out: ResponseOutparam, status: u16, text: &str) {
    let headers = Fields::new();
    let _ = headers.append("content-type", b"text/plain; charset=utf-8");
    let Some((body, stream)) = begin(out, status, headers) else {
        return;
    };
    if write(&stream, text.as_bytes()).is_ok() {
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

/// Sends the head of a response; its body, and the stream that fills it.
fn begin(
    out: ResponseOutparam,
    status: u16,
    headers: Fields,
) -> Option<(OutgoingBody, OutputStream)> {
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).ok()?;
    let body = response.body().ok()?;
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().ok()?;
    Some((body, stream))
}

/// Writes all bytes, as fast as the client takes them.
fn write(stream: &OutputStream, bytes: &[u8]) -> Result<(), StreamError> {
    bytes
        .chunks(4096)
        .try_for_each(|piece| stream.blocking_write_and_flush(piece))
}
