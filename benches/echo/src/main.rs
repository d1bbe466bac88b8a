//! A plain axum server: `POST /` answers its body. `cargo xtask bench` compares iof with it.
//!
//! It prints `listening on http://127.0.0.1:PORT` and runs until it is killed.

use axum::{Router, routing::post, serve::ListenerExt};
use bytes::Bytes;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    announce(&socket)?;
    let router = Router::new().route("/", post(|body: Bytes| async { body }));
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
