//! A handler of `wasi:http` 0.2 whose behaviour is chosen by the path of the request.
//!
//! More than 400 lines: a path for each behaviour that a test needs.

mod programs;

use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use wasip2::cli::stderr::get_stderr;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler::{self, OutgoingRequest};
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, IncomingResponse, Method, OutgoingBody,
    OutgoingResponse, RequestOptions, ResponseOutparam, Scheme,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// Requests of this instance to `/served` and `/keep`.
static SERVED: AtomicU32 = AtomicU32::new(0);

struct Handler;

wasip2::http::proxy::export!(Handler);

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let number = query.parse::<u64>().unwrap_or_default();
        match path {
            "/" | "/hello" => whole(out, 200, b"hello"),
            "/request" => whole(out, 200, describe(&request).as_bytes()),
            "/environment" => environment(&request, out),
            "/configuration" => whole(out, 200, programs::configured(query).as_bytes()),
            "/sockets" => whole(out, 200, programs::sockets().as_bytes()),
            "/half-prints" => {
                half_prints();
                whole(out, 200, b"printed");
            }
            checks if checks.starts_with("/checks/") => {
                let text = programs::check(&checks["/checks/".len()..], &request, number);
                whole(out, 200, text.as_bytes());
            }
            "/echo" => echo(request, out),
            "/count" => {
                let text = count(&body_of(&request)).map_or_else(|e| e, |count| count.to_string());
                whole(out, 200, text.as_bytes());
            }
            // The number of requests of this instance.
            "/served" => {
                let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
                whole(out, 200, served.to_string().as_bytes());
            }
            // Keeps a resource of the host for ever.
            "/keep" => {
                std::mem::forget(subscribe_duration(1));
                let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
                whole(out, 200, served.to_string().as_bytes());
            }
            "/early" => {
                // Answers before it reads.
                let (body, stream) = begin(out, 200, Fields::new());
                write(&stream, b"early ").unwrap();
                let count = count(&body_of(&request)).unwrap();
                write(&stream, count.to_string().as_bytes()).unwrap();
                end(body, stream, None);
            }
            // Whatever its client's body comes to.
            "/heedless" => {
                let _ = count(&body_of(&request));
                whole(out, 200, b"heedless");
            }
            "/ignore" => ignore(&request, out),
            "/unread" => whole(out, 413, b"no, thanks"),
            "/big" => {
                let (body, stream) = begin(out, 200, Fields::new());
                let piece = [b'x'; 1 << 16];
                for _ in 0..number * 16 {
                    if write(&stream, &piece).is_err() {
                        return;
                    }
                }
                end(body, stream, None);
            }
            "/events" => {
                let headers = Fields::new();
                let _ = headers.append("content-type", b"text/event-stream");
                let (body, stream) = begin(out, 200, headers);
                for event in 0..number {
                    write(&stream, format!("data: {event}\n\n").as_bytes()).unwrap();
                    subscribe_duration(100_000_000).block();
                }
                end(body, stream, None);
            }
            "/trailers" => {
                let headers = Fields::new();
                let _ = headers.append("trailer", b"x-sum");
                let (body, stream) = begin(out, 200, headers);
                write(&stream, b"body").unwrap();
                let trailers = Fields::new();
                trailers.append("x-sum", b"42").unwrap();
                end(body, stream, Some(trailers));
            }
            "/request-trailers" => {
                let incoming = request.consume().unwrap();
                let read = count(&incoming.stream().unwrap()).unwrap();
                let trailers = IncomingBody::finish(incoming);
                trailers.subscribe().block();
                let trailers = trailers.get().unwrap().unwrap().unwrap();
                let trailers = trailers.map(|fields| fields.entries()).unwrap_or_default();
                let text = trailers
                    .iter()
                    .map(|(name, value)| format!(" {name}={}", String::from_utf8_lossy(value)));
                let text = format!("{read}{}", text.collect::<String>());
                whole(out, 200, text.as_bytes());
            }
            "/status" => {
                let response = OutgoingResponse::new(Fields::new());
                response.set_status_code(number as u16).unwrap();
                let body = response.body().unwrap();
                ResponseOutparam::set(out, Ok(response));
                if let Ok(stream) = body.write() {
                    let _ = write(&stream, b"text");
                }
                let _ = OutgoingBody::finish(body, None);
            }
            "/bodiless" => {
                ResponseOutparam::set(out, Ok(OutgoingResponse::new(Fields::new())));
            }
            "/headers" => {
                let headers = Fields::new();
                for (name, value) in [
                    ("set-cookie", "a=b"),
                    ("server", "mine"),
                    ("content-security-policy", "default-src *"),
                    ("x-own", "1"),
                    ("access-control-allow-origin", "*"),
                    ("iof-call", "forged"),
                    ("content-type", "text/plain"),
                ] {
                    headers.append(name, value.as_bytes()).unwrap();
                }
                let forbidden = headers.append("connection", b"close").is_err()
                    && headers.append("transfer-encoding", b"chunked").is_err();
                let (body, stream) = begin(out, 200, headers);
                write(&stream, format!("{forbidden}").as_bytes()).unwrap();
                end(body, stream, None);
            }
            "/many-headers" => {
                let headers = Fields::new();
                for i in 0..number {
                    headers.append(&format!("x-{i}"), b"1").unwrap();
                }
                let (body, stream) = begin(out, 200, headers);
                end(body, stream, None);
            }
            "/trap" => unreachable!("asked to"),
            "/trap-after" => {
                let (_body, stream) = begin(out, 200, Fields::new());
                write(&stream, b"part").unwrap();
                subscribe_duration(50_000_000).block();
                unreachable!("asked to");
            }
            "/dropped" => {
                let (body, stream) = begin(out, 200, Fields::new());
                write(&stream, b"part").unwrap();
                drop(stream);
                drop(body);
            }
            "/forgotten" => {
                let (body, stream) = begin(out, 200, Fields::new());
                write(&stream, b"part").unwrap();
                std::mem::forget((stream, body));
            }
            "/short" => {
                let headers = Fields::new();
                headers.append("content-length", b"9").unwrap();
                let (body, stream) = begin(out, 200, headers);
                write(&stream, b"part").unwrap();
                drop(stream);
                assert!(OutgoingBody::finish(body, None).is_err());
            }
            "/exact" => {
                let headers = Fields::new();
                headers.append("content-length", b"4").unwrap();
                let (body, stream) = begin(out, 200, headers);
                write(&stream, b"part").unwrap();
                end(body, stream, None);
            }
            "/error" => {
                let code = ErrorCode::InternalError(Some("mine".to_owned()));
                ResponseOutparam::set(out, Err(code));
            }
            "/nothing" => drop(out),
            "/sleep" => {
                subscribe_duration(number * 1_000_000).block();
                whole(out, 200, b"slept");
            }
            "/pause" => {
                let (body, stream) = begin(out, 200, Fields::new());
                write(&stream, b"one").unwrap();
                subscribe_duration(number * 1_000_000).block();
                let _ = write(&stream, b"two");
                end(body, stream, None);
            }
            "/after" => {
                // Goes on when its answer is complete.
                whole(out, 200, b"done");
                subscribe_duration(number * 1_000_000).block();
                eprintln!("and after");
            }
            "/spin" => loop {
                std::hint::black_box(0);
            },
            "/fetch" => fetch(&request, out, number),
            "/proxy" => proxy(&request, out),
            "/fetches" => {
                let answers: Vec<_> = (0..number)
                    .map(|_| match outgoing(&request, None) {
                        Ok(_) => "ok".to_owned(),
                        Err(code) => format!("{code:?}"),
                    })
                    .collect();
                whole(out, 200, answers.join(",").as_bytes());
            }
            other => whole(out, 404, format!("nothing at {other}").as_bytes()),
        }
    }
}

/// A whole response.
fn whole(out: ResponseOutparam, status: u16, text: &[u8]) {
    let response = OutgoingResponse::new(Fields::new());
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    let _ = write(&stream, text);
    end(body, stream, None);
}

fn begin(out: ResponseOutparam, status: u16, headers: Fields) -> (OutgoingBody, OutputStream) {
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).unwrap();
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    let stream = body.write().unwrap();
    (body, stream)
}

fn end(body: OutgoingBody, stream: OutputStream, trailers: Option<Fields>) {
    drop(stream);
    let _ = OutgoingBody::finish(body, trailers);
}

fn write(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        let room = loop {
            match stream.check_write()? {
                0 => stream.subscribe().block(),
                room => break room,
            }
        };
        let (now, rest) = bytes.split_at(bytes.len().min(room as usize));
        stream.write(now)?;
        bytes = rest;
    }
    Ok(())
}

/// The stream of the body, whose resource stays with the request.
fn body_of(request: &IncomingRequest) -> InputStream {
    let body = request.consume().unwrap();
    let stream = body.stream().unwrap();
    std::mem::forget(body);
    stream
}

fn count(stream: &InputStream) -> Result<u64, String> {
    let mut count = 0;
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(read) => count += read.len() as u64,
            Err(StreamError::Closed) => return Ok(count),
            Err(StreamError::LastOperationFailed(error)) => {
                let code = wasip2::http::types::http_error_code(&error);
                return Err(format!("{code:?} after {count}"));
            }
        }
    }
}

fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let input = body_of(&request);
    let (body, stream) = begin(out, 200, Fields::new());
    pass(&input, &stream);
    end(body, stream, None);
}

/// Passes a stream on; returns whether it came to its end.
fn pass(input: &InputStream, output: &OutputStream) -> bool {
    loop {
        match input.blocking_read(1 << 16) {
            Ok(read) if write(output, &read).is_ok() => {}
            Err(StreamError::Closed) => return true,
            _ => return false,
        }
    }
}

/// Answers with the variables that its headers `env` name, in a header.
fn environment(request: &IncomingRequest, out: ResponseOutparam) {
    let headers = Fields::new();
    for name in request.headers().get("env") {
        let name = String::from_utf8_lossy(&name).into_owned();
        if let Ok(value) = std::env::var(name) {
            headers.append("x-env", value.as_bytes()).unwrap();
        }
    }
    let (body, stream) = begin(out, 200, headers);
    end(body, stream, None);
}

/// Prints lines in parts, and empty ones, on both streams.
fn half_prints() {
    print!("this is half a print ");
    std::io::stdout().flush().unwrap();
    println!("to stdout");
    println!();
    println!("after empty");
    for part in ["start a print ", "1", "2", "\n", "\nafter empty\n"] {
        let _ = get_stderr().blocking_write_and_flush(part.as_bytes());
    }
}

fn describe(request: &IncomingRequest) -> String {
    let mut lines: Vec<_> = request
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(&value)))
        .collect();
    lines.sort();
    format!(
        "{:?} {:?} {:?} {:?}\n{}",
        request.method(),
        request.scheme(),
        request.authority(),
        request.path_with_query(),
        lines.concat()
    )
}

/// A request to the URL in `x-target`, without a body.
fn outgoing(
    request: &IncomingRequest,
    first_byte: Option<u64>,
) -> Result<IncomingResponse, ErrorCode> {
    let sent = prepared(request);
    let options = RequestOptions::new();
    let _ = options.set_first_byte_timeout(first_byte);
    let _ = options.set_connect_timeout(connect_timeout(request));
    let response = outgoing_handler::handle(sent, Some(options))?;
    response.subscribe().block();
    response.get().unwrap().unwrap()
}

/// The time in `x-connect-timeout`, in milliseconds.
fn connect_timeout(request: &IncomingRequest) -> Option<u64> {
    let values = request.headers().get("x-connect-timeout");
    let text = String::from_utf8_lossy(values.first()?).into_owned();
    text.parse::<u64>()
        .ok()
        .map(|milliseconds| milliseconds * 1_000_000)
}

fn prepared(request: &IncomingRequest) -> OutgoingRequest {
    let header = |name: &str| {
        let values = request.headers().get(name);
        values
            .first()
            .map(|value| String::from_utf8_lossy(value).into_owned())
    };
    let target = header("x-target").unwrap();
    let (scheme, rest) = target.split_once("://").unwrap();
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let headers = Fields::new();
    if let Some(own) = header("x-own") {
        headers.append("x-own", own.as_bytes()).unwrap();
    }
    let sent = OutgoingRequest::new(headers);
    let method = match header("x-method").as_deref() {
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        Some("HEAD") => Method::Head,
        Some("CONNECT") => Method::Connect,
        _ => Method::Get,
    };
    sent.set_method(&method).unwrap();
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    sent.set_scheme(Some(&scheme)).unwrap();
    sent.set_authority(Some(authority)).unwrap();
    sent.set_path_with_query(Some(path)).unwrap();
    sent
}

/// Answers with the response of another server, while it arrives.
fn fetch(request: &IncomingRequest, out: ResponseOutparam, first_byte: u64) {
    let first_byte = (first_byte > 0).then_some(first_byte * 1_000_000);
    match outgoing(request, first_byte) {
        Err(code) => whole(out, 200, format!("error: {code:?}").as_bytes()),
        Ok(response) => answer_with(response, out),
    }
}

fn answer_with(response: IncomingResponse, out: ResponseOutparam) {
    let headers = Fields::new();
    headers
        .append("x-status", response.status().to_string().as_bytes())
        .unwrap();
    for (name, value) in response.headers().entries() {
        if name.starts_with("x-") || name == "location" {
            let _ = headers.append(&name, &value);
        }
    }
    let (body, stream) = begin(out, 200, headers);
    let incoming = response.consume().unwrap();
    let input = incoming.stream().unwrap();
    match pass(&input, &stream) {
        true => end(body, stream, None),
        // The answer is cut, as the response was.
        false => drop((stream, body)),
    }
}

/// Asks another server, reads its body to its end or error, and answers with the response all the same.
fn ignore(request: &IncomingRequest, out: ResponseOutparam) {
    let response = outgoing_handler::handle(prepared(request), None).unwrap();
    let _ = count(&body_of(request));
    response.subscribe().block();
    answer_with(response.get().unwrap().unwrap().unwrap(), out);
}

/// Sends its body on while it arrives, and answers with the response.
fn proxy(request: &IncomingRequest, out: ResponseOutparam) {
    let sent = prepared(request);
    let body = sent.body().unwrap();
    let stream = body.write().unwrap();
    let response = match outgoing_handler::handle(sent, None) {
        Ok(response) => response,
        Err(code) => return whole(out, 200, format!("error: {code:?}").as_bytes()),
    };
    let whole_body = pass(&body_of(request), &stream);
    drop(stream);
    match whole_body {
        true => {
            let _ = OutgoingBody::finish(body, None);
        }
        false => drop(body),
    }
    response.subscribe().block();
    match response.get().unwrap().unwrap() {
        Ok(response) => answer_with(response, out),
        Err(code) => whole(
            out,
            200,
            format!("error: {code:?}, sent {whole_body}").as_bytes(),
        ),
    }
}
