//! The scenarios as a handler of HTTP requests: the path is the name, the body a JSON array of arguments.

use scenario_component_imports_0_3::Component;
use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::{spawn_local, wit_future, wit_stream};

struct Handler;

wasip3::http::service::export!(Handler);

impl Guest for Handler {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        let (_, read) = wit_future::new(|| Ok(()));
        let (body, end) = Request::consume_body(request, read);
        let body = body.collect().await;
        end.await?;
        let arguments: Vec<String> = serde_json::from_slice(&body).expect("an array of strings");
        let text = scenarios::run(&Component, path.trim_start_matches('/'), &arguments).await;
        let (mut body, contents) = wit_stream::new();
        let (end, trailers) = wit_future::new(|| Ok(None));
        let (response, _) = Response::new(Fields::new(), Some(contents), trailers);
        spawn_local(async move {
            body.write_all(text.into_bytes()).await;
            drop(body);
            end.write(Ok(None)).await.ok();
        });
        Ok(response)
    }
}
