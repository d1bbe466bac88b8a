//! A plain reverse proxy: `POST /` is posted to the upstream that its argument names, over connections that stay, and
//! the answer handed on. `cargo xtask bench egress` compares iof with it, because it is made of the same parts: what iof
//! takes longer is the function and its rules; what both take longer than nginx is not.
//!
//! It prints `listening on http://127.0.0.1:PORT` and runs until it is killed.

use axum::{Router, body::Body, extract::State, http::Request, routing::post, serve::ListenerExt};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::Client, client::legacy::connect::HttpConnector, rt::TokioExecutor,
};
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Upstream = (Client<HttpConnector, Full<Bytes>>, String);

async fn forward(State((client, url)): State<Upstream>, body: Bytes) -> Result<Bytes, String> {
    let request = Request::post(url).body(Full::new(body));
    let request = request.map_err(|error| error.to_string())?;
    let response = client.request(request).await;
    let response = response.map_err(|error| error.to_string())?;
    let body = Body::new(response.into_body()).collect().await;
    body.map(|body| body.to_bytes())
        .map_err(|error| error.to_string())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let url = std::env::args().nth(1).unwrap_or_default();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    announce(&socket)?;
    let router = Router::new()
        .route("/", post(forward))
        .with_state((client, url));
    let socket = socket.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(socket, router).await
}

#[expect(clippy::print_stdout, reason = "the address is this program's output")]
fn announce(socket: &TcpListener) -> std::io::Result<()> {
    println!("listening on http://{}", socket.local_addr()?);
    Ok(())
}
