//! The scenarios as a handler of HTTP requests: the path is the name, the body a JSON array of arguments.

use scenario_component_imports::{Component, read_body, write_body};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingResponse, ResponseOutparam};

struct Handler;

wasip2::http::proxy::export!(Handler);

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let body = request.consume().and_then(read_body).expect("a body");
        let arguments: Vec<String> = serde_json::from_slice(&body).expect("an array of strings");
        let text = scenarios::run_blocking(&Component, path.trim_start_matches('/'), &arguments);
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().expect("its first body");
        ResponseOutparam::set(out, Ok(response));
        write_body(body, text.as_bytes()).expect("a client that reads");
    }
}
