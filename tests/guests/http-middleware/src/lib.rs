//! Passes a request on to the handler that it is composed with, and answers with what that answers, in capitals. With the
//! header `x-rewrite`, it passes the body of the request on as well, each `?` as `!`, and waits a little before.

use wasip3::clocks::monotonic_clock::wait_for;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::rt::async_support::{StreamReader, StreamResult};
use wasip3::{spawn_local, wit_future, wit_stream};

wasip3::wit_bindgen::generate!({
    path: "wit",
    world: "test:middleware/middleware",
    runtime_path: "wasip3::wit_bindgen::rt",
    with: {
        "wasi:http/types@0.3.2": wasip3::http::types,
        "wasi:clocks/types@0.3.2": wasip3::clocks::types,
    },
    generate_all,
});

struct Middleware;

export!(Middleware);

impl exports::wasi::http::handler::Guest for Middleware {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let request = match request.get_headers().has("x-rewrite") {
            true => {
                // So that what follows is called by the host, and not by the first call.
                wait_for(10_000_000).await;
                rewritten(request)
            }
            false => request,
        };
        let response = wasi::http::handler::handle(request).await?;
        let status = response.get_status_code();
        let mut headers = response.get_headers().copy_all();
        headers.push(("x-middleware".to_owned(), b"1".to_vec()));
        let headers = Fields::from_list(&headers).unwrap();
        let (_, read) = wit_future::new(|| Ok(()));
        let (input, trailers) = Response::consume_body(response, read);
        let contents = changed(input, |bytes| bytes.make_ascii_uppercase());
        let (answer, _) = Response::new(headers, Some(contents), trailers);
        answer.set_status_code(status).unwrap();
        Ok(answer)
    }
}

/// The same request with another body.
fn rewritten(request: Request) -> Request {
    let (method, scheme) = (request.get_method(), request.get_scheme());
    let (authority, path) = (request.get_authority(), request.get_path_with_query());
    let mut headers = request.get_headers().copy_all();
    headers.retain(|(name, _)| name != "x-rewrite");
    let headers = Fields::from_list(&headers).unwrap();
    let (_, read) = wit_future::new(|| Ok(()));
    let (input, trailers) = Request::consume_body(request, read);
    let contents = changed(input, |bytes| {
        for byte in bytes.iter_mut().filter(|byte| **byte == b'?') {
            *byte = b'!';
        }
    });
    let (sent, _) = Request::new(headers, Some(contents), trailers, None);
    sent.set_method(&method).unwrap();
    sent.set_scheme(scheme.as_ref()).unwrap();
    sent.set_authority(authority.as_deref()).unwrap();
    sent.set_path_with_query(path.as_deref()).unwrap();
    sent
}

/// A stream that is another one, changed piece by piece while it is read.
fn changed(
    mut input: StreamReader<u8>,
    change: impl Fn(&mut Vec<u8>) + 'static,
) -> StreamReader<u8> {
    let (mut output, contents) = wit_stream::new();
    spawn_local(async move {
        let mut buffer = Vec::with_capacity(1 << 16);
        loop {
            let (result, mut read) = input.read(buffer).await;
            change(&mut read);
            read = output.write_all(read).await;
            if !read.is_empty() || !matches!(result, StreamResult::Complete(_)) {
                return;
            }
            buffer = read;
            buffer.clear();
        }
    });
    contents
}
