//! Passes a request on to the handler that it is composed with, and answers with what that answers, in capitals.

use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::rt::async_support::StreamResult;
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
        let response = wasi::http::handler::handle(request).await?;
        let status = response.get_status_code();
        let mut headers = response.get_headers().copy_all();
        headers.push(("x-middleware".to_owned(), b"1".to_vec()));
        let headers = Fields::from_list(&headers).unwrap();
        let (_, read) = wit_future::new(|| Ok(()));
        let (mut input, trailers) = Response::consume_body(response, read);
        let (mut output, contents) = wit_stream::new();
        spawn_local(async move {
            let mut buffer = Vec::with_capacity(1 << 16);
            loop {
                let (result, mut read) = input.read(buffer).await;
                read.make_ascii_uppercase();
                read = output.write_all(read).await;
                if !read.is_empty() || !matches!(result, StreamResult::Complete(_)) {
                    return;
                }
                buffer = read;
                buffer.clear();
            }
        });
        let (answer, _) = Response::new(headers, Some(contents), trailers);
        answer.set_status_code(status).unwrap();
        Ok(answer)
    }
}
