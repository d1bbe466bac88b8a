//! Modules of every toolchain and era, each called for an answer that is known: types of wasm-bindgen, numbers without a
//! text in sight, programs, what is refused by its name, and real programs from registries.

mod described;
mod heap;
mod numbers;
mod programs;
mod refused;
mod registry;
mod toolchains;

use iof_tests::call::{Answer, Uploaded};
use iof_tests::server::Server;

/// A call on `/v1` of a plain text.
async fn v1(server: &Server, function: &Uploaded, export: &str, body: &str) -> Answer {
    let path = format!("/v1/functions/{}/call/{export}", function.id);
    let request = server
        .request("POST", &path)
        .header("content-type", "text/plain")
        .body(body.to_owned());
    server.answer(request).await
}
