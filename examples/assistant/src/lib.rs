//! Asks a language model, and passes its words on while they come.

mod words;

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler::{self, OutgoingRequest};
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, IncomingResponse, Method, OutgoingBody,
    OutgoingResponse, ResponseOutparam, Scheme,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use words::Words;

struct Assistant;

wasip2::http::proxy::export!(Assistant);

/// The longest question, in bytes.
const LONGEST: usize = 64 << 10;
/// The most bytes that are read at once.
const PIECE: u64 = 16 << 10;

impl Guest for Assistant {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        if !matches!(request.method(), Method::Post) {
            return say(out, 405, "Ask with POST: the body is the question.\n");
        }
        let question = match question(&request) {
            Ok(question) => question,
            Err(problem) => return say(out, 400, &format!("{problem}\n")),
        };
        match ask(&question) {
            Ok(response) if response.status() == 200 => pass(&response, out),
            Ok(response) => say(
                out,
                502,
                &format!("The model's status is {}.\n", response.status()),
            ),
            Err(error) => say(out, 502, &format!("The model did not answer: {error:?}\n")),
        }
    }
}

/// The text of a request.
fn question(request: &IncomingRequest) -> Result<String, String> {
    let body = request.consume().map_err(|()| "There is no body.")?;
    let text = read(&body, LONGEST)?;
    String::from_utf8(text).map_err(|_| "The question is not a text in UTF-8.".to_owned())
}

fn read(body: &IncomingBody, most: usize) -> Result<Vec<u8>, String> {
    let stream = body.stream().map_err(|()| "There is no body.")?;
    let mut all = vec![];
    while let Some(piece) = next(&stream)? {
        all.extend(piece);
        if all.len() > most {
            return Err(format!("The question has more than {most} bytes."));
        }
    }
    Ok(all)
}

/// The next bytes of a stream; `None` at its end.
fn next(stream: &InputStream) -> Result<Option<Vec<u8>>, String> {
    match stream.blocking_read(PIECE) {
        Ok(piece) => Ok(Some(piece)),
        Err(StreamError::Closed) => Ok(None),
        Err(StreamError::LastOperationFailed(error)) => Err(error.to_debug_string()),
    }
}

/// Sends the question. The server adds the key on the way out, under the rule of `function.toml`.
fn ask(question: &str) -> Result<IncomingResponse, ErrorCode> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let api = variable("API");
    let (scheme, rest) = match api.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some((_, rest)) => (Scheme::Https, rest),
        None => return Err(ErrorCode::HttpRequestUriInvalid),
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let headers = Fields::new();
    let _ = headers.append("content-type", b"application/json");
    let _ = headers.append("accept", b"text/event-stream");
    let request = OutgoingRequest::new(headers);
    let accepted = request.set_method(&Method::Post).is_ok()
        && request.set_scheme(Some(&scheme)).is_ok()
        && request.set_authority(Some(authority)).is_ok()
        && request.set_path_with_query(Some(path)).is_ok();
    let Ok((body, true)) = request.body().map(|body| (body, accepted)) else {
        return Err(ErrorCode::HttpRequestUriInvalid);
    };
    let response = outgoing_handler::handle(request, None)?;
    let text = serde_json::json!({
        "model": variable("MODEL"),
        "stream": true,
        "messages": [{ "role": "user", "content": question }],
    });
    if let Ok(stream) = body.write() {
        // A request that was denied takes no body; its error is the response.
        let _ = write(&stream, text.to_string().as_bytes());
    }
    let _ = OutgoingBody::finish(body, None);
    response.subscribe().block();
    match response.get() {
        Some(Ok(response)) => response,
        _ => Err(ErrorCode::InternalError(None)),
    }
}

/// Answers with the words of the model, as they come.
fn pass(response: &IncomingResponse, out: ResponseOutparam) {
    let Some((body, stream)) = begin(out, 200) else {
        return;
    };
    let Ok(incoming) = response.consume() else {
        return;
    };
    let Ok(input) = incoming.stream() else { return };
    let mut words = Words::default();
    loop {
        let said = match next(&input) {
            Ok(Some(piece)) => words.push(&piece).map_err(str::to_owned),
            Ok(None) => break,
            Err(problem) => Err(problem),
        };
        match said.map(|said| write(&stream, said.as_bytes())) {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return, // The client is gone.
            // An answer that is not finished is cut, and not taken for a whole one.
            Err(problem) => return eprintln!("{problem}"),
        }
    }
    let _ = write(&stream, b"\n");
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
}

/// Answers with a text.
fn say(out: ResponseOutparam, status: u16, text: &str) {
    let Some((body, stream)) = begin(out, status) else {
        return;
    };
    if write(&stream, text.as_bytes()).is_ok() {
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

/// Sends the head of a response of text; its body, and the stream that fills it.
fn begin(out: ResponseOutparam, status: u16) -> Option<(OutgoingBody, OutputStream)> {
    let headers = Fields::new();
    let _ = headers.append("content-type", b"text/plain; charset=utf-8");
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
