//! Functions that take whole requests, at `/fn` and at `/v1`: requests arrive unchanged, and responses have no effect
//! beyond themselves.

mod bodies;
mod guide;
mod pages;
mod requests;
mod responses;
mod signatures;

use iof_tests::{
    call::{Answer, Uploaded},
    guests::guest,
    server::Server,
};

/// A server, and a public function of the guest `typed` on it.
async fn typed() -> (Server, Uploaded) {
    let server = Server::start("").await;
    let function = server.deploy(guest("typed"), "").await;
    (server, function)
}

/// The two addresses of an export.
fn addresses(function: &Uploaded, export: &str) -> [String; 2] {
    let id = function.id;
    [
        format!("/fn/{id}/{export}"),
        format!("/v1/functions/{id}/call/{export}"),
    ]
}

async fn post(
    server: &Server,
    path: &str,
    content_type: &str,
    body: impl Into<reqwest::Body>,
) -> Answer {
    let request = server.request("POST", path);
    let request = match content_type {
        "" => request,
        content_type => request.header("content-type", content_type),
    };
    server.answer(request.body(body)).await
}
