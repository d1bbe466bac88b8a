//! Modules of every toolchain since 2020, each called for a known answer: types of wasm-bindgen, numbers without texts,
//! programs, refused modules, and real programs from registries.

mod described;
mod heap;
mod numbers;
mod programs;
mod refused;
mod registry;
mod toolchains;

use iof_tests::call::{Answer, Uploaded};
use iof_tests::server::Server;

/// A call on `/v1` with a plain text.
async fn v1(server: &Server, function: &Uploaded, export: &str, body: &str) -> Answer {
    let path = format!("/v1/functions/{}/call/{export}", function.id);
    let request = server
        .request("POST", &path)
        .header("content-type", "text/plain")
        .body(body.to_owned());
    server.answer(request).await
}
