//! The site `__NAME__`: `answer` decides what it says, `handle` brings requests to it.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

struct Site;

wasip2::http::proxy::export!(Site);

impl Guest for Site {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let (status, text) = answer(&request.path_with_query().unwrap_or_default());
        let headers = Fields::new();
        let _ = headers.append("content-type", b"text/plain; charset=utf-8");
        let response = OutgoingResponse::new(headers);
        let _ = response.set_status_code(status);
        let body = response.body().expect("a new response has a body");
        ResponseOutparam::set(out, Ok(response));
        // The head is on its way; the body follows as fast as the client takes it.
        let stream = body.write().expect("a new body has a stream");
        for piece in text.as_bytes().chunks(4096) {
            if stream.blocking_write_and_flush(piece).is_err() {
                return; // The client is gone.
            }
        }
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

/// The status and the text for a path: the part behind `/fn/__NAME__`.
fn answer(path: &str) -> (u16, String) {
    let path = path.split('?').next().unwrap_or_default();
    match path.strip_prefix("/hello/") {
        Some(name) if !name.is_empty() => (200, format!("Hello, {name}!\n")),
        _ if path == "/" => (200, "Hello!\n".to_owned()),
        _ => (404, format!("{path} is not here.\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn it_greets_by_name_and_without() {
        assert_eq!(answer("/hello/Ada?x=1"), (200, "Hello, Ada!\n".to_owned()));
        assert_eq!(answer("/"), (200, "Hello!\n".to_owned()));
    }

    #[test]
    fn other_paths_are_not_found() {
        assert_eq!(answer("/other").0, 404);
    }
}
